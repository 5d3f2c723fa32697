//! A queue of messages.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::{Recovered, lock_at, map};
use crate::shm::declared::{Bounds, Holder, Shape};
use crate::shm::geometry::{
    BEGUN_AT, CELL, CELLS_AT, GET_AT, MESSAGE_AT, PLACE_AT, POSITION_AT, PUT_AT, stride,
};
use crate::shm::map::SharedMap;
use crate::shm::protocol::event::Event;
use crate::shm::protocol::ring::{GetError, PutError, Ring, Side};

/// A queue, mapped.
#[derive(Debug)]
pub struct RawQueue {
    map: SharedMap,
    ring: RingAt,
}

impl RawQueue {
    /// Maps the queue in `fd`.
    ///
    /// # Errors
    /// If there is none, or the system has no room for it.
    pub fn map(fd: BorrowedFd<'_>, bounds: Bounds) -> io::Result<Self> {
        let map = map(fd, Shape::Queue(bounds))?;
        Ok(Self { map, ring: RingAt::new(0, bounds)? })
    }

    /// How much it can hold.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.ring.bounds
    }

    /// Waits for a place, and puts a message there.
    ///
    /// # Errors
    /// If there is none until the time is over, nothing can be put any more, or the message is too long.
    pub fn put(&self, who: Holder, message: &[u8], until: Option<Instant>) -> Result<(), PutError> {
        self.ring().put(who, message, until)
    }

    /// Waits for a message, takes it out, and puts it in the place of what is in `message`.
    ///
    /// # Errors
    /// If there is none until the time is over, or there can be none any more. What is in `message` is nothing then.
    pub fn get(&self, who: Holder, message: &mut Vec<u8>, until: Option<Instant>) -> Result<(), GetError> {
        self.ring().get(who, message, until)
    }

    /// Lets nothing be put any more. What is in it can still be taken.
    pub fn close(&self) {
        self.ring().close();
    }

    /// How many messages are in it.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.ring().length()
    }

    /// Gives back what a process had that is dead.
    #[must_use]
    pub fn recover(&self, dead: Holder) -> Option<Recovered> {
        self.ring().recover(dead).map(|lost| Recovered::Queue { lost })
    }

    fn ring(&self) -> Ring<'_> {
        self.ring.of(&self.map)
    }
}

/// Where a ring is in a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingAt {
    at: usize,
    pub(super) bounds: Bounds,
    messages: usize,
    stride: usize,
}

impl RingAt {
    pub(super) fn new(at: usize, bounds: Bounds) -> io::Result<Self> {
        let messages = usize::try_from(bounds.messages).map_err(|_| io::ErrorKind::InvalidInput)?;
        let stride = stride(bounds).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { at, bounds, messages, stride })
    }

    pub(super) fn of<'a>(&self, map: &'a SharedMap) -> Ring<'a> {
        let side = |side: usize, possible: usize| Side {
            lock: lock_at(map, self.at + side),
            position: map.long_word(self.at + side + POSITION_AT),
            begun: map.long_word(self.at + side + BEGUN_AT),
            possible: Event(map.word(self.at + possible)),
        };
        let cells = self.messages * CELL;
        Ring {
            put: side(PUT_AT, PLACE_AT),
            get: side(GET_AT, MESSAGE_AT),
            cells: map.words(self.at + CELLS_AT, cells / 8),
            cell_words: CELL / 8,
            long: map.words(self.at + CELLS_AT + cells, self.messages * self.stride / 8),
            long_words: self.stride / 8,
            bounds: self.bounds,
        }
    }
}
