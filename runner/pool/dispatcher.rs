//! The dispatcher: the only one who changes the state of a run, calls the sink and calls the reporter.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::Shared;
use super::run_state::{RunState, StartFault};
use super::spawn::Hatch;
use super::tally::Tally;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::journal::Ledger;
use crate::outcome::{Completion, Printed};
use crate::report::{Reporter, RunEvent};
use crate::scheduler::Window;
use crate::sink::{Accepted, InputEnd, Sink};

/// How often the reporter hears that the run still goes on.
const TICK: Duration = Duration::from_millis(250);

/// What the other threads tell the dispatcher.
#[derive(Debug)]
pub(super) enum Event {
    /// A worker takes items.
    Ready,
    /// A worker ended before it was ready.
    NeverReady { reason: String, fault: StartFault },
    /// A worker says that the guest cannot be used.
    Refused { message: String, hint: Option<String> },
    /// A worker is gone and another takes its place.
    Replaced { worker: u32, pid: u32, reason: String },
    /// A worker wrote a line to its standard error.
    WorkerSaid { worker: u32, line: String },
    /// There is something to say about the input.
    InputRemark { line: String },
    /// Items or merges have ended.
    Ended { items: Vec<(ItemIndex, Completion)> },
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
    /// A thread of the pool panicked.
    Panicked,
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
    pub(super) printed: Printed,
    pub(super) tally: Tally,
    /// What is written down of items before the sink hears of them.
    pub(super) ledger: Ledger,
    /// What the sink holds back.
    pub(super) held_bytes: u64,
    /// Where a spare is to be ordered, as long as there is none: not before there is a worker at work.
    pub(super) spare: Option<Hatch>,
}

impl Dispatcher<'_> {
    /// Runs until everything is emitted, or an error ends the run.
    ///
    /// Whatever it returns, the caller stops the other threads.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let mut input_error = None;
        while !self.state.is_over() {
            let event = self.next_event()?;
            self.handle(event, &mut input_error)?;
        }
        self.sink.flush()?;
        input_error.map_or(Ok(()), Err)
    }

    /// The next event; what is buffered goes out before waiting for one.
    fn next_event(&mut self) -> Result<Event, Error> {
        match self.events.try_recv() {
            Ok(event) => Ok(event),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                self.sink.flush()?;
                Ok(self.wait_for_event())
            }
        }
    }

    /// Waits for an event; meanwhile the reporter is told now and then that time goes by.
    fn wait_for_event(&mut self) -> Event {
        loop {
            match self.events.recv_timeout(TICK) {
                Ok(event) => return event,
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("a sender lives as long as the run")
                }
            }
        }
    }

    fn handle(&mut self, event: Event, input_error: &mut Option<Error>) -> Result<(), Error> {
        match event {
            Event::Ready => {
                self.state.worker_ready();
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
            Event::Refused { message, hint } => return Err(Error::guest(self.guest, message, hint)),
            Event::Replaced { worker, pid, reason } => {
                self.state.replaced += 1;
                self.reporter.report(RunEvent::WorkerReplaced { worker, pid, reason: &reason });
            }
            Event::WorkerSaid { worker, line } => {
                self.reporter.report(RunEvent::WorkerSaid { worker, line: &line });
            }
            Event::InputRemark { line } => self.reporter.report(RunEvent::InputRemark { line: &line }),
            Event::Ended { items } => {
                self.ledger.ended(&items)?;
                self.end_items(items)?;
            }
            Event::Replayed { items } => {
                let busy = self.state.busy;
                self.end_items(items)?;
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
            Event::Cancel { signal } => {
                self.sink.flush()?;
                return Err(Error::Interrupted { signal });
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        let counts = self.state.progress();
        self.reporter.report(RunEvent::Progress { counts });
    }

    fn end_items(&mut self, items: Vec<(ItemIndex, Completion)>) -> Result<(), Error> {
        for (item, completion) in items {
            self.end_item(item, completion)?;
        }
        self.tick();
        Ok(())
    }

    fn end_item(&mut self, item: ItemIndex, completion: Completion) -> Result<(), Error> {
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
        self.state.input_ended(end.total());
        let accepted = self.sink.input_ended(end)?;
        self.accepted(accepted);
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
