//! A command that is running, and how it ended.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::processes::{is_ready_within, is_writable_within};
use super::{Expectation, Folder, PATIENCE, Worker};

/// Killed when it is dropped before its end.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    /// What has been read of its standard output.
    read: Vec<u8>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    started: Instant,
    expectation: Expectation,
    folder: Folder,
}

/// How a command ended.
pub(crate) struct Ended {
    /// Its exit code; less than 0 for the signal that killed it.
    pub(crate) code: i32,
    /// As much of it as was read.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From start to end.
    pub(crate) took: Duration,
}

impl Running {
    pub(super) fn start(mut command: Command, folder: Folder, expectation: Expectation) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the child has not been waited for");
        let stderr = read_to_end(child.stderr.take().expect("it is a pipe"));
        Self {
            pid,
            pidfd,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            read: Vec::new(),
            stderr: Some(stderr),
            started: Instant::now(),
            child,
            expectation,
            folder,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn workers(&self) -> Vec<Worker> {
        Worker::all_of(self.pid)
    }

    /// The worker that computes, as soon as there is one: it has an item. While a guest is loaded, that may be another.
    #[track_caller]
    pub(crate) fn worker_at_work(&self) -> Worker {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut workers = self.workers().into_iter().filter(|worker| !worker.is_compiler());
            let busy = workers.find(|worker| worker.computes_now() && worker.computes_now());
            if let Some(worker) = busy {
                return worker;
            }
        }
        panic!("no worker computes");
    }

    /// The worker that has used more processor time than its start takes, as soon as there is one. While a guest is
    /// compiled, that may be who compiles.
    #[track_caller]
    pub(crate) fn worker_that_has_computed(&self) -> Worker {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(worker) = self.workers().into_iter().find(Worker::has_computed) {
                return worker;
            }
        }
        panic!("no worker computes");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).expect("it has not been waited for");
    }

    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        is_ready_within(&self.pidfd, time)
    }

    /// Writes all of this to its standard input, and then closes it, while the test goes on.
    pub(super) fn feed(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("it is a pipe");
        // Whether it reads everything is its own affair.
        thread::spawn(move || stdin.write_all(&bytes));
    }

    /// Writes to its standard input, which stays open.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("its standard input is open");
        stdin.write_all(text.as_bytes()).expect("it reads its standard input");
    }

    /// Writes this to its standard input over and over, until it has read nothing for a second: how often that was, but
    /// no more than `most` times.
    pub(crate) fn write_until_full(&mut self, text: &str, most: usize) -> usize {
        let stdin = self.stdin.as_mut().expect("its standard input is open");
        rustix::io::ioctl_fionbio(&stdin, true).expect("it is a pipe");
        let mut written = 0;
        while written < most * text.len() {
            match stdin.write(&text.as_bytes()[written % text.len()..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !is_writable_within(&stdin, Duration::from_secs(1)) {
                        break;
                    }
                }
                Err(error) => panic!("it does not read its standard input: {error}"),
            }
        }
        written / text.len()
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output, with its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let stdout = self.stdout.as_mut().expect("its standard output has not been closed");
        let start = self.read.len();
        while self.read.last() != Some(&b'\n') || self.read.len() == start {
            assert!(is_ready_within(stdout.as_fd(), PATIENCE), "it prints nothing");
            let mut byte = [0];
            let read = stdout.read(&mut byte).expect("a pipe can be read");
            assert!(read > 0, "its standard output has ended");
            self.read.extend(byte);
        }
        String::from_utf8_lossy(&self.read[start..]).into_owned()
    }

    /// Its standard output, for who wants to do other things with it; the test sees no more of it.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("its standard output has not been closed")
    }

    /// Waits for its end, which must be the one that is expected.
    #[track_caller]
    pub(crate) fn check(self) -> Ended {
        self.check_while(PATIENCE, |_| ())
    }

    /// As [`Running::check`]; meanwhile `act` is called again and again, with so much time between.
    #[track_caller]
    pub(crate) fn check_while(mut self, every: Duration, act: impl FnMut(Pid)) -> Ended {
        let ended = self.end(every, act);
        let Expectation { stdout, stderr, code, patience: _ } = &self.expectation;
        assert!(code.is_none_or(|code| code == ended.code), "the exit code is not {code:?}\n{ended}");
        assert!(stderr.is_met_by(&ended.stderr), "wrong standard error of\n{ended}{stderr}");
        assert!(stdout.is_met_by(&ended.stdout), "wrong standard output of\n{ended}{stdout}");
        ended
    }

    /// As [`Running::check`]; the largest memory that it had meanwhile, in KiB, its workers aside.
    #[track_caller]
    pub(crate) fn peak_kib(self) -> u64 {
        let mut peak = 0;
        self.check_while(Duration::from_millis(5), |pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(size.unwrap_or(0));
        });
        assert!(peak > 0, "the host's memory was never seen");
        peak
    }

    /// Waits for its end, and that of its workers.
    #[track_caller]
    fn end(&mut self, every: Duration, mut act: impl FnMut(Pid)) -> Ended {
        let stdout = self.stdout.take().map(read_to_end);
        let deadline = Instant::now() + self.expectation.patience;
        while !is_ready_within(&self.pidfd, every.min(PATIENCE)) {
            if Instant::now() >= deadline {
                break;
            }
            act(self.pid);
        }
        let took = self.started.elapsed();
        let is_stuck = !is_ready_within(&self.pidfd, Duration::ZERO);
        let status = self.kill();
        let orphans: Vec<_> = Worker::all_of(self.pid);
        let is_left = orphans.iter().any(|worker| !worker.is_gone_within(Duration::from_secs(2)));
        orphans.iter().for_each(|worker| worker.signal(Signal::KILL));

        self.read.extend(stdout.map(finished).unwrap_or_default());
        let stderr = self.stderr.take().map(finished).unwrap_or_default();
        let ended = Ended {
            code: status.code().unwrap_or_else(|| -status.signal().expect("it did not exit")),
            stdout: String::from_utf8_lossy(&self.read).into_owned(),
            stderr: without_word_of_root(&String::from_utf8_lossy(&stderr)),
            took,
        };
        assert!(!is_stuck, "it does not end\n{ended}");
        assert!(!is_left, "a worker is left of\n{ended}");
        ended
    }

    /// Kills it if it has not ended.
    fn kill(&mut self) -> ExitStatus {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        self.child.wait().expect("it is a child of ours")
    }

    /// The path of a file in the folder that it runs in.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr, took } = self;
        let (stdout, stderr) = (shortened(stdout), shortened(stderr));
        writeln!(f, "exit code {code} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// As much as a person reads.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 4000;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn finished(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().expect("it only reads")
}

/// What root alone is told, if it gives guests folders: who runs the tests does not change what they are about.
const WORD_OF_ROOT: &str = "warning: the sandbox lacks unprivileged user: root keeps its number, for its folders; it has no \
                            capability left\n";

/// Standard error, as others would have it.
pub(crate) fn without_word_of_root(stderr: &str) -> String {
    let is_root = rustix::process::geteuid().is_root();
    if is_root { stderr.replace(WORD_OF_ROOT, "") } else { stderr.to_owned() }
}
