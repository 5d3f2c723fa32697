//! One worker process and the conversation with it, as its driver has it.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::driver::End;
use super::link::Link;
use super::process::Process;
use super::state::{Cause, Hint, Kind, Nanos, Rules, Violation, WorkerState};
use super::talk::Talk;
use super::verify::{Sight, Unprotected, verify};
use crate::chunk::Chunk;
use crate::item::ItemIndex;
use crate::outcome::Completion;
use crate::sandbox::LayerState;
use crate::wire::msg::{Allowance, Call, Refusal, Request, Response};
use crate::wire::version;

/// One worker process and the conversation with it.
pub(super) struct Session {
    pub(super) process: Process,
    pub(super) state: WorkerState,
    pub(super) link: Link,
    pub(super) talk: Talk,
    clock: Arc<Clock>,
    /// Ends of items, read and not yet passed on.
    pub(super) ended: Vec<(ItemIndex, Completion)>,
    /// Items that it gave back.
    pub(super) returned: Vec<Chunk>,
    pub(super) hung_up: bool,
    /// It has been ready for a whole turn; until then it counts as one that is starting.
    pub(super) started: bool,
    /// It runs an item under suspicion, and nothing beside it.
    pub(super) alone: bool,
    /// It has an item that is not wanted any more: when to look again whether it runs that.
    pub(super) unwanted: Option<Nanos>,
    /// What it was told last of what items may use.
    allowance: Allowance,
    progress: Progress,
}

/// What a worker's messages led to.
pub(super) enum Heard {
    Nothing,
    Refused {
        about: Refusal,
        message: String,
        hint: Option<String>,
    },
    /// It is locked in like this.
    Ready {
        layers: Vec<LayerState>,
        sight: Sight,
    },
    /// It is not locked in as it says, or as it must be.
    Unprotected {
        message: String,
    },
}

/// What a worker has told of how far its item is.
#[derive(Debug, Default)]
struct Progress {
    /// The last that was heard and not passed on.
    heard: Option<(ItemIndex, u32)>,
    /// When the one before was passed on.
    told: Option<Nanos>,
}

/// The longest message of a worker: a report with as much output as an item may have, and what goes with it.
fn max_message(max_output: u64) -> usize {
    usize::try_from(max_output).unwrap_or(usize::MAX).saturating_add(1 << 20)
}

/// How long no progress of an item is passed on after some was.
const BETWEEN_PROGRESS: Duration = Duration::from_millis(200);

impl Session {
    /// The conversation with a process that has just been started, for the worker slot `slot`.
    pub(super) fn new(slot: u32, mut process: Process, rules: Rules, clock: Arc<Clock>) -> Self {
        Self {
            state: WorkerState::new(slot, process.pid(), rules, clock.now()),
            link: Link::following(process.take_unsent(), max_message(rules.guest.output)),
            talk: Talk::default(),
            clock,
            process,
            ended: Vec::new(),
            returned: Vec::new(),
            hung_up: false,
            started: false,
            alone: false,
            unwanted: None,
            allowance: Allowance::default(),
            progress: Progress::default(),
        }
    }

    /// How far an item is that has told so, in millionths: not more often than somebody looks.
    pub(super) fn take_progress(&mut self) -> Option<(ItemIndex, u32)> {
        let now = self.clock.now();
        let is_due = self.progress.told.is_none_or(|told| now.since(told) >= BETWEEN_PROGRESS);
        let heard = self.progress.heard.take_if(|_| is_due)?;
        self.progress.told = Some(now);
        Some(heard)
    }

    pub(super) fn send(&mut self, call: Call) {
        let allowance = Allowance { memory: call.chunk.terms().memory };
        if std::mem::replace(&mut self.allowance, allowance) != allowance {
            self.link.queue(&Request::Allow(allowance));
        }
        self.link.queue(&match Kind::of(&call.chunk) {
            Kind::Items => Request::Call(call),
            Kind::Merges => Request::Merge(call),
        });
    }

    /// What it means that the worker broke the protocol.
    pub(super) fn broken(&self, violation: Violation) -> End {
        if self.started {
            End::Lost(Cause::Violation(violation))
        } else {
            End::NeverReady(format!("a worker broke the protocol at its start: {violation}"))
        }
    }

    /// Takes in messages that have arrived whole: all of them, or up to one that others have to know of.
    pub(super) fn hear(&mut self) -> Result<Heard, Violation> {
        let at = self.clock.now();
        self.read_cpu_time(at);
        loop {
            let message = match self.link.decoder.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Heard::Nothing),
                Err(error) => return Err(Violation(error.to_string())),
            };
            let response = Response::parse(message).map_err(|error| Violation(error.to_string()))?;
            match response {
                Response::Hello(hello) => {
                    version::check(&hello).map_err(|error| Violation(error.to_string()))?;
                    self.state.greeted()?;
                }
                Response::Ready(ready) => {
                    self.state.ready()?;
                    match verify(&self.process, &ready.layers) {
                        Ok(Some(sight)) => return Ok(Heard::Ready { layers: ready.layers, sight }),
                        Ok(None) => self.hung_up = true,
                        Err(Unprotected { message }) => return Ok(Heard::Unprotected { message }),
                    }
                }
                Response::Refused(refused) => {
                    self.state.may_refuse()?;
                    return Ok(Heard::Refused {
                        about: refused.about,
                        message: refused.message.to_owned(),
                        hint: refused.hint.map(str::to_owned),
                    });
                }
                Response::Result(batch) => self.state.answer(&batch, Kind::Items, at, &mut self.ended)?,
                Response::Merge(batch) => self.state.answer(&batch, Kind::Merges, at, &mut self.ended)?,
                Response::Back(back) => self.returned.push(self.state.given_back(back)?),
                Response::Log(line) => self.talk.log(line),
                Response::Progress { item, millionths } => {
                    // Of another item, it is nobody's.
                    if self.state.find(|one| one == item).is_some() {
                        self.progress.heard = Some((item, millionths));
                    }
                }
                Response::Description(_) | Response::Code(_) => {
                    return Err(Violation("a compile worker's message".into()));
                }
                Response::Drain => return Err(Violation("an answer nobody asked for".into())),
                Response::Bye => return Err(Violation("a farewell while it is needed".into())),
            }
        }
    }

    /// Reads how much CPU time the process has used, if there is a limit to that.
    pub(super) fn read_cpu_time(&mut self, at: Nanos) {
        if self.state.wants_cpu_time()
            && let Some(cpu) = self.process.cpu_time()
        {
            self.state.spent(cpu, at);
        }
    }

    /// When its driver has to look at it.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        [self.state.deadline(), self.unwanted].into_iter().flatten().min()
    }

    /// What its status page says; nothing if it cannot be read.
    pub(super) fn hint(&self) -> Hint {
        match self.process.segment.read_status() {
            Ok(Some(status)) => Hint {
                // An attempt that none can be is none that was sent.
                running: Some((status.item, u32::try_from(status.attempt).unwrap_or(u32::MAX))),
                since: self.clock.at(status.started_ns),
            },
            Ok(None) | Err(_) => Hint::default(),
        }
    }

    /// Takes the results that a killed worker had finished and not yet written.
    pub(super) fn recover_outbox(&mut self, cause: &Cause) {
        match cause {
            Cause::TimedOut(item) | Cause::OutOfCpu(item) | Cause::Cancelled(item) => {
                self.recover_outbox_until(Some(*item))
            }
            Cause::Ended(_) | Cause::OutOfMemory(_) => self.recover_outbox_until(None),
            // A worker that broke the protocol is believed nothing more.
            Cause::Violation(_) => {}
        }
    }

    /// The same, up to an item.
    pub(super) fn recover_outbox_until(&mut self, until: Option<ItemIndex>) {
        let Ok(Some(outbox)) = self.process.segment.read_outbox() else { return };
        self.state.salvage(&outbox.batch(), until, self.clock.now(), &mut self.ended);
    }
}
