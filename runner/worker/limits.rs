//! How much of the machine one item may use inside its worker.

use wasmtime::ResourceLimiter;

/// The most bytes that a guest's linear memories may have together: 1 GiB.
pub(super) const MEMORY: usize = 1 << 30;

/// The most elements of one table. The largest guests we know have some 100,000 functions; a million of them take
/// 8 MiB.
pub(super) const TABLE_ELEMENTS: usize = 1 << 20;

/// The most core instances of a guest: one for each library of a Python guest, with room to spare.
pub(super) const INSTANCES: u32 = 1_000;

/// The most tables, and the most memories; the runtime accepts no more in one module.
const TABLES_AND_MEMORIES: usize = 100;

/// How many bytes a guest may hand over in one call for an output of at most `max_output`. The values of a list are
/// several times as large here as in the guest or as JSON, and there has to be a bound to that.
pub(super) fn handed_over(max_output: usize) -> usize {
    const LEAST: usize = 128 << 20;
    max_output.saturating_mul(32).clamp(LEAST, MEMORY)
}

/// Keeps an item within the limits and remembers how far it went.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    /// The size of all linear memories; they never shrink, so this is also their peak.
    memory: usize,
}

impl Limiter {
    /// The largest size of all linear memories together, in bytes.
    pub(super) fn peak_memory(&self) -> u64 {
        self.memory as u64
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > MEMORY || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum))
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
