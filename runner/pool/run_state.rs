//! Where a whole run stands: a pure machine that only the dispatcher moves.
//!
//! It answers two questions: is the run over, and how did it go.

use std::time::Duration;

use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Outcome, Returns};
use crate::report::Counts;

/// Starts that may fail in a row, for each worker slot, before the pool counts as broken.
const START_FAILURES: u64 = 3;

/// The same for workers that were killed from outside while they started: that says nothing about the next one, but
/// the kernel kills too, and a machine without memory is no place to go on for ever.
const START_KILLS: u64 = 30;

/// Who ended a worker that was never ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartFault {
    /// Itself, or whatever keeps it from starting.
    Own,
    /// A SIGKILL that was not ours.
    Outside,
}

/// Counts of a run, and what is still to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunState {
    returns: Returns,
    /// How many items the input has, once it has ended.
    total: Option<u64>,
    /// Items that have ended.
    ended: u64,
    ok: u64,
    err: u64,
    failed: u64,
    /// Items that are done with for good.
    emitted: u64,
    /// Merges asked for, and how many of them have ended.
    merges: u64,
    merges_ended: u64,
    pub(super) failed_merges: u64,
    pub(super) attempts: u64,
    pub(super) busy: Duration,
    pub(super) replaced: u64,
    /// Starts that failed since the last one that did not.
    start_failures: u64,
    start_kills: u64,
}

impl RunState {
    /// A run of a function that returns this.
    pub(super) fn new(returns: Returns) -> Self {
        Self { returns, ..Self::default() }
    }

    /// The input has ended after `total` items.
    pub(super) fn input_ended(&mut self, total: u64) {
        assert!(self.total.is_none(), "the input ends once");
        self.total = Some(total);
    }

    /// An item or a merge has ended.
    pub(super) fn ended(&mut self, item: ItemIndex, completion: &Completion) {
        let ok = completion.outcome.is_ok();
        self.busy += completion.meta.wall;
        if item & MERGE_BIT != 0 {
            self.merges_ended += 1;
            self.failed_merges += u64::from(!ok);
            assert!(self.merges_ended <= self.merges, "a merge ends once");
        } else {
            self.ended += 1;
            self.attempts += u64::from(completion.meta.attempts);
            self.ok += u64::from(ok);
            self.err += u64::from(self.is_err(&completion.outcome));
            self.failed += u64::from(!ok && completion.outcome != Outcome::Cancelled);
            assert!(self.total.is_none_or(|total| self.ended <= total), "an item ends once");
        }
    }

    /// The sink has done with `items` items and asks for `merges` merges.
    pub(super) fn accepted(&mut self, items: u64, merges: u64) {
        self.emitted += items;
        self.merges += merges;
        assert!(self.emitted <= self.ended, "what is emitted has ended");
    }

    /// A worker has become ready.
    pub(super) fn worker_ready(&mut self) {
        (self.start_failures, self.start_kills) = (0, 0);
    }

    /// A worker ended before it was ready; `true` if the pool of `workers` counts as broken.
    pub(super) fn worker_never_ready(&mut self, fault: StartFault, workers: usize) -> bool {
        match fault {
            StartFault::Own => self.start_failures += 1,
            StartFault::Outside => self.start_kills += 1,
        }
        let workers = workers as u64;
        self.start_failures >= START_FAILURES * workers || self.start_kills >= START_KILLS * workers
    }

    /// Whether nothing is outstanding any more.
    pub(super) fn is_over(&self) -> bool {
        self.total == Some(self.emitted) && self.merges == self.merges_ended
    }

    /// How many items have failed.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// The counts, given how many items were admitted: those that did not end are cancelled.
    pub(super) fn counts(&self, admitted: u64) -> Counts {
        Counts {
            items: admitted,
            ok: self.ok,
            err: self.err,
            failed: self.failed,
            cancelled: admitted.saturating_sub(self.ok + self.failed),
        }
    }

    /// The counts while the run goes on: items that have ended so far.
    pub(super) fn progress(&self) -> Counts {
        self.counts(self.ended)
    }

    fn is_err(&self, outcome: &Outcome) -> bool {
        match (self.returns, outcome) {
            (Returns::Result, Outcome::Ok(value)) => value.is_err(),
            (Returns::Result | Returns::Value, _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
