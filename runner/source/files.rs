//! Files, each an item: those that were named, those below directories that were named, and those in a list that is
//! read from standard input.
//!
//! A file that cannot be had is a refused item. Neither names nor files are read before they are asked for.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::vec;

use rustix::io::Errno;
use walkdir::{DirEntry, WalkDir};

use super::opened::{Opened, STANDARD_INPUT};
use super::reader::{BUFFER, Reached, Reader, read_whole};
use super::stream::MAX_CHUNK;
use super::{MAX_LINE, MOST_GAPS, Next, Refused, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// The longest name of a file that a list may hold, in bytes; the system opens no longer one (`PATH_MAX`).
const MAX_NAME: usize = 4096;

const BELOW: &str = "a chunk and one file more are below 4 GiB";

/// Files by name.
///
/// - A file, also a named pipe or a device, is read up to its end.
/// - A directory stands for the regular files below it, at any depth, in the byte order of their paths. Symbolic links
///   in it are not followed, and what is no regular file is passed over.
/// - `-` stands for the names that are read from standard input. Each is a file, whatever it looks like; an empty one
///   is passed over.
///
/// What is named twice is two items. A file of more than [`MAX_LINE`] bytes is refused.
#[derive(Debug)]
pub struct Files {
    paths: vec::IntoIter<PathBuf>,
    /// The list on standard input, as long as it has not been come to.
    list: Option<List>,
    /// What is gone through before the next of `paths`.
    open: Open,
    remark: Option<String>,
    /// What was found behind files that had to be handed out first.
    found: Option<Found>,
}

/// What ends each name of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameEnd {
    /// A line feed.
    Line,
    /// A NUL, which no name can have in it.
    Nul,
}

/// Where names come from.
#[derive(Debug)]
enum Open {
    Nothing,
    Directory(Walk),
    List(List),
}

/// What was found where a file should be.
#[derive(Debug)]
enum Found {
    File {
        path: PathBuf,
        /// Reading it may wait for somebody to write.
        may_wait: bool,
    },
    Refused(Refused),
    Failed(Error),
    /// No file so far, but much that is none.
    Nothing,
}

/// Names, one behind the other.
struct List {
    reader: Reader<Box<dyn Read + Send>>,
    /// For messages.
    name: String,
    end: u8,
    /// Of the name that is read next, from 1.
    number: u64,
}

/// The regular files below a directory.
#[derive(Debug)]
struct Walk {
    root: PathBuf,
    entries: walkdir::IntoIter,
}

/// Files that have been read.
#[derive(Default)]
struct Gathered {
    names: Packed,
    contents: Vec<u8>,
    ends: Vec<u32>,
}

impl Files {
    /// The files at `paths`; `names` says what ends each name on standard input, if `-` is one of them.
    ///
    /// # Errors
    /// If `-` is one of the paths and standard input cannot be read, was closed, or is a directory.
    pub fn open(paths: Vec<PathBuf>, names: NameEnd) -> Result<Self, Error> {
        let needs_list = paths.iter().any(|path| path == Path::new(STANDARD_INPUT));
        let list = needs_list.then(Opened::standard_input).transpose()?;
        Ok(Self::new(paths, list, names))
    }

    fn new<R: Read + Send + 'static>(paths: Vec<PathBuf>, list: Option<Opened<R>>, names: NameEnd) -> Self {
        let mut remark = None;
        let list = list.map(|opened| {
            remark = opened.remark;
            let input: Box<dyn Read + Send> = Box::new(opened.input);
            List {
                reader: Reader::new(input, opened.may_wait),
                name: opened.name,
                end: names.byte(),
                number: 1,
            }
        });
        Self { paths: paths.into_iter(), list, open: Open::Nothing, remark, found: None }
    }

    /// The next file, or what is there instead; none at the end.
    fn find(&mut self) -> Option<Found> {
        loop {
            let found = match &mut self.open {
                Open::Nothing => None,
                Open::Directory(walk) => walk.find(),
                Open::List(list) => list.find(),
            };
            if found.is_some() {
                return found;
            }
            self.open = Open::Nothing;
            let path = self.paths.next()?;
            if path == Path::new(STANDARD_INPUT) {
                // What is named a second time has been read to its end.
                self.open = self.list.take().map_or(Open::Nothing, Open::List);
                continue;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.open = Open::Directory(Walk::new(path)),
                Ok(metadata) => return Some(Found::File { path, may_wait: !metadata.is_file() }),
                Err(error) => return Some(Found::Refused(unreadable(&path, &error))),
            }
        }
    }

    /// Whether finding the next file might have to wait for its name.
    fn must_wait(&self) -> bool {
        matches!(&self.open, Open::List(list) if list.reader.must_wait(list.end))
    }

    /// The next file, or what is there instead; none at the end, or if its name might have to be waited for when some
    /// files are there already.
    fn take(&mut self, has_some: bool) -> Option<Found> {
        self.found.take().or_else(|| if has_some && self.must_wait() { None } else { self.find() })
    }

    /// Reads files until there are enough, they end, something else comes, or more might have to be waited for.
    fn gather(&mut self, max_items: u64, max_bytes: usize) -> Gathered {
        let mut gathered = Gathered::default();
        while gathered.names.count() < max_items && gathered.bytes() < max_bytes {
            let has_some = gathered.names.count() > 0;
            let Some(found) = self.take(has_some) else { break };
            self.found = match found {
                Found::File { path, may_wait } if !(has_some && may_wait) => match gathered.read(&path) {
                    Ok(()) => continue,
                    Err(refused) => Some(Found::Refused(refused)),
                },
                found => Some(found),
            };
            break;
        }
        gathered
    }
}

impl Source for Files {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        if let Some(remark) = self.remark.take() {
            return Ok(Some(Next::Remark(remark)));
        }
        let gathered = self.gather(max_items, max_bytes.clamp(1, MAX_CHUNK));
        if gathered.names.count() > 0 {
            return Ok(Some(Next::Inputs(gathered.into_inputs())));
        }
        match self.found.take() {
            None => Ok(None),
            Some(Found::Refused(refused)) => Ok(Some(Next::Refused(refused))),
            Some(Found::Failed(error)) => Err(error),
            Some(Found::Nothing) => Ok(Some(Next::Nothing)),
            Some(Found::File { .. }) => unreachable!("the first file of a chunk is read, or refused"),
        }
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl NameEnd {
    fn byte(self) -> u8 {
        match self {
            Self::Line => b'\n',
            Self::Nul => b'\0',
        }
    }
}

impl List {
    /// The file with the next name, whether it is there or not; none at the end.
    fn find(&mut self) -> Option<Found> {
        for _ in 0..MOST_GAPS {
            let mut name = Vec::new();
            match self.reader.read_until(self.end, MAX_NAME, &mut name) {
                Ok(Reached::End) if name.is_empty() => return None,
                Ok(Reached::Delimiter) if name.is_empty() => continue,
                Ok(Reached::Delimiter | Reached::End) => {
                    self.number += 1;
                    let path = PathBuf::from(OsString::from_vec(name));
                    let may_wait = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
                    return Some(Found::File { path, may_wait });
                }
                Ok(Reached::Cap) => {
                    let error =
                        format!("name {} of {} is longer than {MAX_NAME} bytes", self.number, self.name);
                    self.number += 1;
                    return Some(Found::Refused(Refused { file: None, error }));
                }
                Err(source) => {
                    return Some(Found::Failed(Error::Input { name: self.name.clone(), hint: None, source }));
                }
            }
        }
        Some(Found::Nothing)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reader: _, name, end, number } = self;
        f.debug_struct("List")
            .field("name", name)
            .field("end", end)
            .field("number", number)
            .finish_non_exhaustive()
    }
}

impl Walk {
    fn new(root: PathBuf) -> Self {
        let entries = WalkDir::new(&root).sort_by(in_byte_order).into_iter();
        Self { root, entries }
    }

    /// The next regular file, or the directory that cannot be read; none at the end.
    fn find(&mut self) -> Option<Found> {
        loop {
            match self.entries.next()? {
                Ok(entry) if entry.file_type().is_file() => {
                    return Some(Found::File { path: entry.into_path(), may_wait: false });
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(&self.root).to_owned();
                    let error = error.into_io_error().unwrap_or_else(|| Errno::LOOP.into());
                    return Some(Found::Refused(unreadable(&path, &error)));
                }
            }
        }
    }
}

/// Entries of one directory, as the paths below them are ordered: what is in the directory `a` comes behind the file
/// `a-b`, as `a/` does.
fn in_byte_order(a: &DirEntry, b: &DirEntry) -> Ordering {
    let path = |entry: &DirEntry| entry.file_type().is_dir().then_some(b'/');
    let (a_name, b_name) = (a.file_name().as_bytes(), b.file_name().as_bytes());
    a_name.iter().copied().chain(path(a)).cmp(b_name.iter().copied().chain(path(b)))
}

impl Gathered {
    fn bytes(&self) -> usize {
        self.names.bytes().len() + self.contents.len()
    }

    /// Reads one more file.
    fn read(&mut self, path: &Path) -> Result<(), Refused> {
        let start = self.contents.len();
        let read = read_file(path, &mut self.contents);
        if let Ok(true) = read {
            self.ends.push(u32::try_from(self.contents.len()).expect(BELOW));
            self.names.push(path.as_os_str().as_bytes()).expect(BELOW);
            return Ok(());
        }
        self.contents.truncate(start);
        Err(match read {
            Ok(_) => refused(path, format_args!(" is longer than {} MiB", MAX_LINE >> 20)),
            Err(error) => unreadable(path, &error),
        })
    }

    fn into_inputs(mut self) -> Inputs {
        // Whoever counts what chunks take counts their bytes, not the room that there was for more.
        if self.contents.capacity() - self.contents.len() > BUFFER {
            self.contents.shrink_to_fit();
        }
        let contents = Packed::from_parts(self.contents, self.ends).expect("the last end is the end of all");
        Inputs::Files { names: self.names, contents }
    }
}

/// Appends what is in a file to `bytes`; `false` if that is too much, with part of it appended.
fn read_file(path: &Path, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let file = File::open(path)?;
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    Ok(expected <= MAX_LINE && read_whole(file, expected, MAX_LINE, bytes)?)
}

fn unreadable(path: &Path, error: &io::Error) -> Refused {
    refused(path, format_args!(": {error}"))
}

/// The refusal of the file at `path`, for a reason that is read after its name.
fn refused(path: &Path, reason: fmt::Arguments<'_>) -> Refused {
    let error = format!("`{}`{reason}", path.display());
    Refused { file: Some(path.as_os_str().as_bytes().into()), error }
}

#[cfg(test)]
mod tests;
