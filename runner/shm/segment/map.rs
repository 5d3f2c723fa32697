//! The worker's end of a segment, mapped. The worker writes and never reads it.

#![expect(unsafe_code, reason = "maps memory that another process reads")]

use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::{Area, OUTBOX_AT, OUTBOX_LEN, SEGMENT_LEN, WORDS, Word};

/// A mapped segment.
#[derive(Debug)]
pub struct SegmentMap {
    /// Of [`SEGMENT_LEN`] mapped bytes, readable and writable until this is dropped.
    start: NonNull<u8>,
}

impl SegmentMap {
    /// Maps the segment in `fd`.
    ///
    /// # Errors
    /// If `fd` is no segment, or the system has no room for it.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // A file that became shorter later would turn a store into SIGBUS.
        let sealed = rustix::fs::fcntl_get_seals(fd)?.contains(SealFlags::SHRINK);
        if !sealed || u64::try_from(rustix::fs::fstat(fd)?.st_size) != Ok(SEGMENT_LEN as u64) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a sealed file of a segment's length",
            ));
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the place, so no memory that is in use is replaced.
        let mapped =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), SEGMENT_LEN, access, MapFlags::SHARED, fd, 0)? };
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start })
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        const { assert!(8 * WORDS <= OUTBOX_AT) };
        // SAFETY: a word's place is below WORDS, which fit the mapping, as asserted.
        let place = unsafe { self.start.as_ptr().add(8 * (word as usize)) };
        // SAFETY: the place is mapped as long as `self` lives, and aligned: mappings start at a page, words at a
        // multiple of 8. This process accesses words only here, atomically; the host does not map them, it
        // reads the file.
        unsafe { AtomicU64::from_ptr(place.cast()) }
    }
}

impl Area for SegmentMap {
    fn store(&self, word: Word, value: u64) {
        // What came before is not moved behind it by the compiler. The processor's own order does not matter for
        // who looks after our death: by then every store has arrived.
        self.word(word).store(value.to_le(), Ordering::Release);
    }

    fn copy(&self, at: usize, bytes: &[u8]) {
        let fits = at.checked_add(bytes.len()).is_some_and(|end| end <= OUTBOX_LEN);
        assert!(fits, "the outbox holds {OUTBOX_LEN} bytes");
        // Stores before it stay before it.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: `at` was checked to be in the outbox, which is in the mapping.
        let place = unsafe { self.start.as_ptr().add(OUTBOX_AT + at) };
        // SAFETY: `bytes` is readable; `place` is mapped for as many bytes, as checked, and nothing in this process
        // refers to them, so they do not overlap `bytes`. Bytes need no alignment.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
    }
}

impl Drop for SegmentMap {
    fn drop(&mut self) {
        let start: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: `new` mapped just these bytes, and references into them end with `self`.
        let unmapped = unsafe { rustix::mm::munmap(start, SEGMENT_LEN) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
