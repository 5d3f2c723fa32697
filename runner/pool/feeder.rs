//! The feeder: one thread that reads the source as far ahead as the window allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use super::Shared;
use super::dispatcher::Event;
use crate::chunk::Chunk;
use crate::error::Error;
use crate::scheduler::Window;
use crate::source::Source;

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
                Ok(Fed::Items(items)) => {
                    next += items;
                    self.shared.admitted.store(next, Ordering::Relaxed);
                }
                Ok(Fed::End) => break Event::InputEnded { total: next },
                Ok(Fed::Closed) => return,
                Err(error) => break Event::InputFailed { total: next, error },
            }
        };
        // A dispatcher that is gone does not wait for it.
        let _ = self.events.send(event);
    }

    /// Feeds one chunk, whose first item is `first`.
    fn feed(&mut self, first: u64) -> Result<Fed, Error> {
        let wanted = self.shared.chunk_size.suggest();
        let Ok(room) = self.window.wait_admissible(wanted) else { return Ok(Fed::Closed) };
        let most = room.min(wanted).max(1);
        let Some(inputs) = self.source.next(most, CHUNK_BYTES)? else { return Ok(Fed::End) };
        let chunk = Chunk::new(first, inputs);
        let items = chunk.len();
        if self.window.acquire(items, chunk.bytes() as u64).is_err() {
            return Ok(Fed::Closed);
        }
        self.shared.scheduler.push(chunk);
        Ok(Fed::Items(items))
    }
}

enum Fed {
    Items(u64),
    End,
    Closed,
}
