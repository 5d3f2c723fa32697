//! Worker processes as the system shows them: found, watched, and sent signals.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::PATIENCE;

/// One worker process. It is not mistaken for another that got its number afterwards.
pub(crate) struct Worker {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Worker {
    /// All workers of a host, compile worker and spare among them, in the order of their numbers. They are found
    /// when their host is gone, too.
    pub(crate) fn all_of(host: Pid) -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("the system shows its processes");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| Self::of(host, Pid::from_raw(number)?)).collect()
    }

    fn of(host: Pid, pid: Pid) -> Option<Self> {
        if !is_worker_of(host, pid) {
            return None;
        }
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // The number may have passed on to another process just before.
        is_worker_of(host, pid).then_some(Self { pid, pidfd })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; to a process that has ended, none.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Kills it with this signal, however often the signal has to be sent: a runtime takes the first segmentation
    /// fault for one of its guest's.
    #[track_caller]
    pub(crate) fn kill(&self, signal: Signal) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.signal(signal);
            if self.is_gone_within(Duration::from_millis(20)) {
                return;
            }
        }
        panic!("a worker survives {signal:?}");
    }

    /// Whether it compiles a guest, and runs no items.
    pub(crate) fn is_compiler(&self) -> bool {
        arguments_of(self.pid).split('\0').any(|argument| argument == "--compile")
    }

    /// Whether it has used a processor for a while when this returns; a worker without an item uses none.
    pub(crate) fn computes_now(&self) -> bool {
        let before = self.cpu_ticks();
        !self.is_gone_within(Duration::from_millis(150)) && self.cpu_ticks() > before + 2
    }

    /// Whether it has used more processor time than its start takes, however busy the machine is.
    pub(crate) fn has_computed(&self) -> bool {
        self.cpu_ticks() > 5
    }

    #[track_caller]
    pub(crate) fn wait_until_it_computes(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.computes_now() {
            assert!(Instant::now() < deadline, "a worker stays idle");
        }
    }

    /// Processor time, in hundredths of a second.
    fn cpu_ticks(&self) -> u64 {
        const USER_TIME: usize = 11;
        stat(self.pid, USER_TIME).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
    }

    /// Waits until it is stopped, as by SIGSTOP, or no longer is.
    #[track_caller]
    pub(crate) fn wait_until_stopped(&self, stopped: bool) {
        wait_until_stopped(self.pid, stopped);
    }

    pub(crate) fn is_gone_within(&self, time: Duration) -> bool {
        is_ready_within(&self.pidfd, time)
    }
}

/// A field of `/proc/PID/stat`, counted from the state of the process on.
fn stat(pid: Pid, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may have spaces in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(field).map(str::to_owned)
}

/// Waits until a process is stopped, as by SIGSTOP, or no longer is.
#[track_caller]
pub(crate) fn wait_until_stopped(pid: Pid, stopped: bool) {
    const STATE: usize = 0;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the process is there");
    let deadline = Instant::now() + PATIENCE;
    while (stat(pid, STATE).as_deref() == Some("T")) != stopped {
        assert!(Instant::now() < deadline, "it is never {}", if stopped { "stopped" } else { "continued" });
        assert!(!is_ready_within(&pidfd, Duration::from_millis(5)), "it ends");
    }
}

/// The arguments of a process, with a NUL behind each.
fn arguments_of(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn is_worker_of(host: Pid, pid: Pid) -> bool {
    let arguments = arguments_of(pid);
    let mut arguments = arguments.split('\0');
    arguments.next() == Some("wasmpool-worker")
        && arguments.skip_while(|argument| *argument != "--parent").nth(1) == Some(&host.to_string())
}

/// Whether there is something to read, or a process has ended, before the time is over.
pub(super) fn is_ready_within(fd: impl AsFd, time: Duration) -> bool {
    is_so_within(fd, PollFlags::IN, time)
}

/// Whether something can be written before the time is over.
pub(super) fn is_writable_within(fd: impl AsFd, time: Duration) -> bool {
    is_so_within(fd, PollFlags::OUT, time)
}

fn is_so_within(fd: impl AsFd, flags: PollFlags, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("tests take no years");
        match poll(&mut [PollFd::new(&fd, flags)], Some(&timeout)) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(error) => panic!("a descriptor of ours can be polled: {error}"),
        }
    }
}

/// Kills workers of a host, one at a time, any of those that are old enough to have become useful: a pool whose
/// workers never get that far says so and gives up. The compile worker, the first of all, is spared.
pub(crate) struct Chaos {
    host: Pid,
    seen: BTreeMap<i32, Instant>,
    first: Option<i32>,
    random: u32,
    pub(crate) kills: u32,
}

impl Chaos {
    /// The same `seed` chooses the same.
    pub(crate) fn among_workers_of(host: Pid, seed: u32) -> Self {
        Self { host, seen: BTreeMap::new(), first: None, random: seed, kills: 0 }
    }

    pub(crate) fn strike(&mut self) {
        const USEFUL: Duration = Duration::from_millis(100);
        let workers = Worker::all_of(self.host);
        let now = Instant::now();
        if let Some(first) = workers.first() {
            self.first.get_or_insert(first.pid.as_raw_pid());
        }
        let mut victims = Vec::new();
        for worker in workers {
            let pid = worker.pid.as_raw_pid();
            let seen = *self.seen.entry(pid).or_insert(now);
            if self.first != Some(pid) && now.duration_since(seen) >= USEFUL {
                victims.push(worker);
            }
        }
        // Numerical Recipes' generator; its upper bits are the random ones.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let choice = usize::try_from(self.random >> 16).expect("an address has more bits");
        if let Some(victim) = choice.checked_rem(victims.len()).map(|choice| &victims[choice]) {
            victim.signal(Signal::KILL);
            self.kills += 1;
        }
    }
}
