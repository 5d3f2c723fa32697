//! Whether this process may open as many files as a pool needs, and have as many addresses: found out before anything is
//! started.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::error::Error;

/// Descriptors that a worker takes up in the host: four pipes, its segment, and one that names it.
const PROCESS: u64 = 6;

/// What a slot has: a worker, the one before it while that is dying, and a descriptor that wakes its driver.
const SLOT: u64 = 2 * PROCESS + 1;

/// Everything else: the guest and its code, the compile worker, a spare, input, output, and what is open for a moment
/// while a process is started.
const REST: u64 = 40;

/// Open files at the start of a program, where the system does not show them.
const OPEN: u64 = 8;

/// What each of the guest's folders, which is open already, takes up while a process is started: its place in the
/// worker's table, and what is put there.
const DIR: u64 = 2;

/// Addresses that a worker needs, in MiB: 4 GiB and more are reserved for a guest's memory, whatever its size, so that
/// its code needs no checks.
const ADDRESSES: u64 = 5 << 10;

/// Refuses a pool of so many workers with so many folders that this process cannot hold.
///
/// # Errors
/// With how many fit, or which limit would do.
pub(super) fn check(workers: usize, dirs: usize) -> Result<(), Error> {
    let open = fs::read_dir("/proc/self/fd").map_or(OPEN, |files| files.count() as u64) + DIR * dirs as u64;
    getrlimit(Resource::As).current.map_or(Ok(()), |bytes| check_addresses(bytes >> 20))?;
    match getrlimit(Resource::Nofile).current {
        Some(limit) => check_limit(workers as u64, open, limit),
        None => Ok(()),
    }
}

/// Refuses several pools at a time, each of so many workers with so many folders, that this process cannot hold.
///
/// # Errors
/// With which limit would do.
pub(crate) fn check_all(pools: &[(usize, usize)]) -> Result<(), Error> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let open = fs::read_dir("/proc/self/fd").map_or(OPEN, |files| files.count() as u64);
    check_limit_of_all(pools, open, limit)
}

fn check_limit_of_all(pools: &[(usize, usize)], open: u64, limit: u64) -> Result<(), Error> {
    let each = pools.iter().map(|(workers, dirs)| SLOT * *workers as u64 + DIR * *dirs as u64 + REST);
    let needed = open.saturating_add(each.sum());
    if needed <= limit {
        return Ok(());
    }
    let workers: usize = pools.iter().map(|(workers, _)| workers).sum();
    let stages = pools.len();
    Err(Error::usage(
        format!(
            "{workers} workers in {stages} stages may need {needed} open files, and this process may have {limit}"
        ),
        format!("`ulimit -n {needed}` allows them; so does a smaller `-j`, if one is small enough"),
    ))
}

fn check_addresses(limit: u64) -> Result<(), Error> {
    if limit >= ADDRESSES {
        return Ok(());
    }
    Err(Error::Pool {
        message: format!(
            "a worker needs {ADDRESSES} MiB of address space, and this process may have {limit}"
        ),
        hint: Some(format!("`ulimit -v {}` allows it; what is not used takes no memory", ADDRESSES << 10)),
    })
}

fn check_limit(workers: u64, open: u64, limit: u64) -> Result<(), Error> {
    let needed = workers.saturating_mul(SLOT).saturating_add(open + REST);
    if needed <= limit {
        return Ok(());
    }
    let plural = if workers == 1 { "" } else { "s" };
    let message =
        format!("{workers} worker{plural} may need {needed} open files, and this process may have {limit}");
    let fit = limit.saturating_sub(open + REST) / SLOT;
    let hint = match fit {
        0 => format!("`ulimit -n {needed}` allows them"),
        fit => format!("`-j {fit}` fits; `ulimit -n {needed}` allows them all"),
    };
    Err(Error::usage(message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h18_too_few_addresses_are_told_with_how_many_would_do() {
        assert!(check_addresses(ADDRESSES).is_ok());
        let error = check_addresses(488).unwrap_err();
        let message =
            "the pool broke: a worker needs 5120 MiB of address space, and this process may have 488";
        assert_eq!((error.to_string().as_str(), error.exit_code().code()), (message, 6));
        assert_eq!(error.hint(), Some("`ulimit -v 5242880` allows it; what is not used takes no memory"));
    }

    #[test]
    fn h16_workers_that_fit_are_taken() {
        assert!(check_limit(64, 5, 1024).is_ok());
        assert!(check_limit(1, 5, 5 + REST + SLOT).is_ok());
    }

    #[test]
    fn h16_workers_that_do_not_fit_are_refused_with_how_many_do() {
        let error = check_limit(64, 5, 100).unwrap_err();
        let message = "64 workers may need 877 open files, and this process may have 100";
        assert_eq!((error.to_string().as_str(), error.exit_code().code()), (message, 2));
        assert_eq!(error.hint(), Some("`-j 4` fits; `ulimit -n 877` allows them all"));
        assert!(check_limit(4, 5, 100).is_ok() && check_limit(5, 5, 100).is_err());
    }

    #[test]
    fn h16_pools_that_do_not_fit_together_are_refused() {
        let pools = [(4, 0), (8, 1)];
        assert!(check_limit_of_all(&pools, 5, 243).is_ok());
        let error = check_limit_of_all(&pools, 5, 242).unwrap_err();
        let message = "12 workers in 2 stages may need 243 open files, and this process may have 242";
        assert_eq!((error.to_string().as_str(), error.exit_code().code()), (message, 2));
    }

    #[test]
    fn h16_where_no_worker_fits_none_is_proposed() {
        let error = check_limit(1, 5, 32).unwrap_err();
        assert_eq!(error.to_string(), "1 worker may need 58 open files, and this process may have 32");
        assert_eq!(error.hint(), Some("`ulimit -n 58` allows them"));
    }
}
