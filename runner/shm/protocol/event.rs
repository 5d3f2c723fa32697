//! What somebody waits for, such as a message in a queue: a word that says whether anybody does, so that to tell it
//! costs nothing where nobody listens.
//!
//! Bit 0 says that somebody may be asleep; the rest is a number that grows with whatever happens here.
//!
//! | who waits | who tells |
//! |---|---|
//! | `announce`: sets the bit, and counts | makes it true |
//! | fence | fence |
//! | looks whether it is true | is the bit set? then counts, and wakes one |
//! | sleeps, unless the number has changed | there was none to wake: clears the bit, unless the number has changed |
//!
//! The fences are sequentially consistent: either the first sees what is true, or the second sees the bit. The bit
//! stays as long as a wake-up finds somebody, so one wake-up for each event is enough. It is cleared only if nobody
//! was asleep and nobody has announced itself since, as the number says: that one would sleep without the bit.
//!
//! Whoever is woken and does not look, because it gives up or dies, has to have somebody tell again.

use std::time::Instant;

use super::sync::{Ordering, Waited, Word, fence, pause};

const WAITING: u32 = 1;
const STEP: u32 = 2;

/// More tries in a row than any honest process makes others need.
const MANY: u32 = 10_000;

/// The word of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a>(pub(crate) &'a Word);

/// An announcement, which is void once something has happened.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Ticket(u32);

impl Event<'_> {
    /// Says that somebody is about to sleep who looks once more before.
    pub(crate) fn announce(&self) -> Ticket {
        let mut seen = self.0.load(Ordering::Relaxed);
        for _ in 0..MANY {
            let next = seen.wrapping_add(STEP) | WAITING;
            match self.0.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    seen = next;
                    break;
                }
                Err(other) => seen = other,
            }
            pause();
        }
        fence(Ordering::SeqCst);
        Ticket(seen)
    }

    /// Sleeps until told.
    pub(crate) fn wait(&self, Ticket(ticket): Ticket, until: Option<Instant>) -> Waited {
        self.0.wait(ticket, until)
    }

    /// Says to one who waits that it has happened, if anybody does.
    pub(crate) fn tell(&self) {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) & WAITING == 0 {
            return;
        }
        let told = self.0.fetch_add(STEP, Ordering::AcqRel).wrapping_add(STEP);
        if self.0.wake_one() == 0 {
            // If that fails, whoever has changed the word looks after it.
            let _ = self.0.compare_exchange(told, told & !WAITING, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Says it to everybody.
    pub(crate) fn tell_all(&self) {
        fence(Ordering::SeqCst);
        self.0.fetch_add(STEP, Ordering::AcqRel);
        self.0.wake_all();
    }
}
