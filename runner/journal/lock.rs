//! One run at a time writes a journal.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::cannot_write;
use crate::error::Error;

/// Takes the file for this process, until it is closed.
///
/// The lock of `flock` is what keeps others out. The kernel tells of the other kind of lock whose it is, so there is
/// one of that kind beside it.
///
/// # Errors
/// If another run holds it, or the file system knows no locks.
pub(super) fn hold(file: &File, name: &str) -> Result<(), Error> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // It only tells who we are.
            let _ = fcntl_lock(file, FlockOperation::NonBlockingLockExclusive);
            Ok(())
        }
        Err(Errno::WOULDBLOCK) => Err(Error::usage(
            format!("{name} is in use{}", by(file)),
            "wait until that run has ended, or end it",
        )),
        Err(error) => Err(cannot_write(name, io::Error::from(error))),
    }
}

/// Who holds it, to be read after `in use`.
fn by(file: &File) -> String {
    match fcntl_getlk(file, &Flock::from(FlockType::WriteLock)) {
        Ok(Some(Flock { pid: Some(pid), .. })) => format!(" by the process {pid}"),
        Ok(_) | Err(_) => " by another run".to_owned(),
    }
}
