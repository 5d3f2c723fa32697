//! How long items may take: when a worker has to be looked at, and which of its items has used up its time.

use std::time::Duration;

use super::{
    CPU_SLACK, GRACE, Hint, Judgement, Nanos, Phase, START_LIMIT, Seen, Sent, WorkerState, violation,
};
use crate::chunk::Chunk;
use crate::item::ItemIndex;

impl WorkerState {
    /// When to call [`WorkerState::judge`]; never, if there is nothing to wait for.
    pub(in crate::pool) fn deadline(&self) -> Option<Nanos> {
        if let Phase::Starting { since } | Phase::Loading { since } = self.phase {
            return Some(since.after(START_LIMIT));
        }
        [self.wall_deadline(), self.cpu_deadline()].into_iter().flatten().min()
    }

    fn wall_deadline(&self) -> Option<Nanos> {
        let limit = self.wall_limit()?;
        let next = match self.seen {
            Seen::Nothing => self.progress,
            Seen::Between(when) => when,
            Seen::Running { since, .. } => since,
        };
        Some(next.after(limit).min(self.bound()?))
    }

    /// Wall time that each item it has may take; what it has at one time is all on the same terms.
    fn wall_limit(&self) -> Option<Duration> {
        self.sent.front().map_or(self.rules.limits.wall, |front| self.wall_of(&front.chunk))
    }

    /// Whether a chunk can be sent behind what it has. A worker keeps results to itself while the next item runs, so the
    /// bound on its answers holds only if all its items have the same time.
    pub(in crate::pool) fn goes_with(&self, chunk: &Chunk) -> bool {
        let wall = |chunk: &Chunk| chunk.terms().wall;
        self.sent.back().is_none_or(|last| wall(&last.chunk) == wall(chunk))
    }

    /// When the item could have used up its CPU time at the earliest: it has one thread.
    fn cpu_deadline(&self) -> Option<Nanos> {
        let (limit, used) = (self.cpu_limit()?, self.cpu_used());
        let limit = if self.is_excused { limit.saturating_add(GRACE) } else { limit };
        let left = limit.saturating_sub(used);
        (!self.sent.is_empty()).then(|| self.cpu_read.max(self.progress).after(left))
    }

    fn cpu_limit(&self) -> Option<Duration> {
        Some(self.rules.limits.cpu?.saturating_add(CPU_SLACK))
    }

    /// CPU time since the last result: what the running item has used, and hardly anything else.
    fn cpu_used(&self) -> Duration {
        self.cpu.saturating_sub(self.cpu_at_progress)
    }

    /// Decides at `now`, with everything the worker wrote until then read, what to do about a deadline.
    pub(in crate::pool) fn judge(&mut self, hint: Hint, now: Nanos) -> Judgement {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Judgement::Wait;
        }
        if !self.is_ready() {
            return Judgement::TooSlowToStart;
        }
        match self.judge_wall(hint, now) {
            Judgement::Wait => self.judge_cpu(hint),
            judgement => judgement,
        }
    }

    fn judge_wall(&mut self, hint: Hint, now: Nanos) -> Judgement {
        let (Some(limit), Some(bound), Some(front)) = (self.wall_limit(), self.bound(), self.sent.front())
        else {
            return Judgement::Wait;
        };
        let Some(item) = self.named(hint) else {
            // It is looked at again when the next item could have used up its time.
            self.seen = Seen::Between(now);
            if now < bound {
                return Judgement::Wait;
            }
            if now.since(bound) > GRACE {
                // This host was away itself, stopped for a while: the bound begins anew.
                self.progressed(now);
                return Judgement::Wait;
            }
            return Judgement::TimedOut(front.next());
        };
        if !self.has(item) {
            return Judgement::Violation(violation("it says it is running an item it does not have"));
        }
        let since = match self.seen {
            // What it said first counts: an item does not start anew.
            Seen::Running { item: seen, since } if seen == item => since,
            // A start in the future would put off the end.
            Seen::Nothing | Seen::Between(_) | Seen::Running { .. } => hint.since.min(now),
        };
        self.seen = Seen::Running { item, since };
        if now >= since.after(limit) || now >= bound { Judgement::TimedOut(item) } else { Judgement::Wait }
    }

    /// What has been used since the last result is the running item's: those before it took next to nothing. A page
    /// that names none is believed for a while: the worker may be about to hand its result in.
    fn judge_cpu(&mut self, hint: Hint) -> Judgement {
        let (Some(limit), Some(front)) = (self.cpu_limit(), self.sent.front()) else {
            return Judgement::Wait;
        };
        let used = self.cpu_used();
        match self.named(hint) {
            Some(item) if !self.has(item) => {
                Judgement::Violation(violation("it says it is running an item it does not have"))
            }
            Some(item) if used >= limit => Judgement::OutOfCpu(item),
            None if used >= limit.saturating_add(GRACE) => Judgement::OutOfCpu(front.next()),
            Some(_) | None => {
                self.is_excused = used >= limit;
                Judgement::Wait
            }
        }
    }

    /// The item the page says is running. That it still names what has been answered says nothing.
    pub(super) fn named(&self, hint: Hint) -> Option<ItemIndex> {
        hint.running.filter(|running| Some(*running) != self.last).map(|(item, _)| item)
    }

    /// Whether it was sent `item` and has not answered it.
    fn has(&self, item: ItemIndex) -> bool {
        self.sent.iter().any(|sent| (sent.next()..sent.chunk.first() + sent.chunk.len()).contains(&item))
    }

    /// The first of the items that it was sent and has not answered for which this holds.
    pub(in crate::pool) fn find(&self, is_wanted: impl Fn(ItemIndex) -> bool) -> Option<ItemIndex> {
        let items = self.sent.iter().flat_map(|sent| sent.next()..sent.chunk.first() + sent.chunk.len());
        items.into_iter().find(|item| is_wanted(*item))
    }

    /// The item whose result is due.
    pub(in crate::pool) fn due(&self) -> Option<ItemIndex> {
        self.sent.front().map(Sent::next)
    }

    /// The item that the page says is running, if it was sent that and has not answered it.
    pub(in crate::pool) fn running(&self, hint: Hint) -> Option<ItemIndex> {
        self.named(hint).filter(|item| self.has(*item))
    }

    /// When the next result must have come, whatever the status page says.
    ///
    /// One item's time, however many it has: a worker keeps results to itself for a millisecond, and then for as long
    /// as one item takes.
    fn bound(&self) -> Option<Nanos> {
        if self.sent.is_empty() {
            return None;
        }
        Some(self.progress.after(self.wall_limit()?).after(GRACE))
    }
}
