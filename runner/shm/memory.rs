//! Memory that guests use as their own.

#![expect(unsafe_code, reason = "shows mapped memory as a slice")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::declared::Shape;
use super::geometry::MOST_BYTES;
use super::object::create;
use super::shared::{Share, Shared};

/// Memory that a pool's guests find by name and use as their own, without a copy: the counterpart of
/// `multiprocessing.shared_memory.SharedMemory`. It has no name outside of the pools that it is declared to, and is
/// gone with the last who has it.
///
/// New memory is zeros, and can be written. If it is shared like that, guests see each other's writes, at any time:
/// it is for them to agree on who writes where and when. Once it is [sealed](Self::seal), its content never changes:
/// guests that write to it get copies of the pages that they change, and the host may have it as a slice. A clone is
/// the same memory.
///
/// ```
/// use wasmpool::SharedMemory;
///
/// let mut memory = SharedMemory::create(8000)?;
/// let numbers = memory.as_mut_slice()?;
/// for (number, place) in numbers.chunks_exact_mut(8).enumerate() {
///     place.copy_from_slice(&(number as f64).to_le_bytes());
/// }
/// let memory = memory.seal()?;
/// assert_eq!(memory.as_slice()?[8..16], 1.0_f64.to_le_bytes());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedMemory {
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Memory {
    fd: Arc<OwnedFd>,
    length: usize,
    is_sealed: bool,
    /// Whether others have been given the means to write to it.
    is_lent: AtomicBool,
    view: OnceLock<View>,
}

impl SharedMemory {
    /// Memory of so many bytes, all zeros. What nobody writes to takes no room.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::create(1 << 30)?;
    /// assert_eq!(memory.len(), 1 << 30);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If that is none or more than 1 TiB, or the system is out of descriptors.
    pub fn create(bytes: usize) -> io::Result<Self> {
        let fd = create(Shape::Segment { length: bytes as u64, writable: true })?;
        Ok(Self::of(fd, bytes, false))
    }

    /// Sealed memory with these bytes in it.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// assert!(memory.is_sealed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create), and if the system is out of memory.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let memory = Self::create(bytes.len())?;
        memory.write_at(0, bytes)?;
        memory.seal()
    }

    /// Sealed memory with what is in this file now. What becomes of the file then is of no matter.
    ///
    /// ```no_run
    /// let words = wasmpool::SharedMemory::from_file("/usr/share/dict/words")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read or is empty, and as [`create`](Self::create).
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let read = File::open(path).and_then(Self::read);
        read.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot share `{}`: {error}", path.display()))
        })
    }

    fn read(file: File) -> io::Result<Self> {
        let mut memory = crate::sealed::create("wasmpool-shared")?;
        let bytes = io::copy(&mut file.take(MOST_BYTES as u64 + 1), &mut memory)?;
        let shape = Shape::Segment { length: bytes, writable: false };
        memory.set_len(shape.file_length()? as u64)?;
        memory.flush()?;
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Self::of(memory.into(), bytes, false).seal()
    }

    fn of(fd: OwnedFd, length: usize, is_sealed: bool) -> Self {
        let (is_lent, view) = (AtomicBool::new(false), OnceLock::new());
        Self { memory: Arc::new(Memory { fd: Arc::new(fd), length, is_sealed, is_lent, view }) }
    }

    /// How many bytes it has.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// assert_eq!(memory.len(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.length
    }

    /// Never: there is no memory of no bytes.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// assert!(!memory.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.length == 0
    }

    /// Whether its content can never change.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::create(8)?;
    /// assert!(!memory.is_sealed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.memory.is_sealed
    }

    /// The same memory, whose content nobody can change from now on.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::create(8)?.seal()?;
    /// assert_eq!(memory.as_slice()?, [0; 8]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it has clones, or a process has it mapped so that it can be written.
    pub fn seal(self) -> io::Result<Self> {
        if self.memory.is_sealed {
            return Ok(self);
        }
        let memory = Arc::try_unwrap(self.memory).map_err(|_| {
            io::Error::new(io::ErrorKind::ResourceBusy, "shared memory is sealed by its only owner")
        })?;
        // A mapping that can be written is in the way.
        drop(memory.view);
        crate::sealed::seal(&File::from(memory.fd.try_clone()?))?;
        let (is_lent, view) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { memory: Arc::new(Memory { is_sealed: true, is_lent, view, ..memory }) })
    }

    /// All of it, where it is.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// assert_eq!(memory.as_slice()?, b"numbers");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is not sealed, since others may write to it then; or if the system has no room for it.
    pub fn as_slice(&self) -> io::Result<&[u8]> {
        if !self.memory.is_sealed {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "shared memory is read in place once it is sealed",
            ));
        }
        let view = self.memory.view(Access::Read)?;
        // SAFETY: as many bytes are mapped as long as the memory is there, readable, and nobody can write to them: it is
        // sealed, which the system allows only when there is no mapping left to write through.
        Ok(unsafe { std::slice::from_raw_parts(view.start.as_ptr(), self.memory.length) })
    }

    /// All of it, where it is, to be filled.
    ///
    /// ```
    /// let mut memory = wasmpool::SharedMemory::create(8)?;
    /// memory.as_mut_slice()?.fill(1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is sealed, has clones or has been shared; or if the system has no room for it.
    pub fn as_mut_slice(&mut self) -> io::Result<&mut [u8]> {
        let refused =
            io::Error::new(io::ErrorKind::PermissionDenied, "shared memory is filled by its only owner");
        let memory = Arc::get_mut(&mut self.memory).filter(|memory| !memory.is_sealed);
        let memory = memory.filter(|memory| !memory.is_lent.load(Ordering::Relaxed)).ok_or(refused)?;
        let view = memory.view(Access::Write)?;
        // SAFETY: as many bytes are mapped as long as the memory is there, readable and writable. No other process has
        // been given the file, no clone of this is there, and what it gives out it gives out by borrows of itself.
        Ok(unsafe { std::slice::from_raw_parts_mut(view.start.as_ptr(), memory.length) })
    }

    /// Copies from its byte `at` on, as much as `out` is long. Where others write at the same time, some of it may be
    /// older than the rest.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// let mut two = [0; 2];
    /// memory.read_at(5, &mut two)?;
    /// assert_eq!(&two, b"rs");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it does not have so much.
    pub fn read_at(&self, at: usize, out: &mut [u8]) -> io::Result<()> {
        let mut place = self.place(at, out.len())?;
        let mut left = out;
        while !left.is_empty() {
            match rustix::io::pread(&*self.memory.fd, &mut *left, place) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n_bytes) => {
                    left = &mut left[n_bytes..];
                    place += n_bytes as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Copies `bytes` into it, from its byte `at` on.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::create(8)?;
    /// memory.write_at(6, b"ab")?;
    /// assert_eq!(memory.to_vec()?, b"\0\0\0\0\0\0ab");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is sealed or not so long, or the system is out of memory.
    pub fn write_at(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut place = self.place(at, bytes.len())?;
        let mut left = bytes;
        while !left.is_empty() {
            match rustix::io::pwrite(&*self.memory.fd, left, place) {
                Ok(n_bytes) => {
                    left = &left[n_bytes..];
                    place += n_bytes as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A copy of all of it.
    ///
    /// ```
    /// let memory = wasmpool::SharedMemory::from_bytes(b"numbers")?;
    /// assert_eq!(memory.to_vec()?, b"numbers");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system cannot read it.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.memory.length];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    fn place(&self, at: usize, length: usize) -> io::Result<u64> {
        let fits = at.checked_add(length).is_some_and(|end| end <= self.memory.length);
        let message =
            || format!("{length} bytes at {at} are not all in {} bytes of shared memory", self.memory.length);
        if fits { Ok(at as u64) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, message())) }
    }
}

impl Share for SharedMemory {
    fn shared(&self) -> Shared {
        let Memory { fd, length, is_sealed, is_lent, .. } = &*self.memory;
        is_lent.store(true, Ordering::Relaxed);
        let shape = Shape::Segment { length: *length as u64, writable: !is_sealed };
        Shared::new(shape, Arc::clone(fd))
    }
}

/// What may be done through a mapping.
enum Access {
    Read,
    Write,
}

/// A mapping of the file.
#[derive(Debug)]
struct View {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; what it shows is given out by borrows of the memory.
unsafe impl Send for View {}

// SAFETY: the same; `&View` itself reads and writes nothing.
unsafe impl Sync for View {}

impl Memory {
    fn view(&self, access: Access) -> io::Result<&View> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let view = View::new(&self.fd, self.length, access)?;
        Ok(self.view.get_or_init(|| view))
    }
}

impl View {
    fn new(fd: &OwnedFd, length: usize, access: Access) -> io::Result<Self> {
        let (access, flags) = match access {
            // Shared would be a mapping that could be made writable, which older kernels refuse.
            Access::Read => (ProtFlags::READ, MapFlags::PRIVATE),
            Access::Write => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
        };
        // SAFETY: the kernel chooses the place, so no memory that is in use is replaced.
        let mapped = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, fd.as_fd(), 0)? };
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: `new` mapped just these bytes, and slices of them end with the memory that this is a part of.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::SharedMap;
    use super::*;

    #[test]
    fn new_memory_is_zeros_and_can_be_filled_in_place() {
        let mut memory = SharedMemory::create(100_000).unwrap();
        assert_eq!(memory.to_vec().unwrap(), vec![0; 100_000]);
        memory.as_mut_slice().unwrap()[99_999] = 7;
        let mut byte = [0];
        memory.read_at(99_999, &mut byte).unwrap();
        assert_eq!(byte, [7]);
    }

    #[test]
    fn sealed_memory_never_changes() {
        let mut memory = SharedMemory::from_bytes(b"numbers").unwrap();
        assert_eq!(memory.as_slice().unwrap(), b"numbers");
        assert!(memory.write_at(0, b"x").is_err());
        assert!(memory.as_mut_slice().is_err());
        assert!(SharedMap::new(memory.shared().file().as_fd(), 64 << 10).is_err());
    }

    #[test]
    fn what_guests_may_write_to_is_no_slice() {
        let mut memory = SharedMemory::create(1).unwrap();
        assert!(memory.as_slice().is_err());
        drop(memory.shared());
        assert!(memory.as_mut_slice().is_err());
    }

    #[test]
    fn memory_with_clones_is_neither_filled_in_place_nor_sealed() {
        let mut memory = SharedMemory::create(1).unwrap();
        let clone = memory.clone();
        assert!(memory.as_mut_slice().is_err());
        assert_eq!(memory.seal().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(clone.seal().unwrap());
    }

    #[test]
    fn what_was_filled_in_place_can_be_sealed() {
        let mut memory = SharedMemory::create(3).unwrap();
        memory.as_mut_slice().unwrap().copy_from_slice(b"abc");
        assert_eq!(memory.seal().unwrap().as_slice().unwrap(), b"abc");
    }

    #[test]
    fn memory_that_somebody_can_write_to_is_not_sealed() {
        let memory = SharedMemory::create(1).unwrap();
        let map = SharedMap::new(memory.shared().file().as_fd(), 64 << 10).unwrap();
        assert!(memory.seal().is_err());
        drop(map);
    }

    #[test]
    fn it_is_declared_as_what_it_is() {
        let writable = SharedMemory::create(5).unwrap();
        assert_eq!(writable.shared().shape(), Shape::Segment { length: 5, writable: true });
        let sealed = writable.seal().unwrap();
        assert_eq!(sealed.shared().shape(), Shape::Segment { length: 5, writable: false });
    }

    #[test]
    fn a_file_is_read_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"before").unwrap();
        let memory = SharedMemory::from_file(file.path()).unwrap();
        file.write_all(b" and after").unwrap();
        assert_eq!(memory.as_slice().unwrap(), b"before");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = SharedMemory::from_file("/no/such/file").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("`/no/such/file`"), "{error}");
    }

    #[test]
    fn an_empty_file_is_not_shared() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(SharedMemory::from_file(file.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nothing_behind_its_end_is_read_or_written() {
        let memory = SharedMemory::create(10).unwrap();
        assert!(memory.read_at(9, &mut [0; 2]).is_err());
        assert!(memory.write_at(usize::MAX, &[0]).is_err());
        assert!(memory.write_at(10, &[]).is_ok());
    }
}
