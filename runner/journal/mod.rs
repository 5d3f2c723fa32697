//! The journal of a run: how each item ended, on disk before it is printed, so that a run that was cut short goes on
//! where it was. And the joblog, for people and for programs that know GNU parallel's.
//!
//! A journal is a file header and records, one behind the other (`frame.rs`, `record.rs`). Its first record is the key
//! of the job (`key.rs`): who goes on with a journal must be about to do the same job.
//!
//! To go on means to read the input again from its start. What the journal has of an item is verified against the item
//! as it is now and takes its place in the window and in the output like any other end; everything else is run. So no
//! order in which items ended is assumed, and memory is bounded as in any other run: `blocks.rs` remembers for some
//! thousand neighbours at a time in which parts of the file they are.
//!
//! Only final outcomes of items of the input are recorded. Merges are computed again, and what was cancelled has not
//! ended.

mod blocks;
mod book;
mod frame;
mod hash;
mod joblog;
mod key;
mod lock;
mod past;
mod place;
mod record;
mod recovery;
mod sync;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use self::book::Book;
use self::frame::Salt;
use self::record::Failures;
use self::recovery::{Found, Recovered};
use crate::error::Error;
use crate::guest_file::GuestFile;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::Completion;

pub use self::book::StartLog;
pub use self::hash::InputHash;
pub(crate) use self::hash::{of_input as hash_of_input, of_refused as hash_of_refused};
pub use self::joblog::{Joblog, JoblogMode};
pub use self::key::{Invocation, Key};
pub use self::past::{Fate, Past};
pub use self::place::Place;

/// What is to be done with a journal that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There must be none.
    New,
    /// Items that are recorded are not run again. Where there is no journal yet, one is begun.
    Resume,
    /// The same, but for items that failed: they are run again.
    RetryFailed,
}

impl Mode {
    fn failures(self) -> Failures {
        match self {
            Self::New | Self::Resume => Failures::Kept,
            Self::RetryFailed => Failures::Retried,
        }
    }
}

/// The journal of a run that is about to begin.
#[derive(Debug)]
pub struct Journal {
    book: Arc<Book>,
    past: Past,
    notes: Vec<String>,
}

/// The one item of a job that is to be run, and what must not have changed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// The item.
    pub item: ItemIndex,
    /// What its input was; none if there is no record of it.
    pub input: Option<InputHash>,
    /// The digest of the guest's file.
    pub guest: Option<String>,
}

impl Only {
    /// The guest has to be the one it was.
    ///
    /// # Errors
    /// If it is another, or cannot be read.
    pub(crate) fn check_guest(&self, guest: &GuestFile) -> Result<(), Error> {
        match &self.guest {
            Some(was) if *was != guest.digest()? => Err(Error::guest(
                guest.name(),
                "is not the file that it was when the journal was written",
                Some(
                    "bring it back as it was, or run the item with the new one by `wasmpool run`".to_owned(),
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The item's input has to be what it was.
    ///
    /// # Errors
    /// If it is another.
    pub(crate) fn check_input(&self, now: InputHash) -> Result<(), Error> {
        match self.input {
            Some(was) if was != now => Err(past::changed(format!("item {} is another", self.item))),
            Some(_) | None => Ok(()),
        }
    }
}

/// What is recorded of a run, and what of earlier records it goes on with.
#[derive(Debug, Default)]
pub struct Records {
    /// Where each item's end is recorded, and what an earlier run has recorded there.
    pub journal: Option<Journal>,
    /// Where a line is written for each item that ends.
    pub joblog: Option<Joblog>,
    /// The only item to run, instead of all.
    pub only: Option<Only>,
    /// What the user is to be told first: lower-case lines.
    pub notes: Vec<String>,
}

/// What a run leaves behind as its items end, beside its output.
#[derive(Debug, Default)]
pub struct Ledger {
    journal: Option<Arc<Book>>,
    joblog: Option<Joblog>,
}

impl Journal {
    /// Opens the journal at `path` for the job that `key` stands for, and holds it until the end of the run.
    ///
    /// A last record that is not whole is cut off.
    ///
    /// # Errors
    /// If the file cannot be opened, read or written; is held by another run; is there although it should not; is no
    /// journal, a damaged one, or that of another job.
    pub fn open(path: &Path, mode: Mode, key: &Key, command: &Invocation) -> Result<Self, Error> {
        let name = format!("the journal `{}`", path.display());
        let (file, is_new) = open_file(path).map_err(|source| cannot_write(&name, source))?;
        lock::hold(&file, &name)?;
        let len = check(&file, &name, "give a file on a disk: it is read again to go on")?;
        if mode == Mode::New && len > 0 {
            return Err(Error::usage(
                format!("{name} is there already"),
                "`--resume` goes on with it; to start anew, delete it or name another",
            ));
        }
        let file = Arc::new(file);
        let (salt, recovered, mut notes) = match recovery::read(&*file, len, path)? {
            Found::Other(reason) => {
                return Err(recovery::no_journal(&name, reason, "name a file that is not there yet"));
            }
            Found::Nothing => (Salt::random(), Recovered::default(), Vec::new()),
            Found::Journal(salt, recovered) => {
                let notes = recovered.check(path, key)?;
                (salt, recovered, notes)
            }
        };
        let begin = || {
            file.set_len(recovered.end)?;
            let end = match recovered.end {
                0 => write_beginning(&file, salt, key, command)?,
                end => write_mark(&file, salt, end, mode)?,
            };
            file.sync_data()?;
            if is_new { sync_folder(path) } else { Ok(()) }?;
            Ok(end)
        };
        let end = begin().map_err(|source| cannot_write(&name, source))?;
        let past = Past::new(Arc::clone(&file), salt, name.clone(), recovered, mode.failures());
        notes.extend(past.note());
        let path = std::path::absolute(path).map_err(|source| cannot_write(&name, source))?;
        let place = Arc::new(Place::new(Arc::clone(&file), path, name.clone()));
        let book = Book::start(file, salt, end, name, place).map_err(|source| Error::Pool {
            message: format!("a thread cannot be started: {source}"),
            hint: None,
        })?;
        Ok(Self { book: Arc::new(book), past, notes })
    }

    /// What the user should know, before anything runs.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Where it is, to be looked at when the run is over.
    #[must_use]
    pub fn place(&self) -> Arc<Place> {
        self.book.place()
    }

    /// Notes which items are started, before they are.
    #[must_use]
    pub fn start_log(&self) -> StartLog {
        StartLog::new(Arc::clone(&self.book))
    }

    /// How many of the `count` items from `first` on, one behind the other, have to be run.
    pub(crate) fn new_items(&mut self, first: ItemIndex, count: u64) -> Result<u64, Error> {
        self.past.new_items(first, count)
    }

    /// How an item ended whose input is this now; an item that was only started counts as cancelled.
    pub(crate) fn recorded(&mut self, item: ItemIndex, input: InputHash) -> Result<Completion, Error> {
        self.past.recorded(item, input)
    }

    /// Whether there may be records of this item or of later ones.
    pub(crate) fn reaches(&self, item: ItemIndex) -> bool {
        self.past.reaches(item)
    }

    /// The input has ended after so many items: there must be no records of more.
    pub(crate) fn input_ended(&self, total: u64) -> Result<(), Error> {
        self.past.input_ended(total)
    }

    /// These items are about to be run: the first, and the hashes of their inputs.
    pub(crate) fn expect(&self, first: ItemIndex, inputs: impl Iterator<Item = InputHash>) {
        self.book.expect(first, inputs);
    }
}

impl Ledger {
    /// The journal of a run and its joblog, as far as they are wanted.
    #[must_use]
    pub fn new(journal: Option<&Journal>, joblog: Option<Joblog>) -> Self {
        Self { journal: journal.map(|journal| Arc::clone(&journal.book)), joblog }
    }

    /// Items and merges have ended, in this run: writes down those of the input, before anybody is told of them.
    ///
    /// # Errors
    /// If a file cannot be written; the run is over then.
    pub fn ended(&mut self, items: &[(ItemIndex, Completion)]) -> Result<(), Error> {
        let of_input = || items.iter().filter(|(item, _)| item & MERGE_BIT == 0);
        if let Some(journal) = &self.journal {
            journal.record(of_input())?;
        }
        if let Some(joblog) = &mut self.joblog {
            joblog.ended(of_input())?;
        }
        Ok(())
    }

    /// What the user has to know about the files, once.
    pub fn take_warning(&self) -> Option<String> {
        self.journal.as_ref()?.take_warning()
    }

    /// The run is over: brings everything to the disk.
    ///
    /// # Errors
    /// If that does not succeed.
    pub fn close(&self) -> Result<(), Error> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.sync())
    }
}

/// What a journal to be read is.
const WRITTEN: &str = "give the file that `--journal` of a run has written";

/// Reads the journal at `path` without changing it: the key of its job, the command it was written by, and what became of items. A run may
/// be writing it at the same time.
///
/// # Errors
/// If it cannot be read, is no journal, or a damaged one.
pub fn read(path: &Path) -> Result<(Key, Invocation, Past), Error> {
    let name = format!("the journal `{}`", path.display());
    // Without a wait for whoever writes into a pipe, which is none anyway.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|source| cannot_read(&name, source))?;
    let len = check(&file, &name, WRITTEN)?;
    check_owner(&file, &name)?;
    let file = Arc::new(file);
    match recovery::read(&*file, len, path)? {
        Found::Other(reason) => Err(recovery::no_journal(&name, reason, WRITTEN)),
        Found::Nothing => Err(Error::usage(format!("{name} is empty"), "nothing has been recorded in it")),
        Found::Journal(salt, mut recovered) => {
            let Some((key, command)) = recovered.key.take() else {
                return Err(Error::usage(format!("{name} is empty"), "nothing has been recorded in it"));
            };
            Ok((key, command, Past::new(file, salt, name, recovered, Failures::Kept)))
        }
    }
}

fn open_file(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Results are in it, and the command with all its words: they are nobody else's business.
            Ok((options.create(true).truncate(false).mode(0o600).open(path)?, true))
        }
        opened => Ok((opened?, false)),
    }
}

/// A journal has a command in it, which may give a guest folders and take the sandbox away: it is run for nobody but who
/// wrote it.
fn check_owner(file: &File, name: &str) -> Result<(), Error> {
    let owner = file.metadata().map_err(|source| cannot_read(name, source))?.uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let message = format!("{name} belongs to another user, and its command would be run as yours");
    Err(Error::usage(message, "copy the journal, if you trust who wrote it"))
}

/// The length of the file, which must be a regular one.
fn check(file: &File, name: &str, hint: &str) -> Result<u64, Error> {
    let metadata = file.metadata().map_err(|source| cannot_read(name, source))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(Error::usage(format!("{name} is no regular file"), hint))
}

fn write_beginning(file: &File, salt: Salt, key: &Key, command: &Invocation) -> io::Result<u64> {
    let mut bytes = frame::header(salt).to_vec();
    frame::append(salt, frame::HEADER, &record::key(key, command), &mut bytes);
    file.write_all_at(&bytes, 0)?;
    Ok(bytes.len() as u64)
}

fn write_mark(file: &File, salt: Salt, end: u64, mode: Mode) -> io::Result<u64> {
    let mut bytes = Vec::new();
    frame::append(salt, end, &record::resumed(mode.failures()), &mut bytes);
    file.write_all_at(&bytes, end)?;
    Ok(end + bytes.len() as u64)
}

/// A new file is safe when its name is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    // A folder that may not be read cannot be synced either; the file is there all the same.
    File::open(folder).map_or(Ok(()), |folder| folder.sync_all())
}

fn cannot_write(name: &str, source: io::Error) -> Error {
    Error::Output { name: name.to_owned(), source }
}

fn cannot_read(name: &str, source: io::Error) -> Error {
    Error::Input { name: name.to_owned(), hint: None, source }
}
