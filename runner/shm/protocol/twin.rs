//! Bytes that change all at once: two copies, and a version that says which of them counts.
//!
//! Whoever changes them holds a lock, writes the copy that does not count, and then counts the version up. Killed
//! before that, it has changed nothing. Whoever reads without the lock reads again if the version has changed
//! meanwhile: the copy that it was reading may be the one that is written next.

use super::copy;
use super::sync::{AtomicU64, Ordering, Word, fence};

/// The words of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twin<'a> {
    pub(crate) version: &'a Word,
    pub(crate) copies: [&'a [AtomicU64]; 2],
    /// How many bytes there are.
    pub(crate) length: usize,
}

impl Twin<'_> {
    /// Puts what counts in `out`; false if it has changed meanwhile, and what is in `out` is nothing.
    ///
    /// It cannot while the lock is held.
    pub(crate) fn read(&self, out: &mut Vec<u8>) -> bool {
        let version = self.version.load(Ordering::Acquire);
        copy::load(self.copy(version), self.length, out);
        // Whoever has read a byte of the version after the next one reads this one's successor, at least.
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version
    }

    /// Replaces all bytes. The lock is held.
    ///
    /// # Panics
    /// If there are more.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let next = self.version.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        copy::store(self.copy(next), bytes);
        self.version.store(next, Ordering::Release);
    }

    fn copy(&self, version: u32) -> &[AtomicU64] {
        self.copies[usize::from(version & 1 == 1)]
    }
}
