//! What an item holds of what is shared: it is given back with the item.

use std::sync::Arc;

use wasmtime::{bail, ensure};

use super::{Shares, Thing};
use crate::shm::declared::Holder;
use crate::shm::raw::{Held, TimedOut};

/// What the items of one store hold, and what they have found.
#[derive(Debug)]
pub(in crate::worker) struct Hands {
    shares: Arc<Shares>,
    /// Locks, by the place of what they lock.
    locks: Vec<(usize, Held)>,
    /// Ends of pipes.
    ends: Vec<usize>,
    /// Segments that count as memory of the guest.
    found: Vec<usize>,
}

impl Hands {
    /// Of a store that has nothing yet.
    pub(in crate::worker) fn new(shares: Arc<Shares>) -> Self {
        Self { shares, locks: Vec::new(), ends: Vec::new(), found: Vec::new() }
    }

    pub(super) fn shares(&self) -> &Shares {
        &self.shares
    }

    pub(super) fn thing(&self, at: usize) -> &Thing {
        &self.shares.things[at].1
    }

    pub(super) fn who(&self) -> Holder {
        self.shares.who
    }

    /// Takes note of a segment; whether it is news.
    pub(super) fn find(&mut self, at: usize) -> bool {
        let is_new = !self.found.contains(&at);
        if is_new {
            self.found.push(at);
        }
        is_new
    }

    /// Locks the thing at this place.
    ///
    /// # Errors
    /// If the item has locked it already, and would wait for itself.
    pub(super) fn lock(
        &mut self,
        at: usize,
        lock: impl FnOnce(&Thing, Holder) -> Result<Held, TimedOut>,
    ) -> wasmtime::Result<Result<(), TimedOut>> {
        ensure!(!self.holds(at), "{}", self.own_lock(at));
        Ok(lock(self.thing(at), self.who()).map(|held| self.locks.push((at, held))))
    }

    /// Why something that the item has locked cannot be waited for.
    pub(super) fn own_lock(&self, at: usize) -> String {
        format!("`{}` is locked by this item already, which would wait for itself", self.shares.things[at].0)
    }

    /// Whether the item has locked the thing at this place.
    pub(super) fn holds(&self, at: usize) -> bool {
        self.held(at).is_some()
    }

    /// How the thing at this place was locked, if it is.
    fn held(&self, at: usize) -> Option<Held> {
        self.locks.iter().find(|(other, _)| *other == at).map(|(_, held)| *held)
    }

    /// As that, for who has a guard of it.
    ///
    /// # Errors
    /// If the item that locked it has ended, and the guard is of no use any more.
    pub(super) fn guarded(&self, at: usize) -> wasmtime::Result<Held> {
        let Some(held) = self.held(at) else {
            bail!("`{}` is not locked any more: the item that locked it has ended", self.shares.things[at].0);
        };
        Ok(held)
    }

    /// Unlocks the thing at this place, unless its item has ended.
    pub(super) fn unlock(&mut self, at: usize) {
        if let Some(place) = self.locks.iter().position(|(other, _)| *other == at) {
            self.locks.swap_remove(place);
            self.thing(at).release(self.who());
        }
    }

    /// Takes an end of a pipe; false: somebody else has it.
    pub(super) fn take_end(&mut self, at: usize) -> bool {
        let Thing::PipeEnd(end) = self.thing(at) else { return false };
        let is_taken = end.open(self.who()).is_ok();
        if is_taken {
            self.ends.push(at);
        }
        is_taken
    }

    /// Closes an end of a pipe.
    pub(super) fn close_end(&mut self, at: usize) {
        if let Some(place) = self.ends.iter().position(|other| *other == at) {
            self.ends.swap_remove(place);
            self.close(at);
        }
    }

    fn close(&self, at: usize) {
        if let Thing::PipeEnd(end) = self.thing(at) {
            end.close(self.who());
        }
    }

    /// An item has ended: what it has locked is unlocked, and whoever locks it next is told that nobody did so on purpose.
    pub(in crate::worker) fn let_go(&mut self) {
        for (at, _) in std::mem::take(&mut self.locks) {
            self.thing(at).abandon(self.who());
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.let_go();
        for at in std::mem::take(&mut self.ends) {
            self.close(at);
        }
    }
}
