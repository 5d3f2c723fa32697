//! A lock without anything in it.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::{Recovered, lock_at, map};
use crate::shm::declared::{Holder, Shape};
use crate::shm::map::SharedMap;
use crate::shm::protocol::lock::{Held, Lock, TimedOut};

/// A lock, mapped.
#[derive(Debug)]
pub struct RawLock(SharedMap);

impl RawLock {
    /// Maps the lock in `fd`.
    ///
    /// # Errors
    /// If there is none, or the system has no room for it.
    pub fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        map(fd, Shape::Lock).map(Self)
    }

    /// Waits for it, and has it then.
    ///
    /// # Errors
    /// If the time is over before.
    pub fn acquire(&self, who: Holder, until: Option<Instant>) -> Result<Held, TimedOut> {
        self.lock().acquire(who, until)
    }

    /// Gives it back; nothing if `who` does not have it.
    pub fn release(&self, who: Holder) {
        self.lock().release(who);
    }

    /// Gives it back as who is killed does: the next to have it is told.
    pub fn abandon(&self, who: Holder) {
        self.lock().recover(who);
    }

    /// Who has it.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.lock().holder()
    }

    /// Takes it from a process that is dead.
    #[must_use]
    pub fn recover(&self, dead: Holder) -> Option<Recovered> {
        self.lock().recover(dead).then_some(Recovered::Lock)
    }

    fn lock(&self) -> Lock<'_> {
        lock_at(&self.0, 0)
    }
}
