//! A 32-bit word that threads of several processes wait on.
//!
//! Its futex is a shared one: the kernel finds who waits by the file and the place in it, not by an address.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex::{Flags, Timespec, wait, wake};

/// A word in shared memory.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Word(AtomicU32);

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Somebody said so, or the word was another one already, or for no reason: the waiter looks again.
    Woken,
    /// By its deadline. Nobody has spent a wake-up on this waiter.
    TimedOut,
}

impl Word {
    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }

    pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, success, failure)
    }

    /// Sleeps for as long as the word is `expected`, nobody wakes it, and there is time.
    pub(crate) fn wait(&self, expected: u32, until: Option<Instant>) -> Waited {
        let left = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return Waited::TimedOut,
            // One that the kernel's clock has no room for is none.
            left => left.and_then(|left| Timespec::try_from(left).ok()),
        };
        match wait(&self.0, Flags::empty(), expected, left.as_ref()) {
            Err(Errno::TIMEDOUT) => Waited::TimedOut,
            // A word that is another one already, or a signal.
            Ok(()) | Err(_) => Waited::Woken,
        }
    }

    /// Wakes one of who waits on it; how many there were to be woken, 0 or 1.
    pub(crate) fn wake_one(&self) -> usize {
        wake(&self.0, Flags::empty(), 1).unwrap_or(0)
    }

    /// Wakes everybody who waits on it.
    pub(crate) fn wake_all(&self) {
        // The kernel reads the count as a signed number.
        let woken = wake(&self.0, Flags::empty(), i32::MAX.cast_unsigned());
        debug_assert!(woken.is_ok(), "{woken:?}");
    }
}
