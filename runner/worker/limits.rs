//! How much of the machine one item may use inside its worker.

use wasmtime::ResourceLimiter;

use super::memory::WASM_PAGE;
use crate::limits::GuestLimits;
use crate::outcome::MemoryLimit;

/// The most elements of one table: the largest guests we know have some 100,000 functions. A place in the pool has
/// room for so many, which are address space until they are written; a guest that starts with more gets no place there.
pub(super) const TABLE_ELEMENTS: usize = 1 << 20;

/// What an element of a table takes: a pointer.
pub(super) const TABLE_ELEMENT: u64 = 8;

/// The most core instances of a guest: one for each library of a Python guest, with room to spare.
pub(super) const INSTANCES: u32 = 1_000;

/// The most tables, and the most memories; the runtime accepts no more in one module.
const TABLES_AND_MEMORIES: usize = 100;

/// How many bytes a guest may hand over in one call. The values of a list are several times as large here as in the
/// guest or as JSON, and there has to be a bound to that: it follows from the longest output, and from what the guest
/// can have in its memory.
pub(super) fn handed_over(limits: &GuestLimits) -> u64 {
    const LEAST: u64 = 128 << 20;
    const MOST: u64 = 1 << 30;
    // A byte of a `list<u8>` is a value of 40 bytes.
    let has = limits.memory.saturating_mul(64);
    limits.output.saturating_mul(32).clamp(LEAST, MOST).min(has)
}

/// How much writable memory a worker may take beside that of its guest: for the values of an item, for their JSON, and
/// for the worker itself.
pub(super) fn overhead(limits: &GuestLimits) -> u64 {
    // The items of a chunk, 32 MiB at most; batches of reports, the runtime's bookkeeping, what the allocator keeps.
    const WORKER: u64 = 256 << 20;
    // An item of 16 MiB can be a list of 8 million bytes, which are values of 40 bytes.
    const INPUT: u64 = 512 << 20;
    // The text while it grows to twice its size, and standard output and standard error likewise.
    let texts = limits.output.saturating_mul(8);
    WORKER.saturating_add(INPUT).saturating_add(handed_over(limits)).saturating_add(texts)
}

/// Keeps an item within the limits and remembers how far it went.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The most bytes of memories and tables together.
    limit: u64,
    /// As many more, for segments of shared memory.
    segments: u64,
    /// The size of all linear memories; they never shrink, so this is also their peak.
    memory: u64,
    /// The size of all tables, likewise.
    tables: u64,
    /// What was granted last: taken back if the machine does not have it.
    granted: u64,
    /// Whose limit refused something to the item.
    refused: Option<MemoryLimit>,
}

impl Limiter {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, segments: 0, memory: 0, tables: 0, granted: 0, refused: None }
    }

    /// From now on the limit is this. What has grown past it stays, and grows no more.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// There may be so many bytes more: a segment of shared memory takes the place of as many.
    pub(super) fn allow_segment(&mut self, bytes: u64) {
        self.segments = self.segments.saturating_add(bytes.next_multiple_of(WASM_PAGE as u64));
    }

    /// Another item begins, with what the one before has grown to.
    pub(super) fn restart(&mut self) {
        self.refused = None;
    }

    /// The largest size of all linear memories together, in bytes.
    pub(super) fn peak_memory(&self) -> u64 {
        self.memory
    }

    /// Whose limit refused memory to the item, if any did.
    pub(super) fn refused(&self) -> Option<MemoryLimit> {
        self.refused
    }

    /// Whether memories and tables may grow by so many bytes together. It is told as refused by the limit if they may
    /// not.
    fn grants(&mut self, bytes: u64) -> bool {
        let total = self.memory.saturating_add(self.tables).saturating_add(bytes);
        let granted = total <= self.limit.saturating_add(self.segments);
        if !granted {
            self.refused = Some(MemoryLimit::Guest);
        }
        granted
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let (current, desired) = (current as u64, desired as u64);
        let exceeds = maximum.is_some_and(|maximum| desired > maximum as u64);
        // A maximum that the guest has set for itself comes before the limit.
        if exceeds && maximum.is_some_and(|maximum| (maximum as u64) < self.limit) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let granted = self.grants(more) && !exceeds;
        if granted {
            self.memory += more;
            self.granted = more;
        }
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.is::<std::io::Error>() || error.is::<rustix::io::Errno>() {
            self.refused = Some(MemoryLimit::Process);
            self.memory -= std::mem::take(&mut self.granted);
        } else {
            // More than a memory can have by its type, 4 GiB: more than any limit.
            self.refused = Some(MemoryLimit::Guest);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| (elements as u64).saturating_mul(TABLE_ELEMENT);
        let exceeds = maximum.is_some_and(|maximum| desired > maximum);
        // As above; the pool has a maximum too.
        if exceeds && maximum.is_some_and(|maximum| bytes(maximum) < self.limit) {
            return Ok(false);
        }
        let more = bytes(desired.saturating_sub(current));
        let granted = self.grants(more) && !exceeds;
        if granted {
            self.tables += more;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES_AND_MEMORIES
    }

    fn memories(&self) -> usize {
        TABLES_AND_MEMORIES
    }
}
