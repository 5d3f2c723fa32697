//! A queue of messages between the host and its guests.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::declared::{Bounds, Holder, Shape};
use super::message::{Malformed, Message};
use super::object::{Object, after};
use super::protocol::ring::{GetError, PutError};
use super::raw::RawQueue;
use super::shared::{Share, Shared};

/// How many bytes a message may have unless something else is said.
pub(super) const MESSAGE_BYTES: usize = 64 << 10;

/// A queue of messages that the host [shares](crate::PoolBuilder::share) with the guests of its pools: many put, and
/// many take, first in first out. The counterpart of `multiprocessing.Queue`.
///
/// It holds a fixed number of messages: whoever puts one more waits. Instead of sentinels it is [closed](Self::close):
/// what was put before is still delivered, to one taker each, and then all takers are told that there is nothing more.
/// Whoever is killed while it puts or takes loses that one message at most. A clone is the same queue.
///
/// ```
/// use wasmpool::Queue;
///
/// let queue = Queue::<(u32, String)>::bounded(20)?;
/// queue.put(&(1, "one".to_owned()))?;
/// queue.close();
/// assert_eq!(queue.get()?, Some((1, "one".to_owned())));
/// assert_eq!(queue.get()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<M> {
    object: Object<RawQueue>,
    message: PhantomData<fn() -> M>,
}

/// Why a wait for a message that had an end brought none.
///
/// ```
/// use wasmpool::NoMessage;
///
/// let queue = wasmpool::Queue::<u64>::bounded(2)?;
/// assert_eq!(queue.try_get(), Err(NoMessage::TimedOut));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMessage {
    /// There was none until the time was over.
    #[error("timed out waiting for a message")]
    TimedOut,
    /// There was one of another type, which is gone.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl<M: Message> Queue<M> {
    /// An empty queue of so many messages, each of at most 64 KiB. Memory is taken as it is used.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// assert_eq!(queue.capacity(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If that is none, or all of them together could have more than 1 TiB; or if the system is out of descriptors or
    /// memory.
    pub fn bounded(messages: usize) -> io::Result<Self> {
        Self::bounded_with(messages, MESSAGE_BYTES)
    }

    /// As [`bounded`](Self::bounded), for messages of at most so many bytes. Up to 56 bytes are handled fastest.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<String>::bounded_with(1_000, 56)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`bounded`](Self::bounded).
    pub fn bounded_with(messages: usize, bytes: usize) -> io::Result<Self> {
        let bounds = bounds(messages, bytes)?;
        let object = Object::new(Shape::Queue(bounds), |fd| RawQueue::map(fd.as_fd(), bounds))?;
        Ok(Self { object, message: PhantomData })
    }

    /// Waits for a place, and puts a message there.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put(&7)?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue is closed, or the message too long.
    pub fn put(&self, message: &M) -> Result<(), PutError> {
        self.put_until(message, None)
    }

    /// As [`put`](Self::put), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put_timeout(&7, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put), and if there is no place all the time.
    pub fn put_timeout(&self, message: &M, timeout: Duration) -> Result<(), PutError> {
        self.put_until(message, after(timeout))
    }

    /// As [`put`](Self::put), if there is a place now.
    ///
    /// ```
    /// use wasmpool::PutError;
    ///
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// let put = [1, 2, 3].map(|number| queue.try_put(&number));
    /// assert_eq!(put, [Ok(()), Ok(()), Err(PutError::TimedOut)]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`PutError::TimedOut`] if there is no place, or others keep it busy.
    pub fn try_put(&self, message: &M) -> Result<(), PutError> {
        self.put_timeout(message, Duration::ZERO)
    }

    fn put_until(&self, message: &M, until: Option<Instant>) -> Result<(), PutError> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.object.raw.put(Holder::HOST, &bytes, until)
    }

    /// Waits for a message and takes it out; none if the queue is closed and empty.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put(&7)?;
    /// queue.close();
    /// assert_eq!((queue.get()?, queue.get()?), (Some(7), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it is no `M`. It is gone then; the next one may be.
    pub fn get(&self) -> Result<Option<M>, Malformed> {
        received(|bytes| self.object.raw.get(Holder::HOST, bytes, None)).or_else(only_malformed)
    }

    /// As [`get`](Self::get), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put(&7)?;
    /// assert_eq!(queue.get_timeout(Duration::from_secs(1))?, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get), and if there is none all the time.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<M>, NoMessage> {
        received(|bytes| self.object.raw.get(Holder::HOST, bytes, after(timeout)))
    }

    /// As [`get`](Self::get), if there is one now.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// assert!(queue.try_get().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`NoMessage::TimedOut`] if there is none, or others are taking them.
    pub fn try_get(&self) -> Result<Option<M>, NoMessage> {
        self.get_timeout(Duration::ZERO)
    }

    /// Takes messages out as they come, until the queue is closed and empty.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put(&7)?;
    /// queue.close();
    /// assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Messages<'_, M> {
        Messages(self)
    }

    /// Lets nothing be put any more, by anybody. What is in it can still be taken.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.close();
    /// assert!(queue.put(&7).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        self.object.raw.close();
    }

    /// How many messages are in it now.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// queue.put(&7)?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.object.raw.length()).unwrap_or(usize::MAX)
    }

    /// Whether there are none now.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// assert!(queue.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages it can hold.
    ///
    /// ```
    /// let queue = wasmpool::Queue::<u64>::bounded(2)?;
    /// assert_eq!(queue.capacity(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.object.raw.bounds().messages).unwrap_or(usize::MAX)
    }
}

/// The messages of a [`Queue`], taken out one by one.
///
/// ```
/// let queue = wasmpool::Queue::<u64>::bounded(2)?;
/// queue.put(&7)?;
/// queue.close();
/// for message in &queue {
///     assert_eq!(message?, 7);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Messages<'a, M: Message>(&'a Queue<M>);

impl<M: Message> Iterator for Messages<'_, M> {
    type Item = Result<M, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.get().transpose()
    }
}

impl<'a, M: Message> IntoIterator for &'a Queue<M> {
    type Item = Result<M, Malformed>;
    type IntoIter = Messages<'a, M>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// How much a queue can hold, if it can.
pub(super) fn bounds(messages: usize, bytes: usize) -> io::Result<Bounds> {
    let refused =
        |_| io::Error::new(io::ErrorKind::InvalidInput, "a queue has fewer than 2³² messages and bytes");
    Ok(Bounds {
        messages: u32::try_from(messages).map_err(refused)?,
        bytes: u32::try_from(bytes).map_err(refused)?,
    })
}

/// The message that this gets.
pub(super) fn received<M: Message>(
    get: impl FnOnce(&mut Vec<u8>) -> Result<(), GetError>,
) -> Result<Option<M>, NoMessage> {
    let mut bytes = Vec::new();
    match get(&mut bytes) {
        Ok(()) => Ok(Some(M::decode(&bytes)?)),
        Err(GetError::Closed) => Ok(None),
        Err(GetError::TimedOut) => Err(NoMessage::TimedOut),
    }
}

/// What came of a wait without an end.
pub(super) fn only_malformed<T>(error: NoMessage) -> Result<T, Malformed> {
    match error {
        NoMessage::Malformed(malformed) => Err(malformed),
        NoMessage::TimedOut => unreachable!("no time was set"),
    }
}

impl<M> Clone for Queue<M> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), message: PhantomData }
    }
}

impl<M: Message> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

impl<M: Message> Share for Queue<M> {
    fn shared(&self) -> Shared {
        self.object.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_short_and_long() {
        let queue = Queue::<Vec<u8>>::bounded(3).unwrap();
        for round in 0..5_u8 {
            let messages = [0, 56, 57].map(|length| vec![round; length]);
            messages.iter().for_each(|message| queue.put(message).unwrap());
            assert_eq!(queue.len(), 3);
            for message in messages {
                assert_eq!(queue.get(), Ok(Some(message)));
            }
        }
    }

    #[test]
    fn a_message_may_be_as_long_as_was_said_and_no_longer() {
        let queue = Queue::<Vec<u8>>::bounded(1).unwrap();
        queue.put(&vec![1; MESSAGE_BYTES]).unwrap();
        assert_eq!(queue.put(&vec![1; MESSAGE_BYTES + 1]), Err(PutError::TooLong));
        assert_eq!(queue.get(), Ok(Some(vec![1; MESSAGE_BYTES])));
    }

    #[test]
    fn a_full_queue_takes_nothing_more() {
        let queue = Queue::<u8>::bounded_with(2, 1).unwrap();
        queue.put(&1).unwrap();
        queue.put(&2).unwrap();
        assert_eq!(queue.try_put(&3), Err(PutError::TimedOut));
        assert_eq!(queue.put_timeout(&3, Duration::from_millis(1)), Err(PutError::TimedOut));
        assert_eq!((queue.len(), queue.capacity()), (2, 2));
    }

    #[test]
    fn an_empty_queue_gives_nothing() {
        let queue = Queue::<u8>::bounded(2).unwrap();
        assert_eq!(queue.try_get(), Err(NoMessage::TimedOut));
        assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(NoMessage::TimedOut));
    }

    #[test]
    fn what_was_put_before_the_close_is_delivered_and_nothing_after_it() {
        let queue = Queue::<u32>::bounded(5).unwrap();
        (0..3).for_each(|number| queue.put(&number).unwrap());
        queue.close();
        assert_eq!(queue.put(&3), Err(PutError::Closed));
        let messages: Result<Vec<_>, _> = queue.iter().collect();
        assert_eq!(messages, Ok(vec![0, 1, 2]));
        assert_eq!(queue.get_timeout(Duration::ZERO), Ok(None));
    }

    #[test]
    fn a_close_ends_every_wait() {
        let full = Queue::<u32>::bounded(1).unwrap();
        full.put(&1).unwrap();
        let empty = Queue::<u32>::bounded(1).unwrap();
        std::thread::scope(|scope| {
            let putter = scope.spawn(|| full.put(&2));
            let getter = scope.spawn(|| empty.get());
            full.close();
            empty.close();
            assert_eq!(putter.join().unwrap(), Err(PutError::Closed));
            assert_eq!(getter.join().unwrap(), Ok(None));
        });
    }

    #[test]
    fn many_put_and_many_take_and_each_message_is_taken_once() {
        let queue = Queue::<u64>::bounded(7).unwrap();
        let sum = std::thread::scope(|scope| {
            let getters = [(); 3].map(|()| scope.spawn(|| queue.iter().map(Result::unwrap).sum::<u64>()));
            let putters =
                [(); 3].map(|()| scope.spawn(|| (1..=5000).for_each(|number| queue.put(&number).unwrap())));
            putters.into_iter().for_each(|putter| putter.join().unwrap());
            queue.close();
            getters.into_iter().map(|getter| getter.join().unwrap()).sum::<u64>()
        });
        assert_eq!(sum, 3 * 5000 * 5001 / 2);
    }

    #[test]
    fn a_message_of_another_type_is_an_error_and_not_the_end() {
        let queue = Queue::<u32>::bounded(2).unwrap();
        queue.object.raw.put(Holder::HOST, b"text!", None).unwrap();
        queue.put(&5).unwrap();
        assert!(matches!(queue.try_get(), Err(NoMessage::Malformed(_))));
        assert_eq!(queue.get(), Ok(Some(5)));
    }

    #[test]
    fn a_queue_of_nothing_is_refused() {
        assert_eq!(Queue::<u8>::bounded(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(Queue::<u8>::bounded(usize::MAX).is_err());
        assert!(Queue::<u8>::bounded(1 << 31).is_err());
    }
}
