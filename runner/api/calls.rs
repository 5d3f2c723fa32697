//! The calls of a group that have not ended: from whoever makes them to the run, and back.
//!
//! To the run a group's calls are a source that waits for more, and a sink. Calls are numbered when they are handed out
//! and not before, so what is cancelled in time is never seen by anybody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::call_error::CallError;
use crate::chunk::Inputs;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::limits::Terms;
use crate::outcome::{Completion, Outcome};
use crate::pool::Canceller;
use crate::sink::{Accepted, InputEnd, Sink};
use crate::source::{Next, Source};

/// What a call came to: the JSON of its value, or why there is none.
pub(super) type End = Result<Box<str>, CallError>;

/// Takes the ends of calls that were made together.
pub(super) trait Receive: Send + Sync {
    /// Call `position` of them has ended. Called once for each.
    fn end(&self, position: u64, end: End);
}

/// Calls that were made together, on their way.
pub(super) struct Batch {
    pub(super) inputs: Inputs,
    pub(super) terms: Terms,
    pub(super) receiver: Arc<dyn Receive>,
    pub(super) ticket: Arc<Ticket>,
}

/// What names calls that were made together.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    /// The numbers of the first ones, as far as they have been handed out: where each part starts, and how long it is.
    parts: Mutex<Vec<(ItemIndex, u64)>>,
    cancelled: OnceLock<()>,
}

/// The calls of one group.
pub(super) struct Calls {
    state: Mutex<State>,
    changed: Condvar,
    canceller: Canceller,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Calls that were handed out and have not all ended, by the number of the first.
    running: BTreeMap<ItemIndex, Running>,
    /// The number of the next call that is handed out.
    next: ItemIndex,
    /// There will be no more.
    closed: bool,
    /// Why there can be no more.
    broken: Option<Arc<Error>>,
}

struct Waiting {
    batch: Batch,
    /// How many of the batch have been handed out.
    given: u64,
}

struct Running {
    receiver: Arc<dyn Receive>,
    /// Which of the batch is the first.
    offset: u64,
    /// Which of them have ended.
    ended: Vec<bool>,
    left: usize,
}

/// A group takes no calls any more.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    /// It was shut down.
    Closed,
    /// It cannot go on.
    Broken(Arc<Error>),
}

impl Calls {
    pub(super) fn new(canceller: Canceller) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), canceller }
    }

    /// Takes calls; they will end, each once, whatever happens.
    pub(super) fn make(&self, batch: Batch) -> Result<(), Refused> {
        let mut state = self.lock();
        if let Some(error) = &state.broken {
            return Err(Refused::Broken(Arc::clone(error)));
        }
        if state.closed {
            return Err(Refused::Closed);
        }
        state.waiting.push_back(Waiting { batch, given: 0 });
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Sees to it that calls end as cancelled that have not ended, also those that run. Their ends are told as all are.
    pub(super) fn cancel(&self, ticket: &Ticket) {
        let state = self.lock();
        // While nothing is handed out.
        let _ = ticket.cancelled.set(());
        for (first, count) in ticket.parts().iter() {
            self.canceller.cancel_items(*first, *count);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes no more calls. Those that wait run, or are cancelled.
    pub(super) fn close(&self, waiting: Pending) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = match waiting {
            Pending::Run => VecDeque::new(),
            Pending::Cancel => std::mem::take(&mut state.waiting),
        };
        drop(state);
        self.changed.notify_one();
        end_all(dropped, &|| CallError::Cancelled);
    }

    /// Ends everything at once: what runs, and what waits.
    pub(super) fn terminate(&self, signal: i32) {
        self.close(Pending::Cancel);
        // The second time there is nothing more to wait for.
        self.canceller.cancel(signal);
        self.canceller.cancel(signal);
    }

    /// The run is over. Whatever has not ended never will.
    pub(super) fn over(&self, error: Option<Arc<Error>>) {
        let mut state = self.lock();
        state.closed = true;
        state.broken.clone_from(&error);
        let waiting = std::mem::take(&mut state.waiting);
        let running = std::mem::take(&mut state.running);
        drop(state);
        let why = || error.clone().map_or(CallError::Cancelled, CallError::Pool);
        for Running { receiver, offset, ended, left: _ } in running.into_values() {
            let open = (offset..).zip(ended).filter(|(_, ended)| !ended);
            open.for_each(|(position, _)| receiver.end(position, Err(why())));
        }
        end_all(waiting, &why);
    }

    /// The next calls, at most so many; waits for them. None: there will be no more.
    fn hand_out(&self, most: u64) -> Option<(Inputs, Terms)> {
        let mut state = self.lock();
        loop {
            match state.waiting.pop_front() {
                Some(waiting) if waiting.batch.ticket.cancelled.get().is_some() => {
                    drop(state);
                    end_all([waiting].into(), &|| CallError::Cancelled);
                    state = self.lock();
                }
                Some(waiting) => return Some(state.hand_out(waiting, most)),
                None if state.closed => return None,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Tells how a call ended.
    fn end(&self, item: ItemIndex, completion: Completion) {
        let mut state = self.lock();
        let Some((&first, running)) = state.running.range_mut(..=item).next_back() else { return };
        let receiver = Arc::clone(&running.receiver);
        let position = item - first;
        let place = usize::try_from(position).ok().and_then(|place| running.ended.get_mut(place));
        let Some(ended @ false) = place else { return };
        *ended = true;
        let position = running.offset + position;
        running.left -= 1;
        if running.left == 0 {
            state.running.remove(&first);
        }
        drop(state);
        let end = match completion.outcome {
            Outcome::Ok(output) => Ok(output.into_json()),
            outcome => Err(CallError::of(Completion { outcome, ..completion })),
        };
        receiver.end(position, end);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had changed all of it or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of calls that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Run,
    Cancel,
}

impl State {
    fn hand_out(&mut self, waiting: Waiting, most: u64) -> (Inputs, Terms) {
        let Waiting { batch: Batch { mut inputs, terms, receiver, ticket }, given } = waiting;
        let rest = (inputs.count() > most).then(|| inputs.split_off(most));
        let (first, count) = (self.next, inputs.count());
        self.next += count;
        ticket.parts().push((first, count));
        let left = usize::try_from(count).expect("they are in memory");
        let running =
            Running { receiver: Arc::clone(&receiver), offset: given, ended: vec![false; left], left };
        self.running.insert(first, running);
        if let Some(inputs) = rest {
            let batch = Batch { inputs, terms, receiver, ticket };
            self.waiting.push_front(Waiting { batch, given: given + count });
        }
        (inputs, terms)
    }
}

impl Ticket {
    fn parts(&self) -> MutexGuard<'_, Vec<(ItemIndex, u64)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some of them have been handed out.
    pub(super) fn is_handed_out(&self) -> bool {
        !self.parts().is_empty()
    }
}

fn end_all(waiting: VecDeque<Waiting>, why: &dyn Fn() -> CallError) {
    for Waiting { batch, given } in waiting {
        let positions = given..given + batch.inputs.count();
        positions.for_each(|position| batch.receiver.end(position, Err(why())));
    }
}

/// The calls of a group as the source of its run.
pub(super) struct CallSource(pub(super) Arc<Calls>);

impl Source for CallSource {
    fn next(&mut self, max_items: u64, _max_bytes: usize) -> Result<Option<Next>, Error> {
        Ok(self.0.hand_out(max_items).map(|(inputs, terms)| Next::Calls(inputs, terms)))
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

/// The calls of a group as the sink of its run.
pub(super) struct CallSink(pub(super) Arc<Calls>);

impl Sink for CallSink {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        self.0.end(index, completion);
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, _end: InputEnd) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
