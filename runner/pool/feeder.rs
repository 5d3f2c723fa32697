//! The feeder: one thread that reads the source as far ahead as the window allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use super::Shared;
use super::dispatcher::Event;
use crate::chunk::Chunk;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::{Completion, Outcome};
use crate::scheduler::Window;
use crate::source::{Next, Refused, Source};

/// Bytes of input put into one chunk. Longer single items are one chunk each.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads the source and puts chunks into the injector.
pub(super) struct Feeder {
    pub(super) source: Box<dyn Source>,
    pub(super) window: Arc<Window>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: Sender<Event>,
}

impl Feeder {
    /// Feeds until the source ends or the window is closed.
    pub(super) fn run(mut self) {
        let mut next = 0;
        let event = loop {
            match self.feed(next) {
                Ok(Fed::Items(items)) => next += items,
                Ok(Fed::End) => break Event::InputEnded { total: next },
                Ok(Fed::Closed) => return,
                Err(error) => break Event::InputFailed { total: next, error },
            }
        };
        self.tell(event);
    }

    /// Feeds one chunk, whose first item is `first`.
    fn feed(&mut self, first: u64) -> Result<Fed, Error> {
        let wanted = self.shared.chunk_size.suggest();
        let Ok(room) = self.window.wait_admissible(wanted) else { return Ok(Fed::Closed) };
        let most = room.min(wanted).max(1);
        let inputs = match self.source.next(most, CHUNK_BYTES)? {
            None => return Ok(Fed::End),
            Some(Next::Inputs(inputs)) => inputs,
            Some(Next::Refused(refused)) => return Ok(self.refuse(first, refused)),
            Some(Next::Remark(line)) => {
                self.tell(Event::InputRemark { line });
                return Ok(Fed::Items(0));
            }
            Some(Next::Nothing) => return Ok(Fed::Items(0)),
        };
        let chunk = Chunk::new(first, inputs);
        let items = chunk.len();
        if !self.admit(first, items, chunk.bytes()) {
            return Ok(Fed::Closed);
        }
        self.shared.scheduler.push(chunk);
        Ok(Fed::Items(items))
    }

    /// Ends an item that no worker will see.
    fn refuse(&self, item: ItemIndex, Refused { file, error }: Refused) -> Fed {
        let bytes = file.as_ref().map_or(0, |name| name.len()) + error.len();
        if !self.admit(item, 1, bytes) {
            return Fed::Closed;
        }
        let error = format!("item {item}, {error}");
        let completion = Completion { file, ..Completion::new(Outcome::Input { error }) };
        self.tell(Event::Ended { items: vec![(item, completion)], bytes: 0 });
        Fed::Items(1)
    }

    /// Takes a place in the window for each of these items; `false` if it is closed. They count from now on: their ends
    /// may be told of at once.
    fn admit(&self, first: ItemIndex, items: u64, bytes: usize) -> bool {
        let is_open = self.window.acquire(items, bytes as u64).is_ok();
        if is_open {
            self.shared.admitted.store(first + items, Ordering::Release);
        }
        is_open
    }

    /// A dispatcher that is gone does not wait for it.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

enum Fed {
    Items(u64),
    End,
    Closed,
}
