//! Compiled guests on disk, so that a guest is compiled once, and not once for each run.
//!
//! What is kept is what a compile worker once said: a description and code. The host does not look into the code, as it
//! never does. But whoever can change it can change what workers run, so nothing comes out of a cache that is not, to
//! the bit, what this user has once put into it under this very key:
//!
//! - The directory belongs to the user and is open to nobody else (`directory.rs`).
//! - The key is a digest of everything that makes code what it is: the guest, the programs and versions that compile it,
//!   the options, the processor (`key.rs`).
//! - Each entry has a digest in it, keyed with a secret of the user, of its key and content. It is taken of the sealed
//!   copy that workers get (`entry.rs`).
//!
//! A cache makes runs faster and never makes one fail. Where it cannot be used, guests are compiled, and where something
//! is wrong with it, a note says so.

mod directory;
mod entry;
mod key;
mod place;
mod secret;
mod shelf;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fmt, io};

use self::directory::{Directory, Listed, Listing, Problem, Wish};
pub(crate) use self::entry::Entry;
pub use self::place::NoPlace;
use self::secret::Secret;
pub(crate) use self::shelf::{Keeping, Lookup, Shelf};
use crate::error::Error;

/// The most bytes that are kept, unless told otherwise: 1 GiB.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

/// Where compiled guests are kept.
///
/// It is a directory that is made when there is something to be kept, and only used if nobody but its owner has access to
/// it. Any number of processes may use it at once.
///
/// ```
/// use wasmpool::cache::{Cache, Usage};
///
/// # let folder = std::env::temp_dir().join(format!("wasmpool-doc-{}", std::process::id()));
/// let cache = Cache::at(&folder);
/// assert_eq!(cache.usage()?, Usage { entries: 0, bytes: 0 });
/// # Ok::<(), wasmpool::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    place: PathBuf,
    wish: Wish,
    limit: u64,
}

/// What is in a cache, or was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many compiled guests.
    pub entries: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

impl Cache {
    /// The cache in this directory, an absolute path.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { place: directory.into(), wish: Wish::Asked, limit: DEFAULT_LIMIT }
    }

    /// The cache that the environment names: `WASMPOOL_CACHE`, or else `wasmpool` in `XDG_CACHE_HOME` or in `.cache` in
    /// `HOME`.
    ///
    /// # Errors
    /// If none is wanted, or none is named.
    pub fn of_environment() -> Result<Self, NoPlace> {
        place::of(|variable| std::env::var_os(variable))
    }

    /// With so many bytes at most. When there are more, what has not been used for the longest time is removed.
    #[must_use]
    pub fn with_limit(self, bytes: u64) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Its directory, whether there is one yet or not.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.place
    }

    /// The most bytes that are kept.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is in it.
    ///
    /// # Errors
    /// If its directory cannot be used as a cache.
    pub fn usage(&self) -> Result<Usage, Error> {
        let listing = || match self.find()? {
            Some(directory) => Ok(directory.list()?),
            None => Ok(Listing::default()),
        };
        let listing = listing().map_err(|problem| self.error(&problem))?;
        Ok(Usage::of(&listing.entries))
    }

    /// Removes what is in it; returns what that was. Runs that use it go on.
    ///
    /// # Errors
    /// If its directory is none of a cache, or files in it cannot be removed.
    pub fn clean(&self) -> Result<Usage, Error> {
        self.remove_all().map_err(|problem| self.error(&problem))
    }

    fn remove_all(&self) -> Result<Usage, Problem> {
        let Some(directory) = Directory::find(&self.place, self.wish)? else { return Ok(Usage::default()) };
        match self.check(&directory) {
            Ok(()) => {}
            // Nothing that is there is of any use, and the next run makes another.
            Err(Problem::Secret) => directory.make_way(secret::FILE)?,
            Err(problem) => return Err(problem),
        }
        let now = SystemTime::now();
        let Listing { entries, drafts, .. } = directory.list()?;
        let abandoned = drafts.iter().filter(|draft| draft.is_abandoned(now));
        for file in entries.iter().chain(abandoned) {
            remove(&directory, file)?;
        }
        Ok(Usage::of(&entries))
    }

    /// Its directory, if there is one that has been used as a cache or can be.
    fn find(&self) -> Result<Option<Directory>, Problem> {
        let Some(directory) = Directory::find(&self.place, self.wish)? else { return Ok(None) };
        self.check(&directory)?;
        Ok(Some(directory))
    }

    /// Whether a directory is that of a cache, or can become one.
    ///
    /// # Errors
    /// If it has somebody's things in it, a file called `secret` maybe; if it is a cache's, and its secret none.
    fn check(&self, directory: &Directory) -> Result<(), Problem> {
        match Secret::of(directory) {
            Ok(Some(_)) => Ok(()),
            Ok(None) if directory.has_foreign_files()? => Err(Problem::Occupied),
            Ok(None) => Ok(()),
            Err(Problem::Secret) if !self.was_used(directory)? => Err(Problem::Occupied),
            Err(problem) => Err(problem),
        }
    }

    /// Whether a directory whose secret is none has been a cache all the same.
    fn was_used(&self, directory: &Directory) -> io::Result<bool> {
        let Listing { entries, drafts, foreign } = directory.list()?;
        let is_named_so = self.wish == Wish::Usual || Secret::may_have_been(directory)?;
        Ok(!foreign && (is_named_so || !entries.is_empty() || !drafts.is_empty()))
    }

    /// Removes what has not been used for the longest time, until the rest is within the limit, and what others have left
    /// half written.
    fn sweep(&self, directory: &Directory) -> io::Result<()> {
        let now = SystemTime::now();
        let Listing { mut entries, drafts, .. } = directory.list()?;
        for draft in drafts.iter().filter(|draft| draft.is_abandoned(now)) {
            remove(directory, draft)?;
        }
        entries.sort_by(|one, other| (one.used, &one.name).cmp(&(other.used, &other.name)));
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in &entries {
            if bytes <= self.limit {
                break;
            }
            remove(directory, entry)?;
            bytes -= entry.bytes;
        }
        Ok(())
    }

    /// Whether it looks as if it had been a cache: who tells others to change a directory must be sure of it.
    fn has_secret(&self) -> bool {
        self.place.join(secret::FILE).is_file()
    }

    /// Why it is not used, as an error.
    fn error(&self, problem: &Problem) -> Error {
        let place = self.place.display();
        let message = format!("the cache `{place}` {problem}");
        let hint = match problem {
            Problem::Relative => {
                Some("`WASMPOOL_CACHE` takes an absolute path, or `off` for no cache".to_owned())
            }
            Problem::Open if self.has_secret() => {
                Some(format!("`chmod 700 {place}` closes it, if others have not been in it"))
            }
            Problem::Open => Some("`WASMPOOL_CACHE` names a directory of its own for it".to_owned()),
            Problem::Secret => Some("`wasmpool cache clean` begins anew".to_owned()),
            Problem::NoDirectory | Problem::Foreign | Problem::Occupied => {
                Some("`WASMPOOL_CACHE` names another directory".to_owned())
            }
            Problem::Blocked(name) => Some(format!("`rm -r {place}/{name}` removes it")),
            Problem::System(_) => None,
        };
        Error::Usage { message, hint }
    }
}

impl Usage {
    fn of(entries: &[Listed]) -> Self {
        Self { entries: entries.len() as u64, bytes: entries.iter().map(|entry| entry.bytes).sum() }
    }
}

fn remove(directory: &Directory, file: &Listed) -> io::Result<()> {
    match directory.remove(&file.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What is wrong with a cache, and what becomes of the run, to be read by its user.
fn note(place: &Path, what: &impl fmt::Display) -> String {
    format!("cache: `{}` {what}; nothing is kept", place.display())
}
