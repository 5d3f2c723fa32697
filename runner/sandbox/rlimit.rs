//! What the system lets the process have: little more than it has.
//!
//! `RLIMIT_DATA` counts private memory that can be written, touched or not: the heap, stacks, and what the guest's
//! memory has grown to. Address space that is only reserved does not count, so the limit says nothing against a runtime
//! that reserves gigabytes.

use std::fs::File;
use std::io::{self, Read};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::start::{Access, Profile};

/// What a process that cannot look is taken to have already: twice what the largest guests we know leave it with.
const UNKNOWN: u64 = 1 << 30;

/// Descriptors of a worker with folders, its own among them: more than a guest needs, less than fills the kernel's
/// tables.
const OPEN_FILES: u64 = 64;

/// The longest file that a guest can make, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// How far memory may grow downwards by itself, in bytes: the stack of the first thread does, and so would a mapping that
/// asks for it. None of it counts against the limit of memory. It is what systems leave a process, unless they are told
/// otherwise.
pub const STACK: u64 = 8 << 20;

/// What a worker may have to do with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// How many descriptors, before it can open no more.
    pub open: u64,
    /// The longest that it can make, in bytes.
    pub length: u64,
}

/// What is left to a worker of this kind, at most.
#[must_use]
pub fn files(profile: &Profile) -> Files {
    match profile {
        Profile::Compile(_) | Profile::Compute => Files { open: 0, length: 0 },
        Profile::Files(dirs) if dirs.contains(&Access::Write) => Files { open: OPEN_FILES, length: MAX_FILE },
        Profile::Files(_) => Files { open: OPEN_FILES, length: 0 },
    }
}

/// Leaves the process `more` bytes of writable memory beyond what it has, for good; returns where the limit is now.
///
/// A limit that is lower already stays. `status` is what [`status`] opened; without it, what the process has is taken to
/// be [`UNKNOWN`].
pub(super) fn data(more: u64, status: Option<File>) -> io::Result<u64> {
    let has = status.and_then(|mut file| {
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        vm_data(&text)
    });
    set_data(has.unwrap_or(UNKNOWN).saturating_add(more))
}

/// What tells how much the process has when it is read, which may be when nothing can be opened any more.
pub(super) fn status() -> Option<File> {
    File::open("/proc/self/status").ok()
}

/// Leaves no core dumps: they would have guests' data in them.
pub(super) fn forbid_core_dumps() -> io::Result<()> {
    set(Resource::Core, 0).map(drop)
}

/// Leaves no process or thread to be started, no file to be written and, but for a guest's files, none to be opened.
/// What is open stays so. None of these limits can be raised again.
pub(super) fn leave_little(profile: &Profile) -> io::Result<()> {
    let Files { open, length } = files(profile);
    for (resource, limit) in [
        (Resource::Core, 0),
        (Resource::Stack, STACK),
        (Resource::Nproc, 0),
        (Resource::Nofile, open),
        (Resource::Fsize, length),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 0),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ] {
        set(resource, limit)?;
    }
    Ok(())
}

/// Leaves this much for good, or what there is if that is less; returns which.
fn set(resource: Resource, limit: u64) -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let limit = [current, maximum].into_iter().flatten().fold(limit, u64::min);
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    Ok(limit)
}

/// Leaves the process `bytes` of writable memory in all, for good; returns where the limit is now. A limit that is lower
/// already stays.
pub(super) fn set_data(bytes: u64) -> io::Result<u64> {
    set(Resource::Data, bytes)
}

/// What `/proc/PID/status` says of private memory that can be written, in bytes.
fn vm_data(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_process_has_is_read_in_bytes() {
        assert_eq!(vm_data("Name:\tx\nVmData:\t    1234 kB\nVmStk:\t  132 kB\n"), Some(1234 * 1024));
    }

    #[test]
    fn a_status_without_it_says_nothing() {
        assert_eq!(vm_data("Name:\tx\nVmStk:\t  132 kB\n"), None);
        assert_eq!(vm_data("VmData:\tmuch kB\n"), None);
        assert_eq!(vm_data("VmData:\t99999999999999999999 kB\n"), None);
    }

    #[test]
    fn this_process_has_some_memory() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(vm_data(&status).is_some_and(|bytes| bytes > 1 << 16), "{status}");
    }
}
