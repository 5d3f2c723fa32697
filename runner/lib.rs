//! wasmpool: multiprocessing for WebAssembly.
//!
//! A pool of worker processes runs exported functions of a compiled guest, each call in a fresh wasm instance, each
//! worker in a process of its own that has locked itself in. What `concurrent.futures` and `multiprocessing` have in
//! Python has the same name here:
//!
//! | Python | here |
//! |---|---|
//! | `ProcessPoolExecutor`, `Pool(4)` | [`Pool::builder`] with [`workers(4)`](PoolBuilder::workers) |
//! | `submit(f, x)` | [`Pool::submit`], a [`Future`] |
//! | `map(f, items)` | [`Pool::map`] |
//! | `starmap(f, tuples)` | [`Pool::starmap`] |
//! | `imap`, `imap_unordered` | [`Pool::imap`], [`Pool::imap_unordered`] |
//! | `functools.partial(f, exp=2)` | [`Pool::bind`] |
//! | `as_completed`, `wait` | [`as_completed`], [`wait`](fn@wait) |
//! | `future.result(timeout=10)` | [`Future::result_timeout`]; what stops the work itself is [`PoolBuilder::timeout`] |
//! | `future.cancel()` | [`Future::cancel`], also while it runs |
//! | `initializer=`, `max_tasks_per_child=` | [`PoolBuilder::initializer`], [`PoolBuilder::max_items_per_worker`] |
//! | `shutdown`, `terminate` | [`Pool::shutdown`], [`Pool::terminate`] |
//! | `Process(target=f, args=…)`, `.pid` | [`Process::spawn`], [`Process::pid`] |
//! | `if __name__ == "__main__":` | [`worker::init`] first in `main` |
//! | `SharedMemory(create=True, size=…)` | [`SharedMemory::create`], [`PoolBuilder::share`] |
//! | `Value`, `Array`, `Lock` | [`Value`], [`Array`], [`Lock`]: changed under a lock, or not at all |
//! | `Queue(20)`, `Pipe()` | [`Queue::bounded`], [`Pipe::new`] |
//! | pickle | [`WitType`]: the types of WIT, checked before anything runs |
//!
//! ```no_run
//! use wasmpool::Pool;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     wasmpool::worker::init();
//!     let pool = Pool::new("guests/primes.wasm")?;
//!     let ranges = (0..8_u64).map(|part| (part * 100_000, (part + 1) * 100_000));
//!     let counts: Vec<u64> = pool.starmap("count-primes", ranges)?;
//!     assert_eq!(counts, [9592, 8392, 8013, 7863, 7678, 7560, 7445, 7408]);
//!     Ok(())
//! }
//! ```
//!
//! A call that traps, hangs or takes its worker down ends with a [`CallError`] and costs nothing but itself.

#[cfg(not(target_os = "linux"))]
compile_error!("wasmpool runs on Linux only: its workers are held by Linux's own process limits");

// Public for the command and the tests, hidden as they change whenever those do: what programs use has its name below.
#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod cache;
#[doc(hidden)]
pub mod chunk;
#[doc(hidden)]
pub mod cli;
mod clock;
#[doc(hidden)]
pub mod color;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod guest;
#[doc(hidden)]
pub mod guest_file;
#[doc(hidden)]
pub mod item;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod limits;
#[doc(hidden)]
pub mod outcome;
mod pipeline;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod pool;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod sandbox;
#[doc(hidden)]
pub mod scheduler;
mod sealed;
#[doc(hidden)]
pub mod shm;
#[doc(hidden)]
pub mod sink;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod wire;
pub mod worker;

pub use self::api::{
    Argument, Arguments, AsCompleted, CallError, Failure, Function, Future, Imap, Mismatch, Parameters, Pool,
    PoolBuilder, Process, ReturnWhen, Waited, WitType, any, as_completed, wait,
};
pub use self::cache::{Cache, NoPlace, Usage};
pub use self::error::Error;
pub use self::guest::{Description, Export, GuestKind, ValueType};
pub use self::limits::Isolation;
pub use self::outcome::{MemoryLimit, Outcome, Output, TimeLimit, TrapKind, WorkerEnd};
pub use self::sandbox::{Access, SandboxMode};
pub use self::shm::declared::Bounds;
pub use self::shm::{
    Array, Holder, Lock, LockGuard, Malformed, Message, Messages, NoMessage, Numeric, Pipe, PipeEnd,
    PutError, Queue, Share, Shared, SharedMemory, TimedOut, Value,
};
