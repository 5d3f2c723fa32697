//! Tests of what the host believes of one worker; [`simulation`] runs many of them, and some mean harm.

mod conversation;
mod deadlines;
mod ends;
mod policies;
mod simulation;

use super::*;
use crate::chunk::Inputs;
use crate::item::MERGE_BIT;
use crate::outcome::{MemoryLimit, WorkerEnd};
use crate::wire::encode_report;

const SLOT: u32 = 3;
const PID: u32 = 4711;

/// Wall time an item may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes an item may return.
const OUTPUT: u64 = 100;

/// What each item may do in these tests.
fn rules(wall: Option<Duration>) -> Rules {
    let guest = GuestLimits { output: OUTPUT, ..GuestLimits::default() };
    Rules { limits: Limits { wall, cpu: None }, guest, policy: Policy::default() }
}

/// A page that names no item.
const IDLE: Hint = Hint { running: None, since: Nanos(0) };

/// A moment, in seconds.
fn at(seconds: u64) -> Nanos {
    Nanos(seconds * 1_000_000_000)
}

fn page(item: ItemIndex, since: Nanos) -> Hint {
    Hint { running: Some((item, 1)), since }
}

/// A worker that was started at 0 and is ready.
fn ready() -> WorkerState {
    ready_under(rules(Some(LIMIT)))
}

fn ready_under(rules: Rules) -> WorkerState {
    let mut worker = WorkerState::new(SLOT, PID, rules, at(0));
    worker.greeted().unwrap();
    worker.ready().unwrap();
    worker
}

/// A ready worker that was sent the items from 0 on at 0.
fn with_items(count: u64) -> WorkerState {
    let mut worker = ready();
    worker.assign(items(0, count), at(0));
    worker
}

fn items(first: ItemIndex, count: u64) -> Chunk {
    Chunk::new(first, Inputs::Numbers { start: first.into(), count })
}

fn merges(count: usize) -> Chunk {
    let folds = std::iter::repeat_n(b"[1,2]".as_slice(), count);
    Chunk::new(MERGE_BIT, Inputs::Folds(folds.collect()))
}

/// What a batch says, owned.
#[derive(Clone, Debug)]
struct Written {
    first: ItemIndex,
    attempt: u32,
    count: u32,
    reports: Vec<u8>,
}

impl Written {
    fn new(first: ItemIndex, attempt: u32) -> Self {
        Self { first, attempt, count: 0, reports: Vec::new() }
    }

    fn push(mut self, report: &Report<'_>) -> Self {
        encode_report(report, &mut self.reports);
        self.count += 1;
        self
    }

    fn kind(&self) -> Kind {
        if self.first & MERGE_BIT == 0 { Kind::Items } else { Kind::Merges }
    }

    fn batch(&self) -> Batch<'_> {
        let Self { first, attempt, count, .. } = *self;
        Batch { first, attempt, count, reports: &self.reports }
    }
}

fn report(end: CallEnd<'_>) -> Report<'_> {
    Report { end, stdout: b"", stderr: b"", wall_ns: 0, cpu_ns: 0, peak_memory: 0, backtrace: "" }
}

fn value(json: &str) -> Report<'_> {
    report(CallEnd::Ok(json.as_bytes()))
}

/// First attempts at `count` items from `first` on that returned `7`.
fn sevens(first: ItemIndex, count: u32) -> Written {
    (0..count).fold(Written::new(first, 1), |written, _| written.push(&value("7")))
}

/// Which items ended, and with what status.
type Ended = Vec<(ItemIndex, &'static str)>;

fn ended(ends: &[(ItemIndex, Completion)]) -> Ended {
    ends.iter().map(|(item, completion)| (*item, completion.outcome.status())).collect()
}

/// What a batch of items led to, at 1 s.
fn answer(worker: &mut WorkerState, written: &Written) -> (Ended, Result<(), Violation>) {
    let mut ends = Vec::new();
    let result = worker.answer(&written.batch(), written.kind(), at(1), &mut ends);
    (ended(&ends), result)
}

/// The rule that a batch breaks, which is to be all it leads to.
#[track_caller]
fn check_refused(worker: &mut WorkerState, written: &Written, rule: &str) {
    assert_eq!(answer(worker, written), (vec![], Err(violation(rule))));
}

/// Takes the first `count` items as answered at `now`, all of them first attempts of the front chunk.
fn answered(worker: &mut WorkerState, first: ItemIndex, count: u32, now: Nanos) {
    let mut ends = Vec::new();
    worker.answer(&sevens(first, count).batch(), Kind::Items, now, &mut ends).unwrap();
    assert_eq!(ends.len(), count as usize);
}

fn salvage(worker: &mut WorkerState, written: &Written, until: Option<ItemIndex>) -> Ended {
    let mut ends = Vec::new();
    worker.salvage(&written.batch(), until, at(1), &mut ends);
    ended(&ends)
}
