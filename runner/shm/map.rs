//! Memory that several processes write, mapped: words of it, and no references to plain bytes.

#![expect(unsafe_code, reason = "maps memory that other processes write")]

use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::futex::Word;

/// A mapping whose bytes anybody may change at any time. So it hands out atomics alone.
#[derive(Debug)]
pub struct SharedMap {
    /// Of `length` mapped bytes, readable and writable until this is dropped.
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; any thread may unmap it.
unsafe impl Send for SharedMap {}

// SAFETY: `&SharedMap` gives access to atomics only.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Maps all of a file.
    ///
    /// # Errors
    /// If the file is not `length` bytes long, if that could change, or if the system has no room for it.
    pub fn new(fd: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        // A file that became shorter later would turn an access into SIGBUS.
        let seals = rustix::fs::fcntl_get_seals(fd)?;
        let is_sealed = seals.contains(SealFlags::SHRINK | SealFlags::GROW);
        let is_long = u64::try_from(rustix::fs::fstat(fd)?.st_size).ok() == u64::try_from(length).ok();
        if !is_sealed || !is_long || length == 0 {
            let message = "not a sealed file of the length of what it is to hold";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no memory that is in use is replaced.
        let mapped =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, fd, 0)? };
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The word of 32 bits at byte `at`. No word of 64 bits may be asked for that overlaps it.
    ///
    /// # Panics
    /// If it is not in the mapping, or `at` is no multiple of 4.
    pub(crate) fn word(&self, at: usize) -> &Word {
        let place: *mut AtomicU32 = self.place(at, size_of::<AtomicU32>()).cast();
        // SAFETY: checked to be mapped as long as `self` lives, and aligned: mappings start at a page. What is accessed
        // as a word of 32 bits is accessed as nothing else by this process, and others access the memory through
        // mappings of their own. `Word` is a transparent atomic.
        unsafe { &*place.cast::<Word>() }
    }

    /// `n_words` words of 64 bits from byte `at` on. No word of 32 bits may be asked for that is among them.
    ///
    /// # Panics
    /// If they are not all in the mapping, or `at` is no multiple of 8.
    pub(crate) fn words(&self, at: usize, n_words: usize) -> &[AtomicU64] {
        let size = n_words.checked_mul(size_of::<AtomicU64>()).expect("less than there is memory");
        let place: *mut AtomicU64 = self.place(at, size).cast();
        assert!(at.is_multiple_of(align_of::<AtomicU64>()), "words of 64 bits are aligned");
        // SAFETY: checked to be mapped as long as `self` lives, for as many words, and aligned. What is accessed as
        // words of 64 bits is accessed as nothing else by this process, and only atomically.
        unsafe { std::slice::from_raw_parts(place, n_words) }
    }

    /// One word of 64 bits at byte `at`, as in [`words`](Self::words).
    pub(crate) fn long_word(&self, at: usize) -> &AtomicU64 {
        &self.words(at, 1)[0]
    }

    fn place(&self, at: usize, size: usize) -> *mut u8 {
        let fits = at.checked_add(size).is_some_and(|end| end <= self.length);
        assert!(
            fits && at.is_multiple_of(align_of::<AtomicU32>()),
            "{at} is no place in {} bytes",
            self.length
        );
        // SAFETY: `at` is in the mapping, as checked, or just behind it.
        unsafe { self.start.as_ptr().add(at) }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        let start: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: `new` mapped just these bytes, and references into them end with `self`.
        let unmapped = unsafe { rustix::mm::munmap(start, self.length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
