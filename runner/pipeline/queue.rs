//! The queue between two stages: what one has made and the other has not done with.
//!
//! # How much there may be
//! A *place* is taken when the stage before is given an item, stands for whatever that item comes to, and is free when
//! the stage behind has done with that. There are as many places as items may wait, and one for each worker of both
//! stages; while none is free, the stage before is given nothing. So the one is never more than the queue's length
//! ahead of the other, beside what runs, and nobody ever waits with a result in hand: results always find room. An item
//! that comes to a list takes a place for each element; then there may be more for a while, and the stage before stands
//! still until they are gone.
//!
//! # Order
//! Where results are wanted in order, a stage hands out in the order of the input what the stage before has made, and
//! holds what is ahead of its turn. So every stage numbers its items in the order of the input, whoever was faster; and
//! what all others wait for has been handed out to its stage before them, and needs nothing that they hold.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::elements::Elements;
use crate::chunk::Packed;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;
use crate::sink::Reorder;

/// Bytes of results that may wait in a queue before the stage before it is given nothing more.
const MOST_BYTES: u64 = 32 << 20;

/// Where an item of a stage comes from, and what goes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// Which item of the input it was made of.
    pub(super) index: ItemIndex,
    /// Its place in each list on the way.
    pub(super) part: Vec<u64>,
    /// The file that the input was read from.
    pub(super) file: Option<Arc<[u8]>>,
    /// What guests printed on the way.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// What an item of the stage before came to.
#[derive(Debug)]
pub(super) struct Arrival {
    trail: Trail,
    what: What,
    bytes: u64,
}

#[derive(Debug)]
pub(super) enum What {
    /// An item of the stage behind.
    Item(Box<str>),
    /// So many of them.
    Items(Elements),
    /// It has ended, and goes no further.
    Ended(Box<Completion>),
}

/// What the stage behind is given.
#[derive(Debug)]
pub(super) enum Given {
    /// Items.
    Items(Packed),
    /// One that has ended, as far as the pool needs to know.
    Ended(Box<Completion>),
    /// There are no more.
    End,
    /// The stage is over.
    Over,
}

/// An item that the stage behind has, until it has done with it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) trail: Trail,
    /// How it had ended before.
    pub(super) ended: Option<Box<Completion>>,
}

/// How a queue is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How many items may wait.
    pub(super) length: u64,
    /// The workers of the stage before and of that behind.
    pub(super) workers: u64,
    pub(super) order: Order,
}

/// In which order a stage hands out what the one before has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// That of the input.
    Input,
    /// That in which it was made.
    Made,
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    shape: Shape,
    state: Mutex<State>,
    /// For the stage before: places may be free.
    room: Condvar,
    /// For the stage behind: there may be something.
    filled: Condvar,
}

#[derive(Debug)]
struct State {
    places: u64,
    /// Bytes of what waits.
    bytes: u64,
    /// How many places somebody waits for.
    wanted: Option<u64>,
    /// What is ahead of its turn.
    ahead: Reorder<Arrival>,
    /// What can be handed out, in order.
    ready: VecDeque<Arrival>,
    /// What has been handed out.
    held: BTreeMap<ItemIndex, Held>,
    /// The number of the item that is handed out next.
    next: ItemIndex,
    end: Option<Result<(), Error>>,
    /// The stage before is over.
    is_shut_before: bool,
    /// The stage behind is over.
    is_shut_behind: bool,
}

impl Shape {
    fn places(&self) -> u64 {
        self.length.saturating_add(self.workers)
    }
}

impl Trail {
    /// That of the element at this place of the list. What was printed goes with the first.
    fn part(&mut self, position: u64) -> Self {
        let part = self.part.iter().copied().chain([position]).collect();
        let (stdout, stderr) = match position {
            0 => (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr)),
            _ => (Vec::new(), Vec::new()),
        };
        Self { index: self.index, part, file: self.file.clone(), stdout, stderr }
    }
}

impl Arrival {
    pub(super) fn new(trail: Trail, what: What) -> Self {
        let text = match &what {
            What::Item(text) => text.len() as u64,
            What::Items(elements) => elements.bytes(),
            What::Ended(completion) => completion.held_bytes(),
        };
        let bytes = text + (trail.stdout.len() + trail.stderr.len()) as u64;
        Self { trail, what, bytes }
    }
}

impl Queue {
    pub(super) fn new(shape: Shape) -> Self {
        let state = State {
            places: 0,
            bytes: 0,
            wanted: None,
            ahead: Reorder::new(),
            ready: VecDeque::new(),
            held: BTreeMap::new(),
            next: 0,
            end: None,
            is_shut_before: false,
            is_shut_behind: false,
        };
        Self { shape, state: Mutex::new(state), room: Condvar::new(), filled: Condvar::new() }
    }

    /// How many items the stage before may be given, at least 1; waits for `wanted` of them, or for half of what may
    /// wait if that is less. None: that stage is over.
    pub(super) fn wait_for_room(&self, wanted: u64) -> Option<u64> {
        // Who takes each place as it comes free sends items one by one from there on.
        let wanted = wanted.min(self.shape.length / 2).max(1);
        let mut state = self.lock();
        loop {
            if state.is_shut_before {
                return None;
            }
            let free = self.free(&state);
            if free >= wanted {
                return Some(free);
            }
            state.wanted = Some(wanted);
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The stage before is given so many items.
    pub(super) fn take_places(&self, items: u64) {
        self.lock().places += items;
    }

    /// Items of the stage before have come to this.
    pub(super) fn arrive(&self, arrivals: impl IntoIterator<Item = (ItemIndex, Arrival)>) {
        let mut state = self.lock();
        for (index, arrival) in arrivals {
            state.arrive(index, arrival, self.shape.order);
        }
        if !state.ready.is_empty() {
            self.filled.notify_one();
        }
        self.wake_for_room(state);
    }

    /// Nothing more will arrive: all of it has, or the input could not be read any further.
    pub(super) fn finish(&self, end: Result<(), Error>) {
        self.lock().end.get_or_insert(end);
        self.filled.notify_one();
    }

    /// What comes next, at most so many items; waits for it.
    ///
    /// # Errors
    /// The one that it was finished with, when all before it has been handed out.
    pub(super) fn give(&self, max_items: u64, max_bytes: usize) -> Result<Given, Error> {
        let mut state = self.lock();
        loop {
            if state.is_shut_behind {
                return Ok(Given::Over);
            }
            if let Some(given) = state.give(max_items, max_bytes) {
                self.wake_for_room(state);
                return Ok(given);
            }
            match state.end.take() {
                None => state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(end) => return end.map(|()| Given::End),
            }
        }
    }

    /// The stage behind has done with its item `index`.
    pub(super) fn done(&self, index: ItemIndex) -> Held {
        let mut state = self.lock();
        let held = state.held.remove(&index).expect("it was handed out, and ends once");
        state.places -= 1;
        self.wake_for_room(state);
        held
    }

    /// The stage before is over, and who reads for it waits no longer.
    pub(super) fn shut_before(&self) {
        self.lock().is_shut_before = true;
        self.room.notify_all();
    }

    /// The stage behind is over, and is given nothing more.
    pub(super) fn shut_behind(&self) {
        self.lock().is_shut_behind = true;
        self.filled.notify_all();
    }

    fn free(&self, state: &State) -> u64 {
        match state.bytes {
            0..MOST_BYTES => self.shape.places().saturating_sub(state.places),
            _ => 0,
        }
    }

    fn wake_for_room(&self, mut state: MutexGuard<'_, State>) {
        if state.wanted.is_some_and(|wanted| self.free(&state) >= wanted) {
            state.wanted = None;
            drop(state);
            self.room.notify_one();
        }
    }

    /// Everything that the stage behind has not done with, in order; of a list that it has not been given to its end, the
    /// next element stands for the others. Nobody is to use the queue any more.
    pub(super) fn take_rest(&self) -> Vec<Held> {
        let mut state = self.lock();
        let mut rest: Vec<_> = std::mem::take(&mut state.held).into_values().collect();
        while let Some(Arrival { mut trail, what, .. }) = state.ready.pop_front() {
            match what {
                What::Item(_) => rest.push(Held { trail, ended: None }),
                What::Ended(completion) => rest.push(Held { trail, ended: Some(completion) }),
                What::Items(mut elements) => {
                    if let Some((position, _)) = elements.next() {
                        rest.push(Held { trail: trail.part(position), ended: None });
                    }
                }
            }
        }
        rest
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had changed all of it or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn arrive(&mut self, index: ItemIndex, arrival: Arrival, order: Order) {
        let more = match &arrival.what {
            What::Item(_) | What::Ended(_) => 1,
            What::Items(elements) => elements.left(),
        };
        self.places = (self.places - 1).saturating_add(more);
        self.bytes += arrival.bytes;
        match order {
            Order::Made => self.make_ready(arrival),
            Order::Input => {
                self.ahead.insert(index, arrival);
                while let Some((_, arrival)) = self.ahead.pop() {
                    self.make_ready(arrival);
                }
            }
        }
    }

    fn make_ready(&mut self, arrival: Arrival) {
        // What comes to nothing has no turn.
        if matches!(&arrival.what, What::Items(elements) if elements.left() == 0) {
            self.bytes -= arrival.bytes;
        } else {
            self.ready.push_back(arrival);
        }
    }

    /// What is ready, if anything.
    fn give(&mut self, max_items: u64, max_bytes: usize) -> Option<Given> {
        if let What::Ended(_) = &self.ready.front()?.what {
            return self.give_ended().map(Given::Ended);
        }
        let mut texts = Packed::default();
        let is_full = |texts: &Packed| texts.count() == max_items || texts.bytes().len() >= max_bytes.max(1);
        while !is_full(&texts) && self.give_item(&mut texts) {}
        Some(Given::Items(texts))
    }

    fn give_ended(&mut self) -> Option<Box<Completion>> {
        let Arrival { trail, what, bytes } = self.ready.pop_front()?;
        let What::Ended(completion) = what else { return None };
        self.bytes -= bytes;
        // Its attempts have been counted where they were made.
        let told = Completion::new(completion.outcome.clone());
        self.hold(Held { trail, ended: Some(completion) });
        Some(Box::new(told))
    }

    /// Puts the next item behind the others; `false` if what comes next is none.
    fn give_item(&mut self, texts: &mut Packed) -> bool {
        let Some(Arrival { trail, what, bytes }) = self.ready.front_mut() else { return false };
        let (text, trail, is_last) = match what {
            What::Ended(_) => return false,
            What::Item(text) => (&**text, std::mem::take(trail), true),
            What::Items(elements) => {
                let is_last = elements.left() == 1;
                let Some((position, text)) = elements.next() else { return false };
                (text, trail.part(position), is_last)
            }
        };
        texts.push(text.as_bytes()).expect("one result and what goes before it are below 4 GiB");
        if is_last {
            self.bytes -= *bytes;
            self.ready.pop_front();
        }
        self.hold(Held { trail, ended: None });
        true
    }

    fn hold(&mut self, held: Held) {
        self.held.insert(self.next, held);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests;
