//! All worker processes of a pool that are alive, to be stopped and continued together.
//!
//! Workers are in process groups of their own, so what a terminal does to its foreground group, Ctrl-Z say, reaches
//! the host alone. It is the host that stops and continues them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};

use super::clock::Clock;
use crate::error::Error;

/// Stops a pool's workers and its clock, and lets them go on, from any thread.
///
/// For a program that is about to be stopped itself: its workers would go on without it, and time in which nobody
/// could take their results would be charged to their items. A pool gets its own in
/// [`Options`](super::Options::pauser); several pools may have the same.
///
/// ```
/// let pauser = wasmpool::pool::Pauser::default();
/// pauser.pause();
/// // … this process is stopped and continued …
/// pauser.resume();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pauser {
    clock: Arc<Clock>,
    roster: Arc<Roster>,
}

impl Pauser {
    /// Stops all workers, those too that are started from now on. No time is charged any more.
    pub fn pause(&self) {
        self.clock.pause();
        self.roster.stop_all();
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.roster.continue_all();
        self.clock.resume();
    }

    /// Tells what is left of this time, from now on and not counting what is paused.
    pub(crate) fn timer(&self, time: Duration) -> impl Fn() -> Duration + use<> {
        let clock = Arc::clone(&self.clock);
        let end = clock.now().after(time);
        move || end.since(clock.now())
    }

    pub(super) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    pub(super) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }
}

/// The workers that are alive: compiling, serving, standing by, dying.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Roll>);

#[derive(Debug, Default)]
struct Roll {
    is_stopped: bool,
    next: u64,
    workers: BTreeMap<u64, Arc<OwnedFd>>,
    /// Process ids of those that could not be ended.
    left_behind: Vec<u32>,
}

/// A place in a roster, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    roster: Arc<Roster>,
    number: u64,
}

impl Roster {
    /// Takes in a process, by its pidfd. It is stopped if the others are.
    pub(super) fn enlist(self: &Arc<Self>, pidfd: &Arc<OwnedFd>) -> Place {
        let mut roll = self.lock();
        let number = roll.next;
        roll.next += 1;
        roll.workers.insert(number, Arc::clone(pidfd));
        if roll.is_stopped {
            send(pidfd, Signal::STOP);
        }
        Place { roster: Arc::clone(self), number }
    }

    /// Tells, once, of workers that could not be ended.
    pub(super) fn check_none_left(&self) -> Result<(), Error> {
        let left = std::mem::take(&mut self.lock().left_behind);
        let Some(first) = left.first() else { return Ok(()) };
        let others = match left.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        let pids: Vec<_> = left.iter().map(u32::to_string).collect();
        Err(Error::Pool {
            message: format!(
                "worker process {first}{others} cannot be ended: this process may not kill it, and it goes on without it"
            ),
            hint: Some(format!("`kill -KILL {}` ends what is left, by who may do that", pids.join(" "))),
        })
    }

    fn stop_all(&self) {
        let mut roll = self.lock();
        roll.is_stopped = true;
        roll.workers.values().for_each(|pidfd| send(pidfd, Signal::STOP));
    }

    fn continue_all(&self) {
        let mut roll = self.lock();
        roll.is_stopped = false;
        roll.workers.values().for_each(|pidfd| send(pidfd, Signal::CONT));
    }

    fn lock(&self) -> MutexGuard<'_, Roll> {
        // Whoever panicked had changed all of it or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The process could not be ended.
    pub(super) fn leave_behind(&self, pid: u32) {
        self.roster.lock().left_behind.push(pid);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roster.lock().workers.remove(&self.number);
    }
}

fn send(pidfd: &OwnedFd, signal: Signal) {
    // One that has ended need not be stopped.
    let _ = pidfd_send_signal(pidfd, signal);
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

    use super::*;

    /// A process that waits for its input to end.
    struct Waiting {
        child: Child,
        pidfd: Arc<OwnedFd>,
    }

    impl Waiting {
        fn new() -> Self {
            let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
            Self { child, pidfd: Arc::new(pidfd) }
        }

        /// Waits until it is stopped, or continued.
        fn wait(&self, change: WaitIdOptions) {
            waitid(WaitId::Pid(Pid::from_child(&self.child)), change).unwrap().unwrap();
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    #[test]
    fn h4_workers_are_stopped_and_continued_together() {
        let pauser = Pauser::default();
        let workers = [Waiting::new(), Waiting::new()];
        let _places = workers.each_ref().map(|worker| pauser.roster().enlist(&worker.pidfd));
        pauser.pause();
        workers.iter().for_each(|worker| worker.wait(WaitIdOptions::STOPPED));
        pauser.resume();
        workers.iter().for_each(|worker| worker.wait(WaitIdOptions::CONTINUED));
    }

    #[test]
    fn h4_a_worker_that_starts_in_a_pause_is_stopped_until_its_end() {
        let pauser = Pauser::default();
        pauser.pause();
        let worker = Waiting::new();
        let _place = pauser.roster().enlist(&worker.pidfd);
        worker.wait(WaitIdOptions::STOPPED);
        pauser.resume();
        worker.wait(WaitIdOptions::CONTINUED);
    }

    #[test]
    fn h4_a_worker_that_is_gone_is_not_held() {
        let pauser = Pauser::default();
        let worker = Waiting::new();
        drop(pauser.roster().enlist(&worker.pidfd));
        assert_eq!(Arc::strong_count(&worker.pidfd), 1);
        assert!(pauser.roster().lock().workers.is_empty());
    }
}
