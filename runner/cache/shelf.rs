//! The place of one guest's code in a cache: looked up before it is compiled, filled afterwards.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use super::directory::{Directory, Found, Problem};
use super::entry::{self, Entry};
use super::key::{Key, Program, Recipe};
use super::secret::Secret;
use super::{Cache, note};
use crate::guest::Description;
use crate::limits::CodeOptions;
use crate::{sealed, wire};

/// How often it is noted that an entry is in use.
const NOTED: Duration = Duration::from_secs(3600);

/// Where the code of one guest is kept.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    cache: Cache,
    key: Key,
}

/// What was found there.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The guest has been compiled before.
    Found(Entry),
    /// It has not.
    Nothing,
    /// What is there is not what was stored; this is to be said.
    Damaged(String),
    /// There can be nothing; this is to be said.
    Unusable(String),
}

/// Code that is being stored, by a thread of its own.
#[derive(Debug)]
pub(crate) struct Keeping(Option<JoinHandle<Option<String>>>);

impl Shelf {
    /// That of the guest in `wasm`, compiled by `program` with these options; none if one of them cannot be read, which
    /// whoever needs them will say.
    pub(crate) fn of(cache: &Cache, wasm: &File, options: CodeOptions, program: &Path) -> Option<Self> {
        let guest = sealed::digest(wasm).ok()?;
        let program = Program::from(&program.metadata().ok()?);
        let key = Recipe::new(*guest.as_bytes(), options, program).key();
        Some(Self { cache: cache.clone(), key })
    }

    /// Looks whether the guest has been compiled before.
    pub(crate) fn look_up(&self) -> Lookup {
        match self.find() {
            Ok(Some(found)) => found,
            Ok(None) => Lookup::Nothing,
            Err(problem) => Lookup::Unusable(note(&self.cache.place, &problem)),
        }
    }

    fn find(&self) -> Result<Option<Lookup>, Problem> {
        let Some(directory) = Directory::find(&self.cache.place, self.cache.wish)? else { return Ok(None) };
        let Some(secret) = Secret::of(&directory)? else { return Ok(None) };
        let damaged = |fault: &str| {
            Lookup::Damaged(format!("cache: the code kept of this guest {fault}; it is compiled anew"))
        };
        let file = match directory.open(&self.key.to_string())? {
            Found::Nothing => return Ok(None),
            Found::File(file) => file,
            Found::Other => return Ok(Some(damaged("is no file"))),
        };
        Ok(Some(match entry::read(&file, &self.key, &secret) {
            Ok(entry) => {
                note_use(&file);
                Lookup::Found(entry)
            }
            Err(fault) => damaged(&fault.to_string()),
        }))
    }

    /// Begins to store what the guest offers, and its code, which is sealed.
    pub(crate) fn keep(&self, description: &Description, code: File) -> Keeping {
        let shelf = self.clone();
        let description = wire::encode_description(description);
        let store = move || match shelf.store(&description, &code) {
            Ok(()) => None,
            Err(problem) => Some(note(&shelf.cache.place, &problem)),
        };
        // A guest that is not kept is compiled again.
        Keeping(std::thread::Builder::new().name("cache".into()).spawn(store).ok())
    }

    fn store(&self, description: &[u8], code: &File) -> Result<(), Problem> {
        let Cache { place, wish, limit } = &self.cache;
        if entry::length(description, code)?.is_none_or(|length| length > *limit) {
            return Ok(());
        }
        let Some(directory) = Directory::make(place, *wish)? else { return Ok(()) };
        let secret = Secret::make(&directory)?;
        let name = self.key.to_string();
        // Others may have compiled it at the same time.
        let found = directory.open(&name)?;
        if let Found::File(file) = &found
            && entry::read(file, &self.key, &secret).is_ok()
        {
            return Ok(());
        }
        let mut draft = directory.draft()?;
        entry::write(draft.file(), &self.key, &secret, description, code)?;
        // Before it has its name: else a power cut could leave the name with nothing behind it.
        draft.file().sync_data()?;
        if let Found::Other = found {
            directory.make_way(&name)?;
        }
        draft.rename(&name)?;
        Ok(self.cache.sweep(&directory)?)
    }

    /// Takes the code out of the cache.
    pub(crate) fn forget(&self) {
        if let Ok(Some(directory)) = Directory::find(&self.cache.place, self.cache.wish) {
            // What cannot be removed is refused again.
            let _ = directory.remove(&self.key.to_string());
        }
    }
}

impl Keeping {
    /// Waits until the code is stored; returns what is to be said if it is not.
    pub(crate) fn finish(mut self) -> Option<String> {
        self.0.take().and_then(|thread| thread.join().expect("storing does not panic"))
    }
}

/// Of files that have to go, those go first that nobody has used.
fn note_use(file: &File) {
    let is_noted = |metadata: Metadata| {
        let used = metadata.modified()?;
        Ok::<_, io::Error>(used.elapsed().is_ok_and(|age| age < NOTED))
    };
    if !file.metadata().and_then(is_noted).unwrap_or(true) {
        let now = || Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // A cache that can only be read is not swept.
        let _ = futimens(file.as_fd(), &Timestamps { last_access: now(), last_modification: now() });
    }
}
