//! Addresses for memory that grows, in which pages of files can take the place of others.

#![expect(unsafe_code, reason = "maps memory at places of its choice")]

use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

/// The pages of this machine that it can run with, and that memory is mapped in.
pub const PAGE: usize = 4096;

/// Whether others see what is written to pages of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Nobody does: pages are copied as they are written to.
    Private,
    /// All do who have the file mapped.
    Shared,
}

/// Addresses, the first of which are memory.
#[derive(Debug)]
pub struct Reservation {
    /// Of `guard` addresses that nothing may be at, `capacity` that belong to the memory, and `guard` more.
    start: NonNull<u8>,
    capacity: usize,
    guard: usize,
    /// How many of the memory's can be read and written.
    length: usize,
}

// SAFETY: it owns what is mapped there, and a mapping belongs to no thread.
unsafe impl Send for Reservation {}
// SAFETY: shared references only tell where it is.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `capacity` addresses, with `guard` before and behind them that stay without memory. All are multiples of
    /// [`PAGE`].
    ///
    /// # Errors
    /// If the system does not have so many.
    pub fn new(capacity: usize, guard: usize) -> io::Result<Self> {
        let all = guard.checked_mul(2).and_then(|guards| guards.checked_add(capacity));
        let all = all.filter(|all| all.is_multiple_of(PAGE)).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses the place, so no memory that is in use is replaced.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                all,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, capacity, guard, length: 0 })
    }

    /// Where the memory begins.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        // Below the end of what is reserved: the guard is part of it.
        self.start.as_ptr().wrapping_add(self.guard)
    }

    /// How many bytes it may come to have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes can be read and written.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Has so many bytes from now on, those beyond what was there 0. It does not shrink. Where that is no multiple of
    /// [`PAGE`], the rest of the last page can be used, too.
    ///
    /// # Errors
    /// If there is no room, or the system has no memory.
    pub fn grow_to(&mut self, length: usize) -> io::Result<()> {
        if length > self.capacity {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (has, wanted) = (self.length.next_multiple_of(PAGE), length.next_multiple_of(PAGE));
        if wanted > has {
            let from: *mut c_void = self.base().wrapping_add(has).cast();
            let access = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: these are pages of this reservation that nothing could refer to before.
            unsafe { rustix::mm::mprotect(from, wanted - has, access)? };
        }
        self.length = self.length.max(length);
        Ok(())
    }

    /// Puts the first `length` bytes of a file in the place of the memory from `at` on: whole pages.
    ///
    /// # Errors
    /// If these are not pages of the memory, or the system refuses. What was there is then there still.
    ///
    /// # Safety
    /// Nothing refers to that memory. The file has so many bytes, or its last page reaches beyond them, and nobody can
    /// shorten it.
    pub unsafe fn put(
        &self,
        at: usize,
        length: usize,
        file: BorrowedFd<'_>,
        visibility: Visibility,
    ) -> io::Result<()> {
        let pages = length.next_multiple_of(PAGE);
        let fits = at.checked_add(pages).is_some_and(|end| end <= self.length);
        if !fits || !at.is_multiple_of(PAGE) || length == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = match visibility {
            Visibility::Private => MapFlags::PRIVATE,
            Visibility::Shared => MapFlags::SHARED,
        };
        let place: *mut c_void = self.base().wrapping_add(at).cast();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: these are pages of this reservation that nothing refers to, as the caller says.
        unsafe { rustix::mm::mmap(place, pages, access, flags | MapFlags::FIXED, file, 0)? };
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let all = self.guard + self.capacity + self.guard;
        // SAFETY: `new` mapped just these addresses, and whoever used them has not outlived `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), all) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::MemfdFlags;

    use super::*;

    fn file(bytes: &[u8]) -> OwnedFd {
        let file = rustix::fs::memfd_create("wasmpool-test", MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&file, bytes).unwrap();
        file
    }

    fn grown(length: usize) -> Reservation {
        let mut memory = Reservation::new(16 * PAGE, PAGE).unwrap();
        memory.grow_to(length).unwrap();
        memory
    }

    /// The byte at this place.
    fn peek(memory: &Reservation, at: usize) -> u8 {
        assert!(at < memory.length());
        // SAFETY: the byte is part of the memory, as asserted.
        unsafe { memory.base().wrapping_add(at).read_volatile() }
    }

    fn poke(memory: &Reservation, at: usize, byte: u8) {
        assert!(at < memory.length());
        // SAFETY: as above.
        unsafe { memory.base().wrapping_add(at).write_volatile(byte) };
    }

    fn put(
        memory: &Reservation,
        at: usize,
        length: usize,
        file: &OwnedFd,
        how: Visibility,
    ) -> io::Result<()> {
        // SAFETY: these tests keep no references, and nobody else has the file.
        unsafe { memory.put(at, length, file.as_fd(), how) }
    }

    #[test]
    fn memory_grows_and_is_empty_at_first() {
        let mut memory = grown(PAGE);
        poke(&memory, 0, 7);
        memory.grow_to(3 * PAGE).unwrap();
        assert_eq!([0, PAGE, 3 * PAGE - 1].map(|at| peek(&memory, at)), [7, 0, 0]);
        assert!(memory.grow_to(17 * PAGE).is_err());
        assert_eq!(memory.length(), 3 * PAGE);
    }

    #[test]
    fn pages_of_a_file_take_the_place_of_memory() {
        let memory = grown(4 * PAGE);
        poke(&memory, PAGE, 9);
        put(&memory, PAGE, PAGE + 1, &file(&[5; PAGE + 1]), Visibility::Private).unwrap();
        assert_eq!([PAGE, 2 * PAGE, 2 * PAGE + 1, 3 * PAGE].map(|at| peek(&memory, at)), [5, 5, 0, 0]);
    }

    #[test]
    fn what_is_written_to_private_pages_nobody_else_sees() {
        let (first, second, file) = (grown(PAGE), grown(PAGE), file(&[1; 9]));
        for memory in [&first, &second] {
            put(memory, 0, 9, &file, Visibility::Private).unwrap();
        }
        poke(&first, 3, 2);
        assert_eq!([peek(&first, 3), peek(&second, 3)], [2, 1]);
    }

    #[test]
    fn what_is_written_to_shared_pages_the_others_see() {
        let (first, second, file) = (grown(PAGE), grown(PAGE), file(&[1; 9]));
        for memory in [&first, &second] {
            put(memory, 0, 9, &file, Visibility::Shared).unwrap();
        }
        poke(&first, 3, 2);
        assert_eq!(peek(&second, 3), 2);
    }

    #[test]
    fn places_outside_of_the_memory_are_refused() {
        let (memory, file) = (grown(2 * PAGE), file(&[1; PAGE]));
        for (at, length) in
            [(1, PAGE), (2 * PAGE, PAGE), (PAGE, PAGE + 1), (0, 0), (usize::MAX - PAGE + 1, PAGE)]
        {
            assert!(put(&memory, at, length, &file, Visibility::Private).is_err(), "{length} at {at}");
        }
        assert_eq!(peek(&memory, 0), 0);
    }
}
