//! wasmpool: multiprocessing for WebAssembly.
//!
//! A pool of worker processes runs an exported function of a compiled guest over many inputs. Every call gets a
//! fresh wasm instance; results come back in input order.

#[cfg(not(target_os = "linux"))]
compile_error!("wasmpool runs on Linux only: its workers are held by Linux's own process limits");

#[doc(hidden)]
pub mod api;
pub mod cache;
pub mod chunk;
pub mod cli;
mod clock;
pub mod color;
pub mod error;
pub mod guest;
pub mod guest_file;
pub mod item;
pub mod journal;
pub mod limits;
pub mod outcome;
pub mod plan;
pub mod pool;
pub mod record;
pub mod report;
pub mod sandbox;
pub mod scheduler;
mod sealed;
pub mod shm;
pub mod sink;
pub mod source;
pub mod wire;
pub mod worker;

pub use self::api::{
    Argument, Arguments, AsCompleted, CallError, Failure, Function, Future, Imap, Mismatch, Parameters, Pool,
    PoolBuilder, Process, ReturnWhen, Waited, WitType, any, as_completed, wait,
};
pub use self::error::Error;
