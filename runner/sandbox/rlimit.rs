//! How much memory the process may still get.
//!
//! `RLIMIT_DATA` counts private memory that can be written, touched or not: the heap, stacks, and what the guest's
//! memory has grown to. Address space that is only reserved does not count, so the limit says nothing against a runtime
//! that reserves gigabytes.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process that cannot look is taken to have already: twice what the largest guests we know leave it with.
const UNKNOWN: u64 = 1 << 30;

/// Leaves the process `more` bytes of writable memory beyond what it has, for good; returns where the limit is now.
///
/// A limit that is lower already stays. Where `/proc` cannot be read, what the process has is taken to be [`UNKNOWN`].
pub(super) fn data(more: u64) -> io::Result<u64> {
    let has = fs::read_to_string("/proc/self/status").ok().and_then(|status| vm_data(&status));
    let wanted = has.unwrap_or(UNKNOWN).saturating_add(more);
    set_data(wanted)
}

/// Leaves the process `bytes` of writable memory in all, for good; returns where the limit is now. A limit that is lower
/// already stays.
pub(super) fn set_data(bytes: u64) -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Data);
    let limit = [current, maximum].into_iter().flatten().fold(bytes, u64::min);
    setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    Ok(limit)
}

/// What `/proc/PID/status` says of private memory that can be written, in bytes.
fn vm_data(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
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
