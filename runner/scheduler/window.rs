//! The cap, in items and in bytes, on what is admitted and not yet emitted: the one place where a source that is
//! faster than the workers, or workers that are faster than the sink, are held back.
//!
//! Everything admitted must come back without anything more being admitted; then no waiter waits for ever, however
//! large what it waits for, because an empty window admits anything.

use std::collections::VecDeque;

use super::sync::{Condvar, Mutex, MutexGuard, lock, wait};

/// Caps what is admitted and not yet emitted. The feeder acquires, the dispatcher releases.
#[derive(Debug)]
pub struct Window {
    max_items: u64,
    max_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// The window is closed: nothing is admitted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the window is closed")]
pub struct Closed;

/// Items, and the bytes that go with them.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    items: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    /// What is admitted and not yet released, oldest first; none has 0 items.
    admitted: VecDeque<Load>,
    /// The sum of `admitted`.
    outstanding: Load,
    /// Bytes of results that are held back.
    held: u64,
    /// The smallest room that would let some waiter go on; none if nobody waits.
    wanted: Option<Load>,
    closed: bool,
}

impl Window {
    /// A window for at most `max_items` items with at most `max_bytes` bytes, of inputs and of results held back.
    #[must_use]
    pub fn new(max_items: u64, max_bytes: u64) -> Self {
        Self { max_items, max_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Admits items whose inputs take `bytes`; waits until they fit.
    ///
    /// Whatever its size, a load is let through when nothing else is outstanding.
    ///
    /// # Errors
    /// If the window is closed, before or meanwhile.
    pub fn acquire(&self, items: u64, bytes: u64) -> Result<(), Closed> {
        let load = Load { items, bytes };
        let mut state = self.wait_for(load)?;
        if items > 0 {
            state.admitted.push_back(load);
            state.outstanding = state.outstanding.plus(load);
        }
        Ok(())
    }

    /// Gives back the places of `items` items that were emitted, in the order of their admission.
    ///
    /// # Panics
    /// If more come back than were admitted.
    pub fn release(&self, items: u64) {
        let mut state = lock(&self.state);
        assert!(items <= state.outstanding.items, "no more items come back than were admitted");
        state.release(items);
        self.wake(state);
    }

    /// Counts bytes of results that are held back, until an earlier item ends: they leave less for admissions.
    pub fn charge(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.held = state.held.saturating_add(bytes);
    }

    /// Gives back what was charged.
    ///
    /// # Panics
    /// If more comes back than was charged.
    pub fn discharge(&self, bytes: u64) {
        let mut state = lock(&self.state);
        assert!(bytes <= state.held, "no more bytes come back than were charged");
        state.held -= bytes;
        self.wake(state);
    }

    /// How many more items fit now, their bytes aside; at least 1 when nothing is outstanding.
    pub fn admissible(&self) -> u64 {
        self.free(&lock(&self.state)).items
    }

    /// How many more bytes fit now; at least 1 when nothing is outstanding.
    pub fn admissible_bytes(&self) -> u64 {
        self.free(&lock(&self.state)).bytes
    }

    /// Waits until `wanted` items fit, or half of what the window holds if that is less, and some bytes with them.
    /// Then says how many items fit, at least 1.
    ///
    /// Who waits for the first place that comes free gets a place at a time once the window has filled up, and sends
    /// chunks of one item from there on.
    ///
    /// # Errors
    /// As [`Window::acquire`].
    pub fn wait_admissible(&self, wanted: u64) -> Result<u64, Closed> {
        let load = Load { items: wanted.min(self.max_items / 2).max(1), bytes: self.max_bytes / 8 };
        let state = self.wait_for(load)?;
        Ok(self.free(&state).items)
    }

    /// Items admitted and not yet released.
    pub fn outstanding(&self) -> u64 {
        lock(&self.state).outstanding.items
    }

    /// Refuses everything from now on, and wakes whoever waits. Releases still count.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.wake(state);
    }

    fn wait_for(&self, load: Load) -> Result<MutexGuard<'_, State>, Closed> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Err(Closed);
            }
            if self.fits(&state, load) {
                return Ok(state);
            }
            state.wanted = Some(state.wanted.map_or(load, |other| other.min(load)));
            state = wait(&self.changed, state);
        }
    }

    /// Wakes the waiters if one of them may go on. They all look again, and say anew what they want.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        // A waiter that is woken for every single item that comes back would cost a switch each.
        if state.wanted.is_some_and(|wanted| state.closed || self.fits(&state, wanted)) {
            state.wanted = None;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn fits(&self, state: &State, load: Load) -> bool {
        let free = self.free(state);
        state.outstanding.items == 0 || (load.items <= free.items && load.bytes <= free.bytes)
    }

    fn free(&self, state: &State) -> Load {
        let used = state.outstanding.bytes.saturating_add(state.held);
        let items = self.max_items.saturating_sub(state.outstanding.items);
        let bytes = self.max_bytes.saturating_sub(used);
        let at_least = u64::from(state.outstanding.items == 0);
        Load { items: items.max(at_least), bytes: bytes.max(at_least) }
    }
}

impl State {
    /// Takes `items` items off the oldest loads; there are that many.
    fn release(&mut self, items: u64) {
        let mut left = items;
        while left > 0 {
            let oldest = self.admitted.front_mut().expect("what is outstanding was admitted");
            let part = oldest.first(left);
            *oldest = oldest.minus(part);
            if oldest.items == 0 {
                self.admitted.pop_front();
            }
            self.outstanding = self.outstanding.minus(part);
            left -= part.items;
        }
    }
}

impl Load {
    /// Its first `items` items, or all there are, with their share of the bytes.
    fn first(self, items: u64) -> Self {
        if items >= self.items {
            return self;
        }
        let bytes = u128::from(self.bytes) * u128::from(items) / u128::from(self.items);
        Self { items, bytes: u64::try_from(bytes).expect("a part is smaller than the whole") }
    }

    fn plus(self, other: Self) -> Self {
        Self { items: self.items.saturating_add(other.items), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn minus(self, part: Self) -> Self {
        Self { items: self.items - part.items, bytes: self.bytes - part.bytes }
    }

    fn min(self, other: Self) -> Self {
        Self { items: self.items.min(other.items), bytes: self.bytes.min(other.bytes) }
    }
}
