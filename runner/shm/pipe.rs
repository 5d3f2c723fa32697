//! Two ends, of which one receives what the other sends.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::declared::{Bounds, Holder, Shape};
use super::message::{Malformed, Message};
use super::object::{Object, after, create};
use super::protocol::ring::PutError;
use super::queue::{MESSAGE_BYTES, NoMessage, bounds, only_malformed, received};
use super::raw::RawPipeEnd;
use super::shared::{Heir, Share, Shared};

/// How many messages either direction holds unless something else is said.
const MESSAGES: usize = 64;

/// Makes the two ends of a pipe: the counterpart of `multiprocessing.Pipe`.
///
/// ```
/// use wasmpool::Pipe;
///
/// let (ours, theirs) = Pipe::<String>::new()?;
/// ours.send(&"ping".to_owned())?;
/// assert_eq!(theirs.recv()?.as_deref(), Some("ping"));
/// drop(theirs);
/// assert_eq!(ours.recv()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pipe<M>(PhantomData<M>);

/// One of the two ends of a pipe: what is sent here is received at the other, and the other way round.
///
/// An end has one user. If it is [shared with](crate::PoolBuilder::share) a pool, that is the first guest to open it,
/// until that call ends, or else this process, from its first message on; to all others it is closed. When it is
/// dropped, or when its user ends, it is closed: the other end still receives what was sent, and then is told that
/// there is nothing more.
///
/// ```
/// let (left, right) = wasmpool::Pipe::<u32>::new()?;
/// left.send(&1)?;
/// right.send(&2)?;
/// assert_eq!((left.recv()?, right.recv()?), (Some(2), Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PipeEnd<M> {
    object: Object<End>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Pipe<M> {
    /// A pipe that holds 64 messages in either direction, each of at most 64 KiB. Memory is taken as it is used.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system is out of descriptors or memory.
    #[expect(clippy::new_ret_no_self, reason = "a pipe is its two ends, here as in Python")]
    pub fn new() -> io::Result<(PipeEnd<M>, PipeEnd<M>)> {
        Self::bounded_with(MESSAGES, MESSAGE_BYTES)
    }

    /// A pipe that holds so many messages in either direction, each of at most so many bytes.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<String>::bounded_with(8, 1_000)?;
    /// assert_eq!(left.bounds(), right.bounds());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Queue::bounded`](crate::Queue::bounded).
    pub fn bounded_with(messages: usize, bytes: usize) -> io::Result<(PipeEnd<M>, PipeEnd<M>)> {
        let bounds = bounds(messages, bytes)?;
        let fd = Arc::new(create(Shape::PipeEnd { second: false, bounds })?);
        rustix::fs::fcntl_add_seals(&*fd, rustix::fs::SealFlags::SEAL)?;
        let end = |second| {
            let shape = Shape::PipeEnd { second, bounds };
            let map = |fd: &_| RawPipeEnd::map(AsFd::as_fd(fd), second, bounds).map(End);
            Ok::<_, io::Error>(PipeEnd {
                object: Object::of(shape, Arc::clone(&fd), map)?,
                message: PhantomData,
            })
        };
        Ok((end(false)?, end(true)?))
    }
}

impl<M: Message> PipeEnd<M> {
    /// Waits for a place, and sends a message.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// left.send(&1)?;
    /// assert_eq!(right.recv()?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If either end is closed, or the message too long.
    pub fn send(&self, message: &M) -> Result<(), PutError> {
        self.send_until(message, None)
    }

    /// As [`send`](Self::send), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// left.send_timeout(&1, Duration::from_secs(1))?;
    /// # drop(right);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send), and if there is no place all the time.
    pub fn send_timeout(&self, message: &M, timeout: Duration) -> Result<(), PutError> {
        self.send_until(message, after(timeout))
    }

    fn send_until(&self, message: &M, until: Option<Instant>) -> Result<(), PutError> {
        if !self.is_ours() {
            return Err(PutError::Closed);
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.raw().send(Holder::HOST, &bytes, until)
    }

    /// Waits for a message and returns it; none if either end is closed, and everything has been received.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// drop(left);
    /// assert_eq!(right.recv()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it is no `M`. It is gone then; the next one may be.
    pub fn recv(&self) -> Result<Option<M>, Malformed> {
        self.recv_until(None).or_else(only_malformed)
    }

    /// As [`recv`](Self::recv), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// assert!(right.recv_timeout(Duration::from_millis(1)).is_err());
    /// # drop(left);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and if there is none all the time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<M>, NoMessage> {
        self.recv_until(after(timeout))
    }

    fn recv_until(&self, until: Option<Instant>) -> Result<Option<M>, NoMessage> {
        if !self.is_ours() {
            return Ok(None);
        }
        received(|bytes| self.raw().receive(Holder::HOST, bytes, until))
    }

    /// Closes this end, unless a guest has it.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// left.close();
    /// assert_eq!(right.recv()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        if self.is_ours() {
            self.raw().close(Holder::HOST);
        }
    }

    /// How much either direction holds.
    ///
    /// ```
    /// let (left, right) = wasmpool::Pipe::<u32>::new()?;
    /// assert_eq!(left.bounds().messages, 64);
    /// # drop(right);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.raw().bounds()
    }

    /// Makes this process its user if it has none; whether it is.
    fn is_ours(&self) -> bool {
        self.raw().user() == Some(Holder::HOST) || self.raw().open(Holder::HOST).is_ok()
    }
}

impl<M> PipeEnd<M> {
    fn raw(&self) -> &RawPipeEnd {
        &self.object.raw.0
    }
}

impl<M> Drop for PipeEnd<M> {
    fn drop(&mut self) {
        // If a guest has it, or may have it yet, it is closed with the last who has it.
        self.raw().close(Holder::HOST);
    }
}

impl<M: Message> fmt::Debug for PipeEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd").field("bounds", &self.bounds()).field("user", &self.raw().user()).finish()
    }
}

impl<M: Message> Share for PipeEnd<M> {
    fn shared(&self) -> Shared {
        self.object.share()
    }
}

/// What the host and the pools it is declared to have of an end: when they all are gone, so is whoever could use it.
#[derive(Debug)]
struct End(RawPipeEnd);

impl Drop for End {
    fn drop(&mut self) {
        self.0.shut();
    }
}

impl Heir for End {
    fn recover(&self, dead: Holder) -> Option<String> {
        self.0.recover(dead).map(|recovered| recovered.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_send_and_receive() {
        let (one, other) = Pipe::<u64>::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(number) = other.recv().unwrap() {
                    other.send(&(number + 1)).unwrap();
                }
            });
            for number in 0..100 {
                one.send(&number).unwrap();
                assert_eq!(one.recv(), Ok(Some(number + 1)));
            }
            one.close();
        });
    }

    #[test]
    fn what_was_sent_before_the_close_is_received() {
        let (one, other) = Pipe::<u8>::new().unwrap();
        one.send(&1).unwrap();
        drop(one);
        assert_eq!(other.send(&2), Err(PutError::Closed));
        assert_eq!(other.recv(), Ok(Some(1)));
        assert_eq!(other.recv(), Ok(None));
    }

    #[test]
    fn an_end_that_is_closed_stays_so() {
        let (one, other) = Pipe::<u8>::new().unwrap();
        one.close();
        assert_eq!(one.send(&1), Err(PutError::Closed));
        assert_eq!(one.recv(), Ok(None));
        assert_eq!(other.recv_timeout(Duration::ZERO), Ok(None));
    }

    #[test]
    fn an_end_that_a_guest_has_is_closed_to_the_host() {
        let (one, _other) = Pipe::<u8>::new().unwrap();
        one.raw().open(Holder::fresh()).unwrap();
        assert_eq!(one.send(&1), Err(PutError::Closed));
        assert_eq!(one.recv(), Ok(None));
    }

    #[test]
    fn an_end_that_was_shared_is_closed_with_the_last_who_has_it() {
        let (one, other) = Pipe::<u8>::new().unwrap();
        let shared = other.shared();
        drop(other);
        assert_eq!(one.recv_timeout(Duration::ZERO), Err(NoMessage::TimedOut));
        drop(shared);
        assert_eq!(one.recv_timeout(Duration::ZERO), Ok(None));
    }

    #[test]
    fn the_end_of_a_dead_worker_is_closed() {
        let (one, other) = Pipe::<u8>::new().unwrap();
        let worker = Holder::fresh();
        other.raw().open(worker).unwrap();
        other.raw().send(worker, &[7], None).unwrap();
        assert_eq!(one.shared().recover(worker), None);
        assert!(other.shared().recover(worker).is_some());
        assert_eq!(one.recv(), Ok(Some(7)));
        assert_eq!(one.recv(), Ok(None));
    }

    #[test]
    fn an_end_has_one_user() {
        let (one, _other) = Pipe::<u8>::new().unwrap();
        let worker = Holder::fresh();
        one.raw().open(worker).unwrap();
        assert!(one.raw().open(Holder::fresh()).is_err());
        one.raw().close(worker);
        assert!(one.raw().open(worker).is_err());
    }
}
