//! A queue of messages in shared memory: bounded, many to many, first in first out.
//!
//! Two positions count what was ever put and what was ever taken. A message is in the queue from the one store that
//! moves the first, and out of it from the one that moves the second; each is moved under a lock of its own, so one can
//! be put while one is taken. That the queue is closed is a bit of the first position: nothing is put after the store
//! that sets it, and whoever finds the queue empty and closed has missed nothing.
//!
//! Nobody sleeps with a lock held. So who is killed while it waits holds up nobody.
//!
//! Positions and lengths that cannot be are somebody's doing who means harm: such a queue is taken as closed.

use std::time::Instant;

use super::copy;
use super::event::Event;
use super::lock::Lock;
use super::sync::{AtomicU64, Ordering, Waited, is_over, pause, spins};
use crate::shm::declared::{Bounds, Holder};

/// In the position behind the last message: nothing is put any more.
const CLOSED: u64 = 1 << 63;

/// A look takes the position away from the processor of who is about to move it, which then has to fetch it back. So who
/// waits for a place leaves who makes them alone, until there are several.
const SPINS_PER_LOOK: u32 = 16;

/// What somebody is at who is at nothing.
const NOTHING: u64 = 0;

/// Why a message was not put.
///
/// ```
/// use wasmpool::{PutError, Queue};
///
/// let queue = Queue::<String>::bounded_with(1, 3)?;
/// assert_eq!(queue.put(&"four".to_owned()), Err(PutError::TooLong));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Nothing can be put any more.
    #[error("closed")]
    Closed,
    /// There was no place until the time was over.
    #[error("timed out waiting for a place")]
    TimedOut,
    /// The message is longer than any may be.
    #[error("the message is too long")]
    TooLong,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Everything that was ever put has been taken, and nothing can be put any more.
    #[error("closed, and empty")]
    Closed,
    /// There was none until the time was over.
    #[error("timed out waiting for a message")]
    TimedOut,
}

/// One of the two things that are done to a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) lock: Lock<'a>,
    /// How often it was done.
    pub(crate) position: &'a AtomicU64,
    /// What the holder of the lock is at: the position that comes next.
    pub(crate) begun: &'a AtomicU64,
    /// That it may be possible again.
    pub(crate) possible: Event<'a>,
}

/// The words of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a> {
    pub(crate) put: Side<'a>,
    pub(crate) get: Side<'a>,
    /// For each place a word with the length of the message, and room for a short one.
    pub(crate) cells: &'a [AtomicU64],
    pub(crate) cell_words: usize,
    /// For each place room for a long message.
    pub(crate) long: &'a [AtomicU64],
    pub(crate) long_words: usize,
    pub(crate) bounds: Bounds,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// It is closed, or cannot be used.
    Closed,
    /// There is no place, or no message.
    Nothing,
}

impl Ring<'_> {
    pub(crate) fn put(&self, who: Holder, message: &[u8], until: Option<Instant>) -> Result<(), PutError> {
        if u32::try_from(message.len()).ok().is_none_or(|length| length > self.bounds.bytes) {
            return Err(PutError::TooLong);
        }
        let done = self.put.do_once(who, until, || !self.seems_full(), || self.put_one(message));
        match done {
            Some(Ok(())) => {
                self.get.possible.tell();
                Ok(())
            }
            Some(Err(Closed)) => Err(PutError::Closed),
            None => Err(PutError::TimedOut),
        }
    }

    pub(crate) fn get(&self, who: Holder, out: &mut Vec<u8>, until: Option<Instant>) -> Result<(), GetError> {
        let done = self.get.do_once(who, until, || !self.seems_empty(), || self.take_one(out));
        match done {
            Some(Ok(())) => {
                self.put.possible.tell();
                Ok(())
            }
            Some(Err(Closed)) => Err(GetError::Closed),
            None => Err(GetError::TimedOut),
        }
    }

    /// Lets nothing be put any more.
    pub(crate) fn close(&self) {
        self.put.position.fetch_or(CLOSED, Ordering::AcqRel);
        self.tell_all();
    }

    /// How many messages there are now.
    pub(crate) fn length(&self) -> u32 {
        let head = self.get.position.load(Ordering::Acquire);
        let tail = self.put.position.load(Ordering::Acquire) & !CLOSED;
        // Some may have been taken and others put between the two looks.
        u32::try_from(tail.wrapping_sub(head)).unwrap_or(u32::MAX).min(self.bounds.messages)
    }

    /// Takes the locks from a process that is dead; how many messages are lost with it, if it had one of them.
    pub(crate) fn recover(&self, dead: Holder) -> Option<u32> {
        let lost = [self.recover_put(dead), self.recover_get(dead)];
        lost.into_iter().flatten().reduce(|put, taken| put + taken)
    }

    /// The same of the lock of those that put: a message that was not put is lost.
    pub(crate) fn recover_put(&self, dead: Holder) -> Option<u32> {
        let lost = self.put.recover(dead, |begun, position| begun == position.wrapping_add(1));
        self.tell_all();
        lost.map(u32::from)
    }

    /// The same of the lock of those that take: a message that was taken is lost.
    pub(crate) fn recover_get(&self, dead: Holder) -> Option<u32> {
        let lost = self.get.recover(dead, |begun, position| begun == position);
        self.tell_all();
        lost.map(u32::from)
    }

    fn tell_all(&self) {
        self.put.possible.tell_all();
        self.get.possible.tell_all();
    }

    /// Without a lock, so it may be wrong, but not if nothing has been taken since this process began to look.
    fn seems_full(&self) -> bool {
        let tail = self.put.position.load(Ordering::Acquire);
        let head = self.get.position.load(Ordering::Acquire);
        tail.wrapping_sub(head) == u64::from(self.bounds.messages)
    }

    /// The same of what was put.
    fn seems_empty(&self) -> bool {
        self.put.position.load(Ordering::Acquire) == self.get.position.load(Ordering::Acquire)
    }

    /// With the lock of those that put.
    fn put_one(&self, message: &[u8]) -> Result<(), Obstacle> {
        let tail = self.put.position.load(Ordering::Acquire);
        let head = self.get.position.load(Ordering::Acquire);
        match self.bounds.messages.checked_sub(self.count(head, tail)?) {
            _ if tail & CLOSED != 0 => return Err(Obstacle::Closed),
            None | Some(0) => return Err(Obstacle::Nothing),
            Some(_) => {}
        }
        self.put.begun.store(tail + 1, Ordering::Relaxed);
        let (length, place) = self.room(tail, message.len());
        copy::store(place, message);
        length.store(message.len() as u64, Ordering::Relaxed);
        let moved = self.put.position.compare_exchange(tail, tail + 1, Ordering::AcqRel, Ordering::Relaxed);
        // Whoever closes it needs no lock.
        moved.map(drop).map_err(|_| Obstacle::Closed)
    }

    /// With the lock of those that take.
    fn take_one(&self, out: &mut Vec<u8>) -> Result<(), Obstacle> {
        let head = self.get.position.load(Ordering::Acquire);
        let tail = self.put.position.load(Ordering::Acquire);
        match self.count(head, tail)? {
            0 if tail & CLOSED != 0 => return Err(Obstacle::Closed),
            0 => return Err(Obstacle::Nothing),
            _ => {}
        }
        let (length, _) = self.room(head, 0);
        let length = u32::try_from(length.load(Ordering::Relaxed)).ok();
        let length = length.filter(|length| *length <= self.bounds.bytes).ok_or(Obstacle::Closed)?;
        let length = usize::try_from(length).map_err(|_| Obstacle::Closed)?;
        let (_, place) = self.room(head, length);
        copy::load(place, length, out);
        self.get.begun.store(head + 1, Ordering::Relaxed);
        self.get.position.store(head + 1, Ordering::Release);
        self.get.begun.store(NOTHING, Ordering::Release);
        Ok(())
    }

    /// How many messages are between the positions; an obstacle if there cannot be so many.
    fn count(&self, head: u64, tail: u64) -> Result<u32, Obstacle> {
        let count = (tail & !CLOSED).checked_sub(head).and_then(|count| u32::try_from(count).ok());
        count.filter(|count| *count <= self.bounds.messages).ok_or(Obstacle::Closed)
    }

    /// Where the length of the message at a position is, and the message, if it is so long.
    fn room(&self, position: u64, length: usize) -> (&AtomicU64, &[AtomicU64]) {
        let place = position % u64::from(self.bounds.messages);
        let place = usize::try_from(place).expect("what is mapped is addressed");
        let cell = &self.cells[place * self.cell_words..][..self.cell_words];
        let short = &cell[1..];
        if length <= 8 * short.len() {
            return (&cell[0], short);
        }
        (&cell[0], &self.long[place * self.long_words..][..self.long_words])
    }
}

impl Side<'_> {
    /// Does it with the lock held, once it is possible; none if the time is over before.
    fn do_once(
        &self,
        who: Holder,
        until: Option<Instant>,
        is_possible: impl Fn() -> bool,
        mut act: impl FnMut() -> Result<(), Obstacle>,
    ) -> Option<Result<(), Closed>> {
        loop {
            while !is_possible() {
                if self.sleep(until, &is_possible) == Waited::TimedOut {
                    return None;
                }
            }
            if self.lock.acquire(who, until).is_err() {
                // It may be possible still, and this may have been the only one who was woken for it.
                self.possible.tell();
                return None;
            }
            let done = act();
            self.lock.release(who);
            match done {
                Ok(()) => return Some(Ok(())),
                Err(Obstacle::Closed) => return Some(Err(Closed)),
                // Another was faster.
                Err(Obstacle::Nothing) if is_over(until) => return None,
                Err(Obstacle::Nothing) => {}
            }
        }
    }

    fn sleep(&self, until: Option<Instant>, is_possible: impl Fn() -> bool) -> Waited {
        if is_over(until) {
            return Waited::TimedOut;
        }
        for spin in spins() {
            if spin.is_multiple_of(SPINS_PER_LOOK) && is_possible() {
                return Waited::Woken;
            }
            pause();
        }
        let ticket = self.possible.announce();
        if is_possible() { Waited::Woken } else { self.possible.wait(ticket, until) }
    }

    /// Takes the lock from a dead process; whether what it had begun is lost with it, if it had the lock.
    fn recover(&self, dead: Holder, is_lost: impl Fn(u64, u64) -> bool) -> Option<bool> {
        let mut lost = None;
        if self.lock.holder() == Some(dead) {
            let begun = self.begun.load(Ordering::Acquire);
            let position = self.position.load(Ordering::Acquire) & !CLOSED;
            lost = Some(begun != NOTHING && is_lost(begun, position));
            self.begun.store(NOTHING, Ordering::Relaxed);
        }
        self.lock.recover(dead);
        lost
    }
}

/// Nothing can be done any more.
struct Closed;
