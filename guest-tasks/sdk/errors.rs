//! Why something shared cannot be had.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::error::Error;
use core::fmt;

use crate::pool::wasmpool::pool::types;

/// Why something shared cannot be opened.
///
/// ```no_run
/// use wasmpool_guest::{OpenError, Value};
///
/// if let Err(OpenError::Unknown(name)) = Value::<i64>::open("total") {
///     println!("`{name}` is not shared here");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing of this name was declared to the pool.
    Unknown(String),
    /// What has this name is of another kind, or of another type.
    OtherKind(String),
    /// The end of the pipe is somebody else's, or was.
    Taken(String),
    /// The guest's memory cannot have a segment in it: there is no room, or the system refuses.
    NoRoom(String),
}

/// The time to wait was over.
///
/// ```no_run
/// use std::time::Duration;
///
/// let lock = wasmpool_guest::Lock::open("lock")?;
/// if let Err(late) = lock.lock_timeout(Duration::from_millis(100)) {
///     println!("worker {:?} has it", late.holder);
/// }
/// # Ok::<(), wasmpool_guest::OpenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// Which worker holds the lock that was waited for, if it is one and somebody does. 1 is the host.
    pub holder: Option<u32>,
}

/// Why a message was not put.
///
/// ```no_run
/// use wasmpool_guest::{PutError, Queue};
///
/// let queue = Queue::<u64>::open("numbers")?;
/// if queue.put(&7) == Err(PutError::Closed) {
///     println!("nobody wants more");
/// }
/// # Ok::<(), wasmpool_guest::OpenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// Nothing can be put any more.
    Closed,
    /// There was no place until the time was over.
    TimedOut,
    /// The message is longer than any may be.
    TooLong,
}

impl OpenError {
    pub(crate) fn new(error: types::OpenError, name: &str) -> Self {
        let name = name.to_owned();
        match error {
            types::OpenError::Unknown => Self::Unknown(name),
            types::OpenError::OtherKind => Self::OtherKind(name),
            types::OpenError::Taken => Self::Taken(name),
        }
    }
}

impl From<types::TimedOut> for TimedOut {
    fn from(types::TimedOut { holder }: types::TimedOut) -> Self {
        Self { holder }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "nothing is shared under the name `{name}`"),
            Self::OtherKind(name) => write!(f, "what is shared as `{name}` is of another kind or type"),
            Self::Taken(name) => write!(f, "the end of the pipe `{name}` has or had another user"),
            Self::NoRoom(name) => write!(f, "there is no room in memory for the shared `{name}`"),
        }
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holder {
            Some(1) => f.write_str("timed out waiting for a lock that the host holds"),
            Some(holder) => write!(f, "timed out waiting for a lock that worker {holder} holds"),
            None => f.write_str("timed out"),
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::TimedOut => "timed out waiting for a place",
            Self::TooLong => "the message is too long",
        })
    }
}

impl Error for OpenError {}
impl Error for TimedOut {}
impl Error for PutError {}
