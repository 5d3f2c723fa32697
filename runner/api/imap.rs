//! Values one after the other, of calls that are made as values are taken.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use super::arguments::{Argument, Only};
use super::call_error::CallError;
use super::calls::{End, Receive, Ticket};
use super::function::{BATCH_BYTES, Function};
use super::future::read;
use super::wit_type::WitType;
use crate::chunk::Packed;

/// Calls that are ahead of the values that have been taken, unless told otherwise.
const WINDOW: u64 = 256;

/// In which order values come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Input,
    Completion,
}

/// The values of calls, one after the other: what [`Pool::imap`](crate::Pool::imap) returns.
///
/// A call that fails is an `Err`, and the next one goes on. The iterator that arguments come from is read when values are
/// taken, and never more than [`window`](Imap::window) ahead, so it may be endless. What has not ended when this is
/// dropped is cancelled.
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let mut divisors = pool.imap::<u64, _>("count-divisors", 1_u64..)?;
/// assert_eq!(divisors.next().transpose()?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Imap<R, I> {
    function: Function,
    items: I,
    chunk: NonZero<u64>,
    window: NonZero<u64>,
    /// There are no more items.
    ended: bool,
    /// Why no more calls can be made.
    broken: Option<CallError>,
    /// How many calls have been made, and how many values were taken.
    made: u64,
    taken: u64,
    order: Order,
    ready: Arc<Ready>,
    /// What names the calls that have not ended.
    tickets: Vec<Weak<Ticket>>,
    value: PhantomData<fn() -> R>,
}

/// Ends that have not been taken.
#[derive(Default)]
struct Ready {
    ends: Mutex<Ends>,
    changed: Condvar,
}

#[derive(Default)]
struct Ends {
    by_item: BTreeMap<u64, End>,
    completed: VecDeque<u64>,
}

/// Calls that were made together.
struct Part {
    ready: Arc<Ready>,
    order: Order,
    first: u64,
    /// Kept until all of them have ended.
    _ticket: Arc<Ticket>,
}

impl<R, I> Imap<R, I> {
    pub(super) fn new(function: Function, items: I, order: Order) -> Self {
        Self {
            function,
            items,
            chunk: NonZero::<u64>::MIN,
            window: NonZero::new(WINDOW).expect("not zero"),
            ended: false,
            broken: None,
            made: 0,
            taken: 0,
            order,
            ready: Arc::default(),
            tickets: Vec::new(),
            value: PhantomData,
        }
    }

    /// Hands calls over so many at a time, 1 by default: more is faster where calls are short. What is in one chunk one
    /// worker runs, unless another has nothing to do.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let ten = std::num::NonZero::new(10).expect("it is not 0");
    /// let divisors = pool.imap::<u64, _>("count-divisors", 1..1_000_u64)?.chunk(ten);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn chunk(mut self, calls: NonZero<u64>) -> Self {
        self.chunk = calls;
        self.window = self.window.max(calls);
        self
    }

    /// Reads so many items ahead at most, 256 by default, and at least a chunk.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let ten = std::num::NonZero::new(10).expect("it is not 0");
    /// let divisors = pool.imap::<u64, _>("count-divisors", 1_u64..)?.window(ten);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn window(mut self, calls: NonZero<u64>) -> Self {
        self.window = calls.max(self.chunk);
        self
    }
}

impl<R: WitType, T: Argument, I: Iterator<Item = T>> Imap<R, I> {
    /// Makes calls as far as the window goes.
    fn make(&mut self) {
        while !self.ended && self.made - self.taken + self.chunk.get() <= self.window.get() {
            let mut packed = Packed::default();
            while packed.count() < self.chunk.get() && packed.bytes().len() < BATCH_BYTES {
                let Some(item) = self.items.next() else {
                    self.ended = true;
                    break;
                };
                if let Err(error) = self.function.write(&Only(&item), &mut packed) {
                    self.stop(error);
                    return;
                }
            }
            self.send(packed);
        }
    }

    fn send(&mut self, packed: Packed) {
        let count = packed.count();
        if count == 0 {
            return;
        }
        self.function.next_index(count);
        let ticket = Arc::<Ticket>::default();
        self.remember(&ticket);
        let (ready, order) = (Arc::clone(&self.ready), self.order);
        let part = Part { ready, order, first: self.made, _ticket: Arc::clone(&ticket) };
        match self.function.make(packed, Arc::new(part), ticket) {
            Ok(()) => self.made += count,
            Err(error) => self.stop(error),
        }
    }

    /// Keeps what is needed to cancel calls, and forgets those that have ended: now and then, so that it costs little.
    fn remember(&mut self, ticket: &Arc<Ticket>) {
        if self.tickets.len() == self.tickets.capacity() {
            self.tickets.retain(|ticket| ticket.strong_count() > 0);
        }
        self.tickets.push(Arc::downgrade(ticket));
    }

    fn stop(&mut self, error: crate::Error) {
        self.ended = true;
        self.broken = Some(CallError::Pool(Arc::new(error)));
    }
}

impl<R: WitType, T: Argument, I: Iterator<Item = T>> Iterator for Imap<R, I> {
    type Item = Result<R, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.make();
        if self.taken == self.made {
            return self.broken.take().map(Err);
        }
        let end = self.ready.take(self.order, self.taken);
        self.taken += 1;
        Some(read(end))
    }
}

impl<R, I> Drop for Imap<R, I> {
    fn drop(&mut self) {
        if self.taken < self.made {
            for ticket in self.tickets.iter().filter_map(Weak::upgrade) {
                self.function.calls().cancel(&ticket);
            }
        }
    }
}

impl<R, I> fmt::Debug for Imap<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, made, taken, .. } = self;
        f.debug_struct("Imap")
            .field("function", function)
            .field("made", made)
            .field("taken", taken)
            .finish_non_exhaustive()
    }
}

impl Ready {
    /// Waits for the end of this item, or for any.
    fn take(&self, order: Order, item: u64) -> End {
        let mut ends = self.lock();
        loop {
            let next = match order {
                Order::Input => Some(item),
                Order::Completion => ends.completed.pop_front(),
            };
            if let Some(end) = next.and_then(|item| ends.by_item.remove(&item)) {
                return end;
            }
            ends = self.changed.wait(ends).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        // Whoever panicked had changed all of it or nothing.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receive for Part {
    fn end(&self, position: u64, end: End) {
        let item = self.first + position;
        let mut ends = self.ready.lock();
        ends.by_item.insert(item, end);
        if self.order == Order::Completion {
            ends.completed.push_back(item);
        }
        drop(ends);
        self.ready.changed.notify_one();
    }
}
