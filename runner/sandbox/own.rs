//! What a process may ask of the kernel about itself, one thing each.

#![expect(unsafe_code, reason = "calls that no library has a safe form of")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use rustix::fs::OFlags;
use rustix::process::{DumpableBehavior, Pid, Signal, getppid, set_dumpable_behavior};

use super::SetupError;

/// Which signal tells that something happens to a descriptor; Linux alone has it.
const F_SETSIG: libc::c_int = 10;

/// Has the kernel kill this process when its parent, `host`, ends. A change of user undoes it.
///
/// # Errors
/// If the host is gone already, or the system refuses.
pub(super) fn die_with(host: u32) -> Result<(), SetupError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| SetupError::System { what: "arrange to die with the host", source: errno.into() })?;
    // Had it died before the call, the signal would never come.
    let parent = getppid().map(Pid::as_raw_nonzero);
    let same = parent.is_some_and(|pid| u32::try_from(pid.get()) == Ok(host));
    if same { Ok(()) } else { Err(SetupError::Orphan) }
}

/// Has the kernel end this process when the other end of `lifeline` is closed.
pub(super) fn end_with(lifeline: BorrowedFd<'_>) -> io::Result<()> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: the call reads two numbers, of which one is an open descriptor.
    let owned = unsafe { libc::fcntl(lifeline.as_raw_fd(), libc::F_SETOWN, own) };
    if owned == -1 {
        return Err(io::Error::last_os_error());
    }
    // The signal would be SIGIO, which a process can ignore or hold back.
    // SAFETY: the call reads two numbers, of which one is an open descriptor.
    let chosen = unsafe { libc::fcntl(lifeline.as_raw_fd(), F_SETSIG, libc::SIGKILL) };
    if chosen == -1 {
        return Err(io::Error::last_os_error());
    }
    // Nobody writes to the pipe, so it comes with the end and not before.
    rustix::fs::fcntl_setfl(lifeline.as_fd(), OFlags::ASYNC | OFlags::NONBLOCK)?;
    // The end may have come before.
    match rustix::io::read(lifeline, &mut [0]) {
        Err(rustix::io::Errno::AGAIN) => Ok(()),
        Ok(_) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(error.into()),
    }
}

/// Whether others of this process's user may trace it and read its memory.
pub(super) fn set_dumpable(behavior: DumpableBehavior) -> io::Result<()> {
    Ok(set_dumpable_behavior(behavior)?)
}

/// If memory runs out, this process is taken first.
pub(super) fn be_first_to_go() -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "1000")
}

/// From here on no memory becomes executable.
///
/// # Errors
/// With what the kernel lacks, or said.
pub(super) fn refuse_new_code() -> Result<(), String> {
    let refuse = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    let unused: libc::c_ulong = 0;
    // SAFETY: the call takes numbers, and changes what later calls are answered.
    let refused = unsafe { libc::prctl(libc::PR_SET_MDWE, refuse, unused, unused, unused) };
    if refused == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(match error.kind() {
        io::ErrorKind::InvalidInput => "the kernel does not have it: it takes Linux 6.3".to_owned(),
        _ => error.to_string(),
    })
}
