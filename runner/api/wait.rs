//! Waiting for several calls at once.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::future::Future;

/// When [`wait`] has waited enough.
///
/// ```no_run
/// use wasmpool::{ReturnWhen, wait};
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let calls = (0..8_u64).map(|n| pool.submit::<u64>("count-divisors", (n,)));
/// let calls = calls.collect::<Result<Vec<_>, _>>()?;
/// let first = wait(calls, None, ReturnWhen::FirstCompleted);
/// assert!(!first.done.is_empty());
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// One of them has ended.
    FirstCompleted,
    /// One of them has failed or was cancelled, or all have ended.
    FirstException,
    /// All have ended.
    #[default]
    AllCompleted,
}

/// What [`wait`] found.
///
/// ```no_run
/// use wasmpool::{ReturnWhen, wait};
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let calls = (0..8_u64).map(|n| pool.submit::<u64>("count-divisors", (n,)));
/// let calls = calls.collect::<Result<Vec<_>, _>>()?;
/// let waited = wait(calls, None, ReturnWhen::FirstException);
/// waited.not_done.iter().for_each(|call| drop(call.cancel()));
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Debug)]
pub struct Waited<R> {
    /// The calls that have ended, in the order in which they were given.
    pub done: Vec<Future<R>>,
    /// The others.
    pub not_done: Vec<Future<R>>,
}

/// The calls one by one as they end: an iterator that waits for the next. [`Future::index`] tells which it is.
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let calls = (1..=10_u64).map(|n| pool.submit::<u64>("count-primes", (0_u64, n * 100_000)));
/// let calls = calls.collect::<Result<Vec<_>, _>>()?;
/// for call in wasmpool::as_completed(calls) {
///     println!("{}: {:?}", call.index(), call.result());
/// }
/// # Ok::<(), wasmpool::Error>(())
/// ```
pub fn as_completed<R: 'static>(futures: impl IntoIterator<Item = Future<R>>) -> AsCompleted<R> {
    let (sender, ended) = channel();
    for future in futures {
        let sender = sender.clone();
        // Whoever does not ask any more does not hear of it.
        future.add_done_callback(move |future| drop(sender.send(future.clone())));
    }
    AsCompleted { ended }
}

/// See [`as_completed`].
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
/// let ended = wasmpool::as_completed([call]).next();
/// assert!(ended.is_some_and(|call| call.done()));
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Debug)]
pub struct AsCompleted<R> {
    ended: Receiver<Future<R>>,
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Future<R>;

    fn next(&mut self) -> Option<Future<R>> {
        // The last sender goes with the last callback.
        self.ended.recv().ok()
    }
}

/// Waits for several calls, at most for `timeout`.
///
/// ```no_run
/// use std::time::Duration;
///
/// use wasmpool::{ReturnWhen, wait};
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let calls = vec![pool.submit::<u64>("count-primes", (0_u64, 100_u64))?];
/// let waited = wait(calls, Some(Duration::from_secs(1)), ReturnWhen::AllCompleted);
/// assert!(waited.not_done.is_empty());
/// # Ok::<(), wasmpool::Error>(())
/// ```
pub fn wait<R: 'static>(
    futures: impl IntoIterator<Item = Future<R>>,
    timeout: Option<Duration>,
    when: ReturnWhen,
) -> Waited<R> {
    let futures: Vec<_> = futures.into_iter().collect();
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let AsCompleted { ended } = as_completed(futures.iter().cloned());
    loop {
        let next = match deadline {
            None => ended.recv().ok(),
            Some(deadline) => ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
        };
        let is_enough = match (next, when) {
            (None, _) | (Some(_), ReturnWhen::FirstCompleted) => true,
            (Some(future), ReturnWhen::FirstException) => future.exception().is_some(),
            (Some(_), ReturnWhen::AllCompleted) => false,
        };
        if is_enough {
            break;
        }
    }
    let (done, not_done) = futures.into_iter().partition(Future::done);
    Waited { done, not_done }
}
