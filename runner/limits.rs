//! What one item may use, and what happens to those that use more: plain data, decided from the arguments.

use std::num::NonZero;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time per item, unless told otherwise.
pub const DEFAULT_WALL: Duration = Duration::from_secs(60);

/// Memory of a guest, unless told otherwise: 1 GiB.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// The most that the memory of a guest can be limited to: 4 GiB, which is what a memory of 32 bits can have.
pub const MAX_MEMORY: u64 = 4 << 30;

/// The most bytes that the value, standard output and standard error of one item may have together, unless told
/// otherwise: 16 MiB.
pub const DEFAULT_OUTPUT: u64 = 16 << 20;

/// How long a guest may take to compile, unless told otherwise. The largest seen, 69 MB, takes half of it on one
/// processor.
pub const DEFAULT_COMPILE: Duration = Duration::from_secs(300);

/// Fuel per item in deterministic runs, unless told otherwise: some seconds of computing.
pub const DETERMINISTIC_FUEL: u64 = 10_000_000_000;

/// How long each item may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall time; none: as long as it takes.
    pub wall: Option<Duration>,
    /// CPU time of its worker; none: whatever fits into the wall time.
    pub cpu: Option<Duration>,
}

/// What an item may use, as far as its worker sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLimits {
    /// Bytes of the guest's linear memories and tables together.
    pub memory: u64,
    /// Bytes of its value, standard output and standard error together.
    pub output: u64,
    /// Units of fuel, about one for each instruction; none: the code counts nothing.
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { wall: Some(DEFAULT_WALL), cpu: None }
    }
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self { memory: DEFAULT_MEMORY, output: DEFAULT_OUTPUT, fuel: None }
    }
}

/// What becomes of items that fail and of workers that have worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often an item that failed by itself is run again.
    pub retries: u32,
    /// How often an item that took its worker with it is run again.
    pub crash_retries: u32,
    /// An item that was started is never started again, whatever became of it and whatever the two above say.
    pub at_most_once: bool,
    /// The run ends when so many items have failed.
    pub fail_fast: Option<NonZero<u64>>,
    /// A worker is replaced when it has run so many items.
    pub max_items_per_worker: Option<NonZero<u64>>,
}

impl Policy {
    /// How often an item is run again that failed without harm to its worker.
    #[must_use]
    pub fn retries(&self) -> u32 {
        if self.at_most_once { 0 } else { self.retries }
    }

    /// How often an item is run again that took its worker with it.
    #[must_use]
    pub fn crash_retries(&self) -> u32 {
        if self.at_most_once { 0 } else { self.crash_retries }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 0,
            crash_retries: 1,
            at_most_once: false,
            fail_fast: None,
            max_items_per_worker: None,
        }
    }
}

/// What holds for some items of a job, in place of what holds for all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Which function they call: its place among those that the job's workers know.
    pub export: u32,
    /// Wall time for each of them; none: as for the job.
    pub wall: Option<Duration>,
    /// Bytes of memory for each of them, no more than for the job; none: as for the job.
    pub memory: Option<u64>,
    /// How often each is run again if it fails by itself; none: as for the job.
    pub retries: Option<u32>,
}

/// How far apart the items of one worker are kept.
///
/// ```no_run
/// use wasmpool::{Isolation, Pool};
///
/// let pool = Pool::builder("model.wasm").isolation(Isolation::Worker).build()?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// A fresh instance for each item.
    #[default]
    Item,
    /// One instance for all items of a worker, until one fails: what an item leaves in memory the next one finds.
    Worker,
}

/// What the code of a guest has to be compiled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOptions {
    /// It counts fuel.
    pub fuel: bool,
    /// Its guests may have segments of shared memory in their own.
    pub segments: bool,
    /// It gives the same bits on every machine: NaNs have one form.
    pub deterministic: bool,
}
