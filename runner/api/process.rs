//! One call in a process of its own.

use std::path::Path;
use std::time::Duration;

use super::arguments::Arguments;
use super::call_error::CallError;
use super::future::Future;
use super::wit_type::WitType;
use super::{Pool, PoolBuilder};
use crate::error::Error;

/// One call of a guest in a process of its own: the counterpart of `multiprocessing.Process`.
///
/// ```no_run
/// use wasmpool::Process;
///
/// let process = Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
/// assert_eq!(process.join()?, 25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Process<R> {
    call: Future<R>,
    pool: Pool,
}

impl<R: WitType> Process<R> {
    /// Starts a process and makes the call in it.
    ///
    /// ```no_run
    /// let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// assert_eq!(process.join()?, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::new`] and [`Pool::submit`].
    pub fn spawn(guest: impl AsRef<Path>, export: &str, arguments: impl Arguments) -> Result<Self, Error> {
        Self::spawn_with(Pool::builder(guest), export, arguments)
    }

    /// The same with limits of its own. It has one worker, whatever the builder says.
    ///
    /// ```no_run
    /// use wasmpool::{Pool, Process};
    ///
    /// let builder = Pool::builder("primes.wasm").memory(16 << 20);
    /// let process = Process::<u64>::spawn_with(builder, "count-primes", (0_u64, 100_u64))?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Process::spawn`].
    pub fn spawn_with(builder: PoolBuilder, export: &str, arguments: impl Arguments) -> Result<Self, Error> {
        let pool = builder.workers(1).build()?;
        let call = pool.submit(export, arguments)?;
        pool.shutdown(false, false);
        Ok(Self { call, pool })
    }

    /// Waits for the value; then the process is gone.
    ///
    /// ```no_run
    /// # let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// assert_eq!(process.join()?, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Future::result`].
    pub fn join(self) -> Result<R, CallError> {
        let value = self.call.result();
        self.pool.shutdown(true, false);
        value
    }

    /// Waits for the value, but no longer than this.
    ///
    /// ```no_run
    /// # let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// let primes = process.join_timeout(std::time::Duration::from_secs(10))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Future::result_timeout`].
    pub fn join_timeout(&self, time: Duration) -> Result<R, CallError> {
        self.call.result_timeout(time)
    }

    /// Its process id; none until it is ready, some milliseconds after the start or as long as the guest compiles.
    ///
    /// ```no_run
    /// # let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// println!("{:?}", process.pid());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pool.pids().first().copied()
    }

    /// Whether the call has not ended.
    ///
    /// ```no_run
    /// # let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// while process.is_alive() {
    ///     std::thread::yield_now();
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.call.done()
    }

    /// Ends the call at once, and the process with it. False if it has ended already.
    ///
    /// ```no_run
    /// # let process = wasmpool::Process::<u64>::spawn("primes.wasm", "count-primes", (0_u64, 100_u64))?;
    /// if process.kill() {
    ///     assert!(!process.is_alive());
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn kill(&self) -> bool {
        let is_killed = self.call.cancel();
        self.pool.terminate();
        is_killed
    }
}
