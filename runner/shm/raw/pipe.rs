//! An end of a pipe: what is sent at one is received at the other.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::queue::RingAt;
use super::{Recovered, map};
use crate::shm::declared::{Bounds, Holder, Shape};
use crate::shm::futex::Word;
use crate::shm::geometry::{ENDS_AT, RINGS_AT, ring_length};
use crate::shm::map::SharedMap;
use crate::shm::protocol::ring::{GetError, PutError, Ring};

/// In the word of an end that nobody has had yet; else it is its user's number.
const FREE: u32 = 0;

/// In the word of an end that nobody will have any more.
const CLOSED: u32 = u32::MAX;

/// Somebody else has the end, or had it: it can be had once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the end of the pipe is taken")]
pub struct Taken;

/// An end of a pipe, mapped. It has one user at a time.
#[derive(Debug)]
pub struct RawPipeEnd {
    map: SharedMap,
    second: bool,
    /// What the first end sends, and what the second does.
    rings: [RingAt; 2],
}

impl RawPipeEnd {
    /// Maps one of the ends of the pipe in `fd`.
    ///
    /// # Errors
    /// If there is none, or the system has no room for it.
    pub fn map(fd: BorrowedFd<'_>, second: bool, bounds: Bounds) -> io::Result<Self> {
        let map = map(fd, Shape::PipeEnd { second, bounds })?;
        let length = ring_length(bounds).ok_or(io::ErrorKind::InvalidInput)?;
        let rings = [RingAt::new(RINGS_AT, bounds)?, RingAt::new(RINGS_AT + length, bounds)?];
        Ok(Self { map, second, rings })
    }

    /// What either direction holds.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.rings[0].bounds
    }

    /// Makes `who` its user.
    ///
    /// # Errors
    /// If it has one, or has had one.
    pub fn open(&self, who: Holder) -> Result<(), Taken> {
        let opened = self.state().compare_exchange(FREE, who.number(), Ordering::AcqRel, Ordering::Relaxed);
        opened.map(drop).map_err(|_| Taken)
    }

    /// Who has it.
    #[must_use]
    pub fn user(&self) -> Option<Holder> {
        Holder::from_number(self.state().load(Ordering::Acquire))
    }

    /// Waits for a place, and sends a message. To be called by its user.
    ///
    /// # Errors
    /// If there is none until the time is over, either end is closed, or the message is too long.
    pub fn send(&self, who: Holder, message: &[u8], until: Option<Instant>) -> Result<(), PutError> {
        self.sent().put(who, message, until)
    }

    /// Waits for a message, and puts it in the place of what is in `message`. To be called by its user.
    ///
    /// # Errors
    /// If there is none until the time is over, or there can be none any more since either end is closed. What is in
    /// `message` is nothing then.
    pub fn receive(
        &self,
        who: Holder,
        message: &mut Vec<u8>,
        until: Option<Instant>,
    ) -> Result<(), GetError> {
        self.received().get(who, message, until)
    }

    /// Closes it, if `who` is its user: what was sent can still be received at the other end.
    pub fn close(&self, who: Holder) {
        if self.user() == Some(who) {
            self.shut();
        }
    }

    /// Closes it, whoever has it.
    pub(crate) fn shut(&self) {
        // Killed between any of these, a user still has it, and it is closed once more.
        self.sent().close();
        self.received().close();
        self.state().store(CLOSED, Ordering::Release);
    }

    /// Closes it if a process had it that is dead, and gives back what that held.
    #[must_use]
    pub fn recover(&self, dead: Holder) -> Option<Recovered> {
        // The other halves of the rings are the other end's.
        let lost = [self.sent().recover_put(dead), self.received().recover_get(dead)];
        let lost = lost.into_iter().flatten().sum();
        if self.user() != Some(dead) {
            return None;
        }
        self.shut();
        Some(Recovered::PipeEnd { lost })
    }

    fn state(&self) -> &Word {
        self.map.word(ENDS_AT[usize::from(self.second)])
    }

    fn sent(&self) -> Ring<'_> {
        self.rings[usize::from(self.second)].of(&self.map)
    }

    fn received(&self) -> Ring<'_> {
        self.rings[usize::from(!self.second)].of(&self.map)
    }
}
