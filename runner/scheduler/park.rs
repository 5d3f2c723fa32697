//! Who sleeps, and who is woken: the protocol by which no chunk waits while a driver that wants one sleeps.
//!
//! It knows nothing of chunks and queues; a look at them is a closure. README.md beside this file argues why no
//! wake-up is lost, and `tests/model` checks it over all interleavings.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, fence, lock};

/// Ends a driver's sleep.
///
/// A wake is a level, not an edge: one that comes before the driver sleeps ends the sleep at once. The driver clears
/// the level first and looks for work after that; the other way round, a wake between the two would be lost.
pub trait Wake: Send + Sync {
    /// Wakes the driver; called from any thread, never with a lock held.
    fn wake(&self);
}

/// The drivers that sleep or are about to, longest first, and whether anything will come.
pub(super) struct Parking {
    idle: Mutex<VecDeque<usize>>,
    /// The length of `idle`, for pushers to read without the lock. Written with the lock held.
    n_idle: AtomicUsize,
    closed: AtomicBool,
    wakers: Vec<Arc<dyn Wake>>,
}

/// One driver's side of the protocol.
#[derive(Debug)]
pub(super) struct Sleeper {
    slot: usize,
    /// On the list, as far as this driver knows: a pusher that chose it has taken it off.
    announced: bool,
}

/// What a look for work found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<W> {
    /// This.
    Work(W),
    /// Nothing now.
    Nothing,
    /// Nothing, and nothing will ever come.
    Closed,
}

impl Parking {
    pub(super) fn new(wakers: Vec<Arc<dyn Wake>>) -> Self {
        Self {
            idle: Mutex::new(VecDeque::new()),
            n_idle: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            wakers,
        }
    }

    /// To be called after each chunk that was made visible: wakes one driver if one sleeps.
    pub(super) fn wake_one(&self) {
        // Pairs with the fence in `announce`: either we see the sleeper, or its second look sees the chunk.
        fence(Ordering::SeqCst);
        if self.n_idle.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(slot) = self.choose() {
            self.wakers[slot].wake();
        }
    }

    /// Says that nothing more will come, and wakes everyone: also drivers that are busy, which may wait for something
    /// other than work.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut idle = lock(&self.idle);
        idle.clear();
        self.n_idle.store(0, Ordering::Relaxed);
        drop(idle);
        // The lock orders this with every announcement, so there is no fence: a driver that comes later sees `closed`.
        self.rouse_all();
    }

    /// Wakes everyone, busy or not. Who sleeps stays on the list, and looks for work as after any wake-up.
    pub(super) fn rouse_all(&self) {
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// Takes the driver that sleeps longest off the list: its worker has the least left to do.
    fn choose(&self) -> Option<usize> {
        let mut idle = lock(&self.idle);
        let slot = idle.pop_front();
        self.n_idle.store(idle.len(), Ordering::Relaxed);
        slot
    }

    fn announce(&self, slot: usize) {
        let mut idle = lock(&self.idle);
        idle.push_back(slot);
        self.n_idle.store(idle.len(), Ordering::Relaxed);
        drop(idle);
        // Pairs with the fence in `wake_one`.
        fence(Ordering::SeqCst);
    }

    fn is_announced(&self, slot: usize) -> bool {
        lock(&self.idle).contains(&slot)
    }

    /// Takes a driver off the list; false if a pusher had chosen it before.
    fn withdraw(&self, slot: usize) -> bool {
        let mut idle = lock(&self.idle);
        let position = idle.iter().position(|&other| other == slot);
        if let Some(position) = position {
            idle.remove(position);
            self.n_idle.store(idle.len(), Ordering::Relaxed);
        }
        position.is_some()
    }
}

impl Sleeper {
    pub(super) fn new(slot: usize) -> Self {
        Self { slot, announced: false }
    }

    /// Looks once. Does not announce the driver; one that is announced stays so if there is nothing.
    pub(super) fn look<W>(&mut self, parking: &Parking, look: impl FnOnce() -> Option<W>) -> Found<W> {
        // Chosen before this look, it is this look that the pusher asked for, and there is nothing to pass on.
        self.announced = self.announced && parking.is_announced(self.slot);
        self.look_and_withdraw(parking, look)
    }

    /// Looks, and if there is nothing, announces the driver and looks again. Every chunk that the second look misses
    /// finds the driver on the list, so it may sleep then.
    pub(super) fn look_or_announce<W>(
        &mut self,
        parking: &Parking,
        mut look: impl FnMut() -> Option<W>,
    ) -> Found<W> {
        match self.look(parking, &mut look) {
            Found::Nothing if !self.announced => {
                parking.announce(self.slot);
                self.announced = true;
                self.look_and_withdraw(parking, look)
            }
            found => found,
        }
    }

    /// Takes the driver off the list. If it was chosen but does not follow, another sleeper is woken in its place.
    pub(super) fn withdraw(&mut self, parking: &Parking) {
        if std::mem::take(&mut self.announced) && !parking.withdraw(self.slot) {
            parking.wake_one();
        }
    }

    fn look_and_withdraw<W>(&mut self, parking: &Parking, look: impl FnOnce() -> Option<W>) -> Found<W> {
        // Read before the look: so the look finds what was pushed before the close.
        let closed = parking.closed.load(Ordering::Acquire);
        let found = match look() {
            Some(work) => Found::Work(work),
            None if closed => Found::Closed,
            None => return Found::Nothing,
        };
        self.withdraw(parking);
        found
    }
}

impl fmt::Debug for Parking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parking")
            .field("idle", &self.idle)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
