//! The atomics that the protocols are written with.
//!
//! They name this module, not `std::sync`, so that `tests/model` can compile the same files with types that explore
//! every interleaving.

use std::ops::Range;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Instant;

pub(crate) use crate::shm::futex::{Waited, Word};

/// Once for each time that somebody looks again before it sleeps: together about as long as a wake-up takes.
pub(crate) fn spins() -> Range<u32> {
    0..100
}

/// Whether a wait ends now that was to end then.
pub(crate) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// Lets a moment go by.
pub(crate) fn pause() {
    std::hint::spin_loop();
}
