//! The secret of a cache: 32 random bytes that only its owner can read.
//!
//! What was stored is told by it from what somebody else put there: a file that was written elsewhere, or brought here
//! from another machine or user, does not have the digest that this secret gives it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};

use blake3::Hasher;
use rustix::io::Errno;

use super::directory::{Directory, Found, Problem};

/// The name of its file.
pub(super) const FILE: &str = "secret";

const LEN: usize = blake3::KEY_LEN;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret([u8; LEN]);

/// It is told nobody.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// What digests of entries begin with.
    pub(super) fn hasher(&self) -> Hasher {
        Hasher::new_keyed(&self.0)
    }

    /// That of the cache; none if it has none yet.
    ///
    /// # Errors
    /// If others could have read it, or it is none.
    pub(super) fn of(directory: &Directory) -> Result<Option<Self>, Problem> {
        let file = match directory.open(FILE)? {
            Found::Nothing => return Ok(None),
            Found::File(file) => file,
            Found::Other => return Err(Problem::Secret),
        };
        let metadata = file.metadata()?;
        if metadata.len() != LEN as u64 || !directory.is_private(&metadata) {
            return Err(Problem::Secret);
        }
        read(&file).map(Some)
    }

    /// Whether what is at its place, and is none, can have been one: a file that was opened to others, or was never
    /// filled.
    pub(super) fn may_have_been(directory: &Directory) -> io::Result<bool> {
        match directory.open(FILE)? {
            Found::File(file) => Ok([0, LEN as u64].contains(&file.metadata()?.len())),
            Found::Nothing | Found::Other => Ok(false),
        }
    }

    /// That of the cache, which has one afterwards.
    ///
    /// # Errors
    /// As those of [`Secret::of`], or if it cannot be written.
    pub(super) fn make(directory: &Directory) -> Result<Self, Problem> {
        if let Some(secret) = Self::of(directory)? {
            return Ok(secret);
        }
        if directory.has_foreign_files()? {
            return Err(Problem::Occupied);
        }
        let mut bytes = [0; LEN];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let mut draft = directory.draft()?;
        draft.file().write_all(&bytes)?;
        draft.file().sync_data()?;
        match draft.link(FILE) {
            // Of many that come at once, the first has the say.
            Ok(()) | Err(Errno::EXIST) => Self::of(directory)?.ok_or(Problem::Secret),
            Err(error) => Err(error.into()),
        }
    }
}

fn read(mut file: &File) -> Result<Secret, Problem> {
    let mut bytes = [0; LEN];
    file.read_exact(&mut bytes)?;
    Ok(Secret(bytes))
}

#[cfg(test)]
impl Secret {
    /// One for tests.
    pub(super) fn of_bytes(byte: u8) -> Self {
        Self([byte; LEN])
    }
}
