//! A lock that says who holds it, so that it can be taken from who is dead.
//!
//! Its word is 0, or the number of its holder and a bit that says that somebody may be asleep. Giving it back is one
//! store, after which one sleeper is woken. Who has been woken takes the lock with the bit set, and sets it on
//! whatever it finds before it sleeps again or gives up: so whoever is still asleep has the bit, and is woken by the
//! next to give the lock back.
//!
//! Two wake-ups can die with a process: one that it was about to give, and one that it was given. So after a death
//! everybody is woken, whatever the word says.

use std::iter;
use std::time::Instant;

use super::sync::{Ordering, Waited, Word, is_over, pause, spins};
use crate::shm::declared::Holder;

/// Somebody may be asleep.
const WAITING: u32 = 1 << 31;

/// More tries in a row than any honest process makes others need. From then on they are allowed to fail.
const MANY: u32 = 10_000;

/// A lock that is held now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whether who held it before was killed, and nobody has been told yet.
    pub recovered: bool,
}

/// The time to wait for a lock is over.
///
/// ```
/// let lock = wasmpool::Lock::new()?;
/// let guard = lock.lock();
/// let late = lock.lock_timeout(std::time::Duration::from_millis(1)).expect_err("it is taken");
/// assert_eq!(late.to_string(), "timed out waiting for a lock that the host holds");
/// # drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out waiting for {}", holder_text(*holder))]
pub struct TimedOut {
    /// Who holds it, if anybody does.
    pub holder: Option<Holder>,
}

fn holder_text(holder: Option<Holder>) -> String {
    match holder {
        Some(Holder::HOST) => "a lock that the host holds".to_owned(),
        Some(holder) => format!("a lock that worker {} holds", holder.number()),
        None => "a lock".to_owned(),
    }
}

/// The two words of a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock<'a> {
    pub(crate) word: &'a Word,
    /// Not 0 from when it was taken from a dead holder until somebody is told.
    pub(crate) taken_back: &'a Word,
}

impl Lock<'_> {
    pub(crate) fn acquire(&self, who: Holder, until: Option<Instant>) -> Result<Held, TimedOut> {
        if !self.take_soon(who.number()) {
            self.sleep_until_taken(who.number(), until)?;
        }
        let recovered = self.taken_back.load(Ordering::Relaxed) != 0;
        if recovered {
            self.taken_back.store(0, Ordering::Relaxed);
        }
        Ok(Held { recovered })
    }

    fn take_soon(&self, me: u32) -> bool {
        for _ in iter::once(0).chain(spins()) {
            match self.word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                // Whoever sleeps is woken first.
                Err(seen) if seen & WAITING != 0 => return false,
                Err(_) => pause(),
            }
        }
        false
    }

    fn sleep_until_taken(&self, me: u32, until: Option<Instant>) -> Result<(), TimedOut> {
        let mut n_tries = 0_u32;
        while n_tries < MANY || !is_over(until) {
            n_tries = n_tries.saturating_add(1);
            let seen = self.word.load(Ordering::Relaxed);
            let is_free = seen & !WAITING == 0;
            let next = if is_free { me | WAITING } else { seen | WAITING };
            let changed = self.word.compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed);
            match changed {
                Ok(_) if is_free => return Ok(()),
                Ok(_) if self.word.wait(next, until) == Waited::TimedOut => break,
                Ok(_) => {}
                Err(_) => pause(),
            }
        }
        Err(TimedOut { holder: self.holder() })
    }

    /// Gives it back. Nothing if `who` does not hold it.
    pub(crate) fn release(&self, who: Holder) {
        if self.holder() == Some(who) && self.word.swap(0, Ordering::Release) & WAITING != 0 {
            self.word.wake_one();
        }
    }

    /// Takes it from a process that is dead, and says whether that held it.
    pub(crate) fn recover(&self, dead: Holder) -> bool {
        let was_held = self.take_back(dead.number());
        self.word.wake_all();
        was_held
    }

    fn take_back(&self, dead: u32) -> bool {
        for _ in 0..MANY {
            let seen = self.word.load(Ordering::Relaxed);
            if seen & !WAITING != dead {
                return false;
            }
            self.taken_back.store(1, Ordering::Relaxed);
            if self.word.compare_exchange(seen, 0, Ordering::Release, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        Holder::from_number(self.word.load(Ordering::Relaxed) & !WAITING)
    }
}
