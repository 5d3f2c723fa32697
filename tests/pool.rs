//! Whole runs, as a program that uses the library starts them: what sources, sinks and the user do to them. The
//! workers are fakes, which are honest or hang.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wasmpool::chunk::Inputs;
use wasmpool::error::Error;
use wasmpool::item::ItemIndex;
use wasmpool::outcome::{Completion, Outcome};
use wasmpool::pool::{Canceller, Job};
use wasmpool::sink::{Accepted, InputEnd, Sink};
use wasmpool::source::{Next, Refused, Source};

use crate::fake_worker::{Fake, Misdeed, Script, When, job, numbers};

/// SIGINT.
const INTERRUPT: i32 = 2;

const WINDOW: u64 = 16;

/// Numbers without end, unless it ends in one of the ways there are.
struct Numbers {
    next: u64,
    /// How many have been emitted.
    emitted: Arc<AtomicU64>,
    /// The most that were handed out and not emitted.
    most_ahead: Arc<AtomicU64>,
    ending: Ending,
}

/// How a source of numbers goes on after so many of them.
enum Ending {
    Never,
    End(u64),
    Fail(u64),
    /// Every other item cannot be had.
    Refuse(u64),
    Panic(u64),
    /// Waits for somebody who does not come.
    Wait(u64, Receiver<()>),
}

impl Source for Numbers {
    fn next(&mut self, max_items: u64, _max_bytes: usize) -> Result<Option<Next>, Error> {
        let end = match &self.ending {
            Ending::Never => u64::MAX,
            Ending::End(end)
            | Ending::Fail(end)
            | Ending::Refuse(end)
            | Ending::Panic(end)
            | Ending::Wait(end, _) => *end,
        };
        let count = max_items.min(end - self.next);
        if count == 0 {
            return self.end();
        }
        if matches!(self.ending, Ending::Refuse(_)) && self.next % 2 == 1 {
            self.next += 1;
            return Ok(Some(Next::Refused(Refused { file: None, error: "it is odd".to_owned() })));
        }
        let count = if matches!(self.ending, Ending::Refuse(_)) { 1 } else { count };
        let inputs = Inputs::Numbers { start: self.next.into(), count };
        self.next += count;
        self.most_ahead.fetch_max(self.next - self.emitted.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(Some(Next::Inputs(inputs)))
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl Numbers {
    fn end(&self) -> Result<Option<Next>, Error> {
        match &self.ending {
            Ending::Never | Ending::End(_) | Ending::Refuse(_) => Ok(None),
            Ending::Fail(_) => {
                let source = io::Error::other("the disk is gone");
                Err(Error::Input { name: "the numbers".into(), hint: None, source })
            }
            Ending::Panic(_) => panic!("this source panics, as its test wants it to"),
            Ending::Wait(_, nobody) => {
                // The test is over when this fails.
                let _ = nobody.recv();
                Ok(None)
            }
        }
    }
}

/// What a sink does at an item.
type Deed = Box<dyn FnMut(u64) -> Result<(), Error>>;

/// Counts items, and does something at each.
struct Counting {
    emitted: Arc<AtomicU64>,
    failed: Vec<Outcome>,
    deed: Deed,
}

impl Sink for Counting {
    fn accept(&mut self, _index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        if !completion.outcome.is_ok() {
            self.failed.push(completion.outcome);
        }
        let before = self.emitted.fetch_add(1, Ordering::SeqCst);
        (self.deed)(before + 1)?;
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, _end: InputEnd) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A job and the sink for it that know of each other.
struct Play {
    job: Job,
    sink: Counting,
    most_ahead: Arc<AtomicU64>,
}

fn play(ending: Ending, deed: impl FnMut(u64) -> Result<(), Error> + 'static) -> Play {
    let (emitted, most_ahead) = (Arc::default(), Arc::default());
    let source =
        Numbers { next: 0, emitted: Arc::clone(&emitted), most_ahead: Arc::clone(&most_ahead), ending };
    let job = Job { window_items: WINDOW, chunk: None, ..job(Box::new(source)) };
    Play { job, sink: Counting { emitted, failed: Vec::new(), deed: Box::new(deed) }, most_ahead }
}

impl Play {
    /// Cancelled from its sink at `item`.
    fn cancelled_at(ending: Ending, item: u64) -> (Self, (Canceller, wasmpool::pool::Cancellation)) {
        let (canceller, cancellation) = Canceller::new();
        let own = canceller.clone();
        let deed = move |emitted| {
            if emitted == item {
                own.cancel(INTERRUPT);
            }
            Ok(())
        };
        (play(ending, deed), (canceller, cancellation))
    }
}

fn honest() -> Fake {
    Fake::new(Script::default())
}

fn hanging_at(item: u64) -> Fake {
    Fake::new(Script { misdeed: Some((When::Always(item), Misdeed::Hang)), ..Script::default() })
}

#[track_caller]
fn check_interrupted(result: Result<wasmpool::report::Summary, Error>) {
    let error = result.expect_err("the run is interrupted");
    assert!(matches!(error, Error::Interrupted { signal: INTERRUPT }), "{error}");
    assert_eq!(error.exit_code().code(), 130);
}

#[test]
fn a_cancelled_run_ends_although_its_source_does_not() {
    let (mut play, canceller) = Play::cancelled_at(Ending::Never, 100);
    let (result, heard) = honest().run_into(play.job, &mut play.sink, canceller);
    check_interrupted(result);
    let counts = heard.finished.expect("the reporter hears the end").counts;
    assert_eq!(counts.items, counts.ok + counts.cancelled);
    assert!(counts.ok >= 100, "{counts:?}");
}

#[test]
fn a_cancelled_run_ends_although_an_item_hangs() {
    // The other worker ends what the window holds beside the item, and then it is the only one.
    let (mut play, canceller) = Play::cancelled_at(Ending::Never, WINDOW / 2);
    play.job.chunk = Some(1);
    play.job.limits.wall = None;
    let (result, heard) = hanging_at(2).run_into(play.job, &mut play.sink, canceller);
    check_interrupted(result);
    assert!(heard.finished.is_some_and(|summary| summary.counts.cancelled >= 1));
}

#[test]
fn a_cancelled_run_ends_although_its_source_waits() {
    let (_nobody, waiting) = channel();
    let (mut play, canceller) = Play::cancelled_at(Ending::Wait(10, waiting), 10);
    let (result, _) = honest().run_into(play.job, &mut play.sink, canceller);
    check_interrupted(result);
}

#[test]
fn a_run_that_was_cancelled_before_it_began_ends_at_once() {
    let (canceller, cancellation) = Canceller::new();
    canceller.cancel(INTERRUPT);
    let mut play = play(Ending::Never, |_| Ok(()));
    let (result, _) = honest().run_into(play.job, &mut play.sink, (canceller, cancellation));
    check_interrupted(result);
}

#[test]
fn a_run_that_is_over_cannot_be_cancelled() {
    let (canceller, cancellation) = Canceller::new();
    let late = canceller.clone();
    let mut play = play(Ending::End(10), |_| Ok(()));
    let (result, _) = honest().run_into(play.job, &mut play.sink, (canceller, cancellation));
    late.cancel(INTERRUPT);
    assert_eq!(result.unwrap().counts.ok, 10);
}

#[test]
fn what_was_read_before_a_source_failed_is_run_and_emitted() {
    let mut play = play(Ending::Fail(50), |_| Ok(()));
    let (result, heard) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    let error = result.unwrap_err();
    assert_eq!((error.to_string(), error.exit_code().code()), ("cannot read the numbers".into(), 4));
    assert_eq!(play.sink.emitted.load(Ordering::SeqCst), 50);
    assert_eq!(heard.finished.expect("the reporter hears the end").counts.ok, 50);
}

#[test]
fn a_source_that_fails_at_once_is_an_error() {
    let mut play = play(Ending::Fail(0), |_| Ok(()));
    let (result, _) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    assert!(matches!(result, Err(Error::Input { .. })), "{result:?}");
}

#[test]
fn a_source_without_items_is_a_run_without_items() {
    let mut play = play(Ending::End(0), |_| Ok(()));
    let (result, _) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    assert_eq!(result.unwrap().counts.items, 0);
}

#[test]
fn a_source_that_panics_ends_the_run_with_a_panic_and_leaves_no_process() {
    let fake = honest();
    let mut play = play(Ending::Panic(20), |_| Ok(()));
    let run = AssertUnwindSafe(|| fake.run_into(play.job, &mut play.sink, Canceller::new()));
    assert!(catch_unwind(run).is_err());
    fake.check_none_left();
}

#[test]
fn a_sink_that_panics_leaves_no_process() {
    let fake = honest();
    let mut play = play(Ending::Never, |_| panic!("this sink panics, as its test wants it to"));
    let run = AssertUnwindSafe(|| fake.run_into(play.job, &mut play.sink, Canceller::new()));
    assert!(catch_unwind(run).is_err());
    fake.check_none_left();
}

#[test]
fn an_endless_source_is_read_no_further_ahead_than_the_window() {
    let (mut play, canceller) = Play::cancelled_at(Ending::Never, 2000);
    let (result, _) = honest().run_into(play.job, &mut play.sink, canceller);
    check_interrupted(result);
    let most = play.most_ahead.load(Ordering::SeqCst);
    assert!((2..=WINDOW).contains(&most), "{most} items ahead");
}

#[test]
fn a_sink_that_fails_ends_the_run() {
    let mut play = play(Ending::Never, |emitted| match emitted {
        30 => Err(Error::Output { name: "the paper".into(), source: io::Error::other("it is out") }),
        _ => Ok(()),
    });
    let (result, heard) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    let error = result.unwrap_err();
    assert_eq!((error.to_string(), error.exit_code().code()), ("cannot write the paper".into(), 7));
    assert_eq!(play.sink.emitted.load(Ordering::SeqCst), 30);
    assert!(heard.finished.is_some());
}

#[test]
fn h14_a_slow_sink_stalls_the_source_and_no_item_is_charged_for_it() {
    const LIMIT: Duration = Duration::from_millis(300);
    let (_nobody, slow): (Sender<()>, _) = channel();
    let mut play = play(Ending::End(200), move |emitted| {
        if emitted == 20 {
            // Longer than an item may take, and longer than a worker that hangs would be waited for.
            let _ = slow.recv_timeout(LIMIT * 6);
        }
        Ok(())
    });
    play.job.limits.wall = Some(LIMIT);
    let (result, _) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    let summary = result.unwrap();
    assert_eq!((summary.counts.ok, summary.attempts, summary.replaced), (200, 200, 0));
    assert!(play.most_ahead.load(Ordering::SeqCst) <= WINDOW);
}

#[test]
fn a_slow_source_is_waited_for() {
    // Longer than an item may take: workers that have nothing to do use up nobody's time.
    const LIMIT: Duration = Duration::from_millis(100);
    let (nobody, waiting) = channel();
    let mut play = play(Ending::Wait(10, waiting), |_| Ok(()));
    play.job.limits.wall = Some(LIMIT);
    let (_never, never): (Sender<()>, _) = channel();
    let release = std::thread::spawn(move || {
        let _ = never.recv_timeout(LIMIT * 15);
        drop(nobody);
    });
    let (result, _) = honest().run_into(play.job, &mut play.sink, Canceller::new());
    let summary = result.unwrap();
    assert_eq!((summary.counts.ok, summary.replaced), (10, 0));
    release.join().unwrap();
}

#[test]
fn more_workers_than_items_are_no_harm() {
    let ran = honest().run(Job { workers: 4, ..job(numbers(2)) });
    ran.check_ok_but(2, &[]);
}

#[test]
fn a_window_of_one_item_runs_one_item_at_a_time() {
    let ran = honest().run(Job { window_items: 1, ..job(numbers(20)) });
    ran.check_ok_but(20, &[]);
}

#[test]
fn items_that_cannot_be_had_take_their_place_and_give_it_back() {
    for window_items in [1, 3, 1000] {
        let Play { job, mut sink, .. } = play(Ending::Refuse(99), |_| Ok(()));
        let job = Job { window_items, ..job };
        let (result, _) = honest().run_into(job, &mut sink, Canceller::new());
        let summary = result.unwrap();
        let counts = summary.counts;
        assert_eq!((counts.items, counts.ok, counts.failed, counts.cancelled), (99, 50, 49, 0));
        assert_eq!(summary.attempts, 50);
        assert_eq!(sink.emitted.load(Ordering::SeqCst), 99);
        let error = Outcome::Input { error: "item 97, it is odd".to_owned() };
        assert_eq!(sink.failed.last(), Some(&error));
    }
}
