//! A cell: a process of its own that locks itself in and then does one thing.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::{fmt, io};

use nix::libc;
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use super::super::fds::{FIRST_SHARED, LIFELINE};
use super::super::identity::{Root, give_up_rights};
use super::super::jail::Jail;
use super::super::{Layer, Profile, SandboxMode, Shares, Start};
use crate::shm::declared::Holder;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It could do it.
    Worked,
    /// The system refused, with this error.
    Refused(i32),
    /// It was ended by this signal.
    Killed(i32),
}

/// What a worker was handed beside what all are.
#[derive(Default)]
pub(super) struct Handed {
    pub(super) dirs: Vec<OwnedFd>,
    pub(super) shares: Shares,
    /// What is shared, and what else has the numbers behind that.
    pub(super) shared: Vec<OwnedFd>,
}

/// A process that waits until it is dropped.
pub(super) struct Victim(Pid);

/// Exit codes of a cell: an error's number, or one of these.
const WORKED: i32 = 0;
const BROKEN: i32 = 250;
const UNKNOWN: i32 = 251;

impl Fate {
    /// Whether it could not do it.
    pub(super) fn is_stopped(self) -> bool {
        self != Self::Worked
    }

    /// Whether the filter ended it.
    pub(super) fn is_filtered(self) -> bool {
        self == Self::Killed(libc::SIGSYS)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worked => f.write_str("worked"),
            Self::Refused(number) => write!(f, "{:?}", nix::errno::Errno::from_raw(*number)),
            Self::Killed(number) => write!(f, "signal {number}"),
        }
    }
}

/// What `deed` comes to in a process of nobody with these layers around it.
#[track_caller]
pub(super) fn attempt(layers: &[Layer], profile: &Profile, deed: impl FnOnce() -> io::Result<()>) -> Fate {
    attempt_with(layers, profile, &Handed::default(), deed)
}

/// As [`attempt`], with more in its hands.
#[track_caller]
pub(super) fn attempt_with(
    layers: &[Layer],
    profile: &Profile,
    handed: &Handed,
    deed: impl FnOnce() -> io::Result<()>,
) -> Fate {
    ended(&handed.numbers(), || {
        lock_in(layers, profile, handed)?;
        Some(deed())
    })
}

/// As [`attempt`], in a process that has put on what there is before anything is loaded, and no more.
#[track_caller]
pub(super) fn attempt_while_loading(
    profile: &Profile,
    handed: &Handed,
    deed: impl FnOnce() -> io::Result<()>,
) -> Fate {
    ended(&handed.numbers(), || {
        let _jail = close_in(&Layer::ALL, profile, handed)?;
        Some(deed())
    })
}

/// What becomes of a process that does this, none if it could not be locked in.
#[track_caller]
fn ended(keep: &[RawFd], body: impl FnOnce() -> Option<io::Result<()>>) -> Fate {
    let child = fork(keep, || match body() {
        None => BROKEN,
        Some(Ok(())) => WORKED,
        Some(Err(error)) => error.raw_os_error().unwrap_or(UNKNOWN),
    });
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().expect("it was waited for");
    fate(status)
}

pub(super) fn fate(status: WaitStatus) -> Fate {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(WORKED), _) => Fate::Worked,
        (Some(BROKEN), _) => panic!("a cell cannot lock itself in"),
        (Some(UNKNOWN), _) => panic!("an error without a number"),
        (Some(number), _) => Fate::Refused(number),
        (None, Some(signal)) => Fate::Killed(signal),
        (None, None) => panic!("a cell that has ended, and has not"),
    }
}

/// A process of nobody with these layers around it that does nothing.
pub(super) fn victim(layers: &[Layer]) -> Victim {
    let (ready, told) = io::pipe().unwrap();
    let child = fork(&[told.as_raw_fd()], || {
        if lock_in(layers, &Profile::Compute, &Handed::default()).is_none() {
            return BROKEN;
        }
        // The end of the pipe says that it is locked; sleeping takes a call that a locked process has.
        drop(told);
        loop {
            std::thread::park();
        }
    });
    let victim = Victim(child);
    drop(io::read_to_string(ready).unwrap());
    victim
}

impl Handed {
    fn numbers(&self) -> Vec<RawFd> {
        self.dirs.iter().chain(&self.shared).map(AsRawFd::as_raw_fd).collect()
    }

    /// Puts what is shared where workers have it.
    fn put_in_place(&self) -> Option<()> {
        for (file, number) in self.shared.iter().zip(FIRST_SHARED..) {
            // SAFETY: nothing but what a cell was handed is open in it, and that has higher numbers.
            if unsafe { libc::dup2(file.as_raw_fd(), number) } != number {
                return None;
            }
        }
        Some(())
    }
}

impl Victim {
    pub(super) fn pid(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        kill_process(self.0, Signal::KILL).unwrap();
        waitpid(Some(self.0), WaitOptions::empty()).unwrap();
    }
}

/// Locks this process in as workers do, but for the limit of its memory.
fn lock_in(layers: &[Layer], profile: &Profile, handed: &Handed) -> Option<()> {
    close_in(layers, profile, handed)?.shut(None).ok()?;
    Some(())
}

/// The first half of that.
fn close_in(layers: &[Layer], profile: &Profile, handed: &Handed) -> Option<Jail> {
    // A worker's standard error is a pipe. Where it is a file, a word there would be the end by another limit.
    rustix::stdio::dup2_stderr(std::fs::File::options().write(true).open("/dev/null").ok()?).ok()?;
    handed.put_in_place()?;
    // What it opens now is not to have the number of a worker's lifeline, which cannot be closed.
    while rustix::io::dup(rustix::stdio::stderr()).ok()?.into_raw_fd() < LIFELINE {}
    // Every cell is an ordinary user's: root has no business in a worker.
    let named_root = matches!(profile, Profile::Files(_)) && layers.contains(&Layer::Unprivileged);
    if !named_root {
        let _ = give_up_rights(Root::Leaves);
    }
    let host = rustix::process::getppid()?.as_raw_nonzero().get().unsigned_abs();
    let start = Start {
        host,
        profile: profile.clone(),
        mode: SandboxMode::Off,
        shares: handed.shares,
        holder: Holder::HOST,
    };
    let (lifeline, held) = io::pipe().ok()?;
    // The cell's own end of it goes with the cell, whichever program it has become.
    rustix::io::fcntl_setfd(&held, FdFlags::empty()).ok()?;
    std::mem::forget(held);
    let mut jail = Jail::of(&start, layers.to_vec());
    // Nor does a worker ever close its own.
    let lifeline = std::mem::ManuallyDrop::new(lifeline.into());
    jail.close_in(host, &lifeline, &handed.dirs).ok()?;
    Some(jail)
}

/// Runs `body` in a copy of this process, which ends with its result and has no descriptors but these beside the first
/// three: other tests in this process have pipes that are to end when they say so.
pub(super) fn fork(keep: &[RawFd], body: impl FnOnce() -> i32) -> Pid {
    // SAFETY: the copy has one thread, and shares nothing with this one. What it calls takes no lock but the
    // allocator's, which the C library leaves free in it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a process can be had");
    match Pid::from_raw(child) {
        Some(child) => child,
        None => {
            close_all_but(keep);
            let code = body();
            // SAFETY: ends the copy without running what this process has to do at its end.
            unsafe { libc::_exit(code) }
        }
    }
}

fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<_> = keep.iter().map(|number| number.unsigned_abs()).collect();
    keep.sort_unstable();
    let mut first = 3;
    for number in keep {
        close(first, number - 1);
        first = number + 1;
    }
    close(first, u32::MAX);
}

fn close(first: u32, last: u32) {
    if first <= last {
        // SAFETY: who owns these is a thread of the process that this one is a copy of, and has no copy here.
        unsafe { libc::close_range(first, last, 0) };
    }
}
