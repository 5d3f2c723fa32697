//! The feeder: one thread that reads the source as far ahead as the window allows.
//!
//! Where a run goes on with a journal, what is recorded of an item takes its place here, and no worker sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use super::Shared;
use super::dispatcher::Event;
use crate::chunk::{Chunk, Inputs, Packed};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::journal::{InputHash, Journal, Only, hash_of_input, hash_of_refused};
use crate::limits::Terms;
use crate::outcome::{Completion, Outcome};
use crate::scheduler::Window;
use crate::source::{Next, Refused, Source};

/// Bytes of input put into one chunk. Longer single items are one chunk each.
const CHUNK_BYTES: usize = 256 << 10;

/// How many items are read at once where no worker is to get them.
const PASSED: u64 = 1024;

/// Reads the source and puts chunks into the injector.
pub(super) struct Feeder {
    source: Box<dyn Source>,
    window: Arc<Window>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    journal: Option<Journal>,
    /// The only item that is wanted.
    only: Option<Only>,
    /// The item that is read next.
    next: ItemIndex,
    /// How many items have been admitted.
    fed: u64,
}

/// The window is closed, or the input cannot be gone on with.
enum Stop {
    Closed,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Feeder {
    pub(super) fn new(
        source: Box<dyn Source>,
        window: Arc<Window>,
        shared: Arc<Shared>,
        events: Sender<Event>,
    ) -> Self {
        Self { source, window, shared, events, journal: None, only: None, next: 0, fed: 0 }
    }

    /// With a journal that knows what has been done already, and as the only item the one that is wanted.
    pub(super) fn with(self, journal: Option<Journal>, only: Option<Only>) -> Self {
        Self { journal, only, ..self }
    }

    /// Feeds until the source ends or the window is closed.
    pub(super) fn run(mut self) {
        let fed = match self.only.clone() {
            Some(only) => self.feed_only(&only),
            None => self.feed_all(),
        };
        match fed {
            Ok(()) => self.tell(Event::InputEnded { total: self.fed }),
            Err(Stop::Closed) => {}
            Err(Stop::Failed(error)) => self.tell(Event::InputFailed { total: self.fed, error }),
        }
    }

    fn feed_all(&mut self) -> Result<(), Stop> {
        loop {
            let wanted = match &self.journal {
                Some(journal) if journal.reaches(self.next) => PASSED,
                Some(_) | None => self.shared.chunk_size.suggest(),
            };
            let room = self.window.wait_admissible(wanted).map_err(|_| Stop::Closed)?;
            match self.source.next(room.min(wanted).max(1), CHUNK_BYTES)? {
                None => break,
                Some(Next::Inputs(inputs)) => self.feed(inputs, Terms::default())?,
                Some(Next::Calls(inputs, terms)) => self.feed(inputs, terms)?,
                Some(Next::Refused(refused)) => self.refuse(refused)?,
                Some(Next::Ended(completion)) => self.end(*completion)?,
                Some(Next::Remark(line)) => self.tell(Event::InputRemark { line }),
                Some(Next::Nothing) => {}
            }
        }
        Ok(self.journal.as_ref().map_or(Ok(()), |journal| journal.input_ended(self.next))?)
    }

    /// Feeds these items, but for those that have ended already.
    fn feed(&mut self, inputs: Inputs, terms: Terms) -> Result<(), Stop> {
        let mut rest = Some(Chunk::new(self.next, inputs).on(terms));
        while let Some(mut chunk) = rest {
            let new = match &mut self.journal {
                Some(journal) => journal.new_items(chunk.first(), chunk.len())?,
                None => chunk.len(),
            };
            if new > 0 {
                rest = chunk.split_off(new);
                self.push(chunk)?;
            } else {
                rest = chunk.split_off(1);
                let input = chunk.input(0).expect("a chunk has at least one item");
                self.replay(hash_of_input(input), chunk.file(0))?;
            }
        }
        Ok(())
    }

    /// Gives items to the workers, in chunks as they want them.
    fn push(&mut self, chunk: Chunk) -> Result<(), Stop> {
        let mut rest = Some(chunk);
        while let Some(mut chunk) = rest {
            rest = chunk.split_off(self.shared.chunk_size.suggest().max(1));
            let items = chunk.len();
            // Names are there twice.
            let names = chunk.files().cloned();
            let twice = names.as_ref().map_or(0, |names| names.bytes().len());
            self.admit(items, chunk.bytes() + twice, names)?;
            if let Some(journal) = &self.journal {
                let inputs = (0..items).filter_map(|position| chunk.input(position));
                journal.expect(chunk.first(), inputs.map(hash_of_input));
            }
            self.shared.scheduler.push(chunk);
        }
        Ok(())
    }

    /// Ends the next item as the journal says that it did.
    fn replay(&mut self, input: InputHash, file: Option<Box<[u8]>>) -> Result<(), Stop> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let item = self.next;
        let completion = journal.recorded(item, input)?;
        let completion = Completion { file: completion.file.or(file), ..completion };
        self.admit(1, usize::try_from(completion.held_bytes()).unwrap_or(usize::MAX), None)?;
        self.tell(Event::Replayed { items: vec![(item, completion)] });
        Ok(())
    }

    /// Ends an item that no worker will see.
    fn refuse(&mut self, refused: Refused) -> Result<(), Stop> {
        let item = self.next;
        if let Some(journal) = &mut self.journal {
            let input = hash_of_refused(&refused);
            if journal.new_items(item, 1)? == 0 {
                return self.replay(input, refused.file);
            }
            journal.expect(item, std::iter::once(input));
        }
        let Refused { file, error } = refused;
        self.admit(1, file.as_ref().map_or(0, |name| name.len()) + error.len(), None)?;
        let error = format!("item {item}, {error}");
        let completion = Completion { file, ..Completion::new(Outcome::Input { error }) };
        self.shared.tell_ends(&self.events, vec![(item, completion)]);
        Ok(())
    }

    /// Hands on the end of an item that no worker will see.
    fn end(&mut self, completion: Completion) -> Result<(), Stop> {
        let item = self.next;
        self.admit(1, usize::try_from(completion.held_bytes()).unwrap_or(usize::MAX), None)?;
        self.shared.tell_ends(&self.events, vec![(item, completion)]);
        Ok(())
    }

    /// Passes over all items but this one.
    fn feed_only(&mut self, only: &Only) -> Result<(), Stop> {
        let item = only.item;
        while self.next <= item {
            match self.source.next((item - self.next).clamp(1, PASSED), CHUNK_BYTES)? {
                None => return Err(Stop::Failed(no_such_item(item, self.next))),
                Some(Next::Inputs(inputs) | Next::Calls(inputs, _)) if self.next == item => {
                    only.check_input(inputs.input(0).map_or_else(InputHash::default, hash_of_input))?;
                    self.feed(inputs, Terms::default())?;
                }
                Some(Next::Refused(refused)) if self.next == item => {
                    only.check_input(hash_of_refused(&refused))?;
                    self.refuse(refused)?;
                }
                Some(Next::Inputs(inputs) | Next::Calls(inputs, _)) => self.next += inputs.count(),
                Some(Next::Refused(_) | Next::Ended(_)) => self.next += 1,
                Some(Next::Remark(line)) => self.tell(Event::InputRemark { line }),
                Some(Next::Nothing) => {}
            }
        }
        Ok(())
    }

    /// Takes a place in the window for the next items, which come from files of these names, if from any. They count from
    /// now on: their ends may be told of at once.
    fn admit(&mut self, items: u64, bytes: usize, names: Option<Packed>) -> Result<(), Stop> {
        self.window.acquire(items, bytes as u64).map_err(|_| Stop::Closed)?;
        if let Some(names) = names {
            self.shared.names.keep(self.next, names);
        }
        self.next += items;
        self.fed += items;
        self.shared.admitted.store(self.fed, Ordering::Release);
        Ok(())
    }

    /// A dispatcher that is gone does not wait for it.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

fn no_such_item(item: ItemIndex, items: u64) -> Error {
    Error::usage(
        format!("there is no item {item}"),
        match items {
            0 => "the input is empty".to_owned(),
            _ => format!("the input has the items 0 to {}", items - 1),
        },
    )
}
