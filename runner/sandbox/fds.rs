//! The descriptors of a worker, in one fixed table.
//!
//! | number | what | kind |
//! |---:|---|---|
//! | 0 | nothing to read: `/dev/null` | character device |
//! | 1, 2 | the host's capped pipe for words to the user; 1 may be `/dev/null` | pipe or character device |
//! | 3 | requests from the host | pipe |
//! | 4 | results to the host | pipe |
//! | 5 | the guest: wasm for a compile worker, compiled code for a serving one | sealed memfd |
//! | 6 | the segment | memfd |
//! | 7 | nothing comes here; it ends with the host | pipe |
//! | 8 and up | what the guest shares, if anything: in the order of [`Shares`] | memfds of a fixed length |
//! | behind | the guest's folders, if it has any | directories, as places only |
//!
//! Nothing else is open, and nothing comes later.

#![expect(unsafe_code, reason = "takes over descriptors by number")]

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use rustix::fs::{FileType, SealFlags};

use super::start::Shares;

/// Where requests from the host come in.
pub const REQUESTS: RawFd = 3;

/// Where results go out to the host.
pub const RESULTS: RawFd = 4;

/// The guest.
pub const GUEST: RawFd = 5;

/// The segment.
pub const SEGMENT: RawFd = 6;

/// The pipe that ends with the host.
pub const LIFELINE: RawFd = 7;

/// The first of what is shared, or else of the guest's folders.
pub const FIRST_SHARED: RawFd = 8;

/// What a worker was given.
#[derive(Debug)]
pub struct Descriptors {
    /// Requests come in here.
    pub requests: File,
    /// Results go out here.
    pub results: File,
    /// The guest's bytes, or its compiled code. They cannot change.
    pub guest: File,
    /// The file of the segment.
    pub segment: OwnedFd,
    /// Ends with the host. It is never closed: a process that did so would outlive its host.
    pub(super) lifeline: ManuallyDrop<OwnedFd>,
    /// What is shared, in the order of [`Shares`].
    pub shared: Vec<OwnedFd>,
    /// The guest's folders.
    pub dirs: Vec<OwnedFd>,
}

/// A descriptor that is not what the table says.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// It is not open.
    #[error("descriptor {0} is not open")]
    Closed(RawFd),
    /// It is something else.
    #[error("descriptor {number} is not a {expected}")]
    Kind {
        /// Its number.
        number: RawFd,
        /// What it should be.
        expected: &'static str,
    },
    /// The others cannot be closed.
    #[error("cannot close other descriptors: {0}")]
    CloseOthers(#[source] io::Error),
}

/// Takes over the descriptors of the table and closes all others. Standard input, output and error stay with the
/// standard library.
///
/// # Errors
/// If one of the table is not what it says.
///
/// # Panics
/// If called twice: descriptors have one owner.
pub(super) fn take(shares: Shares, dirs: usize) -> Result<Descriptors, DescriptorError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "descriptors have one owner");
    let first_dir = first_dir(shares);
    let first_free = first_dir + number(dirs);
    for number in 0..first_free {
        check_open(number)?;
    }
    check(0, io::stdin(), &[FileType::CharacterDevice], "character device")?;
    let words = [FileType::Fifo, FileType::CharacterDevice];
    check(1, io::stdout(), &words, "pipe or a character device")?;
    check(2, io::stderr(), &words, "pipe or a character device")?;
    close_from(first_free)?;
    let own = |number| {
        // SAFETY: it was found open, and nobody else owns it: the host left it there for us, nothing of this process
        // can have opened one at a number that was taken, and this runs once.
        unsafe { OwnedFd::from_raw_fd(number) }
    };
    let [requests, results, guest, segment, lifeline] =
        [REQUESTS, RESULTS, GUEST, SEGMENT, LIFELINE].map(own);
    let shared: Vec<_> = (FIRST_SHARED..first_dir).map(own).collect();
    let dirs: Vec<_> = (first_dir..first_free).map(own).collect();
    check(REQUESTS, &requests, &[FileType::Fifo], "pipe")?;
    check(RESULTS, &results, &[FileType::Fifo], "pipe")?;
    check(SEGMENT, &segment, &[FileType::RegularFile], "file")?;
    check(GUEST, &guest, &[FileType::RegularFile], "file")?;
    check(LIFELINE, &lifeline, &[FileType::Fifo], "pipe")?;
    for (number, shared) in (FIRST_SHARED..).zip(&shared) {
        check(number, shared, &[FileType::RegularFile], "file")?;
    }
    for (number, dir) in (first_dir..).zip(&dirs) {
        check(number, dir, &[FileType::Directory], "folder")?;
    }
    let [requests, results, guest] = [requests, results, guest].map(File::from);
    Ok(Descriptors { requests, results, guest, segment, lifeline: ManuallyDrop::new(lifeline), shared, dirs })
}

/// The first of the guest's folders.
#[must_use]
pub fn first_dir(shares: Shares) -> RawFd {
    FIRST_SHARED + number(shares.count())
}

fn number(count: usize) -> RawFd {
    RawFd::try_from(count).expect("a process has fewer descriptors")
}

fn check_open(number: RawFd) -> Result<(), DescriptorError> {
    // SAFETY: the call takes any number and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags == -1 { Err(DescriptorError::Closed(number)) } else { Ok(()) }
}

fn close_from(first: RawFd) -> Result<(), DescriptorError> {
    let first = libc::c_uint::try_from(first).expect("the table has no negative numbers");
    // SAFETY: nothing of this process owns a descriptor outside the table: it has just started, and the standard
    // library opens none before `main` but for the first three.
    let closed = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    if closed == 0 { Ok(()) } else { Err(DescriptorError::CloseOthers(io::Error::last_os_error())) }
}

fn check(
    number: RawFd,
    fd: impl AsFd,
    kinds: &[FileType],
    expected: &'static str,
) -> Result<(), DescriptorError> {
    let kind = rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind.is_ok_and(|kind| kinds.contains(&kind)) {
        Ok(())
    } else {
        Err(DescriptorError::Kind { number, expected })
    }
}

/// Checks that nobody can change the guest any more: bytes that are mapped as code, or read twice, must not change in
/// between. A worker may be started while its code is still being compiled, so this is asked when it loads.
///
/// # Errors
/// If somebody can.
pub fn check_sealed(guest: &File) -> Result<(), DescriptorError> {
    let needed = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    if rustix::fs::fcntl_get_seals(guest).is_ok_and(|seals| seals.contains(needed)) {
        Ok(())
    } else {
        Err(DescriptorError::Kind { number: GUEST, expected: "sealed file" })
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::MemfdFlags;

    use super::*;

    fn memfd(seals: SealFlags) -> OwnedFd {
        let fd = rustix::fs::memfd_create("guest", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        fd
    }

    #[test]
    fn a_pipe_is_a_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(check(3, reader, &[FileType::Fifo], "pipe").is_ok());
        assert!(check(4, writer, &[FileType::Fifo], "pipe").is_ok());
    }

    #[test]
    fn a_file_is_no_pipe() {
        let error = check(3, memfd(SealFlags::empty()), &[FileType::Fifo], "pipe").unwrap_err();
        assert_eq!(error.to_string(), "descriptor 3 is not a pipe");
    }

    #[test]
    fn a_guest_that_can_change_is_refused() {
        let guest = memfd(SealFlags::GROW | SealFlags::SHRINK).into();
        let error = check_sealed(&guest).unwrap_err();
        assert_eq!(error.to_string(), "descriptor 5 is not a sealed file");
    }

    #[test]
    fn a_guest_that_cannot_change_is_taken() {
        let guest = memfd(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK).into();
        assert!(check_sealed(&guest).is_ok());
    }

    #[test]
    fn a_number_without_a_descriptor_is_found_closed() {
        let error = check_open(RawFd::MAX).unwrap_err();
        assert_eq!(error.to_string(), "descriptor 2147483647 is not open");
    }
}
