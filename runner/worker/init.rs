//! How a program that uses the library becomes a worker.

use std::ffi::OsString;
use std::io::Write;

use crate::pool::{self, WORKER_ARGUMENT};

/// Makes this process a worker if a pool has started it as one, and returns otherwise. To be called first in `main`.
///
/// Pools start the program that they are in once more for each worker. As with the `if __name__ == "__main__"` of
/// Python's `multiprocessing`, such a process must come by here before it does anything else. A program that forgets it
/// is told so by [`PoolBuilder::build`](crate::PoolBuilder::build), and starts no process.
///
/// ```no_run
/// // The first line of `main`; everything else comes behind it.
/// wasmpool::worker::init();
/// let pool = wasmpool::Pool::new("primes.wasm")?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
pub fn init() {
    pool::may_start_this_program();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_none_or(|first| first != WORKER_ARGUMENT) {
        return;
    }
    let (code, talk) = super::main(&arguments);
    if let Some(talk) = talk {
        // The host that reads it may be gone.
        let _ = std::io::stderr().write_all(talk.as_bytes());
    }
    #[expect(clippy::exit, reason = "what is behind this in `main` is not for workers")]
    std::process::exit(code.code().into());
}
