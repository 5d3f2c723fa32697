//! Why a call gave no value.

use std::fmt;
use std::sync::Arc;

use super::wit_type::Mismatch;
use crate::error::{Error, signal_name};
use crate::outcome::{Completion, Outcome, TimeLimit, WorkerEnd};
use crate::record::seconds;

/// Why a call gave no value. Others of the same pool go on, but for [`CallError::Pool`].
///
/// ```no_run
/// use wasmpool::CallError;
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// match pool.submit::<u64>("count-primes", (0_u64, 100_u64))?.result() {
///     Ok(primes) => println!("{primes}"),
///     Err(CallError::Failed(failure)) => eprintln!("after {} attempts: {failure}", failure.attempts),
///     Err(error) => eprintln!("{error}"),
/// }
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call failed in its worker, or with it.
    #[error("{0}")]
    Failed(Arc<Failure>),
    /// It was cancelled, by [`Future::cancel`](crate::Future::cancel) or with its pool.
    #[error("the call was cancelled")]
    Cancelled,
    /// It has not ended yet: only from what waits for so long and no longer. The call goes on.
    #[error("the call has not ended yet")]
    NotDone,
    /// What it returned is not of the type that was asked for.
    #[error("the call returned something else: {0}")]
    Value(#[from] Mismatch),
    /// The whole pool cannot go on, for the reason that is its source.
    #[error("the pool cannot go on")]
    Pool(#[source] Arc<Error>),
}

/// A call that failed.
///
/// ```no_run
/// use wasmpool::Outcome;
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
/// if let Some(error) = call.exception()
///     && let Some(failure) = error.failure()
///     && let Outcome::Trap { .. } = failure.outcome
/// {
///     eprintln!("{}", String::from_utf8_lossy(&failure.stderr));
/// }
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended; never [`Outcome::Ok`] and never [`Outcome::Cancelled`].
    pub outcome: Outcome,
    /// What the guest wrote to its standard output until then.
    pub stdout: Box<[u8]>,
    /// What it wrote to its standard error.
    pub stderr: Box<[u8]>,
    /// How often it was started.
    pub attempts: u32,
}

impl std::error::Error for Failure {}

/// One line: the status word of a record, and what is known beyond that.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome.status())?;
        match &self.outcome {
            Outcome::Exit { code } => write!(f, ": the guest ended itself with code {code}"),
            Outcome::Timeout { limit: TimeLimit::Wall(limit) } => {
                write!(f, ": it took longer than {}", seconds(*limit))
            }
            Outcome::Timeout { limit: TimeLimit::Cpu(limit) } => {
                write!(f, ": it took more than {} of CPU time", seconds(*limit))
            }
            Outcome::Timeout { limit: TimeLimit::Fuel(units) } => {
                write!(f, ": it took more than {units} units of fuel")
            }
            Outcome::Crash { end: WorkerEnd::Exited(code) } => {
                write!(f, ": its worker exited with code {code}")
            }
            Outcome::Crash { end: WorkerEnd::Signalled(signal) } => {
                write!(f, ": its worker was killed by {}", signal_name(*signal))
            }
            outcome => outcome.error().map_or(Ok(()), |error| write!(f, ": {error}")),
        }
    }
}

impl CallError {
    /// How the call failed, if it did.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// let attempts = call.exception().and_then(|error| Some(error.failure()?.attempts));
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Cancelled | Self::NotDone | Self::Value(_) | Self::Pool(_) => None,
        }
    }

    /// What the end of a call that gave no value means.
    pub(super) fn of(completion: Completion) -> Self {
        let Completion { outcome, stdout, stderr, meta, file: _, origin: _ } = completion;
        match outcome {
            Outcome::Cancelled => Self::Cancelled,
            outcome => Self::Failed(Arc::new(Failure { outcome, stdout, stderr, attempts: meta.attempts })),
        }
    }
}
