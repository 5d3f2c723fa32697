//! The dispatcher: the only one who changes the state of a run, calls the sink and calls the reporter.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::run_state::{RunState, StartFault};
use super::spawn::Hatch;
use super::state::Nanos;
use super::table::Table;
use super::tally::Tally;
use super::unfinished::Unfinished;
use super::{Deadline, Shared};
use crate::error::Error;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::journal::Ledger;
use crate::outcome::{Completion, Printed};
use crate::report::{Reporter, RunEvent};
use crate::sandbox::{Layer, LayerState, SandboxMode};
use crate::scheduler::Window;
use crate::sink::{Accepted, InputEnd, Sink};
use crate::wire::msg::Refusal;

/// How long what runs may go on when a signal has come.
const GRACE: Duration = Duration::from_secs(1);

/// How often the reporter hears that the run still goes on.
const TICK: Duration = Duration::from_millis(250);

/// What the other threads tell the dispatcher.
#[derive(Debug)]
pub(super) enum Event {
    /// A worker takes items.
    Ready { worker: u32, pid: u32 },
    /// A worker ended before it was ready.
    NeverReady { reason: String, fault: StartFault },
    /// A slot has no worker, because none can be started.
    Missing { worker: u32, reason: String },
    /// A worker says that the guest cannot be used.
    Refused { about: Refusal, message: String, hint: Option<String> },
    /// A worker is locked in like this, as it says itself if `hidden` is why the host cannot see it.
    Locked { layers: Vec<LayerState>, hidden: Option<String> },
    /// A worker is gone and another takes its place.
    ///
    /// If it broke the protocol, `rule` says how.
    Replaced { worker: u32, pid: u32, reason: String, rule: Option<String> },
    /// A worker wrote a line to its standard error.
    WorkerSaid { worker: u32, line: String },
    /// A worker is gone, and what it held of something shared was taken back.
    Recovered { pid: u32, name: String, what: String },
    /// An item says how far it is.
    ItemProgress { item: ItemIndex, millionths: u32 },
    /// There is something to say about the input.
    InputRemark { line: String },
    /// Items or merges have ended, whose results were counted at the gate as so many bytes.
    Ended { items: Vec<(ItemIndex, Completion)>, bytes: u64 },
    /// Attempts at items failed that are run again; their results were counted in the same way.
    Failed { items: Vec<(ItemIndex, Completion)>, bytes: u64 },
    /// These items will not be ended by the driver that had them, which was so often started by then.
    Unfinished { starts: Vec<(ItemIndex, u32)> },
    /// Items have ended in an earlier run, and are in the journal.
    Replayed { items: Vec<(ItemIndex, Completion)> },
    /// A file that must be written cannot be.
    RecordLost { error: Error },
    /// The source has ended after this many items.
    InputEnded { total: u64 },
    /// The source cannot be read any further; this many items were read.
    InputFailed { total: u64, error: Error },
    /// A signal asks the run to end.
    Cancel { signal: i32 },
    /// These items are not wanted any more: so many from this one on.
    CancelItems { first: ItemIndex, count: u64 },
    /// A driver has no more to do.
    Left,
    /// A thread of the pool panicked.
    Panicked,
}

/// Why a run ends before its input does, and when it is over at the latest.
pub(super) struct Stop {
    why: Error,
    until: Nanos,
}

/// One run, seen from the middle.
pub(super) struct Dispatcher<'a> {
    pub(super) events: Receiver<Event>,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Arc<Window>,
    pub(super) guest: &'a std::path::Path,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) reporter: &'a mut dyn Reporter,
    pub(super) state: RunState,
    pub(super) table: Table,
    /// How many failures end the run.
    pub(super) fail_fast: Option<NonZero<u64>>,
    /// When the run has to be over.
    pub(super) deadline: Option<Deadline>,
    /// Why the run is ending.
    pub(super) stop: Option<Stop>,
    /// Drivers that have nothing more to do.
    pub(super) left: usize,
    /// How many items there were when the run was ended.
    pub(super) admitted: Option<u64>,
    pub(super) printed: Printed,
    /// Layers that workers lack, and that have been named.
    pub(super) missing_layers: BTreeSet<Layer>,
    /// It has been told that workers cannot be looked at.
    pub(super) hidden_told: bool,
    pub(super) tally: Tally,
    /// What is written down of items before the sink hears of them.
    pub(super) ledger: Ledger,
    /// What the sink holds back.
    pub(super) held_bytes: u64,
    pub(super) unfinished: Unfinished,
    /// Where a spare is to be ordered, as long as there is none: not before there is a worker at work.
    pub(super) spare: Option<Hatch>,
}

impl Dispatcher<'_> {
    /// Runs until everything is emitted, or something ends the run.
    ///
    /// Whatever it returns, the caller stops the other threads.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let mut input_error = None;
        while !self.is_done() {
            match self.next_event()? {
                Some(event) => self.handle(event, &mut input_error)?,
                None => self.deadline_reached(),
            }
        }
        if !self.state.is_over()
            && let Some(Stop { why, .. }) = self.stop.take()
        {
            self.end_workers()?;
            self.cancel_rest()?;
            self.sink.flush()?;
            return Err(why);
        }
        self.sink.flush()?;
        input_error.map_or(Ok(()), Err)
    }

    /// Tells that workers cannot be looked at, once.
    fn tell_hidden(&mut self, why: &str) {
        if !std::mem::replace(&mut self.hidden_told, true) {
            self.reporter.report(RunEvent::SandboxHidden { why });
        }
    }

    /// Names each layer that a worker lacks, once.
    fn name_missing(&mut self, layers: &[LayerState]) {
        for LayerState { layer, absent, .. } in layers {
            if let Some(why) = absent
                && self.shared.sandbox != SandboxMode::Off
                && self.missing_layers.insert(*layer)
            {
                self.reporter.report(RunEvent::LayerMissing { layer: layer.name(), why });
            }
        }
    }

    fn is_done(&self) -> bool {
        self.state.is_over()
            || self
                .stop
                .as_ref()
                .is_some_and(|stop| self.left == self.shared.workers || stop.until <= self.shared.clock.now())
    }

    /// The next event, or none at a deadline; what is buffered goes out before waiting for one.
    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        match self.events.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                self.sink.flush()?;
                Ok(self.wait_for_event())
            }
        }
    }

    /// Waits for an event, or for a deadline; meanwhile the reporter is told now and then that time goes by.
    fn wait_for_event(&mut self) -> Option<Event> {
        loop {
            let left = self.next_deadline().map(|deadline| deadline.since(self.shared.clock.now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            match self.events.recv_timeout(left.map_or(TICK, |left| left.min(TICK))) {
                Ok(event) => return Some(event),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("a sender lives as long as the run")
                }
            }
        }
    }

    /// When the run is to be ended, or ends whatever is left of it.
    fn next_deadline(&self) -> Option<Nanos> {
        match &self.stop {
            Some(stop) => Some(stop.until),
            None => self.deadline.map(|deadline| deadline.at),
        }
    }

    fn deadline_reached(&mut self) {
        if let (None, Some(deadline)) = (&self.stop, self.deadline) {
            self.stop(deadline.error(), Duration::ZERO);
        }
    }

    /// Ends the run, for this reason: nothing more is admitted or sent to workers, and what they have may end within
    /// `grace`. Asked for again, it is over at once.
    fn stop(&mut self, why: Error, grace: Duration) {
        match &mut self.stop {
            Some(stop) => stop.until = self.shared.clock.now(),
            None => self.stop = Some(Stop { why, until: self.shared.clock.now().after(grace) }),
        }
        self.shared.draining.store(true, Ordering::Release);
        self.window.close();
        // Also those that wait for a deadline of their worker.
        self.shared.scheduler.close();
    }

    /// Ends what runs, and takes what the drivers still have to tell of it.
    fn end_workers(&mut self) -> Result<(), Error> {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes all of them.
        self.shared.scheduler.close();
        let until = self.shared.clock.now().after(GRACE);
        loop {
            let is_alone = self.left == self.shared.workers;
            let wait = if is_alone { Duration::ZERO } else { until.since(self.shared.clock.now()) };
            let Ok(event) = self.events.recv_timeout(wait) else { return Ok(()) };
            match event {
                Event::Ended { .. }
                | Event::Failed { .. }
                | Event::Unfinished { .. }
                | Event::Replayed { .. }
                | Event::Left
                | Event::Panicked => self.handle(event, &mut None)?,
                Event::Ready { .. }
                | Event::Locked { .. }
                | Event::NeverReady { .. }
                | Event::Missing { .. }
                | Event::Refused { .. }
                | Event::Replaced { .. }
                | Event::WorkerSaid { .. }
                | Event::Recovered { .. }
                | Event::ItemProgress { .. }
                | Event::InputRemark { .. }
                | Event::RecordLost { .. }
                | Event::InputEnded { .. }
                | Event::InputFailed { .. }
                | Event::Cancel { .. }
                | Event::CancelItems { .. } => {}
            }
        }
    }

    /// Every item that was admitted has an end, and an ended run has none left to run. What an item came to that was
    /// still to be run again is not in the journal: who goes on with it runs the item again.
    fn cancel_rest(&mut self) -> Result<(), Error> {
        for left_over in self.shared.left_over().drain(..) {
            self.unfinished.started([left_over.starts()]);
        }
        // Whatever the feeder admits after this moment is none of the run's.
        let admitted = *self.admitted.insert(self.shared.admitted.load(Ordering::Acquire));
        for item in self.table.open(admitted) {
            let end = self.unfinished.take(item);
            let file = end.file.or_else(|| self.shared.names.of(item));
            self.end_item(item, Completion { file, ..end })?;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event, input_error: &mut Option<Error>) -> Result<(), Error> {
        match event {
            Event::Ready { worker, pid } => {
                self.state.worker_ready();
                self.reporter.report(RunEvent::WorkerReady { worker, pid });
                if let Some(hatch) = self.spare.take() {
                    hatch.prepare_spare();
                }
            }
            Event::NeverReady { reason, fault } => {
                if self.state.worker_never_ready(fault, self.shared.workers) {
                    let hint = Some("`wasmpool call` with the same guest runs a single worker".to_owned());
                    return Err(Error::Pool { message: reason, hint });
                }
            }
            Event::Missing { worker, reason } => {
                self.reporter.report(RunEvent::WorkerMissing { worker, reason: &reason });
            }
            Event::Refused { about: Refusal::Guest, message, hint } => {
                return Err(Error::guest(self.guest, message, hint));
            }
            Event::Refused { about: Refusal::Protection, message, hint: _ } => {
                return Err(Error::protection(message));
            }
            Event::Refused { about: Refusal::Machine, message, hint } => {
                return Err(Error::Pool { message, hint });
            }
            Event::Locked { layers, hidden } => {
                self.tally.locked(&layers);
                self.name_missing(&layers);
                hidden.iter().for_each(|why| self.tell_hidden(why));
            }
            Event::Replaced { worker, pid, reason, rule } => {
                if let Some(rule) = rule {
                    self.tally.broke(rule);
                }
                self.state.replaced += 1;
                self.reporter.report(RunEvent::WorkerReplaced { worker, pid, reason: &reason });
            }
            Event::WorkerSaid { worker, line } => {
                self.reporter.report(RunEvent::WorkerSaid { worker, line: &line });
            }
            Event::ItemProgress { item, millionths } => {
                // What merges is nobody's item.
                if item & MERGE_BIT == 0 {
                    self.reporter.report(RunEvent::ItemProgress { item, millionths });
                    // These events keep the time from running out in which nothing happens.
                    self.tick();
                }
            }
            Event::Recovered { pid, name, what } => {
                self.reporter.report(RunEvent::Recovered { pid, name: &name, what: &what });
            }
            Event::InputRemark { line } => self.reporter.report(RunEvent::InputRemark { line: &line }),
            Event::Ended { items, bytes } => {
                self.ledger.ended(&items)?;
                if let Some(line) = self.ledger.take_warning() {
                    self.reporter.report(RunEvent::Note { line: &line });
                }
                self.end_items(items, bytes)?;
            }
            Event::Failed { items, bytes } => {
                let held_before = self.held_in_all();
                self.unfinished.failed(items);
                self.pass_gate(bytes, held_before);
            }
            Event::Unfinished { starts } => self.unfinished.started(starts),
            Event::Left => self.left += 1,
            Event::Replayed { items } => {
                let busy = self.state.busy;
                self.end_items(items, 0)?;
                // The workers of this run had nothing to do with it.
                self.state.busy = busy;
            }
            Event::RecordLost { error } => return Err(error),
            Event::InputEnded { total } => self.end_input(InputEnd::Whole { total })?,
            Event::InputFailed { total, error } => {
                // What was read is still run and printed.
                *input_error = Some(error);
                self.end_input(InputEnd::CutShort { total })?;
            }
            Event::Panicked => panic!("a thread of the pool panicked"),
            Event::Cancel { signal } => self.stop(Error::Interrupted { signal }, GRACE),
            Event::CancelItems { first, count } => self.cancel_items(first, count),
        }
        Ok(())
    }

    /// The drivers end those of them that have not ended.
    fn cancel_items(&self, first: ItemIndex, count: u64) {
        let items = first..first.saturating_add(count).min(MERGE_BIT);
        self.shared.cancelled.add(items.filter(|item| self.table.is_open(*item)));
        // Those that are busy are meant.
        self.shared.scheduler.rouse_all();
    }

    fn tick(&mut self) {
        let counts = self.state.progress();
        self.reporter.report(RunEvent::Progress { counts });
    }

    fn end_items(&mut self, items: Vec<(ItemIndex, Completion)>, bytes: u64) -> Result<(), Error> {
        let held_before = self.held_in_all();
        for (item, completion) in items {
            self.end_item(item, completion)?;
        }
        self.shared.names.forget_below(self.table.first_open());
        self.pass_gate(bytes, held_before);
        self.tick();
        match self.fail_fast.filter(|most| self.state.failed() >= most.get()) {
            Some(most) if self.stop.is_none() => {
                self.stop(Error::FailFast { most: most.get() }, Duration::ZERO);
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Bytes of results that wait here and in the sink.
    fn held_in_all(&self) -> u64 {
        self.held_bytes + self.unfinished.held_bytes()
    }

    /// The results of so many bytes have been taken; `held_before` bytes of them waited until now.
    fn pass_gate(&self, bytes: u64, held_before: u64) {
        let turn = self.table.first_open();
        if self.shared.gate.take(bytes, (held_before, self.held_in_all()), turn) {
            self.shared.scheduler.wake_all();
        }
    }

    fn end_item(&mut self, item: ItemIndex, completion: Completion) -> Result<(), Error> {
        let is_new = item & MERGE_BIT != 0 || self.table.end(item);
        assert!(is_new, "an item ends once");
        self.unfinished.ended(item);
        self.shared.cancelled.ended(item);
        self.state.ended(item, &completion);
        self.tally.ended(item, &completion);
        // A failure is shown with what was printed before it.
        if self.printed == Printed::Told && completion.outcome.is_ok() {
            self.tell_printed(&completion);
        }
        let accepted = self.sink.accept(item, completion)?;
        self.accepted(accepted);
        Ok(())
    }

    fn tell_printed(&mut self, completion: &Completion) {
        for (stream, bytes) in [("stdout", &completion.stdout), ("stderr", &completion.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            if !text.is_empty() {
                self.reporter.report(RunEvent::GuestPrinted { stream, text: &text });
            }
        }
    }

    fn end_input(&mut self, end: InputEnd) -> Result<(), Error> {
        let held_before = self.held_in_all();
        self.state.input_ended(end.total());
        let accepted = self.sink.input_ended(end)?;
        self.accepted(accepted);
        self.pass_gate(0, held_before);
        Ok(())
    }

    fn accepted(&mut self, accepted: Accepted) {
        let merges = accepted.work.iter().map(crate::chunk::Chunk::len).sum();
        self.state.accepted(accepted.emitted, merges);
        self.window.release(accepted.emitted);
        match accepted.held_bytes.checked_sub(self.held_bytes) {
            Some(more) => self.window.charge(more),
            None => self.window.discharge(self.held_bytes - accepted.held_bytes),
        }
        self.held_bytes = accepted.held_bytes;
        self.tally.holds(accepted.held_bytes);
        // Before new items: a value that waits to be merged takes up memory.
        self.shared.scheduler.push_front(accepted.work);
    }
}
