//! Words to whoever watches the run, while the item is running.

use crate::pool::wasmpool::pool::watching;

pub use crate::pool::wasmpool::pool::watching::Level;

/// Tells something at once. What a guest prints, in contrast, comes with the item's record.
///
/// There is an end to it: an item's lines beyond the thousandth, or beyond 64 KiB, are dropped.
/// ```no_run
/// use wasmpool_guest::{Level, log};
///
/// log(Level::Warning, "half of the input is empty");
/// ```
pub fn log(level: Level, message: &str) {
    watching::log(level, message);
}

/// Tells how much of the item is done, of which there is so much in all. It may be called often: few of them are told.
/// ```no_run
/// for done in 0..1_000_000 {
///     wasmpool_guest::progress(done, 1_000_000);
/// }
/// ```
pub fn progress(done: u64, total: u64) {
    watching::progress(done, total);
}
