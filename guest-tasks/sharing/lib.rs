//! `sharing.wasm`: guests that share memory, numbers, locks, queues and pipes, for the tour through multiprocessing and for
//! tests.
//!
//! Each function is told the names of what it shares.

mod locks;
mod misuse;
mod numbers;
mod primes;
mod queues;
mod segments;
mod words;

#[cfg_attr(not(test), expect(dead_code, reason = "it counts divisors, too"))]
#[path = "../primes/trial_division.rs"]
mod trial_division;

use std::fmt::Display;

/// An error as a task returns it.
fn told(error: impl Display) -> String {
    error.to_string()
}
