//! A worker process that takes one step at a time. What is visible to the host changes once a step at most, in the
//! order in which the real one changes it.

use super::*;

/// Steps that an item takes before it does what is in its nature.
const WORK: u8 = 2;

/// A message in the pipe to the host.
#[derive(Debug)]
pub(super) enum Frame {
    Batch(Written),
    Back(Back),
    Garbage,
}

#[derive(Debug)]
pub(super) struct Process {
    requests: VecDeque<Call>,
    stage: Stage,
    pub(super) page: Hint,
    pub(super) outbox: Option<Written>,
    pub(super) pipe: VecDeque<Frame>,
    pub(super) end: Option<WorkerEnd>,
}

#[derive(Clone, Debug)]
enum Stage {
    Waiting,
    /// The item at this position of the call comes next.
    Starting(Call, u64),
    Running(Call, u64, u8),
    /// It will never go on.
    Stuck(Call, u64),
    /// The report is in the outbox.
    Reported(Call, u64),
    /// So is its frame in the pipe.
    Sent(Call, u64),
    Ending,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            requests: VecDeque::new(),
            stage: Stage::Waiting,
            page: IDLE,
            outbox: None,
            pipe: VecDeque::new(),
            end: None,
        }
    }

    pub(super) fn send(&mut self, call: Call) {
        self.requests.push_back(call);
    }

    /// Somebody else kills it.
    pub(super) fn kill(&mut self, record: &mut Record) {
        self.end = Some(WorkerEnd::Signalled(SIGKILL));
        if let Some(item) = self.running() {
            *record.kills.entry(item).or_default() += 1;
        }
    }

    /// The item it is really running.
    pub(super) fn running(&self) -> Option<ItemIndex> {
        match &self.stage {
            Stage::Running(call, position, _) | Stage::Stuck(call, position) => {
                Some(call.chunk.first() + position)
            }
            Stage::Waiting | Stage::Starting(..) | Stage::Reported(..) | Stage::Sent(..) | Stage::Ending => {
                None
            }
        }
    }

    /// Takes a step; `false` if there is nothing to do. `flush` says whether the time for a batch has come.
    pub(super) fn step(&mut self, scenario: &Scenario, record: &mut Record, now: Nanos, flush: bool) -> bool {
        if self.end.is_some() {
            return false;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Waiting);
        self.stage = match stage {
            Stage::Waiting => match self.requests.pop_front() {
                Some(call) => Stage::Starting(call, 0),
                None => return false,
            },
            Stage::Starting(call, position) => {
                let item = call.chunk.first() + position;
                self.page = Hint { running: Some((item, call.attempt)), since: now };
                *record.starts.entry(item).or_default() += 1;
                record.started.insert(item, now);
                let steps = match scenario.nature(item) {
                    Nature::Works(steps) => steps,
                    _ => WORK,
                };
                Stage::Running(call, position, steps)
            }
            Stage::Running(call, position, 0) => {
                let nature = scenario.nature(call.chunk.first() + position);
                self.run(nature, call, position, record)
            }
            Stage::Running(call, position, steps) => Stage::Running(call, position, steps - 1),
            Stage::Stuck(call, position) => {
                let item = call.chunk.first() + position;
                if let Nature::HangsBehind(mask) = scenario.nature(item) {
                    self.wear(mask, item, now);
                }
                self.stage = Stage::Stuck(call, position);
                return false;
            }
            Stage::Reported(call, position)
                if flush
                    || position + 1 == call.chunk.len()
                    || scenario.nature(call.chunk.first() + position) == Nature::Floods =>
            {
                self.pipe.extend(self.outbox.clone().map(Frame::Batch));
                Stage::Sent(call, position)
            }
            Stage::Reported(call, position) => Stage::Starting(call, position + 1),
            Stage::Sent(call, position) => {
                self.outbox = None;
                let (done, all) = (position + 1, call.chunk.len());
                if done == all {
                    Stage::Ending
                } else if scenario.nature(call.chunk.first() + position) == Nature::Floods {
                    let count = u32::try_from(all - done).expect("chunks are short");
                    let back = Back { first: call.chunk.first() + done, attempt: call.attempt, count };
                    self.pipe.push_back(Frame::Back(back));
                    Stage::Ending
                } else {
                    Stage::Starting(call, position + 1)
                }
            }
            Stage::Ending => {
                self.page = IDLE;
                Stage::Waiting
            }
        };
        true
    }

    /// The item does what is in its nature.
    fn run(&mut self, nature: Nature, call: Call, position: u64, record: &mut Record) -> Stage {
        let item = call.chunk.first() + position;
        match nature {
            Nature::Works(_) => self.report(item, call.attempt, &value("7")),
            Nature::TrapsOnce if count(&record.traps, item) > 0 => {
                self.report(item, call.attempt, &value("7"));
            }
            Nature::Floods => self.report(item, call.attempt, &value("7")),
            Nature::Traps | Nature::TrapsOnce => {
                *record.traps.entry(item).or_default() += 1;
                let kind = crate::outcome::TrapKind::Unreachable;
                self.report(item, call.attempt, &report(CallEnd::Trap { kind, error: "" }));
            }
            Nature::CrashesOnce if count(&record.crashes, item) > 0 => {
                self.report(item, call.attempt, &value("7"));
            }
            Nature::CrashesOnce | Nature::Crashes => self.crash(item, record),
            Nature::Hangs => return Stage::Stuck(call, position),
            Nature::Says(lie) => self.lie(lie, item, call.attempt),
            Nature::HangsBehind(mask) => {
                self.wear(mask, item, at(0));
                return Stage::Stuck(call, position);
            }
            Nature::CrashesBehind(mask) => {
                self.wear(mask, item, at(0));
                self.crash(item, record);
            }
            Nature::CrashesAndWipes => {
                self.outbox = None;
                self.crash(item, record);
            }
        }
        Stage::Reported(call, position)
    }

    fn crash(&mut self, item: ItemIndex, record: &mut Record) {
        *record.crashes.entry(item).or_default() += 1;
        self.end = Some(WorkerEnd::Signalled(6));
    }

    fn report(&mut self, item: ItemIndex, attempt: u32, report: &Report<'_>) {
        let written = self.outbox.take().unwrap_or_else(|| Written::new(item, attempt));
        self.outbox = Some(written.push(report));
    }

    fn lie(&mut self, lie: Lie, item: ItemIndex, attempt: u32) {
        let seven = value("7");
        match lie {
            Lie::NoJson => self.report(item, attempt, &value("nonsense")),
            Lie::TooLong => self.report(item, attempt, &Report { stdout: &[0; 100], ..seven }),
            Lie::OtherItem => self.say(Written::new(item + 1000, attempt).push(&seven)),
            Lie::OtherAttempt => self.say(Written::new(item, attempt + 1).push(&seven)),
            Lie::TooMany => {
                let many = (0..100).fold(Written::new(item, attempt), |written, _| written.push(&seven));
                self.say(many);
            }
            Lie::Twice => {
                self.say(Written::new(item, attempt).push(&seven));
                self.say(Written::new(item, attempt).push(&value("8")));
            }
            Lie::NoFrame => self.pipe.push_back(Frame::Garbage),
        }
    }

    fn say(&mut self, written: Written) {
        self.pipe.push_back(Frame::Batch(written));
    }

    fn wear(&mut self, mask: Mask, item: ItemIndex, now: Nanos) {
        self.page = match mask {
            Mask::Nobody => IDLE,
            Mask::Ahead => page(item + 1, at(0)),
            Mask::Foreign => page(item + 1000, at(0)),
            Mask::JustStarted => page(item, now),
            Mask::BackAndForth if self.page.running == Some((item, 1)) => page(item + 1, now),
            Mask::BackAndForth => page(item, now),
        };
    }
}
