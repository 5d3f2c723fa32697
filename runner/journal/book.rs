//! Writes records, for the dispatcher and for the drivers.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frame::{self, Salt};
use super::hash::InputHash;
use super::place::Place;
use super::record::MOST_STARTED;
use super::sync::Syncer;
use super::{cannot_write, record};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;

/// The end of a journal, where it is written.
#[derive(Debug)]
pub(super) struct Book {
    file: Arc<File>,
    salt: Salt,
    name: String,
    page: Mutex<Page>,
    syncer: Syncer,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Page {
    /// Where the next record goes.
    end: u64,
    /// A record was written in part: none can follow it.
    is_torn: bool,
    /// What the items have as input that run now; as many as the window holds.
    inputs: HashMap<ItemIndex, InputHash>,
    /// Records that are not written yet: none between two calls.
    records: Vec<u8>,
}

/// Notes which items are about to be started, so that no later run starts them again.
#[derive(Clone, Debug)]
pub struct StartLog(Arc<Book>);

impl StartLog {
    pub(super) fn new(book: Arc<Book>) -> Self {
        Self(book)
    }

    /// The `count` items from `first` on are started next. When this returns, that is on the disk.
    ///
    /// # Errors
    /// If it is not: they must not be started then.
    pub fn started(&self, first: ItemIndex, count: u64) -> Result<(), Error> {
        let book = &self.0;
        let mut page = book.lock();
        let (mut first, mut left) = (first, count);
        while left > 0 {
            let count = left.min(MOST_STARTED);
            book.append(&mut page, &record::start(first, count));
            (first, left) = (first + count, left - count);
        }
        book.write(page)?;
        book.sync()
    }
}

impl Book {
    pub(super) fn start(
        file: Arc<File>,
        salt: Salt,
        end: u64,
        name: String,
        place: Arc<Place>,
    ) -> io::Result<Self> {
        let page = Page { end, is_torn: false, inputs: HashMap::new(), records: Vec::new() };
        let syncer = Syncer::start(Arc::clone(&file), Arc::clone(&place))?;
        Ok(Self { file, salt, name, page: Mutex::new(page), syncer, place })
    }

    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// What was found out when it was last brought to the disk, once.
    pub(super) fn take_warning(&self) -> Option<String> {
        self.syncer.take_warning()
    }

    /// These items will end, with these inputs.
    pub(super) fn expect(&self, first: ItemIndex, inputs: impl Iterator<Item = InputHash>) {
        self.lock().inputs.extend((first..).zip(inputs));
    }

    /// Writes down how items ended, those that were expected to.
    pub(super) fn record<'a>(
        &self,
        items: impl Iterator<Item = &'a (ItemIndex, Completion)>,
    ) -> Result<(), Error> {
        let mut page = self.lock();
        for (item, completion) in items {
            if let Some(input) = page.inputs.remove(item)
                && let Some(body) = record::end(*item, input, completion)
            {
                self.append(&mut page, &body);
            }
        }
        self.write(page)
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.syncer.sync().map_err(|source| cannot_write(&self.name, source))
    }

    fn append(&self, page: &mut Page, body: &[u8]) {
        let at = page.end + page.records.len() as u64;
        frame::append(self.salt, at, body, &mut page.records);
    }

    fn write(&self, mut page: MutexGuard<'_, Page>) -> Result<(), Error> {
        if page.records.is_empty() {
            return Ok(());
        }
        let records = std::mem::take(&mut page.records);
        let written = if page.is_torn {
            Err(io::Error::other("an earlier record could not be written"))
        } else {
            self.file.write_all_at(&records, page.end)
        };
        page.is_torn = written.is_err();
        page.end += records.len() as u64;
        drop(page);
        written.and_then(|()| self.syncer.wrote()).map_err(|source| cannot_write(&self.name, source))
    }

    fn lock(&self) -> MutexGuard<'_, Page> {
        // Whoever panicked had appended nothing, or whole records.
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
