//! One worker process, as the host holds it: its pipes, its segment, and a descriptor that names it for good.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::outcome::WorkerEnd;
use crate::shm::segment::SegmentFile;

/// A worker process and everything the host shares with it.
///
/// Dropping it kills the process and waits for its end, so none is ever left behind.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: OwnedFd,
    /// Where requests are written; never blocks.
    pub(crate) requests: OwnedFd,
    /// Where responses are read; never blocks.
    pub(crate) results: OwnedFd,
    /// Where the process's own standard output and error end up; never blocks.
    pub(crate) stderr: OwnedFd,
    /// The memory it builds results in.
    pub(crate) segment: SegmentFile,
    reaped: bool,
}

/// The host's ends of what a process was started with.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) requests: OwnedFd,
    pub(super) results: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) segment: SegmentFile,
}

impl Process {
    /// Takes over a process that was just started and that nobody else waits for.
    pub(super) fn adopt(pid: Pid, ends: Ends) -> io::Result<Self> {
        // Nobody has waited for the process yet, so its number still names it.
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        let Ends { requests, results, stderr, segment } = ends;
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        Ok(Self { pid, pidfd, requests, results, stderr, segment, reaped: false })
    }

    /// Its process id, for people to read.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Becomes readable when the process has ended.
    pub(crate) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Sends SIGKILL. The process may take a while to be gone: see [`Process::wait`].
    pub(crate) fn kill(&self) {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            // It has ended already.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => panic!("a child of ours can be killed: {error}"),
        }
    }

    /// CPU time that all its threads have used so far; none if it is gone.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let pid = nix::unistd::Pid::from_raw(self.pid.cast_signed());
        // Until it has been waited for, the number is its own.
        let clock = if self.reaped { None } else { nix::time::clock_getcpuclockid(pid).ok() };
        let spent = nix::time::clock_gettime(clock?).ok()?;
        Some(spent.into())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If somebody else has waited for it, such as a program that ignores SIGCHLD.
    pub(crate) fn wait(&mut self) -> io::Result<WorkerEnd> {
        let status = loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => {
                    self.reaped = true;
                    return Err(error.into());
                }
            }
        };
        self.reaped = true;
        Ok(match status.terminating_signal() {
            Some(signal) => WorkerEnd::Signalled(signal),
            None => WorkerEnd::Exited(status.exit_status().unwrap_or_default()),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // Nobody is left to be told; the kill has been sent.
            let _ = self.wait();
        }
    }
}
