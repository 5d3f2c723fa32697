//! The one configuration of the runtime.
//!
//! What the compile worker produces, every other worker must accept. So whatever the runtime compares before it
//! loads code is set here, once, for both; a [`Purpose`] changes only what it does not compare.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::limits;
use super::memory::Memories;
use crate::limits::CodeOptions;

/// What an engine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Compiling, on all cores.
    Compile,
    /// Running compiled code.
    Serve {
        /// Where instances come from.
        allocation: Allocation,
        /// Whether a trap tells where it happened.
        backtraces: Backtraces,
    },
}

/// Where the memories and tables of instances come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allocation {
    /// Slots that are mapped once and reset after every item: several times as fast, for guests that fit.
    Pool,
    /// Mapped and unmapped for every item.
    OnDemand,
}

/// Whether a trap tells where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backtraces {
    /// Walk the guest's stack at a trap.
    Capture,
    /// Do not.
    Omit,
}

/// Frames of a backtrace beyond this are left out.
const MAX_FRAMES: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not 0");

/// Linear memories in the pool; one instance lives at a time, and a guest with an adapter has one or two.
const POOL_MEMORIES: u32 = 16;

/// Tables in the pool, likewise. A table's slot is address space until it is written to.
const POOL_TABLES: u32 = 8;

/// Bytes of a memory that are reset by writing to them instead of giving them back to the kernel, which costs ten
/// times as much: a fault for each page in the next item. With `PAGEMAP_SCAN` only pages that were written count,
/// so a guest that needs little keeps little.
const KEEP_RESIDENT: usize = 16 << 20;

/// Likewise, of a table.
const TABLE_KEEP_RESIDENT: usize = 64 << 10;

/// An engine for `purpose`, and for code of this kind.
///
/// With [`Allocation::Pool`] this opens `/proc/self/pagemap` and keeps it open: do it before the jail closes.
///
/// # Errors
/// If the machine cannot have it, for lack of address space for example.
pub(super) fn engine(purpose: Purpose, code: CodeOptions) -> wasmtime::Result<Engine> {
    with_memories(purpose, code, &Memories::default())
}

/// As [`engine`]: where guests have segments of shared memory, these are their memories.
pub(super) fn with_memories(
    purpose: Purpose,
    code: CodeOptions,
    memories: &Memories,
) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    compared(&mut config, code);
    if code.segments {
        config.with_host_memory(Arc::new(memories.clone()));
    }
    match purpose {
        Purpose::Compile => {
            config.parallel_compilation(true);
        }
        Purpose::Serve { allocation, backtraces } => {
            config.enable_compiler(false);
            config.wasm_backtrace_max_frames(match backtraces {
                Backtraces::Capture => Some(MAX_FRAMES),
                Backtraces::Omit => None,
            });
            if allocation == Allocation::Pool && !code.segments {
                config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
            }
        }
    }
    Engine::new(&config)
}

/// What the runtime compares when it loads code. Limits are enforced by ending the process, so the code carries
/// no checks of epochs, and of fuel only where it is asked to.
fn compared(config: &mut Config, code: CodeOptions) {
    config
        .wasm_exceptions(true)
        .wasm_gc(false)
        .wasm_shared_everything_threads(false)
        .epoch_interruption(false)
        .consume_fuel(code.fuel)
        .cranelift_nan_canonicalization(code.deterministic)
        .relaxed_simd_deterministic(code.deterministic)
        .signals_based_traps(true)
        // Images are mapped into memories of the runtime's own only.
        .memory_init_cow(!code.segments)
        // The default asks an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(POOL_MEMORIES)
        .max_memories_per_module(POOL_MEMORIES)
        .max_memories_per_component(POOL_MEMORIES)
        .total_tables(POOL_TABLES)
        .max_tables_per_module(POOL_TABLES)
        .max_tables_per_component(POOL_TABLES)
        .table_elements(limits::TABLE_ELEMENTS)
        .total_core_instances(limits::INSTANCES)
        .max_core_instances_per_component(limits::INSTANCES)
        .total_component_instances(1)
        // Bounds for a check, not sizes of an allocation: what a guest needs beyond them the heap would give.
        .max_core_instance_size(usize::MAX >> 1)
        .max_component_instance_size(usize::MAX >> 1)
        .total_gc_heaps(1)
        .total_stacks(1)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}
