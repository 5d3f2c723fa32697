//! Stands in for `runner/shm/protocol/sync.rs`, with loom's types: words of shared memory and their futexes, clocks that
//! say that time is over at any moment, and threads that are killed before any step that others could see.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;

pub(crate) use loom::sync::atomic::{Ordering, fence};
use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

/// Looking again would only mean more to explore.
pub(crate) fn spins() -> Range<u32> {
    Range::default()
}

pub(crate) fn pause() {
    loom::thread::yield_now();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Woken,
    TimedOut,
}

loom::lazy_static! {
    /// Whether every wait that has an end has ended.
    static ref TIME_IS_UP: atomic::AtomicBool = atomic::AtomicBool::new(false);
}

loom::thread_local! {
    /// How many more steps this thread lives; for ever, if there is nothing.
    static LIFE: std::cell::Cell<Option<usize>> = std::cell::Cell::new(None);
}

const UNPOISONED: &str = "nobody is killed with the sleepers locked";

/// What a killed thread unwinds with.
struct Killed;

/// Runs `body`, or as much of it as takes so many steps; whether it came to its end.
pub(crate) fn live<R>(steps: usize, body: impl FnOnce() -> R) -> bool {
    LIFE.with(|life| life.set(Some(steps)));
    let end = catch_unwind(AssertUnwindSafe(body));
    LIFE.with(|life| life.set(None));
    match end {
        Ok(_) => true,
        Err(killed) if killed.is::<Killed>() => false,
        Err(panic) => resume_unwind(panic),
    }
}

/// What others could see is about to be done.
pub(crate) fn step() {
    LIFE.with(|life| match life.get() {
        None => {}
        // Nothing between here and the end of its life does anything: the protocols have no guards.
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(steps) => life.set(Some(steps - 1)),
    });
}

pub(crate) fn is_over(until: Option<Instant>) -> bool {
    until.is_some() && TIME_IS_UP.load(Ordering::Relaxed)
}

/// From now on, time is over for all that wait on these words.
pub(crate) fn end_time<'a>(words: impl IntoIterator<Item = &'a Word>) {
    TIME_IS_UP.store(true, Ordering::Relaxed);
    for word in words {
        let mut sleepers = word.sleepers();
        let (timed, others): (VecDeque<_>, _) = sleepers.drain(..).partition(|sleeper| sleeper.has_deadline);
        *sleepers = others;
        timed.iter().for_each(|sleeper| sleeper.end(Waited::TimedOut));
    }
}

/// A thread that sleeps on a word.
struct Sleeper {
    has_deadline: bool,
    /// How its sleep ended. Looked at with the word's sleepers locked, as all of this is.
    ended: std::sync::OnceLock<Waited>,
    bell: Condvar,
}

impl Sleeper {
    fn end(&self, waited: Waited) {
        self.ended.set(waited).expect("who sleeps no more is not among the sleepers");
        self.bell.notify_one();
    }
}

#[derive(Default)]
pub(crate) struct Word {
    value: atomic::AtomicU32,
    /// The first to sleep is the first to be woken.
    sleepers: Mutex<VecDeque<Arc<Sleeper>>>,
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Word").field(&self.value).finish()
    }
}

impl Word {
    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.value.load(order)
    }

    pub(crate) fn store(&self, value: u32, order: Ordering) {
        step();
        self.value.store(value, order);
    }

    pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
        step();
        self.value.swap(value, order)
    }

    pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        step();
        self.value.fetch_add(value, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        step();
        self.value.compare_exchange(current, new, success, failure)
    }

    pub(crate) fn wait(&self, expected: u32, until: Option<Instant>) -> Waited {
        if is_over(until) {
            return Waited::TimedOut;
        }
        step();
        let waited = self.sleep(expected, until);
        step();
        waited
    }

    fn sleep(&self, expected: u32, until: Option<Instant>) -> Waited {
        let mut sleepers = self.sleepers();
        // The clock may have struck since.
        if is_over(until) {
            return Waited::TimedOut;
        }
        if self.value.load(Ordering::Relaxed) != expected {
            return Waited::Woken;
        }
        let has_deadline = until.is_some();
        let (ended, bell) = Default::default();
        let sleeper = Arc::new(Sleeper { has_deadline, ended, bell });
        sleepers.push_back(Arc::clone(&sleeper));
        loop {
            sleepers = sleeper.bell.wait(sleepers).expect(UNPOISONED);
            if let Some(waited) = sleeper.ended.get() {
                return *waited;
            }
        }
    }

    pub(crate) fn wake_one(&self) -> usize {
        step();
        let mut sleepers = self.sleepers();
        let woken = sleepers.pop_front();
        woken.iter().for_each(|sleeper| sleeper.end(Waited::Woken));
        usize::from(woken.is_some())
    }

    pub(crate) fn wake_all(&self) {
        step();
        self.sleepers().drain(..).for_each(|sleeper| sleeper.end(Waited::Woken));
    }

    fn sleepers(&self) -> MutexGuard<'_, VecDeque<Arc<Sleeper>>> {
        self.sleepers.lock().expect(UNPOISONED)
    }
}

#[derive(Debug, Default)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_or(value, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        step();
        self.0.compare_exchange(current, new, success, failure)
    }
}
