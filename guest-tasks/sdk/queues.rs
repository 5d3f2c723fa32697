//! Messages from guest to guest.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use crate::errors::{OpenError, PutError, TimedOut};
use crate::message::Message;
use crate::pool::wasmpool::pool::queues;
use crate::values::nanoseconds;

/// A queue of messages, into which many put and from which many take, first in first out: Python's `Queue`.
///
/// It holds as many messages as it was made for: who puts into a full one waits. It is closed instead of filled with
/// sentinels: everything that was put before is still delivered, then there is [`None`].
/// ```no_run
/// use wasmpool_guest::Queue;
///
/// #[wasmpool_guest::task]
/// fn consume() -> Result<u64, String> {
///     let numbers = Queue::<u64>::open("numbers").map_err(|error| error.to_string())?;
///     Ok(numbers.iter().sum())
/// }
/// # fn main() {}
/// ```
pub struct Queue<M> {
    number: queues::Queue,
    messages: PhantomData<fn(M) -> M>,
}

/// One of the two ends of a pipe, both of which send and receive: Python's `Connection`.
///
/// It has one user, once. When that drops it, ends or is killed, the other end is told.
/// ```no_run
/// use wasmpool_guest::PipeEnd;
///
/// #[wasmpool_guest::task]
/// fn echo() -> Result<u32, String> {
///     let end = PipeEnd::<String>::open("echo").map_err(|error| error.to_string())?;
///     let mut count = 0;
///     while let Some(text) = end.recv() {
///         end.send(&text).map_err(|error| error.to_string())?;
///         count += 1;
///     }
///     Ok(count)
/// }
/// # fn main() {}
/// ```
pub struct PipeEnd<M> {
    handle: queues::PipeEnd,
    messages: PhantomData<fn(M) -> M>,
}

/// The messages of a queue as they come, up to its end.
///
/// ```no_run
/// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
/// for number in &queue {
///     println!("{number}");
/// }
/// # Ok::<(), wasmpool_guest::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Messages<'a, M>(&'a Queue<M>);

impl<M: Message> Queue<M> {
    /// Opens the queue that the pool shares under this name.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let number = queues::open_queue(name).map_err(|error| OpenError::new(error, name))?;
        Ok(Self { number, messages: PhantomData })
    }

    /// Waits for a place, and puts a message there.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// queue.put(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue is closed, or the message is longer than any may be.
    pub fn put(&self, message: &M) -> Result<(), PutError> {
        Ok(queues::put(self.number, &message.encode(), None)?)
    }

    /// As [`Queue::put`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// queue.put_timeout(&7, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Queue::put`], and if there is no place until the time is over.
    pub fn put_timeout(&self, message: &M, timeout: Duration) -> Result<(), PutError> {
        Ok(queues::put(self.number, &message.encode(), Some(nanoseconds(timeout)))?)
    }

    /// Waits for a message, and takes it out; none: the queue is closed, and nothing is left in it.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// while let Some(number) = queue.get() {
    ///     println!("{number}");
    /// }
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Panics
    /// If somebody has put something else.
    pub fn get(&self) -> Option<M> {
        received(queues::get(self.number, None)).expect(NO_END)
    }

    /// As [`Queue::get`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// let number = queue.get_timeout(Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no message until the time is over.
    ///
    /// # Panics
    /// As [`Queue::get`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<M>, TimedOut> {
        received(queues::get(self.number, Some(nanoseconds(timeout))))
    }

    /// The messages as they come, until the queue is closed and empty.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// let sum: u64 = queue.iter().sum();
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn iter(&self) -> Messages<'_, M> {
        Messages(self)
    }
}

impl<M> Queue<M> {
    /// Lets nothing be put any more. What is in it can still be taken.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// queue.put(&7)?;
    /// queue.close();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        queues::close(self.number);
    }

    /// How many messages are in it.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// println!("{} of {}", queue.len(), queue.capacity());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn len(&self) -> usize {
        queues::length(self.number) as usize
    }

    /// Whether there are none.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// if queue.is_empty() {
    ///     println!("there is time for something else");
    /// }
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there can be.
    ///
    /// ```no_run
    /// let queue = wasmpool_guest::Queue::<u64>::open("numbers")?;
    /// assert!(queue.len() <= queue.capacity());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn capacity(&self) -> usize {
        queues::capacity(self.number) as usize
    }
}

impl<M: Message> PipeEnd<M> {
    /// Opens the end of a pipe that the pool shares under this name.
    ///
    /// ```no_run
    /// let end = wasmpool_guest::PipeEnd::<u64>::open("end")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or it has or had another user.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let handle = queues::PipeEnd::open(name).map_err(|error| OpenError::new(error, name))?;
        Ok(Self { handle, messages: PhantomData })
    }

    /// Waits for a place, and sends a message.
    ///
    /// ```no_run
    /// let end = wasmpool_guest::PipeEnd::<u64>::open("end")?;
    /// end.send(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the other end is closed, or the message is longer than any may be.
    pub fn send(&self, message: &M) -> Result<(), PutError> {
        Ok(self.handle.send(&message.encode(), None)?)
    }

    /// As [`PipeEnd::send`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let end = wasmpool_guest::PipeEnd::<u64>::open("end")?;
    /// end.send_timeout(&7, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`PipeEnd::send`], and if there is no place until the time is over.
    pub fn send_timeout(&self, message: &M, timeout: Duration) -> Result<(), PutError> {
        Ok(self.handle.send(&message.encode(), Some(nanoseconds(timeout)))?)
    }

    /// Waits for a message; none: the other end is closed, and everything that was sent there has been received.
    ///
    /// ```no_run
    /// let end = wasmpool_guest::PipeEnd::<u64>::open("end")?;
    /// while let Some(number) = end.recv() {
    ///     end.send(&(number + 1))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If something else was sent.
    pub fn recv(&self) -> Option<M> {
        received(self.handle.receive(None)).expect(NO_END)
    }

    /// As [`PipeEnd::recv`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let end = wasmpool_guest::PipeEnd::<u64>::open("end")?;
    /// let answer = end.recv_timeout(Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no message until the time is over.
    ///
    /// # Panics
    /// As [`PipeEnd::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<M>, TimedOut> {
        received(self.handle.receive(Some(nanoseconds(timeout))))
    }
}

/// A wait that ends with the item at the latest ends with what was waited for.
const NO_END: &str = "a wait without a deadline does not time out";

fn received<M: Message>(got: Result<alloc::vec::Vec<u8>, queues::GetError>) -> Result<Option<M>, TimedOut> {
    match got {
        Ok(bytes) => Ok(Some(M::decode(&bytes).expect("a message of the type that was agreed on"))),
        Err(queues::GetError::Closed) => Ok(None),
        Err(queues::GetError::TimedOut) => Err(TimedOut { holder: None }),
    }
}

impl<M: Message> Iterator for Messages<'_, M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        self.0.get()
    }
}

impl<'a, M: Message> IntoIterator for &'a Queue<M> {
    type Item = M;
    type IntoIter = Messages<'a, M>;

    fn into_iter(self) -> Messages<'a, M> {
        self.iter()
    }
}

impl From<queues::PutError> for PutError {
    fn from(error: queues::PutError) -> Self {
        match error {
            queues::PutError::Closed => Self::Closed,
            queues::PutError::TimedOut => Self::TimedOut,
            queues::PutError::TooLong => Self::TooLong,
        }
    }
}

impl<M> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

impl<M> fmt::Debug for PipeEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd").finish_non_exhaustive()
    }
}
