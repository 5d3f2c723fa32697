//! Talk about a run, to standard error: progress, warnings, the summary.
//!
//! The dispatcher calls a reporter synchronously, so a reporter must be quick and must not fail.

use std::time::Duration;

/// Told about a run as it goes.
pub trait Reporter {
    /// Takes note of one event.
    fn report(&mut self, event: RunEvent<'_>);
}

/// What is worth telling about a run.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// Workers have been asked for.
    Started {
        /// How many work side by side.
        workers: usize,
        /// How many items there will be, where that is known.
        items: Option<u64>,
    },
    /// Some items ended.
    Progress {
        /// The counts so far.
        counts: Counts,
    },
    /// A worker died or was killed, and another takes its place.
    WorkerReplaced {
        /// Which worker slot, from 0.
        worker: u32,
        /// The process that is gone.
        pid: u32,
        /// Why, as one lower-case line.
        reason: &'a str,
    },
    /// A line a worker wrote to its own standard error, control characters and all.
    WorkerSaid {
        /// Which worker slot, from 0.
        worker: u32,
        /// The line, without its end.
        line: &'a str,
    },
    /// The run is over.
    Finished {
        /// Everything counted.
        summary: &'a Summary,
    },
}

/// How many items ended how. `items == ok + failed + cancelled` once a run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items accepted from the input.
    pub items: u64,
    /// Items that ended `ok`.
    pub ok: u64,
    /// Items that ended otherwise, but for the cancelled.
    pub failed: u64,
    /// Items that were cut short by the end of the run.
    pub cancelled: u64,
}

/// The figures of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many items ended how.
    pub counts: Counts,
    /// How many merges failed.
    pub failed_merges: u64,
    /// How often an item was started; at least once for each that ended `ok` or `failed`.
    pub attempts: u64,
    /// From the first worker asked for to the last item emitted.
    pub wall: Duration,
    /// CPU time of the host and of every worker.
    pub cpu: Duration,
    /// The sum of the times items ran, by the workers' clocks.
    pub busy: Duration,
    /// How many worker slots there were.
    pub workers: usize,
    /// How many chunks were taken from another worker's deque.
    pub steals: u64,
    /// How many workers were replaced.
    pub replaced: u64,
}
