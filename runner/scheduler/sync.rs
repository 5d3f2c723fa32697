//! The locks and atomics that [`park`](super::park) and [`window`](super::window) are written with.
//!
//! They name this module, not `std::sync`, so that `tests/model` can compile the same files with types that explore
//! every interleaving.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks; what a panicked thread left behind is taken as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Queues are given back while a panic unwinds; a second panic there would abort and hide the first.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives up the lock until woken.
pub(super) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
