//! What the host knows about one worker, and what it believes of what the worker says: a pure machine.
//!
//! It does no I/O and reads no clock, so every order of events can be tried in a test. Its rules:
//!
//! - A worker answers its items in the order in which it got them. A result for any other item, attempt or export
//!   is a lie, and a worker that lies is killed.
//! - The status page says which item is running. It decides when an item's time began, and whether a worker was
//!   between two items when it died. It never makes an item succeed, it cannot put the blame on an item whose result
//!   was not due, and a bound that it cannot move stands behind it.
//! - What a dead worker had not answered goes back to the queue uncounted, but for the first of it. If a worker was
//!   running anything, it was that: what it finished before has been read, or salvaged. So this item has ended, or is
//!   tried again alone, in a fresh worker, where no other can be the reason. That a worker ended before it started the
//!   item is believed once for each item.

mod blame;
mod judge;
mod kind;

use std::collections::VecDeque;
use std::time::Duration;

use self::blame::Tries;
pub(super) use self::blame::{Aftermath, Cause, Retry, SIGABRT, SIGKILL};
pub(super) use self::kind::Kind;
use self::kind::export_of;
use crate::chunk::Chunk;
use crate::item::ItemIndex;
use crate::limits::{GuestLimits, Limits, Policy};
use crate::outcome::{Completion, Meta, Outcome, Output, TimeLimit};
use crate::wire::codec::Reports;
use crate::wire::msg::{Back, Batch, Call, CallEnd, MAX_ANSWER, Report};

/// How long a worker may take until it is ready. Loading takes milliseconds; a machine with far more workers than
/// processors takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Bytes of a backtrace: a score of lines, each of which the worker keeps short.
const MAX_BACKTRACE: usize = 16 << 10;

/// Added to the bound that holds whatever the status page says.
const GRACE: Duration = Duration::from_secs(1);

/// Added to a limit of CPU time: what a worker may have computed since its last results before the item that it runs
/// began, and what it takes to hand them in.
const CPU_SLACK: Duration = Duration::from_millis(2);

/// Nanoseconds of the monotonic clock, which host and workers share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub(super) u64);

/// What one driver knows about the worker process it has.
#[derive(Debug)]
pub(super) struct WorkerState {
    slot: u32,
    pid: u32,
    phase: Phase,
    rules: Rules,
    /// Chunks sent and not yet answered in full, oldest first.
    sent: VecDeque<Sent>,
    /// What the status page was last seen to say.
    seen: Seen,
    /// When the last result came, or the first chunk of a worker that had none; no status page moves it.
    progress: Nanos,
    /// CPU time the process had used when it was last read, and when that was.
    cpu: Duration,
    cpu_read: Nanos,
    /// The same at the last `progress`.
    cpu_at_progress: Duration,
    /// More has been used since than an item may, and the page named none.
    is_excused: bool,
    /// The item this process answered last, and which try that was.
    last: Option<(ItemIndex, u32)>,
    /// Items it has been sent in all.
    taken: u64,
    /// Items that failed and are to be run again, and how they failed.
    again: Vec<(Retry, Completion)>,
}

/// What holds for every item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// How long it may take.
    pub(super) limits: Limits,
    /// What else it may use.
    pub(super) guest: GuestLimits,
    /// What becomes of it if it fails.
    pub(super) policy: Policy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Started; the greeting has not been answered.
    Starting { since: Nanos },
    /// Greeted; it loads the guest.
    Loading { since: Nanos },
    /// It takes items.
    Ready,
}

#[derive(Debug)]
struct Sent {
    chunk: Chunk,
    /// How many of its items have been answered.
    done: u64,
    /// Bytes of their reports.
    answered: usize,
    tries: Tries,
    at: Nanos,
}

#[derive(Clone, Copy, Debug)]
enum Seen {
    /// It has not been looked at since the last result.
    Nothing,
    /// It was between two items at this time.
    Between(Nanos),
    /// It was running an item that started then.
    Running { item: ItemIndex, since: Nanos },
}

/// The worker broke the protocol; the words say which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Violation(pub(super) String);

/// What the host reads in a worker's status page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    /// The item it says it is running, and which try at it this is.
    pub(super) running: Option<(ItemIndex, u32)>,
    /// When it says that the item started.
    pub(super) since: Nanos,
}

/// What to do about a deadline that has been reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing; look again at [`WorkerState::deadline`].
    Wait,
    /// The worker has not become ready in time.
    TooSlowToStart,
    /// This item has used up its time: kill the worker.
    TimedOut(ItemIndex),
    /// This item has used up its CPU time: kill the worker.
    OutOfCpu(ItemIndex),
    /// The status page is impossible: kill the worker.
    Violation(Violation),
}

impl Nanos {
    /// The moment `duration` later.
    pub(super) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl WorkerState {
    /// A worker that has just been started, at `now`.
    pub(super) fn new(slot: u32, pid: u32, rules: Rules, now: Nanos) -> Self {
        Self {
            slot,
            pid,
            phase: Phase::Starting { since: now },
            rules,
            sent: VecDeque::new(),
            seen: Seen::Nothing,
            progress: now,
            cpu: Duration::ZERO,
            cpu_read: now,
            cpu_at_progress: Duration::ZERO,
            is_excused: false,
            last: None,
            taken: 0,
            again: Vec::new(),
        }
    }

    /// Whether it takes items.
    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether it has been sent nothing so far.
    pub(super) fn is_unused(&self) -> bool {
        self.sent.is_empty() && self.last.is_none()
    }

    /// How many items it has been sent and has not answered.
    pub(super) fn outstanding(&self) -> u64 {
        self.sent.iter().map(|sent| sent.chunk.len() - sent.done).sum()
    }

    /// How many chunks it has that it has not answered in full.
    pub(super) fn chunks(&self) -> usize {
        self.sent.len()
    }

    /// How many more items it may be sent before it has to be replaced.
    pub(super) fn room(&self) -> u64 {
        self.rules.policy.max_items_per_worker.map_or(u64::MAX, |most| most.get().saturating_sub(self.taken))
    }

    /// Whether its CPU time has to be read, for [`WorkerState::spent`].
    pub(super) fn wants_cpu_time(&self) -> bool {
        self.rules.limits.cpu.is_some()
    }

    /// Takes note that at `now` the process had used so much CPU time.
    pub(super) fn spent(&mut self, cpu: Duration, now: Nanos) {
        // What it has once used it cannot give back.
        self.cpu = cpu.max(self.cpu);
        self.cpu_read = now;
    }

    /// The items that failed since the last call and are to be run again, and how they failed.
    pub(super) fn take_again(&mut self) -> Vec<(Retry, Completion)> {
        std::mem::take(&mut self.again)
    }

    /// The worker has answered the greeting.
    pub(super) fn greeted(&mut self) -> Result<(), Violation> {
        match self.phase {
            Phase::Starting { since } => {
                self.phase = Phase::Loading { since };
                Ok(())
            }
            Phase::Loading { .. } | Phase::Ready => Err(violation("a second greeting")),
        }
    }

    /// The worker says it is ready.
    pub(super) fn ready(&mut self) -> Result<(), Violation> {
        match self.phase {
            Phase::Loading { .. } => {
                self.phase = Phase::Ready;
                Ok(())
            }
            Phase::Starting { .. } => Err(violation("ready before the greeting")),
            Phase::Ready => Err(violation("ready twice")),
        }
    }

    /// Whether the worker may refuse the guest now.
    pub(super) fn may_refuse(&self) -> Result<(), Violation> {
        match self.phase {
            Phase::Starting { .. } | Phase::Loading { .. } => Ok(()),
            Phase::Ready => Err(violation("a refusal of the guest after being ready")),
        }
    }

    /// Takes note of a chunk that is sent at `now`; returns what to send.
    pub(super) fn assign(&mut self, chunk: Chunk, now: Nanos) -> Call {
        self.send(chunk, Tries::default(), now)
    }

    /// As [`WorkerState::assign`], for an item that is run again.
    pub(super) fn assign_again(&mut self, suspect: Retry, now: Nanos) -> Call {
        self.send(suspect.chunk, suspect.tries, now)
    }

    fn send(&mut self, chunk: Chunk, tries: Tries, now: Nanos) -> Call {
        debug_assert!(self.is_ready(), "only a ready worker is sent items");
        if self.sent.is_empty() {
            self.progressed(now);
        }
        self.taken += chunk.len();
        let call =
            Call { group: 0, export: export_of(&chunk), attempt: tries.attempt(), chunk: chunk.clone() };
        self.sent.push_back(Sent { chunk, done: 0, answered: 0, tries, at: now });
        call
    }

    /// Takes the results of a batch into `ended`, which came in this kind of message.
    ///
    /// Results before the first lie count.
    pub(super) fn answer(
        &mut self,
        batch: &Batch<'_>,
        kind: Kind,
        now: Nanos,
        ended: &mut Vec<(ItemIndex, Completion)>,
    ) -> Result<(), Violation> {
        self.check(batch, kind)?;
        for report in Reports::new(batch) {
            let report = report.map_err(|error| Violation(error.to_string()))?;
            ended.extend(self.completion(&report, now)?);
            self.progressed(now);
            self.seen = Seen::Nothing;
        }
        Ok(())
    }

    fn progressed(&mut self, now: Nanos) {
        self.progress = now;
        self.cpu_at_progress = self.cpu;
        self.is_excused = false;
    }

    /// Takes back the rest of a chunk, of which the worker has answered the beginning.
    pub(super) fn given_back(&mut self, back: Back) -> Result<Chunk, Violation> {
        let Some(front) = self.sent.front() else {
            return Err(violation("items given back that it does not have"));
        };
        let rest = front.chunk.len() - front.done;
        if front.done == 0
            || back.first != front.next()
            || back.attempt != front.tries.attempt()
            || u64::from(back.count) != rest
        {
            return Err(violation("items given back that are not the rest of a chunk"));
        }
        self.taken -= rest;
        self.seen = Seen::Nothing;
        let Sent { mut chunk, done, .. } = self.sent.pop_front().expect("it has been looked at");
        Ok(chunk.split_off(done).expect("a chunk answered in full is not kept"))
    }

    /// Takes the results that a worker had ready when it ended, up to the item `until`, if they are what it was to
    /// give next. What was read before is not taken twice; whatever is wrong is left alone.
    pub(super) fn salvage(
        &mut self,
        batch: &Batch<'_>,
        until: Option<ItemIndex>,
        now: Nanos,
        ended: &mut Vec<(ItemIndex, Completion)>,
    ) {
        // There is one outbox for both.
        let Some(kind) = self.sent.front().map(Sent::kind) else { return };
        if self.check(batch, kind).is_err() {
            return;
        }
        for (item, report) in (batch.first..).zip(Reports::new(batch)) {
            if until == Some(item) {
                return;
            }
            let Ok(report) = report else { return };
            let Ok(end) = self.completion(&report, now) else { return };
            ended.extend(end);
        }
    }

    /// Whether a batch is what the worker has to give next.
    fn check(&self, batch: &Batch<'_>, kind: Kind) -> Result<(), Violation> {
        let Some(front) = self.sent.front() else {
            return Err(violation("a result nobody asked for"));
        };
        if kind != front.kind() {
            return Err(violation("a result of the wrong kind"));
        }
        if batch.first != front.next() {
            return Err(violation("a result of an item that is not running"));
        }
        if batch.attempt != front.tries.attempt() {
            return Err(violation("a result of another attempt"));
        }
        if u64::from(batch.count) > front.chunk.len() - front.done {
            return Err(violation("more results than items"));
        }
        Ok(())
    }

    /// The next item's end, from what the worker says about it; none if it is to be run again.
    fn completion(
        &mut self,
        report: &Report<'_>,
        now: Nanos,
    ) -> Result<Option<(ItemIndex, Completion)>, Violation> {
        let outcome = self.outcome(report)?;
        let front = self.sent.front_mut().expect("the caller has seen the item");
        let item = front.next();
        let attempts = front.tries.attempt();
        let again = front.retry(&outcome, &self.rules.policy);
        let file = front.chunk.file(front.done);
        let most = now.since(front.at);
        front.done += 1;
        front.answered += report.held_len();
        if front.done == front.chunk.len() {
            self.sent.pop_front();
        }
        self.last = Some((item, attempts));
        let meta = Meta {
            // Whatever it says, it had the item no longer than that.
            wall: Duration::from_nanos(report.wall_ns).min(most),
            cpu: Duration::from_nanos(report.cpu_ns),
            peak_memory: report.peak_memory,
            attempts,
            worker: self.slot,
            pid: self.pid,
            backtrace: report.backtrace.lines().map(str::to_owned).collect(),
        };
        let completion = Completion {
            file,
            outcome,
            stdout: report.stdout.into(),
            stderr: report.stderr.into(),
            meta: Box::new(meta),
            origin: None,
        };
        if let Some(again) = again {
            self.again.push((again, completion));
            return Ok(None);
        }
        Ok(Some((item, completion)))
    }

    /// What the worker says is within its bounds, but for what the outcome itself may hold.
    fn check_report(&self, report: &Report<'_>) -> Result<(), Violation> {
        if report.backtrace.len() > MAX_BACKTRACE {
            return Err(violation("a backtrace that is too long"));
        }
        if self.sent.front().is_some_and(|front| front.answered >= MAX_ANSWER) {
            return Err(violation("more results than are to be given at once"));
        }
        Ok(())
    }

    /// Bytes of memory that the item may have whose result is due.
    fn memory_limit(&self) -> u64 {
        let own = self.sent.front().and_then(|front| front.chunk.terms().memory);
        own.unwrap_or(self.rules.guest.memory)
    }

    fn outcome(&self, report: &Report<'_>) -> Result<Outcome, Violation> {
        self.check_report(report)?;
        let length = report.output_len();
        if length as u64 > self.rules.guest.output {
            return Err(violation("more output than an item may have"));
        }
        Ok(match report.end {
            CallEnd::Ok(value) => {
                Outcome::Ok(Output::from_untrusted(value).map_err(|error| Violation(error.to_string()))?)
            }
            CallEnd::Trap { kind, error } => Outcome::Trap { kind, error: error.to_owned() },
            CallEnd::Memory { limit, error } => {
                Outcome::Memory { limit, bytes: self.memory_limit(), error: error.to_owned() }
            }
            CallEnd::OutOfFuel => match self.rules.guest.fuel {
                Some(units) => Outcome::Timeout { limit: TimeLimit::Fuel(units) },
                None => return Err(violation("it ran out of fuel that nobody counts")),
            },
            CallEnd::Exit { code } => Outcome::Exit { code },
            CallEnd::Output { error } => Outcome::Output { error: error.to_owned() },
            CallEnd::Input { error } => Outcome::Input { error: error.to_owned() },
            CallEnd::Denied { error } => Outcome::Denied { error: error.to_owned() },
        })
    }
}

impl Sent {
    fn kind(&self) -> Kind {
        Kind::of(&self.chunk)
    }

    fn is_merge(&self) -> bool {
        self.kind() == Kind::Merges
    }

    /// The first item that has not been answered.
    fn next(&self) -> ItemIndex {
        self.chunk.first() + self.done
    }
}

fn violation(rule: &str) -> Violation {
    Violation(rule.to_owned())
}

#[cfg(test)]
mod tests;
