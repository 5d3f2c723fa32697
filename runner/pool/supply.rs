//! Where the description of a guest and its code come from: the cache, or else a compile worker, whose work is then
//! stored there.

use std::fs::File;
use std::io;
use std::path::Path;

use super::compile::{CodeFile, Compiling, Wanted};
use super::roster::Pauser;
use super::spawn::Launcher;
use super::{Options, cannot_start};
use crate::cache::{Cache, Entry, Keeping, Lookup, Shelf};
use crate::error::Error;
use crate::guest::Description;
use crate::limits::CodeOptions;
use crate::wire::msg::CANNOT_BE_LOADED;

/// The description and the code of one guest.
#[derive(Debug)]
pub(super) struct Supply<'a> {
    source: Source<'a>,
    code: CodeFile,
    /// Where the code is kept, or is to be.
    shelf: Option<Shelf>,
    keeping: Option<Keeping>,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Source<'a> {
    /// It was compiled before.
    Cache(Description),
    /// It is being compiled.
    Compiler(Box<Compiling<'a>>),
    /// It has been compiled.
    Compiled,
}

/// What a cache has of a guest.
#[derive(Debug, Default)]
struct Kept {
    found: Option<(Description, CodeFile)>,
    shelf: Option<Shelf>,
    notes: Vec<String>,
}

impl<'a> Supply<'a> {
    /// Looks into the cache, and starts a compile worker if there is nothing.
    pub(super) fn start(
        launcher: Launcher,
        options: &Options,
        name: &'a Path,
        wasm: &File,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let Kept { found, shelf, notes } = look_up(options.cache.as_ref(), wasm, wanted.code, &launcher);
        let (source, code) = match found {
            Some((description, code)) => (Source::Cache(description), code),
            None => {
                let compiling = Compiling::start(launcher, &options.pauser, name, wasm, wanted)?;
                (Source::Compiler(Box::new(compiling)), CodeFile::create().map_err(cannot_start)?)
            }
        };
        Ok(Self { source, code, shelf, keeping: None, notes })
    }

    /// The file of the code, which workers are given before it is whole.
    pub(super) fn code(&self) -> io::Result<File> {
        self.code.try_clone()
    }

    /// Waits for what the guest offers.
    pub(super) fn description(&mut self) -> Result<Description, Error> {
        match &mut self.source {
            Source::Cache(description) => Ok(description.clone()),
            Source::Compiler(compiling) => compiling.description(),
            Source::Compiled => unreachable!("a description comes before the code"),
        }
    }

    /// What is to be said about the cache.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Waits until the code is whole.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.source, Source::Compiled) {
            Source::Compiler(compiling) => compiling.code(&mut self.code),
            whole @ (Source::Cache(_) | Source::Compiled) => {
                self.source = whole;
                Ok(())
            }
        }
    }

    /// Begins to store what was compiled, when workers have been told to load it: they need not wait for a disk.
    pub(super) fn keep(&mut self, description: &Description) {
        if let (Source::Compiled, Some(shelf)) = (&self.source, &self.shelf)
            && let Ok(code) = self.code.try_clone()
        {
            self.keeping = Some(shelf.keep(description, code));
        }
    }

    /// Waits until it is stored; returns what is to be said if it is not.
    pub(super) fn kept(&mut self) -> Option<String> {
        self.keeping.take().and_then(Keeping::finish)
    }

    /// What an error of the run means: code that no worker can load is not kept.
    pub(super) fn judge(&self, error: Error) -> Error {
        match (error, &self.shelf) {
            (Error::Guest { name, message, hint }, Some(shelf)) if message.starts_with(CANNOT_BE_LOADED) => {
                shelf.forget();
                let again = || "its code was in the cache, and is not any more: run it again".to_owned();
                let is_old = matches!(self.source, Source::Cache(_));
                Error::Guest { name, message, hint: if is_old { Some(again()) } else { hint } }
            }
            (error, _) => error,
        }
    }
}

/// What a guest offers: as the cache has it, or else a compile worker says.
pub(super) fn describe(
    launcher: Launcher,
    pauser: &Pauser,
    name: &Path,
    wasm: &File,
    wanted: Wanted,
    cache: Option<&Cache>,
) -> Result<Description, Error> {
    match look_up(cache, wasm, wanted.code, &launcher).found {
        Some((description, _)) => Ok(description),
        None => Compiling::start(launcher, pauser, name, wasm, wanted)?.description(),
    }
}

fn look_up(cache: Option<&Cache>, wasm: &File, options: CodeOptions, launcher: &Launcher) -> Kept {
    let Some(shelf) = cache.and_then(|cache| Shelf::of(cache, wasm, options, launcher.executable())) else {
        return Kept::default();
    };
    let (found, notes) = match shelf.look_up() {
        Lookup::Found(Entry { description, code }) => {
            (Some((description, CodeFile::of_sealed(code))), Vec::new())
        }
        Lookup::Nothing => (None, Vec::new()),
        Lookup::Damaged(note) => (None, vec![note]),
        Lookup::Unusable(note) => return Kept { notes: vec![note], ..Kept::default() },
    };
    Kept { found, shelf: Some(shelf), notes }
}
