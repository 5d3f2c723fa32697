//! Holds workers back while results wait in memory.
//!
//! The window bounds what is admitted, but what is admitted may return far more than it was sent. So drivers count the
//! bytes of results that the dispatcher has not taken yet, the dispatcher those that the sink holds back, and while
//! there are too many of both, only what makes them fewer is sent to workers: merges, and the item that everything
//! else waits for. There is always one of these, or else nothing waits.
//!
//! No order is asked of the numbers: whoever finds the gate closed, or an old turn, has seen bytes that the dispatcher
//! is yet to take, and is woken when it has. `tests/model` checks that nobody sleeps for good.

use super::sync::{AtomicI64, AtomicU64, Ordering};
use crate::item::{ItemIndex, MERGE_BIT};

/// The bytes of results in memory, and the item that is waited for.
#[derive(Debug)]
pub(super) struct Gate {
    /// Bytes from which on it is closed.
    cap: i64,
    /// Bytes that are not taken or are held back. One number, so that no sum of two is ever looked at in between.
    bytes: AtomicI64,
    /// The first item that has not ended.
    turn: AtomicU64,
}

impl Gate {
    /// A gate that is open while fewer than `cap` bytes wait.
    pub(super) fn new(cap: u64) -> Self {
        Self { cap: signed(cap), bytes: AtomicI64::new(0), turn: AtomicU64::new(0) }
    }

    /// Whether any work may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.cap
    }

    /// Whether the chunk that starts with this item may be sent although the gate is closed.
    pub(super) fn lets_through(&self, first: ItemIndex) -> bool {
        first & MERGE_BIT != 0 || first <= self.turn.load(Ordering::Relaxed)
    }

    /// Results have been read: the dispatcher is to take so many bytes.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(signed(bytes), Ordering::Relaxed);
    }

    /// The dispatcher has taken `taken` bytes, the sink holds `held` bytes where it held `before`, and `turn` is the
    /// first item that has not ended. True if the gate was closed: whoever waits at it has to look again.
    pub(super) fn take(&self, taken: u64, (before, held): (u64, u64), turn: ItemIndex) -> bool {
        self.turn.store(turn, Ordering::Relaxed);
        let change = signed(held) - signed(before) - signed(taken);
        self.bytes.fetch_add(change, Ordering::Relaxed) >= self.cap
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4)
}
