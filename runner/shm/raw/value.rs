//! A number that everybody sees.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Recovered, lock_at, map};
use crate::shm::declared::{Holder, Number, Shape};
use crate::shm::geometry::VALUE_AT;
use crate::shm::map::SharedMap;
use crate::shm::protocol::lock::{Held, Lock, TimedOut};

/// A number and its lock, mapped.
#[derive(Debug)]
pub struct RawValue {
    map: SharedMap,
    number: Number,
}

impl RawValue {
    /// Maps the number in `fd`.
    ///
    /// # Errors
    /// If there is none, or the system has no room for it.
    pub fn map(fd: BorrowedFd<'_>, number: Number) -> io::Result<Self> {
        Ok(Self { map: map(fd, Shape::Value(number))?, number })
    }

    /// Its type.
    #[must_use]
    pub fn number(&self) -> Number {
        self.number
    }

    /// The bits of it now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.number.narrow(self.bits().load(Ordering::Acquire))
    }

    /// Adds, and returns the bits of what it was before.
    ///
    /// # Errors
    /// If somebody else has it locked until the time is over.
    pub fn add(&self, who: Holder, delta: u64, until: Option<Instant>) -> Result<u64, TimedOut> {
        // Nobody is told of a holder that died: there is nothing that it could have left half done.
        let _held = self.lock_words().acquire(who, until)?;
        let before = self.get();
        self.set(self.number.sum(before, delta));
        self.lock_words().release(who);
        Ok(before)
    }

    /// Waits for its lock, and has it then.
    ///
    /// # Errors
    /// If the time is over before.
    pub fn lock(&self, who: Holder, until: Option<Instant>) -> Result<Held, TimedOut> {
        self.lock_words().acquire(who, until)
    }

    /// Makes it another one. To be called by who has the lock.
    pub fn set(&self, bits: u64) {
        self.bits().store(self.number.narrow(bits), Ordering::Release);
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
        self.lock_words().recover(dead).then_some(Recovered::Value)
    }

    fn lock_words(&self) -> Lock<'_> {
        lock_at(&self.map, 0)
    }

    fn bits(&self) -> &AtomicU64 {
        self.map.long_word(VALUE_AT)
    }
}
