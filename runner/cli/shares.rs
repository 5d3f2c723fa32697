//! Files that guests share: `--share`, the copies of them in memory, and what is written back.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use blake3::Hash;

use super::grants::split_access;
use crate::error::Error;
use crate::limits::MAX_MEMORY;
use crate::plan::SharedFile;
use crate::plan::folders::looks_like_access;
use crate::pool::Sharing;
use crate::sandbox::Access;
use crate::sealed;
use crate::shm::Shared;
use crate::shm::declared::Shape;
use crate::sink::OutputFile;

const HINT: &str = "write `--share NAME=FILE`, or that with `:rw` behind it";

/// `NAME=FILE`, with `:ro` or `:rw` behind it.
///
/// The first `=` ends the name, so that the file, which is called what it is called, can have any in it.
pub(super) fn parse(text: &OsStr) -> Result<SharedFile, Error> {
    let wrong = |what: &str| Error::usage(format!("`--share {}` {what}", text.display()), HINT);
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').ok_or_else(|| wrong("has no `=`"))?;
    let name = str::from_utf8(&bytes[..at]).map_err(|_| wrong("has a name that is no UTF-8"))?;
    let (file, access) = split_access(&bytes[at + 1..]);
    if name.is_empty() {
        return Err(wrong("has no name before the `=`"));
    }
    if file.is_empty() {
        return Err(wrong("names no file"));
    }
    if bytes.contains(&0) {
        return Err(wrong("has a NUL in it"));
    }
    Ok(SharedFile {
        name: name.to_owned(),
        file: PathBuf::from(OsString::from_vec(file.to_owned())),
        access: access.unwrap_or(Access::Read),
        digest: None,
    })
}

/// The files of a plan, in memory.
#[derive(Debug, Default)]
pub(super) struct Copies(Vec<Copied>);

#[derive(Debug)]
struct Copied {
    file: SharedFile,
    memory: File,
    length: u64,
    /// The BLAKE3 of what was in the file.
    digest: Hash,
    /// Where it goes when the run has ended.
    back: Option<OutputFile>,
}

impl Copies {
    /// Reads the files.
    ///
    /// # Errors
    /// If one cannot be read, is empty or too long for a guest, or is not what it has to be.
    pub(super) fn of(files: &[SharedFile]) -> Result<Self, Error> {
        files.iter().map(Copied::of).collect::<Result<_, _>>().map(Self)
    }

    /// Makes ready to write back those that guests write to.
    ///
    /// # Errors
    /// If one could not be written.
    pub(super) fn keep(&mut self) -> Result<(), Error> {
        self.written().try_for_each(|copied| {
            copied.back = Some(OutputFile::create(&copied.file.file)?);
            Ok(())
        })
    }

    fn written(&mut self) -> impl Iterator<Item = &mut Copied> {
        self.0.iter_mut().filter(|copied| copied.file.access == Access::Write)
    }

    /// What a pool shares of it.
    pub(super) fn sharing(&self) -> Result<Sharing, Error> {
        let things = self.0.iter().map(|copied| Ok((copied.file.name.clone(), copied.shared()?)));
        Sharing::of(things.collect::<Result<Vec<_>, Error>>()?)
    }

    /// What the user has to know of it.
    pub(super) fn note(&self) -> Option<String> {
        let written = self.0.iter().filter(|copied| copied.file.access == Access::Write);
        let names: Vec<_> = written.map(|copied| format!("`{}`", copied.file.name)).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("shared: every item can write to {names}, so the guests of this run are one trust group")
        })
    }

    /// The names of what nobody writes to, with the BLAKE3 of each.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&str, Hash)> {
        let read = self.0.iter().filter(|copied| copied.file.access == Access::Read);
        read.map(|copied| (copied.file.name.as_str(), copied.digest))
    }

    /// Writes back what is ready for it and has changed. The workers must have ended.
    ///
    /// # Errors
    /// If one cannot be written. It is then what it was; the others are written.
    pub(super) fn write_back(self) -> Result<(), Error> {
        let written: Vec<_> = self.0.into_iter().map(Copied::write_back).collect();
        written.into_iter().collect()
    }
}

impl Copied {
    fn of(file: &SharedFile) -> Result<Self, Error> {
        let cannot_read = |source: io::Error| Error::Input {
            name: format!("`{}`", file.file.display()),
            hint: hint(file, &source),
            source,
        };
        let mut opened = File::open(&file.file).map_err(cannot_read)?;
        let metadata = opened.metadata().map_err(cannot_read)?;
        if file.access == Access::Write && !metadata.is_file() {
            return Err(Error::usage(
                format!("`{}` is no file that can be replaced", file.file.display()),
                "leave out `:rw`",
            ));
        }
        if metadata.is_file() && metadata.len() > MAX_MEMORY {
            return Err(cannot_read(too_long()));
        }
        let memory = sealed::create("wasmpool-shared").map_err(cannot_read)?;
        let length = copy(&mut opened, &memory).map_err(cannot_read)?;
        let digest = sealed::digest(&memory).map_err(cannot_read)?;
        if file.digest.as_ref().is_some_and(|was| *was != digest.to_hex().as_str()) {
            return Err(Error::usage(
                format!("`{}` is not what it was when the journal was written", file.file.display()),
                "bring it back as it was, or run the item with the new one by `wasmpool run`",
            ));
        }
        let shape = shape(length, file.access);
        let room = shape.file_length().map_err(cannot_read)?;
        memory.set_len(room as u64).map_err(cannot_read)?;
        let sealed = match file.access {
            Access::Read => sealed::seal(&memory),
            Access::Write => sealed::seal_length(&memory),
        };
        sealed.map_err(cannot_read)?;
        Ok(Self { file: file.clone(), memory, length, digest, back: None })
    }

    fn shared(&self) -> Result<Shared, Error> {
        let memory = self.memory.try_clone().map_err(|source| Error::Input {
            name: format!("`{}`", self.file.file.display()),
            hint: None,
            source,
        })?;
        Ok(Shared::new(shape(self.length, self.file.access), Arc::new(memory.into())))
    }

    fn write_back(self) -> Result<(), Error> {
        let Some(mut output) = self.back else { return Ok(()) };
        let cannot_write = |source| Error::Output { name: format!("`{}`", self.file.file.display()), source };
        let mut hasher = blake3::Hasher::new();
        let hashed = read(&self.memory, self.length, |bytes| {
            hasher.update(bytes);
            Ok(())
        });
        hashed.map_err(cannot_write)?;
        if hasher.finalize() == self.digest {
            return Ok(());
        }
        read(&self.memory, self.length, |bytes| output.write_all(bytes)).map_err(cannot_write)?;
        output.commit()
    }
}

fn shape(length: u64, access: Access) -> Shape {
    Shape::Segment { length, writable: access == Access::Write }
}

/// Copies a file into memory; returns how long it is.
fn copy(file: &mut File, mut memory: &File) -> io::Result<u64> {
    match io::copy(&mut file.take(MAX_MEMORY + 1), &mut memory)? {
        0 => Err(io::Error::other("it is empty, and what is shared has at least one byte")),
        length if length > MAX_MEMORY => Err(too_long()),
        length => Ok(length),
    }
}

fn too_long() -> io::Error {
    io::Error::other("it is larger than 4 GiB, for which guests have no addresses")
}

/// Passes on the first `length` bytes.
fn read(memory: &File, length: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    sealed::read_through(memory, |bytes| {
        let part = bytes.len().min(left);
        left -= part;
        take(&bytes[..part])
    })?;
    Ok(())
}

/// What to do about a file that cannot be read.
fn hint(SharedFile { file, access, .. }: &SharedFile, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::IsADirectory => Some("`--share` gives a file; a folder is given with `--dir`".into()),
        io::ErrorKind::NotFound if file.to_str().is_some_and(looks_like_access) => {
            Some("an access is `:ro` or `:rw`, and nothing else".into())
        }
        io::ErrorKind::NotFound if *access == Access::Write => Some(format!(
            "`--share` makes no file: make one of the length that it is to have, `truncate -s 64K {}`",
            file.display()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
