//! Workers that end while they have items.

use std::time::Duration;

use rustix::process::Signal;
use wasmpool::item::ItemIndex;
use wasmpool::limits::GuestLimits;
use wasmpool::outcome::{MemoryLimit, Outcome, WorkerEnd};
use wasmpool::pool::Job;

use super::{Death, Fake, Misdeed, Page, Ran, Results, Script, When, job, numbers};

/// The item under which workers end.
const BAD: u64 = 6;

fn run(when: When, misdeed: Misdeed) -> Ran {
    let script = Script { misdeed: Some((when, misdeed)), page: Page::Honest, ..Script::default() };
    Fake::new(script).run(job(numbers(12)))
}

/// A worker that ends in this way at each attempt costs the item and no other.
#[track_caller]
fn check(death: Death, end: WorkerEnd, attempts: u32) {
    let ran = run(When::Always(BAD), Misdeed::Die(death));
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD), (&Outcome::Crash { end }, attempts));
    assert_eq!(ran.heard.replaced, vec![end.to_string(); attempts as usize]);
}

#[track_caller]
fn check_retried(death: Death) {
    let ran = run(When::First(BAD), Misdeed::Die(death));
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.end(BAD).1, 2);
}

#[test]
fn w18_an_exit_at_every_attempt_is_a_crash() {
    check(Death::Exit(1), WorkerEnd::Exited(1), 2);
}

#[test]
fn w18_a_good_exit_at_every_attempt_is_a_crash() {
    check(Death::Exit(0), WorkerEnd::Exited(0), 2);
}

#[test]
fn w18_an_abort_at_every_attempt_is_a_crash() {
    check(Death::Abort, WorkerEnd::Signalled(Signal::ABORT.as_raw()), 2);
}

#[test]
fn w18_a_segmentation_fault_at_every_attempt_is_a_crash() {
    let signal = Signal::SEGV.as_raw();
    check(Death::Signal(signal), WorkerEnd::Signalled(signal), 2);
}

#[test]
fn h18_a_kill_from_outside_is_forgiven_four_times() {
    let signal = Signal::KILL.as_raw();
    check(Death::Signal(signal), WorkerEnd::Signalled(signal), 5);
}

#[test]
fn w18_an_exit_at_the_first_attempt_costs_one_attempt() {
    check_retried(Death::Exit(1));
}

#[test]
fn w18_an_abort_at_the_first_attempt_costs_one_attempt() {
    check_retried(Death::Abort);
}

#[test]
fn w18_a_segmentation_fault_at_the_first_attempt_costs_one_attempt() {
    check_retried(Death::Signal(Signal::SEGV.as_raw()));
}

#[test]
fn a_worker_that_says_it_was_between_two_items_is_believed_once() {
    let misdeed = Some((When::Always(BAD), Misdeed::Die(Death::Exit(1))));
    let ran = Fake::new(Script { misdeed, ..Script::default() }).run(job(numbers(12)));
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD), (&Outcome::Crash { end: WorkerEnd::Exited(1) }, 2));
    assert_eq!(ran.summary().replaced, 3);
}

#[test]
fn h2_a_result_that_was_written_outlives_its_worker() {
    let death = Death::Signal(Signal::KILL.as_raw());
    let ran = run(When::Everywhere, Misdeed::DieAfter(death));
    ran.check_ok_but(12, &[]);
    // Written is done: nothing is run again.
    assert_eq!(ran.summary().attempts, 12);
}

#[test]
fn workers_that_end_after_each_result_get_everything_done() {
    let ran = run(When::Everywhere, Misdeed::DieAfter(Death::Exit(0)));
    ran.check_ok_but(12, &[]);
}

#[test]
fn workers_that_end_under_every_item_fail_every_item_and_end_the_run_well() {
    let ran = run(When::Everywhere, Misdeed::Die(Death::Exit(1)));
    let all: Vec<_> = (0..12).collect();
    ran.check_ok_but(12, &all);
    let end = WorkerEnd::Exited(1);
    assert!(all.iter().all(|item| ran.end(*item) == (&Outcome::Crash { end }, 2)), "{:?}", ran.ends);
}

#[test]
fn a_result_in_the_outbox_of_an_item_that_was_not_its_turn_is_not_believed() {
    check_retried_forger(Misdeed::DieForging(1, Death::Abort));
}

#[test]
fn garbage_in_the_outbox_is_not_believed() {
    check_retried_forger(Misdeed::DieScribbling(Death::Abort));
}

#[track_caller]
fn check_retried_forger(misdeed: Misdeed) {
    let ran = run(When::First(BAD), misdeed);
    ran.check_ok_but(12, &[]);
    assert_eq!([4, 5, 6, 7].map(|item| ran.end(item).1), [1, 1, 2, 1]);
}

#[test]
fn h2_results_in_the_outbox_outlive_their_worker() {
    let misdeed = Some((When::First(BAD), Misdeed::Die(Death::Abort)));
    let script = Script { misdeed, results: Results::Outbox, ..Script::default() };
    let ran = Fake::new(script).run(job(numbers(12)));
    ran.check_ok_but(12, &[]);
    assert_eq!([4, 5, 6, 7].map(|item| ran.end(item).1), [1, 1, 2, 1]);
    // Run again, they would have another process.
    let pid = |item: u64| ran.ends[&item].meta.pid;
    assert_eq!(pid(4), pid(5));
    assert_ne!(pid(5), pid(6));
}

#[test]
fn h2_results_in_the_outbox_that_were_written_too_count_once() {
    let misdeed = Some((When::First(BAD), Misdeed::DieUncleared(Death::Abort)));
    let script = Script { misdeed, results: Results::Outbox, ..Script::default() };
    let ran = Fake::new(script).run(job(numbers(12)));
    ran.check_ok_but(12, &[]);
    assert_eq!([4, 5, 6, 7].map(|item| ran.end(item).1), [1; 4]);
}

#[test]
fn h18_a_worker_that_is_refused_memory_twice_is_told_from_one_that_crashes() {
    let ran = run(When::Always(BAD), Misdeed::Die(Death::NoMemory));
    ran.check_ok_but(12, &[BAD]);
    let error = "the worker was killed by SIGABRT".to_owned();
    let bytes = GuestLimits::default().memory;
    let memory = Outcome::Memory { limit: MemoryLimit::Process, bytes, error };
    assert_eq!(ran.end(BAD), (&memory, 2));
}

/// A job with one item at a time.
fn one_by_one(items: u64) -> Job {
    Job { window_items: 1, ..job(numbers(items)) }
}

#[test]
fn h17_an_item_to_be_tried_alone_is_left_to_others_when_no_worker_can_be_started() {
    let script = Script {
        misdeed: Some((When::First(BAD), Misdeed::Die(Death::Exit(1)))),
        page: Page::Honest,
        ..Script::default()
    };
    let ran = Fake::new(script).run_with_those_it_has(one_by_one(12));
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.end(BAD).1, 2);
    assert_eq!(ran.heard.missing, ["No such file or directory (os error 2)"]);
}

/// Others have always something in hand.
#[test]
fn h17_an_item_that_is_left_to_others_does_not_wait_until_they_have_nothing_else_to_do() {
    const BAD: ItemIndex = 100;
    let script = Script {
        misdeed: Some((When::First(BAD), Misdeed::Die(Death::Exit(1)))),
        page: Page::Honest,
        work: Duration::from_millis(1),
        ..Script::default()
    };
    let ran = Fake::new(script).run_with_those_it_has(job(numbers(2000)));
    ran.check_ok_but(2000, &[]);
    let place = ran.order.iter().position(|item| *item == BAD).expect("it ended");
    assert!(place < 1900, "{place} items ended before it");
}

#[test]
fn h17_items_that_bring_down_the_last_worker_break_the_pool() {
    let script = Script {
        misdeed: Some((When::Always(BAD), Misdeed::Die(Death::Exit(1)))),
        page: Page::Honest,
        ..Script::default()
    };
    let ran = Fake::new(script).run_with_those_it_has(one_by_one(12));
    let (error, six) = (ran.error().to_string(), ran.error().exit_code().code());
    assert_eq!(six, 6, "{error}");
    assert!(error.starts_with("the pool broke: a worker cannot be started: "), "{error}");
    // What had ended before was told.
    assert!((0..BAD).all(|item| ran.end(item).0.is_ok()));
}
