//! Many pools in one process, one after another, whatever becomes of each: nothing is left of them. The workers are
//! fakes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::poll;
use wasmpool::error::Error;
use wasmpool::item::ItemIndex;
use wasmpool::outcome::Completion;
use wasmpool::pool::Canceller;
use wasmpool::sink::{Accepted, InputEnd, Sink};

use crate::fake_worker::{Fake, Script, alone, job, numbers};
use crate::harness::{PATIENCE, is_soak};

/// How many pools there are.
fn rounds() -> u32 {
    if is_soak() { 1000 } else { 50 }
}

/// What this process has open, and its threads.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn now() -> Self {
        let count = |path| fs::read_dir(path).expect("the system shows this process").count();
        Self { descriptors: count("/proc/self/fd"), threads: count("/proc/self/task") }
    }

    /// Waits until no more is held than this: a feeder is not waited for by its run.
    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::now();
            if now.descriptors <= self.descriptors && now.threads <= self.threads {
                return;
            }
            assert!(Instant::now() < deadline, "{self:?} were held before, {now:?} are now");
            let moment = Timespec::try_from(Duration::from_millis(5)).expect("it is short");
            poll(&mut [], Some(&moment)).expect("nothing can be waited for");
        }
    }
}

/// Does something so often, once to begin with, and checks that nothing is left of it.
fn check_nothing_is_left(name: &str, rounds: u32, round: impl Fn()) {
    alone(name, || {
        round();
        let before = Held::now();
        (0..rounds).for_each(|_| round());
        before.wait();
    });
}

#[test]
fn h26_pools_that_run_and_end_leave_nothing() {
    check_nothing_is_left("many_pools::h26_pools_that_run_and_end_leave_nothing", rounds(), || {
        let ran = Fake::new(Script::default()).run(job(numbers(20)));
        ran.check_ok_but(20, &[]);
        // None was killed by the end of a thread, its own pool's or another's.
        assert_eq!(ran.summary().replaced, 0);
    });
}

#[test]
fn h10_workers_outlive_the_pools_that_come_and_go_beside_them() {
    alone("many_pools::h10_workers_outlive_the_pools_that_come_and_go_beside_them", || {
        let others = std::thread::spawn(|| {
            for _ in 0..rounds() {
                Fake::new(Script::default()).run(job(numbers(4))).check_ok_but(4, &[]);
            }
        });
        while !others.is_finished() {
            let ran = Fake::new(Script::default()).run(job(numbers(400)));
            ran.check_ok_but(400, &[]);
            assert_eq!((ran.summary().replaced, ran.summary().attempts), (0, 400));
        }
        others.join().expect("their runs end well");
    });
}

#[test]
fn h26_pools_that_are_dropped_before_they_run_leave_nothing() {
    check_nothing_is_left(
        "many_pools::h26_pools_that_are_dropped_before_they_run_leave_nothing",
        rounds(),
        || {
            let fake = Fake::new(Script::default());
            fake.open_and_drop();
            fake.check_none_left();
        },
    );
}

/// A sink that panics at its first item.
struct Panicking;

impl Sink for Panicking {
    fn accept(&mut self, _index: ItemIndex, _completion: Completion) -> Result<Accepted, Error> {
        panic!("this sink panics, as its test wants it to");
    }

    fn input_ended(&mut self, _end: InputEnd) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn h26_pools_whose_sinks_panic_leave_nothing() {
    check_nothing_is_left("many_pools::h26_pools_whose_sinks_panic_leave_nothing", rounds() / 2, || {
        let fake = Fake::new(Script::default());
        let run = AssertUnwindSafe(|| fake.run_into(job(numbers(20)), &mut Panicking, Canceller::new()));
        assert!(catch_unwind(run).is_err());
        fake.check_none_left();
    });
}
