//! All values of many calls, gathered in order.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::call_error::CallError;
use super::calls::{End, Receive};
use super::future::read;
use super::wit_type::WitType;

/// Where the ends of many calls come together.
#[derive(Default)]
pub(super) struct Gathered {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ends: Vec<Option<End>>,
    missing: usize,
}

/// The calls of one batch among all.
struct Part {
    of: Arc<Gathered>,
    first: usize,
}

impl Gathered {
    /// So many more calls.
    pub(super) fn part(self: &Arc<Self>, calls: u64) -> Arc<dyn Receive> {
        let calls = usize::try_from(calls).expect("they are in memory");
        let mut state = self.lock();
        let first = state.ends.len();
        state.ends.resize_with(first + calls, || None);
        state.missing += calls;
        drop(state);
        Arc::new(Part { of: Arc::clone(self), first })
    }

    /// Waits for all values.
    pub(super) fn wait<R: WitType>(&self) -> Result<Vec<R>, CallError> {
        self.ends().map(read).collect()
    }

    /// Waits for all values, as JSON.
    pub(super) fn values(&self) -> Result<Vec<Box<str>>, CallError> {
        self.ends().collect()
    }

    /// Waits for all ends.
    fn ends(&self) -> impl Iterator<Item = End> {
        let mut state = self.lock();
        while state.missing > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let ends = std::mem::take(&mut state.ends);
        drop(state);
        ends.into_iter().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had changed all of it or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receive for Part {
    fn end(&self, position: u64, end: End) {
        let place = self.first + usize::try_from(position).expect("they are in memory");
        let mut state = self.of.lock();
        state.ends[place] = Some(end);
        state.missing -= 1;
        if state.missing == 0 {
            self.of.changed.notify_all();
        }
    }
}
