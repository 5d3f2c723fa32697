//! Follows a command and all that it starts, and keeps every system call of its workers.
//!
//! The kernel stops a traced thread at each of its calls, before a filter has looked at it. The host is traced only so
//! far that its workers are found.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use wasmpool::sandbox::syscalls::Kind;
use wasmpool::sandbox::{Shares, Start};

/// A worker, from its program's start to its end.
pub(super) struct Traced {
    pub(super) pid: i32,
    pub(super) kind: Kind,
    pub(super) shares: Shares,
    pub(super) calls: Vec<Made>,
    /// The signal that ended it, if one did.
    pub(super) killed_by: Option<Signal>,
}

/// A call that a worker made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Made {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// What is known of the processes.
struct Tracer {
    host: Pid,
    /// The process of each thread that is traced.
    threads: BTreeMap<Pid, Pid>,
    workers: BTreeMap<Pid, Traced>,
    /// How often each worker has been stopped.
    stops: BTreeMap<Pid, u32>,
    ended: Vec<Traced>,
}

/// How often a worker is stopped while it waits.
const STOPS: u32 = 5;

/// Follows a process that has stopped itself, until it and its workers have ended. The thread that calls this must do
/// nothing else with processes.
pub(super) fn follow(host: i32) -> Vec<Traced> {
    let host = Pid::from_raw(host);
    let stopped = waitpid(host, Some(WaitPidFlag::WUNTRACED)).expect("it is a child of this process");
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "it does not stop: {stopped:?}");
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(host, options)
        .unwrap_or_else(|error| panic!("this test has to trace processes, and may not: {error}"));
    kill(host, Signal::SIGCONT).expect("it is there");
    let mut tracer = Tracer {
        host,
        threads: BTreeMap::from([(host, host)]),
        workers: BTreeMap::new(),
        stops: BTreeMap::new(),
        ended: Vec::new(),
    };
    while tracer.step() {}
    tracer.ended
}

impl Tracer {
    /// Waits for something to happen, and lets it go on. False: there is nothing left to wait for.
    fn step(&mut self) -> bool {
        // Only for threads that this thread traces, whatever else is a child of this process.
        let traced = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        match waitpid(None, Some(traced)) {
            Ok(status) => self.handle(status),
            Err(Errno::ECHILD) => return false,
            Err(error) => panic!("threads cannot be waited for: {error}"),
        }
        true
    }

    fn handle(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::Exited(thread, _) => self.end(thread, None),
            WaitStatus::Signaled(thread, signal, _) => self.end(thread, Some(signal)),
            WaitStatus::Stopped(thread, signal) => {
                // The tracer's own stop would be one for good: nobody would have it go on.
                self.go_on(thread, Some(signal));
            }
            WaitStatus::PtraceEvent(thread, _, event)
                if thread == self.host && event == Event::PTRACE_EVENT_EXIT as i32 =>
            {
                // Who has started it waits for its end, which must not be taken away.
                ptrace::detach(thread, None).expect("it has stopped");
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                self.learn(thread, event);
                self.go_on(thread, None);
            }
            WaitStatus::PtraceSyscall(thread) => {
                self.note(thread);
                self.go_on(thread, None);
            }
            WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
        }
    }

    fn end(&mut self, thread: Pid, killed_by: Option<Signal>) {
        self.threads.remove(&thread);
        if let Some(worker) = self.workers.remove(&thread) {
            self.ended.push(Traced { killed_by, ..worker });
        }
    }

    fn learn(&mut self, thread: Pid, event: i32) {
        let process = process_of(thread);
        self.threads.insert(thread, process);
        if event == Event::PTRACE_EVENT_EXEC as i32
            && let Some(Start { profile, shares, .. }) = start(process)
        {
            let (pid, kind) = (process.as_raw(), profile.kind());
            let worker = Traced { pid, kind, shares, calls: Vec::new(), killed_by: None };
            self.workers.insert(process, worker);
        }
    }

    /// Lets a thread go on: a worker's up to its next call, any other's up to its end.
    fn go_on(&mut self, thread: Pid, signal: Option<Signal>) {
        let process = *self.threads.entry(thread).or_insert_with(|| process_of(thread));
        let gone_on = if self.workers.contains_key(&process) {
            ptrace::syscall(thread, signal)
        } else {
            ptrace::cont(thread, signal)
        };
        // It may have been killed meanwhile.
        assert!(matches!(gone_on, Ok(()) | Err(Errno::ESRCH)), "{thread} cannot go on: {gone_on:?}");
    }

    fn note(&mut self, thread: Pid) {
        let Some(process) = self.threads.get(&thread) else { return };
        let Some(worker) = self.workers.get_mut(process) else { return };
        let Some(made) = made(thread) else { return };
        worker.calls.push(made);
        // After a stop, the kernel goes on with a wait in a call of its own.
        let [.., timeout, _, _] = made.arguments;
        if made.number == libc::SYS_futex && is_wait(made.arguments[1]) && timeout != 0 {
            let stops = self.stops.entry(*process).or_default();
            *stops += 1;
            if *stops <= STOPS {
                kill(*process, Signal::SIGSTOP).expect("it has not been waited for");
            }
        }
    }
}

/// The call before which a thread has stopped; none if it stopped behind one, or has been killed.
fn made(thread: Pid) -> Option<Made> {
    let stop = ptrace::syscall_info(thread).ok()?;
    if stop.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    let registers = ptrace::getregs(thread).ok()?;
    #[cfg(target_arch = "x86_64")]
    let (number, arguments) = {
        let r = registers;
        (r.orig_rax.cast_signed(), [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9])
    };
    #[cfg(target_arch = "aarch64")]
    let (number, arguments) = {
        let [a, b, c, d, e, f, _, _, number, ..] = registers.regs;
        (number.cast_signed(), [a, b, c, d, e, f])
    };
    Some(Made { number, arguments })
}

/// Whether it is one of the operations on a futex that wait.
fn is_wait(operation: u64) -> bool {
    let options = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
    let operation = operation & !u64::from(options.unsigned_abs());
    [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].iter().any(|wait| operation == u64::from(wait.unsigned_abs()))
}

/// The process that a thread belongs to.
fn process_of(thread: Pid) -> Pid {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    process.map_or(thread, Pid::from_raw)
}

/// What a worker process was started with; none: it is none.
fn start(process: Pid) -> Option<Start> {
    let arguments = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let arguments = arguments.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let arguments: Vec<_> = arguments.map(|word| OsStr::from_bytes(word).to_owned()).collect();
    if arguments.first()? != "wasmpool-worker" {
        return None;
    }
    Start::parse(arguments.get(2..)?)
}
