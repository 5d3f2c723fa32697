//! Tests of the scheduler as a whole, and of `park` and `window`: those two files are also compiled by `tests/model`,
//! with types that work inside a model only, so they hold no tests of their own.

mod queue;
mod random;
mod threads;
mod window;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{LocalQueue, Next, Scheduler, Split, Wake};

/// Work that is nothing but its items' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run(Range<u64>);

impl Split for Run {
    fn first(&self) -> u64 {
        self.0.start
    }

    fn len(&self) -> u64 {
        self.0.end - self.0.start
    }

    fn split_half(&mut self) -> Option<Self> {
        let middle = self.0.start + self.len().div_ceil(2);
        let second = middle..self.0.end;
        self.0.end = middle;
        (!second.is_empty()).then_some(Self(second))
    }
}

/// A waker that only notes that it was used.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Flag {
    fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Parts = (Arc<Scheduler<Run>>, Vec<LocalQueue<Run>>, Vec<Arc<Flag>>);

fn scheduler(n_drivers: usize) -> Parts {
    let flags: Vec<_> = (0..n_drivers).map(|_| Arc::<Flag>::default()).collect();
    let wakers = flags.iter().map(|flag| Arc::clone(flag) as Arc<dyn Wake>).collect();
    let (scheduler, queues) = Scheduler::new(wakers);
    (scheduler, queues, flags)
}
