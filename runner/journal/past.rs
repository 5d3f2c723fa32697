//! What a journal knows of items, asked for in the order of the input.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::blocks::{BLOCK, Blocks};
use super::cannot_read;
use super::frame::Salt;
use super::hash::InputHash;
use super::record::{self, Brief, Failures};
use super::recovery::{Frames, Recovered, read_body};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::{Completion, Outcome};
use crate::report::counted;

/// What a journal knows.
#[derive(Debug)]
pub struct Past {
    file: Arc<File>,
    salt: Salt,
    /// The journal's name in errors.
    name: String,
    blocks: Blocks,
    /// The last item there is a record of.
    last: Option<ItemIndex>,
    /// Failures that are recorded before this do not count.
    retried_at: u64,
    /// How many items have ended, as far as that counts.
    ended: u64,
    loaded: Option<Loaded>,
}

/// What became of an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing so far.
    New,
    /// It was started, and must not be again.
    Started,
    /// It has ended.
    Ended {
        /// What its input was.
        input: InputHash,
        /// How.
        completion: Completion,
    },
}

/// The records of a block of neighbours.
#[derive(Debug)]
struct Loaded {
    block: u64,
    records: BTreeMap<ItemIndex, Noted>,
}

#[derive(Clone, Copy, Debug)]
enum Noted {
    Started,
    Ended { at: u64, end: u64, input: InputHash },
}

impl Past {
    pub(super) fn new(
        file: Arc<File>,
        salt: Salt,
        name: String,
        recovered: Recovered,
        failures: Failures,
    ) -> Self {
        let Recovered { blocks, last, ok, failed, retried_at, end, .. } = recovered;
        let (failed, retried_at) = match failures {
            Failures::Kept => (failed, retried_at),
            Failures::Retried => (0, end),
        };
        Self { file, salt, name, blocks, last, retried_at, ended: ok + failed, loaded: None }
    }

    /// What to say about it.
    pub(super) fn note(&self) -> Option<String> {
        (self.ended > 0).then(|| format!("resumed: {} from the journal", counted(self.ended, "item")))
    }

    /// How many of the `count` items from `first` on, one behind the other, have to be run.
    pub(crate) fn new_items(&mut self, first: ItemIndex, count: u64) -> Result<u64, Error> {
        let Some(last) = self.last.filter(|last| *last >= first) else { return Ok(count) };
        let end = first.saturating_add(count);
        for item in first..end {
            if item > last {
                break;
            }
            if self.noted(item)?.is_some() {
                return Ok(item - first);
            }
        }
        Ok(count)
    }

    /// What became of an item. Those before its block are forgotten.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn fate(&mut self, item: ItemIndex) -> Result<Fate, Error> {
        match self.noted(item)? {
            None => Ok(Fate::New),
            Some(Noted::Started) => Ok(Fate::Started),
            Some(Noted::Ended { at, end, input }) => {
                let body = read_body(&*self.file, self.salt, at..end)
                    .map_err(|source| cannot_read(&self.name, source))?;
                match body.and_then(|body| record::parse_end(&body)) {
                    Some(completion) => Ok(Fate::Ended { input, completion }),
                    None => Err(cannot_read(
                        &self.name,
                        io::Error::other(format!("the record at byte {at} is bad")),
                    )),
                }
            }
        }
    }

    /// What was recorded of an item has to hold for what it is now.
    ///
    /// # Errors
    /// If its input is another.
    pub(crate) fn recorded(&mut self, item: ItemIndex, now: InputHash) -> Result<Completion, Error> {
        match self.fate(item)? {
            Fate::Ended { input, completion } if input == now => Ok(completion),
            Fate::Ended { .. } => Err(changed(format!("item {item} is another"))),
            Fate::New | Fate::Started => Ok(Completion::new(Outcome::Cancelled)),
        }
    }

    /// The input has ended after so many items.
    ///
    /// # Errors
    /// If there are records of more.
    pub(crate) fn input_ended(&self, total: u64) -> Result<(), Error> {
        match self.last {
            Some(last) if last >= total => Err(changed(format!(
                "it has {}, and there is a record of item {last}",
                counted(total, "item")
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there may be records of this item or of later ones.
    pub(crate) fn reaches(&self, item: ItemIndex) -> bool {
        self.last.is_some_and(|last| last >= item)
    }

    fn noted(&mut self, item: ItemIndex) -> Result<Option<Noted>, Error> {
        if !self.reaches(item) {
            return Ok(None);
        }
        let block = item / BLOCK;
        if self.loaded.as_ref().is_none_or(|loaded| loaded.block != block) {
            let records = self.load(block).map_err(|source| cannot_read(&self.name, source))?;
            self.loaded = Some(Loaded { block, records });
        }
        Ok(self.loaded.as_ref().and_then(|loaded| loaded.records.get(&item).copied()))
    }

    fn load(&mut self, block: u64) -> io::Result<BTreeMap<ItemIndex, Noted>> {
        let items = block * BLOCK..(block + 1) * BLOCK;
        let mut records = BTreeMap::new();
        for part in self.blocks.take(items.start) {
            let mut frames = Frames::new(&*self.file, part, self.salt);
            while let Some(frame) = frames.next()? {
                match frame.brief {
                    Some(Brief::End { item, ok, input }) if items.contains(&item) => {
                        if ok || frame.at >= self.retried_at {
                            records.insert(item, Noted::Ended { at: frame.at, end: frame.end, input });
                        } else {
                            records.remove(&item);
                        }
                    }
                    Some(Brief::Start { first, count }) => {
                        for item in first.max(items.start)..(first + count).min(items.end) {
                            records.entry(item).or_insert(Noted::Started);
                        }
                    }
                    Some(Brief::End { .. } | Brief::Key | Brief::Resumed { .. }) | None => {}
                }
            }
        }
        Ok(records)
    }
}

pub(super) fn changed(how: String) -> Error {
    Error::usage(
        format!("the input has changed since the journal was written: {how}"),
        "bring it back as it was, or start anew with another journal",
    )
}
