//! Segments of shared memory in the guest's own.
#![expect(unsafe_code, reason = "makes a slice of memory that somebody else has filled")]

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::errors::OpenError;
use crate::number::Numeric;
use crate::pool::wasmpool::pool::segments;

/// What a guest's memory is mapped in.
const PAGE: usize = 1 << 16;

/// Memory that is shared, in the guest's own memory and without a copy: Python's `SharedMemory`.
///
/// What the host has sealed is an ordinary slice. What a guest writes there is its own: the others do not see it.
/// ```no_run
/// use wasmpool_guest::SharedMemory;
///
/// #[wasmpool_guest::task]
/// fn sum() -> Result<f64, String> {
///     let samples = SharedMemory::open("samples").map_err(|error| error.to_string())?;
///     let samples = samples.as_slice_of::<f64>().ok_or("they are for reading and writing")?;
///     Ok(samples.iter().sum())
/// }
/// # fn main() {}
/// ```
/// What was declared for reading and writing changes at any time, so it is read and written piece by piece; a
/// [`Lock`](crate::Lock) says when it is whole.
/// ```no_run
/// use wasmpool_guest::SharedMemory;
///
/// #[wasmpool_guest::task]
/// fn fill(byte: u8) -> Result<u64, String> {
///     let board = SharedMemory::open("board").map_err(|error| error.to_string())?;
///     board.write(0, &vec![byte; board.len()]);
///     Ok(board.len() as u64)
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SharedMemory {
    start: *mut u8,
    length: usize,
    is_writable: bool,
}

/// The segments that are in this instance's memory: each once, however often it is opened.
struct Mapped(RefCell<Vec<(String, SharedMemory)>>);

// SAFETY: an instance has one thread.
unsafe impl Sync for Mapped {}

static MAPPED: Mapped = Mapped(RefCell::new(Vec::new()));

impl SharedMemory {
    /// Puts the segment that the pool shares under this name into the memory of this instance, for as long as that lasts.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or no room for it.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let mut mapped = MAPPED.0.borrow_mut();
        if let Some((_, memory)) = mapped.iter().find(|(other, _)| other == name) {
            return Ok(*memory);
        }
        let memory = Self::map(name)?;
        mapped.push((name.to_owned(), memory));
        Ok(memory)
    }

    fn map(name: &str) -> Result<Self, OpenError> {
        let no_room = || OpenError::NoRoom(name.to_owned());
        let found = segments::find(name).map_err(|error| OpenError::new(error, name))?;
        let length = usize::try_from(found.length).map_err(|_| no_room())?;
        let pages = length.div_ceil(PAGE);
        let start = grow(pages).ok_or_else(no_room)?;
        // SAFETY: the byte is the first of new pages, so nobody else refers to it.
        let first = unsafe { core::slice::from_raw_parts(start, 1) };
        segments::attach(name, first).map_err(|_| no_room())?;
        Ok(Self { start, length, is_writable: found.writable })
    }

    /// Its length in bytes.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// println!("{} bytes", memory.len());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: a segment has at least one byte.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// assert!(!memory.is_empty());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether what is written here is seen by others, and what they write here.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// if memory.is_writable() {
    ///     memory.write(0, b"x");
    /// }
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// All of it; none if it is for reading and writing, and may change at any time.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// let sum: u64 = memory.as_slice().unwrap_or_default().iter().map(|byte| u64::from(*byte)).sum();
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn as_slice(&self) -> Option<&'static [u8]> {
        if self.is_writable {
            return None;
        }
        // SAFETY: so many bytes are there until the instance ends. Nobody changes them: the host has sealed them, and this
        // type does not write to what is not writable.
        Some(unsafe { core::slice::from_raw_parts(self.start, self.length) })
    }

    /// As [`SharedMemory::as_slice`], as numbers: as many whole ones as there are.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// let sum: f64 = memory.as_slice_of::<f64>().unwrap_or_default().iter().sum();
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn as_slice_of<T: Numeric>(&self) -> Option<&'static [T]> {
        let bytes = self.as_slice()?;
        // SAFETY: any bytes are a number, and a segment begins at a page, which is aligned for all of them.
        Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / T::SIZE) })
    }

    /// Copies what is there from byte `at` on. What others write meanwhile is there, or not yet, or in part.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// let mut first = [0; 8];
    /// memory.read(0, &mut first);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Panics
    /// If there are fewer bytes behind `at`.
    pub fn read(&self, at: usize, bytes: &mut [u8]) {
        let place = self.place(at, bytes.len());
        for (position, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: `place` has so many bytes, which are read one by one, whoever changes them.
            *byte = unsafe { place.wrapping_add(position).read_volatile() };
        }
    }

    /// Copies to where byte `at` is. Where it is not for writing, nobody else sees it.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// memory.write(memory.len() - 3, b"end");
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Panics
    /// If there are fewer bytes behind `at`, or this is not writable.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        assert!(self.is_writable, "it is for reading only");
        let place = self.place(at, bytes.len());
        for (position, byte) in bytes.iter().enumerate() {
            // SAFETY: `place` has so many bytes, which are written one by one, whoever reads them.
            unsafe { place.wrapping_add(position).write_volatile(*byte) };
        }
    }

    /// The number at place `index`, counted in numbers of this type.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// let third: f64 = memory.load(2);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Panics
    /// If there is none.
    pub fn load<T: Numeric>(&self, index: usize) -> T {
        let place = self.place(index.saturating_mul(T::SIZE), T::SIZE);
        // SAFETY: so many bytes are there, aligned since a segment begins at a page; any bytes are a number.
        unsafe { place.cast::<T>().read_volatile() }
    }

    /// Puts a number at place `index`, counted in numbers of this type.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// memory.store(2, 0.5_f64);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such place, or this is not writable.
    pub fn store<T: Numeric>(&self, index: usize, number: T) {
        assert!(self.is_writable, "it is for reading only");
        let place = self.place(index.saturating_mul(T::SIZE), T::SIZE);
        // SAFETY: as above.
        unsafe { place.cast::<T>().write_volatile(number) };
    }

    /// Where all of it is: for who knows that nobody writes while he reads.
    ///
    /// ```no_run
    /// let memory = wasmpool_guest::SharedMemory::open("samples")?;
    /// let start = memory.as_ptr();
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    fn place(&self, at: usize, length: usize) -> *mut u8 {
        let fits = at.checked_add(length).is_some_and(|end| end <= self.length);
        assert!(fits, "{length} bytes from {at} on are not in {} bytes", self.length);
        self.start.wrapping_add(at)
    }
}

/// Whole new pages of memory, behind all that there is.
#[cfg(target_family = "wasm")]
fn grow(pages: usize) -> Option<*mut u8> {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    (before != usize::MAX).then(|| core::ptr::with_exposed_provenance_mut(before * PAGE))
}

/// There are guests on other machines only.
#[cfg(not(target_family = "wasm"))]
fn grow(_pages: usize) -> Option<*mut u8> {
    None
}
