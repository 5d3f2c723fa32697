//! A call that was made, and its value when there is one.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::call_error::CallError;
use super::calls::{Calls, End, Receive, Ticket};
use super::wit_type::WitType;

/// The value of a call that may still be running: what [`Pool::submit`](crate::Pool::submit) returns.
///
/// It can be asked any number of times, from any thread, and cloned; all clones are the same call. It can also be awaited
/// in any async runtime: it is a [`std::future::Future`], which needs none of its own. To drop it is not to cancel it.
///
/// ```no_run
/// use std::time::Duration;
///
/// use wasmpool::{CallError, Pool};
///
/// let pool = Pool::new("primes.wasm")?;
/// let primes = pool.submit::<u64>("count-primes", (0_u64, 5_000_000_u64))?;
/// match primes.result_timeout(Duration::from_millis(100)) {
///     Ok(primes) => println!("{primes}"),
///     Err(CallError::NotDone) => assert!(primes.cancel()),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Future<R> {
    shared: Arc<Shared>,
    index: u64,
    value: PhantomData<fn() -> R>,
}

/// What all clones of a future, and the pool, share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    calls: Arc<Calls>,
    ticket: Arc<Ticket>,
}

#[derive(Default)]
struct State {
    end: Option<End>,
    callbacks: Vec<Callback>,
    wakers: Vec<Waker>,
}

type Callback = Box<dyn FnOnce() + Send>;

impl<R> Future<R> {
    /// A call that is about to be made, the `index`-th of its pool; and where it ends.
    pub(super) fn new(calls: Arc<Calls>, index: u64) -> Self {
        let shared =
            Shared { state: Mutex::default(), changed: Condvar::new(), calls, ticket: Arc::default() };
        Self { shared: Arc::new(shared), index, value: PhantomData }
    }

    pub(super) fn receiver(&self) -> Arc<dyn Receive> {
        Arc::clone(&self.shared) as Arc<dyn Receive>
    }

    pub(super) fn ticket(&self) -> Arc<Ticket> {
        Arc::clone(&self.shared.ticket)
    }

    /// Which of the calls of its pool this is, from 0, in the order in which they were made.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// assert_eq!(call.index(), 0);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether it has ended: with a value, with an error, or cancelled.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// if !call.done() {
    ///     println!("there is time for something else");
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn done(&self) -> bool {
        self.shared.lock().end.is_some()
    }

    /// Whether it has been handed to the workers and has not ended.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// println!("{}", if call.running() { "soon" } else { "later" });
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn running(&self) -> bool {
        !self.done() && self.shared.ticket.is_handed_out()
    }

    /// Whether it was cancelled.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// let was_in_time = call.cancel();
    /// assert_eq!(call.cancelled(), was_in_time);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn cancelled(&self) -> bool {
        matches!(self.shared.lock().end, Some(Err(CallError::Cancelled)))
    }

    /// Ends the call, even while it runs: its worker is killed, and a spare takes its place. False if it has ended
    /// already. Other calls go on; what the worker was to run after it, others run.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("guest.wasm")?;
    /// let endless = pool.submit::<()>("spin", ())?;
    /// assert!(endless.cancel());
    /// assert!(endless.cancelled());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        if !self.shared.set(Err(CallError::Cancelled)) {
            return false;
        }
        self.shared.calls.cancel(&self.shared.ticket);
        true
    }

    /// Calls `act` when the call has ended, at once if it has. It runs in the pool's own thread, which delivers nothing
    /// meanwhile: it must be quick, and must not wait for other calls of the pool. It can make some. A panic in it is
    /// printed and goes no further.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// call.add_done_callback(|call| println!("{:?}", call.result()));
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn add_done_callback(&self, act: impl FnOnce(&Self) + Send + 'static)
    where
        R: 'static,
    {
        let future = self.clone();
        let callback: Callback = Box::new(move || act(&future));
        let mut state = self.shared.lock();
        if state.end.is_none() {
            state.callbacks.push(callback);
            return;
        }
        drop(state);
        callback();
    }

    /// Why there is no value; none if there is one. Waits until the call has ended.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// if let Some(error) = call.exception() {
    ///     eprintln!("{error}");
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn exception(&self) -> Option<CallError> {
        self.shared.wait(None).and_then(Result::err)
    }
}

impl<R: WitType> Future<R> {
    /// The value. Waits until there is one.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// assert_eq!(call.result()?, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the call failed, was cancelled, or returned something else.
    pub fn result(&self) -> Result<R, CallError> {
        self.shared.wait(None).map_or(Err(CallError::NotDone), read)
    }

    /// The value. Waits until there is one, but no longer than this; the call goes on.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use wasmpool::CallError;
    ///
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// match call.result_timeout(Duration::from_secs(10)) {
    ///     Ok(primes) => println!("{primes}"),
    ///     Err(CallError::NotDone) => println!("it goes on"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Future::result`], and [`CallError::NotDone`] if the call has not ended by then.
    pub fn result_timeout(&self, time: Duration) -> Result<R, CallError> {
        self.shared.wait(Some(time)).map_or(Err(CallError::NotDone), read)
    }
}

/// The value that a call's JSON is.
pub(super) fn read<R: WitType>(end: End) -> Result<R, CallError> {
    let json = end?;
    let json: &RawValue = serde_json::from_str(&json).expect("the pool has checked that it is JSON");
    Ok(R::read_json(json)?)
}

impl Shared {
    /// Notes the end, unless it has been; then tells everybody who waits.
    fn set(&self, end: End) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.end = Some(end);
        let callbacks = std::mem::take(&mut state.callbacks);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        for callback in callbacks {
            // The hook has printed it; the pool is not to end with it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(callback));
        }
        true
    }

    /// Waits for the end, at most so long.
    fn wait(&self, time: Option<Duration>) -> Option<End> {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let mut state = self.lock();
        while state.end.is_none() {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.end.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had changed all of it or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receive for Shared {
    fn end(&self, _position: u64, end: End) {
        // Who cancelled it knows already.
        self.set(end);
    }
}

impl<R> Clone for Future<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), index: self.index, value: PhantomData }
    }
}

impl<R> fmt::Debug for Future<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future")
            .field("index", &self.index)
            .field("done", &self.done())
            .finish_non_exhaustive()
    }
}

impl<R: WitType> std::future::Future for Future<R> {
    type Output = Result<R, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        if let Some(end) = &state.end {
            let end = end.clone();
            drop(state);
            return Poll::Ready(read(end));
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}
