//! Whether a journal is still where it will be looked for.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::cannot_write;
use crate::error::Error;

/// A journal's file, and where it was found.
#[derive(Debug)]
pub struct Place {
    file: Arc<File>,
    /// From the root on: the process may go to another folder.
    path: PathBuf,
    /// The journal's name in errors.
    name: String,
}

impl Place {
    pub(super) fn new(file: Arc<File>, path: PathBuf, name: String) -> Self {
        Self { file, path, name }
    }

    /// Whether there is nothing at its place, or another file.
    fn is_empty(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) => identity(there) != identity(ours),
            (Err(error), _) => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
            // What cannot be looked at may be there.
            (Ok(_), Err(_)) => false,
        }
    }

    /// What to say while the run goes on, if it is not there any more.
    pub(super) fn warning(&self) -> Option<String> {
        self.is_empty().then(|| format!("{}: {GONE}, and the run goes on without one", self.name))
    }

    /// At the end of the run, the journal has to be where it was.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_empty() { Err(cannot_write(&self.name, io::Error::other(GONE))) } else { Ok(()) }
    }
}

const GONE: &str = "it was moved or removed";
