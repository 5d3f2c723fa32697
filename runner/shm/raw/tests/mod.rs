//! Several processes, of which some are killed and some mean harm.

#![expect(unsafe_code, reason = "makes processes, and ends them")]

mod deaths;
mod hostile;
mod processes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};

use crate::shm::declared::{Holder, Number, Shape};
use crate::shm::map::SharedMap;
use crate::shm::object::create;

/// What tests look at themselves needs no thought.
const ORDER: Ordering = Ordering::SeqCst;

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A process that is a copy of this one, and sees the same shared memory.
struct Child {
    pid: Pid,
    who: Holder,
}

impl Child {
    /// Runs `body` in a process of its own, which ends with that.
    fn start(body: impl FnOnce(Holder)) -> Self {
        let who = Holder::fresh();
        // SAFETY: the copy has one thread. What it calls takes no lock but the allocator's, which the C library leaves
        // free in it.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "a process can be had");
        let Some(pid) = Pid::from_raw(child) else {
            // SAFETY: the copies of other tests' descriptors are nobody's; mappings stay without theirs.
            unsafe { libc::close_range(3, u32::MAX, 0) };
            // Where a test fails, its thread ends, and nobody waits for what it has started.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let code = i32::from(catch_unwind(AssertUnwindSafe(|| body(who))).is_err());
            // SAFETY: ends the copy without running what this process has to do at its end.
            unsafe { libc::_exit(code) }
        };
        Self { pid, who }
    }

    /// Kills it wherever it is.
    fn kill(self) -> Holder {
        kill_process(self.pid, Signal::KILL).unwrap();
        let who = self.who;
        self.join();
        who
    }

    /// Waits for its end.
    fn join(self) -> Option<i32> {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::empty()).unwrap().unwrap();
        status.exit_status()
    }
}

/// Words that all these processes see, for the tests themselves.
fn board(n_words: u32) -> Arc<SharedMap> {
    let shape = Shape::Array { number: Number::U64, length: n_words };
    let fd = create(shape).unwrap();
    Arc::new(SharedMap::new(std::os::fd::AsFd::as_fd(&fd), shape.file_length().unwrap()).unwrap())
}

/// Later than anything here takes.
fn generous() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

/// Few, or as many as a long run has time for.
fn few_or(many: u64, few: u64) -> u64 {
    if std::env::var_os("WASMPOOL_SOAK").is_some() { many } else { few }
}

/// Waits until something is true that other processes bring about.
fn wait_until(is_true: impl Fn() -> bool) {
    let until = generous();
    while !is_true() {
        assert!(until > Some(Instant::now()), "nothing happens any more");
        std::thread::yield_now();
    }
}
