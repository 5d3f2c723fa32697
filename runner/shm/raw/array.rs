//! Numbers that everybody sees, and that change all at once.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::{Recovered, lock_at, map};
use crate::shm::declared::{Holder, Number, Shape};
use crate::shm::geometry::{NUMBERS_AT, VERSION_AT, copy_length};
use crate::shm::map::SharedMap;
use crate::shm::protocol::lock::{Held, Lock, TimedOut};
use crate::shm::protocol::twin::Twin;

/// How often somebody reads who is disturbed each time, before it takes the lock.
const TRIES: usize = 8;

/// Numbers and their lock, mapped.
#[derive(Debug)]
pub struct RawArray {
    map: SharedMap,
    number: Number,
    length: u32,
    /// Bytes of all numbers.
    bytes: usize,
    /// Bytes of each of the two copies.
    copy: usize,
}

impl RawArray {
    /// Maps the numbers in `fd`.
    ///
    /// # Errors
    /// If they are not there, or the system has no room for them.
    pub fn map(fd: BorrowedFd<'_>, number: Number, length: u32) -> io::Result<Self> {
        let map = map(fd, Shape::Array { number, length })?;
        let copy = copy_length(number, length).ok_or(io::ErrorKind::InvalidInput)?;
        let numbers = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(Self { map, number, length, bytes: numbers * number.size(), copy })
    }

    /// The type of its numbers.
    #[must_use]
    pub fn number(&self) -> Number {
        self.number
    }

    /// How many there are.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// All of them as they were at one moment, each in as many bytes as its type has, the lowest first. That needs no
    /// lock, unless others change them all the time.
    ///
    /// # Errors
    /// If they do, and somebody has the lock until the time is over.
    pub fn read(&self, who: Holder, until: Option<Instant>) -> Result<Vec<u8>, TimedOut> {
        let mut bytes = Vec::new();
        if (0..TRIES).any(|_| self.twin().read(&mut bytes)) {
            return Ok(bytes);
        }
        let _held = self.lock_words().acquire(who, until)?;
        self.twin().read(&mut bytes);
        self.lock_words().release(who);
        Ok(bytes)
    }

    /// Waits for its lock, and has it then.
    ///
    /// # Errors
    /// If the time is over before.
    pub fn lock(&self, who: Holder, until: Option<Instant>) -> Result<Held, TimedOut> {
        self.lock_words().acquire(who, until)
    }

    /// All of them. To be called by who has the lock.
    #[must_use]
    pub fn read_locked(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.twin().read(&mut bytes);
        bytes
    }

    /// Puts others in the place of all of them. To be called by who has the lock.
    ///
    /// # Errors
    /// If there are more or fewer.
    pub fn write(&self, numbers: &[u8]) -> io::Result<()> {
        if numbers.len() != self.bytes {
            let message = format!("{} bytes, where an array has {}", numbers.len(), self.bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.twin().write(numbers);
        Ok(())
    }

    /// Gives its lock back; nothing if `who` does not have it.
    pub fn unlock(&self, who: Holder) {
        self.lock_words().release(who);
    }

    /// Gives its lock back as who is killed does: the next to have it is told.
    pub fn abandon(&self, who: Holder) {
        self.lock_words().recover(who);
    }

    /// Who has its lock.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.lock_words().holder()
    }

    /// Takes its lock from a process that is dead.
    #[must_use]
    pub fn recover(&self, dead: Holder) -> Option<Recovered> {
        self.lock_words().recover(dead).then_some(Recovered::Array)
    }

    fn lock_words(&self) -> Lock<'_> {
        lock_at(&self.map, 0)
    }

    fn twin(&self) -> Twin<'_> {
        let words = self.copy / 8;
        let copies = [0, self.copy].map(|at| self.map.words(NUMBERS_AT + at, words));
        Twin { version: self.map.word(VERSION_AT), copies, length: self.bytes }
    }
}
