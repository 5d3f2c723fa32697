//! One worker process, as the host holds it: its pipes, its segment, and a descriptor that names it for good.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::clock::Clock;
use super::estate::Estate;
use super::roster::{Place, Roster};
use crate::outcome::WorkerEnd;
use crate::sandbox::Start;
use crate::shm::segment::SegmentFile;
use crate::wire::encode_request;
use crate::wire::msg::Request;

/// A worker process and everything the host shares with it.
///
/// Dropping it kills the process and waits for its end, so none is ever left behind.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: Arc<OwnedFd>,
    /// Where requests are written; never blocks.
    pub(crate) requests: OwnedFd,
    /// Where responses are read; never blocks.
    pub(crate) results: OwnedFd,
    /// Where the process's own standard output and error end up; never blocks.
    pub(crate) stderr: OwnedFd,
    /// The memory it builds results in.
    pub(crate) segment: SegmentFile,
    /// What it was started with.
    start: Start,
    /// While it is open, the process has a host.
    lifeline: Option<OwnedFd>,
    /// What its pipe had no room for yet.
    unsent: Vec<u8>,
    reaped: bool,
    place: Place,
    /// What is shared with it.
    estate: Arc<Estate>,
}

/// How long a process may take to end when it was asked to, or has closed its pipe.
pub(super) const END_LIMIT: Duration = Duration::from_secs(1);

/// Why the end of a child cannot be told.
const NOT_WAITED_FOR: &str = "this program ignores SIGCHLD, or waits for processes that are not its own";

/// The system does not let this process signal its workers, which is how they are ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system refuses `pidfd_send_signal`, which ends workers: {0}")]
pub(super) struct NoSignals(Errno);

/// The host's ends of what a process was started with.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) requests: OwnedFd,
    pub(super) results: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) segment: SegmentFile,
    pub(super) lifeline: OwnedFd,
}

impl Process {
    /// Takes over a process that was just started and that nobody else waits for.
    pub(super) fn adopt(
        pid: Pid,
        start: Start,
        ends: Ends,
        roster: &Arc<Roster>,
        estate: &Arc<Estate>,
    ) -> io::Result<Self> {
        // Nobody has waited for the process yet, so its number still names it.
        let pidfd = Arc::new(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?);
        check_signals(&pidfd)?;
        let place = roster.enlist(&pidfd);
        let Ends { requests, results, stderr, segment, lifeline } = ends;
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        Ok(Self {
            pid,
            pidfd,
            requests,
            results,
            stderr,
            segment,
            start,
            lifeline: Some(lifeline),
            unsent: Vec::new(),
            reaped: false,
            place,
            estate: Arc::clone(estate),
        })
    }

    /// Its process id, for people to read.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it was started with.
    pub(crate) fn start(&self) -> &Start {
        &self.start
    }

    /// Becomes readable when the process has ended.
    pub(crate) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// This side's ends of the pipes between it and its host.
    pub(super) fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.requests, &self.results, &self.stderr].into_iter().chain(&self.lifeline).map(AsFd::as_fd)
    }

    /// Whether it has ended before so much time is over.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        self.ends_within_on(&Clock::default(), time)
    }

    /// As that, by a clock that may pause.
    pub(super) fn ends_within_on(&self, clock: &Clock, time: Duration) -> bool {
        let deadline = clock.now().after(time);
        loop {
            let left = deadline.since(clock.now());
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&*self.pidfd, PollFlags::IN)], timeout.as_ref()) {
                Ok(1..) => return true,
                // A signal came, or the clock stood still meanwhile.
                Ok(0) | Err(Errno::INTR) if !left.is_zero() => {}
                Ok(0) | Err(_) => return false,
            }
        }
    }

    /// Ends it: by SIGKILL or, where this process may not send that, by its lifeline. The process may take a while to
    /// be gone: see [`Process::wait`].
    pub(crate) fn kill(&mut self) {
        match pidfd_send_signal(&*self.pidfd, Signal::KILL) {
            // It has ended already.
            Ok(()) | Err(Errno::SRCH) => {}
            // A host that has given up rights, and a worker that is somebody else. To the worker, this is its host's end.
            Err(_) => self.lifeline = None,
        }
    }

    /// Sends a message to a process that nobody converses with yet. What its pipe has no room for is kept for who will:
    /// see [`Process::take_unsent`]. That the process is dead is no error here: reading from it tells.
    pub(super) fn send_ahead(&mut self, request: &Request<'_>) {
        encode_request(request, &mut self.unsent);
        if let Ok(written) = rustix::io::write(&self.requests, &self.unsent) {
            self.unsent.drain(..written);
        }
    }

    /// What is to be written before anything else.
    pub(super) fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unsent)
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
                    return Err(match error {
                        Errno::CHILD => io::Error::other(NOT_WAITED_FOR),
                        error => error.into(),
                    });
                }
            }
        };
        self.reaped = true;
        self.estate.recover(self.start.holder, self.pid);
        Ok(match status.terminating_signal() {
            Some(signal) => WorkerEnd::Signalled(signal),
            None => WorkerEnd::Exited(status.exit_status().unwrap_or_default()),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill();
        if self.lifeline.is_none() && !self.ends_within(END_LIMIT) {
            self.place.leave_behind(self.pid);
            return;
        }
        // Nobody is left to be told how it ended.
        let _ = self.wait();
    }
}

/// Finds out whether processes can be ended here, by a signal that changes nothing in one that runs.
fn check_signals(pidfd: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(pidfd, Signal::CONT) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(io::Error::other(NoSignals(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
    use rustix::process::geteuid;
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    use super::*;
    use crate::guest::Integers;
    use crate::limits::{GuestLimits, Isolation};
    use crate::pool::link::Link;
    use crate::sandbox::{Profile, SandboxMode, Shares};
    use crate::shm::declared::Holder;
    use crate::wire::msg::{Load, Serve};
    use crate::wire::{Decoder, version};

    /// A process that waits for its input to end.
    fn waiting() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn adopted(child: &Child) -> Process {
        let (_, lifeline) = rustix::pipe::pipe().unwrap();
        adopted_with(child, lifeline, &Arc::default())
    }

    fn adopted_with(child: &Child, lifeline: OwnedFd, roster: &Arc<Roster>) -> Process {
        let (_, requests) = rustix::pipe::pipe().unwrap();
        let (results, _) = rustix::pipe::pipe().unwrap();
        let (stderr, _) = rustix::pipe::pipe().unwrap();
        let segment = SegmentFile::create().unwrap();
        let ends = Ends { requests, results, stderr, segment, lifeline };
        let start = Start {
            host: std::process::id(),
            profile: Profile::Compute,
            mode: SandboxMode::Off,
            shares: Shares::default(),
            holder: Holder::fresh(),
        };
        Process::adopt(Pid::from_child(child), start, ends, roster, &Arc::default()).unwrap()
    }

    /// A process of somebody else that ends with what is returned beside it; from here on, this thread may not signal
    /// it. None where that takes rights that this process does not have.
    fn foreign(command: &str) -> Option<(Child, OwnedFd)> {
        if !geteuid().is_root() {
            return None;
        }
        let (input, lifeline) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut words = command.split(' ');
        let child = Command::new(words.next().unwrap())
            .args(words)
            .uid(65534)
            .stdin(input)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut rights = capabilities(None).unwrap();
        rights.effective.remove(CapabilitySet::KILL);
        set_capabilities(None, rights).unwrap();
        Some((child, lifeline))
    }

    /// Another process with this number; none where numbers cannot be chosen.
    fn with_number(pid: u32) -> Option<Child> {
        (0..100).find_map(|_| {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
            let mut child = waiting();
            if child.id() == pid {
                return Some(child);
            }
            child.kill().unwrap();
            child.wait().unwrap();
            None
        })
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for through its descriptor")]
    fn h11_whoever_gets_the_number_of_a_dead_worker_is_left_alone() {
        // Its input stays open until it is killed.
        let child = waiting();
        let mut worker = adopted(&child);
        worker.kill();
        assert_eq!(worker.wait().unwrap(), WorkerEnd::Signalled(Signal::KILL.as_raw()));
        let Some(mut other) = with_number(worker.pid()) else { return };
        worker.kill();
        drop(worker);
        // It would be on its way out.
        drop(other.stdin.take());
        assert_eq!(other.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn h11_a_worker_that_has_been_waited_for_is_not_killed_again() {
        let mut worker = adopted(&waiting());
        worker.kill();
        worker.wait().unwrap();
        worker.kill();
    }

    #[test]
    fn h23_a_worker_that_the_host_may_not_kill_ends_with_its_lifeline() {
        let Some((child, lifeline)) = foreign("cat") else { return };
        let mut worker = adopted_with(&child, lifeline, &Arc::default());
        worker.kill();
        assert_eq!(worker.wait().unwrap(), WorkerEnd::Exited(0));
    }

    #[test]
    fn h23_a_worker_that_outlives_its_lifeline_is_told() {
        let Some((mut child, lifeline)) = foreign("sleep 600") else { return };
        let roster = Arc::default();
        drop(adopted_with(&child, lifeline, &roster));
        let error = roster.check_none_left().unwrap_err();
        let message = format!("the pool broke: worker process {} cannot be ended", child.id());
        assert!(error.to_string().starts_with(&message), "{error}");
        assert!(roster.check_none_left().is_ok(), "it is told once");
        let mut rights = capabilities(None).unwrap();
        rights.effective.insert(CapabilitySet::KILL);
        set_capabilities(None, rights).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_message_that_is_longer_than_the_pipe_is_kept_for_who_converses() {
        let (their_requests, requests) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        fcntl_setpipe_size(&requests, 4096).unwrap();
        let mut worker = adopted(&waiting());
        worker.requests = requests;
        let long = Request::Load(Load::Serve(Serve {
            exports: vec!["f".into()],
            meta: false,
            limits: GuestLimits::default(),
            isolation: Isolation::Item,
            seed: None,
            integers: Integers::Signed,
            dirs: Vec::new(),
            env: vec![("A".into(), "x".repeat(32 << 10))],
            init: None,
            bound: Vec::new(),
            shared: Vec::new(),
        }));
        worker.send_ahead(&Request::Hello(version::hello()));
        worker.send_ahead(&long);

        let mut link = Link::following(worker.take_unsent(), 1);
        let (mut pipe, mut decoder) = (File::from(their_requests), Decoder::new(1 << 20));
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let read = pipe.read(decoder.space()).unwrap();
            decoder.filled(read);
            while let Some(message) = decoder.next_message().unwrap() {
                heard.push(format!("{:?}", Request::parse(message).unwrap()));
            }
            link.write(&worker.requests);
        }
        assert_eq!(heard, [format!("{:?}", Request::Hello(version::hello())), format!("{long:?}")]);
    }

    #[test]
    fn h25_an_end_that_somebody_else_has_been_told_says_so() {
        let mut child = waiting();
        let mut worker = adopted(&child);
        child.kill().unwrap();
        child.wait().unwrap();
        let error = worker.wait().unwrap_err();
        assert_eq!(error.to_string(), NOT_WAITED_FOR);
    }
}
