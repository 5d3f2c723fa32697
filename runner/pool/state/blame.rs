//! Who is to blame for the end of a worker, and what is run again.

use std::time::Duration;

use super::{Chunk, Completion, Hint, ItemIndex, Kind, Seen, Sent, Violation, WorkerState};
use crate::limits::Policy;
use crate::outcome::{MemoryLimit, Meta, Outcome, TimeLimit, WorkerEnd};

/// How many times a worker may be killed from outside under one item before the item counts as the reason, as it
/// is when it makes the machine run out of memory. Of an item that is not to be run again, the first time counts.
pub(super) const OUTSIDE_KILLS: u32 = 5;

/// An item that is to be run again.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pool) struct Retry {
    /// Just this item.
    pub(in crate::pool) chunk: Chunk,
    pub(in crate::pool) tries: Tries,
}

/// What became of an item so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Tries {
    /// Workers that ended under it by themselves, or had to be ended because they broke the protocol.
    own: u32,
    /// Workers that were killed from outside while it ran.
    outside: u32,
    /// Times it failed without harm to its worker.
    failed: u32,
    /// A worker that had it said at its end that it was not running it, and was believed.
    excused: bool,
}

/// Why a worker is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Cause {
    /// It ended.
    Ended(WorkerEnd),
    /// It ended because it could not have the memory it needed.
    OutOfMemory(WorkerEnd),
    /// It broke the protocol and was killed.
    Violation(Violation),
    /// This item used up its time, and the worker was killed.
    TimedOut(ItemIndex),
    /// This item used up its CPU time, and the worker was killed.
    OutOfCpu(ItemIndex),
    /// This item was running and was cancelled, and the worker was killed.
    Cancelled(ItemIndex),
}

/// What becomes of the items a worker had when it ended.
#[derive(Debug, Default)]
pub(in crate::pool) struct Aftermath {
    /// Items that ended with it.
    pub(in crate::pool) completions: Vec<(ItemIndex, Completion)>,
    /// The item to try again, alone and in a fresh worker.
    pub(in crate::pool) suspect: Option<Retry>,
    /// How that one failed, if it did so by itself.
    pub(in crate::pool) failed: Option<(ItemIndex, Completion)>,
    /// Items that failed before and were still to be run again.
    pub(in crate::pool) again: Vec<Retry>,
    /// Items that are none the worse for it.
    pub(in crate::pool) requeue: Vec<Chunk>,
}

/// What an item comes to by the end of its worker.
enum Verdict {
    /// It has ended.
    Ended(Outcome),
    /// It has failed, and is run again.
    Failed(Outcome),
    /// It is run again.
    Unclear,
}

impl Retry {
    /// Whether a worker was lost under it, which another item may have been the reason for: what becomes of it next
    /// must be its own doing.
    pub(in crate::pool) fn is_suspect(&self) -> bool {
        self.tries.own + self.tries.outside > 0 || self.tries.excused
    }

    /// The item, and how often it has been started.
    pub(in crate::pool) fn starts(&self) -> (ItemIndex, u32) {
        (self.chunk.first(), self.tries.attempt() - 1)
    }

    fn is_merge(&self) -> bool {
        Kind::of(&self.chunk) == Kind::Merges
    }
}

impl Tries {
    /// How often the item has been started, this time included.
    pub(in crate::pool) fn attempt(self) -> u32 {
        self.own + self.outside + self.failed + 1
    }

    /// Whether a worker that says it was not running the item is believed: once, or an item whose workers lie could
    /// be tried for ever.
    fn excuse(&mut self) -> bool {
        !std::mem::replace(&mut self.excused, true)
    }
}

impl WorkerState {
    /// What becomes of its items, now that it is gone. `hint` is what its status page said at the end.
    pub(in crate::pool) fn bury(mut self, cause: &Cause, hint: Hint) -> Aftermath {
        if self.rules.policy.at_most_once {
            return self.bury_for_good(cause, hint);
        }
        let mut aftermath = Aftermath::default();
        let says_idle = self.says_idle(cause, hint);
        let Some(front) = self.sent.pop_front() else { return aftermath };
        let (mut suspect, rest) = front.cut();
        aftermath.requeue.extend(rest);
        for Sent { chunk, tries, .. } in self.sent.drain(..) {
            if tries == Tries::default() {
                aftermath.requeue.push(chunk);
            } else {
                aftermath.again.push(Retry { chunk, tries });
            }
        }
        // As it was when the worker ended.
        let tries = suspect.tries;
        let excused = says_idle && suspect.tries.excuse();
        let verdict = if excused { Verdict::Unclear } else { self.blame(&mut suspect, cause) };
        let end = |outcome| self.completion_of(&suspect.chunk, 0, tries, outcome);
        match verdict {
            Verdict::Ended(outcome) => {
                aftermath.completions.push(end(outcome));
                return aftermath;
            }
            Verdict::Failed(outcome) => aftermath.failed = Some(end(outcome)),
            Verdict::Unclear => {}
        }
        aftermath.suspect = Some(suspect);
        aftermath
    }

    /// As [`WorkerState::bury`] where nothing is started twice: whatever may have been started has ended. That is
    /// everything up to the item that the page or the cause names, and all that a worker had that is not believed.
    fn bury_for_good(mut self, cause: &Cause, hint: Hint) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let blamed = match cause {
            Cause::TimedOut(item) | Cause::OutOfCpu(item) | Cause::Cancelled(item) => Some(*item),
            Cause::Ended(_) | Cause::OutOfMemory(_) | Cause::Violation(_) => None,
        };
        let named = [blamed, self.named(hint)].into_iter().flatten();
        let mut started = match cause {
            Cause::Violation(_) => u64::MAX,
            _ => named.filter_map(|item| self.place(item)).max().unwrap_or(0) + 1,
        };
        for mut sent in std::mem::take(&mut self.sent) {
            let wall = self.wall_of(&sent.chunk);
            let left = sent.chunk.len() - sent.done;
            for position in (sent.done..sent.chunk.len()).take(usize::try_from(started).unwrap_or(usize::MAX))
            {
                let item = sent.chunk.first() + position;
                let outcome = match blamed {
                    Some(blamed) if blamed != item => Outcome::Crash { end: WorkerEnd::Signalled(SIGKILL) },
                    Some(_) | None => self.outcome_of(cause, wall),
                };
                aftermath.completions.push(self.completion_of(&sent.chunk, position, sent.tries, outcome));
            }
            match sent.done + started {
                0 => aftermath.requeue.push(sent.chunk),
                _ if left <= started => {}
                at => aftermath.requeue.extend(sent.chunk.split_off(at)),
            }
            started = started.saturating_sub(left);
        }
        aftermath
    }

    /// The items that it has not answered and that were started, and how often they were; `hint` is what its status
    /// page said at the end.
    pub(in crate::pool) fn starts(&self, hint: Hint) -> Vec<(ItemIndex, u32)> {
        let named = self.named(hint).and_then(|item| self.place(item));
        let mut started = named.map_or(0, |place| place + 1);
        let mut starts = Vec::new();
        for sent in &self.sent {
            for item in sent.next()..sent.chunk.first() + sent.chunk.len() {
                let times = sent.tries.attempt() - 1 + u32::from(started > 0);
                started = started.saturating_sub(1);
                starts.extend((times > 0).then_some((item, times)));
            }
        }
        starts
    }

    /// How many items it was to answer before this one.
    fn place(&self, item: ItemIndex) -> Option<u64> {
        let mut before = 0;
        for sent in &self.sent {
            let end = sent.chunk.first() + sent.chunk.len();
            if (sent.next()..end).contains(&item) {
                return Some(before + (item - sent.next()));
            }
            before += end - sent.next();
        }
        None
    }

    /// The end of an item that ended with the worker.
    fn completion_of(
        &self,
        chunk: &Chunk,
        position: u64,
        tries: Tries,
        outcome: Outcome,
    ) -> (ItemIndex, Completion) {
        // Of a killed item that is all that is known; of a worker that died, nothing is.
        let (wall, cpu) = match outcome {
            Outcome::Timeout { limit: TimeLimit::Wall(limit) } => (limit, Duration::ZERO),
            Outcome::Timeout { limit: TimeLimit::Cpu(limit) } => (limit, limit),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        let attempts = tries.attempt();
        let meta = Meta { wall, cpu, attempts, worker: self.slot, pid: self.pid, ..Meta::default() };
        let file = chunk.file(position);
        (chunk.first() + position, Completion { file, meta: Box::new(meta), ..Completion::new(outcome) })
    }

    /// Whether its page says that no item was running when it ended, or when its time was up.
    fn says_idle(&self, cause: &Cause, hint: Hint) -> bool {
        match cause {
            Cause::Ended(_) | Cause::OutOfMemory(_) => self.named(hint).is_none(),
            Cause::TimedOut(_) => matches!(self.seen, Seen::Between(_)),
            // One lie is enough.
            Cause::Violation(_) => false,
            // It was computing something, or its page named the item.
            Cause::OutOfCpu(_) | Cause::Cancelled(_) => false,
        }
    }

    /// Puts the end of the worker down to the item whose result was due.
    fn blame(&self, suspect: &mut Retry, cause: &Cause) -> Verdict {
        let policy = self.rules.policy;
        let outcome = self.outcome_of(cause, self.wall_of(&suspect.chunk));
        let retries = retries(&suspect.chunk, &policy);
        let tries = &mut suspect.tries;
        match cause {
            Cause::Cancelled(item) if *item == suspect.chunk.first() => return Verdict::Ended(outcome),
            Cause::TimedOut(item) | Cause::OutOfCpu(item) if *item == suspect.chunk.first() => {
                if tries.failed < retries && !suspect.is_merge() {
                    suspect.tries.failed += 1;
                    return Verdict::Failed(outcome);
                }
                return Verdict::Ended(outcome);
            }
            Cause::Ended(WorkerEnd::Signalled(SIGKILL)) => tries.outside += 1,
            // An item ahead of the one that is due cannot have been running, so the page lied about which one used up
            // its time; or the worker handed this one's result in just when it was killed. Alone, it is seen which.
            Cause::TimedOut(_)
            | Cause::OutOfCpu(_)
            | Cause::Cancelled(_)
            | Cause::Ended(_)
            | Cause::OutOfMemory(_)
            | Cause::Violation(_) => tries.own += 1,
        }
        let outside = match policy.crash_retries() {
            0 => 1,
            retries => OUTSIDE_KILLS.max(retries.saturating_add(1)),
        };
        let is_tried_again = tries.own <= policy.crash_retries() && tries.outside < outside;
        if is_tried_again { Verdict::Unclear } else { Verdict::Ended(outcome) }
    }

    /// Wall time that an item of this chunk may take.
    pub(super) fn wall_of(&self, chunk: &Chunk) -> Option<Duration> {
        chunk.terms().wall.or(self.rules.limits.wall)
    }

    /// What becomes of an item that is the cause of this, and had so much wall time.
    fn outcome_of(&self, cause: &Cause, wall: Option<Duration>) -> Outcome {
        let cpu = self.rules.limits.cpu;
        match cause {
            Cause::TimedOut(_) => Outcome::Timeout { limit: TimeLimit::Wall(wall.unwrap_or_default()) },
            Cause::OutOfCpu(_) => Outcome::Timeout { limit: TimeLimit::Cpu(cpu.unwrap_or_default()) },
            Cause::Cancelled(_) => Outcome::Cancelled,
            Cause::Ended(end) => Outcome::Crash { end: *end },
            Cause::OutOfMemory(end) => Outcome::Memory {
                limit: MemoryLimit::Process,
                bytes: self.rules.guest.memory,
                error: format!("the worker {end}"),
            },
            Cause::Violation(violation) => Outcome::Protocol { error: violation.0.clone() },
        }
    }
}

impl Sent {
    /// The next item, to be run again after this outcome; none if it has been run often enough.
    pub(super) fn retry(&self, outcome: &Outcome, policy: &Policy) -> Option<Retry> {
        // What does not fit the function never will.
        let is_final = outcome.is_ok() || matches!(outcome, Outcome::Input { .. });
        if is_final || self.is_merge() || self.tries.failed >= retries(&self.chunk, policy) {
            return None;
        }
        let tries = Tries { failed: self.tries.failed + 1, ..self.tries };
        Some(Retry { chunk: self.chunk.only(self.done)?, tries })
    }

    /// Parts what has not been answered into its first item and those behind it.
    pub(super) fn cut(self) -> (Retry, Option<Chunk>) {
        let Self { mut chunk, done, tries, .. } = self;
        if done > 0 {
            chunk = chunk.split_off(done).expect("a chunk answered in full is not kept");
        }
        let rest = chunk.split_off(1);
        (Retry { chunk, tries }, rest)
    }
}

/// How often an item of this chunk is run again that failed without harm to its worker.
fn retries(chunk: &Chunk, policy: &Policy) -> u32 {
    let own = chunk.terms().retries.filter(|_| !policy.at_most_once);
    own.unwrap_or_else(|| policy.retries())
}

/// SIGKILL, the signal nobody sends by mistake and no guest sends itself.
pub(in crate::pool) const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();

/// SIGABRT, which a process sends itself when it cannot go on.
pub(in crate::pool) const SIGABRT: i32 = rustix::process::Signal::ABORT.as_raw();
