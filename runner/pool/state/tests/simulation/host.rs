//! The host of a simulated run: feeder, drivers and dispatcher, one step at a time. The driver here takes the steps of
//! the real one, without descriptors.

use std::sync::Arc;

use super::worker::{Frame, Process};
use super::*;
use crate::pool::run_state::RunState;
use crate::scheduler::{LocalQueue, Next, Scheduler, Wake};

/// Wall time an item may take here.
const WALL: Duration = Duration::from_secs(1);

/// What time a round of steps takes.
const ROUND: Duration = Duration::from_micros(100);

/// How late a kill may be: the rounds in which a driver does not happen to look.
const SLACK: Duration = Duration::from_millis(10);

/// Chunks sent to a worker at most.
const MAX_SENT: usize = 3;

/// Items that are merged.
const GROUP: u64 = 4;

/// Far more rounds than any run takes.
const MAX_ROUNDS: u32 = 100_000;

struct Quiet;

impl Wake for Quiet {
    fn wake(&self) {}
}

/// A sequence of draws: SplitMix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        chances > 0 && self.next().is_multiple_of(chances)
    }
}

struct Session {
    process: Process,
    state: WorkerState,
    alone: bool,
}

struct Driver {
    queue: LocalQueue<Chunk>,
    session: Session,
    suspect: Option<Retry>,
    again: VecDeque<Retry>,
}

/// Feeder and dispatcher.
struct Middle<'s> {
    scenario: &'s Scenario,
    scheduler: Arc<Scheduler<Chunk>>,
    fed: u64,
    input_ended: bool,
    state: RunState,
    merges: u64,
    record: Record,
}

pub(super) struct World<'s> {
    now: Nanos,
    draws: Draws,
    middle: Middle<'s>,
    drivers: Vec<Driver>,
}

impl<'s> World<'s> {
    /// Runs until everything has ended.
    pub(super) fn run(scenario: &'s Scenario) -> Record {
        let wakers = (0..scenario.workers).map(|_| Arc::new(Quiet) as Arc<dyn Wake>).collect();
        let (scheduler, queues) = Scheduler::new(wakers);
        let now = at(1);
        let retries = scenario.retries;
        let driver = |queue| Driver {
            queue,
            session: Session::new(now, retries),
            suspect: None,
            again: VecDeque::new(),
        };
        let middle = Middle {
            scenario,
            scheduler,
            fed: 0,
            input_ended: false,
            state: RunState::default(),
            merges: 0,
            record: Record::default(),
        };
        let drivers = queues.into_iter().map(driver).collect();
        let mut world = Self { now, draws: Draws(scenario.seed), middle, drivers };
        for _ in 0..MAX_ROUNDS {
            if world.middle.state.is_over() {
                return world.end();
            }
            world.round();
        }
        panic!("the run goes on for ever");
    }

    /// One step of everyone, in some order. If nobody has anything to do, time passes until somebody has.
    fn round(&mut self) {
        let mut busy = self.draws.one_in(2) && self.middle.feed();
        let n_drivers = self.drivers.len();
        let first = usize::try_from(self.draws.next() % 64).expect("a small number");
        for offset in 0..n_drivers {
            let slot = (first + offset) % n_drivers;
            busy |= self.work(slot);
            if self.draws.one_in(2) {
                busy |= self.drivers[slot].turn(&mut self.middle, &mut self.draws, self.now);
            } else {
                busy = true;
            }
        }
        self.now = self.now.after(ROUND);
        if !busy && self.middle.input_ended {
            let deadlines = self.drivers.iter().filter_map(|driver| driver.session.state.deadline());
            self.now = self.now.max(deadlines.min().unwrap_or(self.now));
        }
    }

    fn work(&mut self, slot: usize) -> bool {
        let process = &mut self.drivers[slot].session.process;
        let record = &mut self.middle.record;
        if process.end.is_none() && self.draws.one_in(self.middle.scenario.kill_one_in) {
            process.kill(record);
        }
        process.step(self.middle.scenario, record, self.now, self.draws.one_in(2))
    }

    /// Nothing is left anywhere.
    fn end(mut self) -> Record {
        let Middle { scenario, scheduler, merges, state, mut record, .. } = self.middle;
        scheduler.close();
        for driver in &mut self.drivers {
            assert_eq!(driver.queue.next(), Next::Closed);
            assert_eq!((driver.session.state.outstanding(), &driver.suspect), (0, &None));
            assert_eq!(driver.again, []);
        }
        let n_items = scenario.items.len() as u64;
        let expected = (0..n_items).chain(MERGE_BIT..MERGE_BIT + merges);
        assert!(record.ends.keys().copied().eq(expected), "every item and every merge ended");
        record.attempts = state.attempts;
        record
    }
}

impl Middle<'_> {
    /// Puts the next chunk into the queue; `false` if there is no more input.
    fn feed(&mut self) -> bool {
        let left = self.scenario.items.len() as u64 - self.fed;
        if left > 0 {
            let length = left.min(self.scenario.chunk);
            self.scheduler.push(items(self.fed, length));
            self.fed += length;
        } else if !std::mem::replace(&mut self.input_ended, true) {
            self.state.input_ended(self.fed);
        } else {
            return false;
        }
        true
    }

    fn ended(&mut self, ends: Vec<(ItemIndex, Completion)>) {
        for (item, completion) in ends {
            assert!(!self.state.is_over(), "the run was over and item {item} was not");
            self.state.ended(item, &completion);
            assert!(self.record.ends.insert(item, completion).is_none(), "item {item} ended twice");
            let n_items = self.record.ends.range(..MERGE_BIT).count() as u64;
            let emitted = u64::from(item & MERGE_BIT == 0);
            let due = emitted > 0 && n_items.is_multiple_of(GROUP);
            if due {
                let fold = [b"[1,2]".as_slice()].into_iter().collect();
                let merge = Chunk::new(MERGE_BIT | self.merges, Inputs::Folds(fold));
                self.merges += 1;
                self.scheduler.push_front(vec![merge]);
            }
            self.state.accepted(emitted, u64::from(due));
        }
    }
}

impl Driver {
    /// One turn of its loop; `false` if it had nothing to do.
    fn turn(&mut self, middle: &mut Middle<'_>, draws: &mut Draws, now: Nanos) -> bool {
        let filled = self.fill(now);
        let n_frames = self.session.process.pipe.len();
        let n_read = n_frames.min(usize::try_from(draws.next() % 4).expect("a small number"));
        let ended = self.session.process.end;
        let cause = self.read(n_read, middle, now).or_else(|| match ended {
            Some(end) => self.read(usize::MAX, middle, now).or(Some(Cause::Ended(end))),
            None => self.judge(middle, now),
        });
        let lost = cause.is_some();
        if let Some(cause) = cause {
            self.recover(&cause, middle, now);
        }
        filled || n_frames > 0 || lost
    }

    fn fill(&mut self, now: Nanos) -> bool {
        let session = &mut self.session;
        let before = session.state.chunks();
        if let Some(suspect) = self.suspect.take() {
            session.process.send(session.state.assign_again(suspect, now));
            session.alone = true;
        }
        while session.state.chunks() < if session.alone { 1 } else { MAX_SENT } {
            if let Some(again) = self.again.pop_front() {
                if again.is_suspect() && session.state.outstanding() > 0 {
                    self.again.push_front(again);
                    break;
                }
                session.alone |= again.is_suspect();
                session.process.send(session.state.assign_again(again, now));
            } else if let Next::Chunk(chunk, _) = self.queue.next_or_register() {
                session.process.send(session.state.assign(chunk, now));
            } else {
                break;
            }
        }
        session.state.chunks() > before
    }

    /// Reads some frames; why the worker is to be killed, if it is.
    fn read(&mut self, n_frames: usize, middle: &mut Middle<'_>, now: Nanos) -> Option<Cause> {
        let session = &mut self.session;
        let n_frames = n_frames.min(session.process.pipe.len());
        let mut ends = Vec::new();
        let lie = session.process.pipe.drain(..n_frames).try_for_each(|frame| match frame {
            Frame::Batch(written) => session.state.answer(&written.batch(), written.kind(), now, &mut ends),
            Frame::Back(back) => {
                session.state.given_back(back).map(|chunk| middle.scheduler.push_front(vec![chunk]))
            }
            Frame::Garbage => Err(violation("no frame")),
        });
        self.again.extend(session.state.take_again().into_iter().map(|(again, _)| again));
        session.alone &= session.state.outstanding() > 0;
        middle.ended(ends);
        lie.err().map(Cause::Violation)
    }

    fn judge(&mut self, middle: &mut Middle<'_>, now: Nanos) -> Option<Cause> {
        if self.session.state.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        if let Some(cause) = self.read(usize::MAX, middle, now) {
            return Some(cause);
        }
        let Session { process, state, .. } = &mut self.session;
        match state.judge(process.page, now) {
            Judgement::Wait => None,
            Judgement::TooSlowToStart => unreachable!("workers here start at once"),
            Judgement::OutOfCpu(_) => unreachable!("CPU time has no limit here"),
            Judgement::Violation(violation) => Some(Cause::Violation(violation)),
            Judgement::TimedOut(item) => {
                let running = process.running().expect("only a worker that runs an item is too slow");
                check_overshoot(middle.scenario.nature(running), middle.record.started[&running], now);
                Some(Cause::TimedOut(item))
            }
        }
    }

    fn recover(&mut self, cause: &Cause, middle: &mut Middle<'_>, now: Nanos) {
        let next = Session::new(now, middle.scenario.retries);
        let Session { process, mut state, .. } = std::mem::replace(&mut self.session, next);
        let mut ends = Vec::new();
        let until = if let Cause::TimedOut(item) = cause { Some(*item) } else { None };
        if let Some(outbox) = &process.outbox
            && !matches!(cause, Cause::Violation(_))
        {
            state.salvage(&outbox.batch(), until, now, &mut ends);
        }
        self.again.extend(state.take_again().into_iter().map(|(again, _)| again));
        let Aftermath { completions, suspect, failed: _, again, requeue } = state.bury(cause, process.page);
        self.again.extend(again);
        let due = suspect.as_ref().map(|suspect| suspect.chunk.first());
        if let Some(item) = due.or(completions.first().map(|(item, _)| *item))
            && *cause == Cause::Ended(WorkerEnd::Signalled(SIGKILL))
            && process.running().is_none()
        {
            *middle.record.near_misses.entry(item).or_default() += 1;
        }
        self.suspect = suspect;
        middle.scheduler.push_front(requeue);
        ends.extend(completions);
        middle.ended(ends);
    }
}

impl Session {
    /// A worker that is ready.
    fn new(now: Nanos, retries: u32) -> Self {
        let policy = Policy { retries, ..Policy::default() };
        let mut state = WorkerState::new(SLOT, PID, Rules { policy, ..rules(Some(WALL)) }, now);
        state.greeted().expect("the first greeting");
        state.ready().expect("after the greeting");
        Self { process: Process::new(), state, alone: false }
    }
}

/// An item is killed when its time is up: not much later if its worker lies, and not earlier unless it does.
fn check_overshoot(nature: Nature, started: Nanos, now: Nanos) {
    let (least, grace) = match nature {
        Nature::HangsBehind(_) => (Duration::ZERO, GRACE),
        _ => (WALL, Duration::ZERO),
    };
    let ran = now.since(started);
    assert!(ran >= least && ran <= WALL + grace + SLACK, "{nature:?} was killed after {ran:?}");
}
