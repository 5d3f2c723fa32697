//! Serving workers that are never ready, or only just.

use std::time::Duration;

use wasmpool::error::{Error, ExitCode};
use wasmpool::pool::Job;

use super::{Fake, Ran, Script, Start, job, numbers};

/// Two workers and a spare, what may fail for each worker, the compile worker, and what was started meanwhile.
const MOST_PROCESSES: usize = 3 + 2 * 3 + 1 + 4;

fn run(start: Start) -> Ran {
    Fake::new(Script { start, ..Script::default() }).run(job(numbers(12)))
}

/// A pool whose workers all start like this is broken, soon, for this reason.
#[track_caller]
fn check_broken(start: Start, reason: &str) {
    let ran = run(start);
    let error = ran.error();
    assert_eq!(error.to_string(), format!("the pool broke: {reason}"));
    assert_eq!(error.exit_code(), ExitCode::POOL);
    assert!(ran.processes <= MOST_PROCESSES, "{} processes", ran.processes);
    assert!(ran.ends.is_empty(), "{:?}", ran.ends);
    let finished = ran.heard.finished.as_ref().expect("the reporter hears the end");
    assert_eq!(finished.counts.cancelled, finished.counts.items);
}

#[test]
fn w19_workers_that_exit_before_they_are_ready() {
    check_broken(Start::Exit, "a worker exited with code 9 before it was ready");
}

#[test]
fn w19_each_start_that_fails_is_waited_for_longer_before_the_next() {
    let fake = Fake::new(Script { start: Start::Exit, ..Script::default() });
    let ran = fake.run(Job { workers: 1, ..job(numbers(12)) });
    assert!(matches!(ran.error(), Error::Pool { .. }), "{:?}", ran.error());
    let starts = fake.starts();
    assert_eq!(starts.len(), 3, "{starts:?}");
    for (pair, pause) in starts.windows(2).zip([10, 20]) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(pause), "{starts:?}");
    }
}

#[test]
fn w19_a_worker_that_exits_before_it_is_ready_is_replaced() {
    let fake = Fake::new(Script { start: Start::ExitOnce, ..Script::default() });
    let ran = fake.run(Job { workers: 1, ..job(numbers(12)) });
    ran.check_ok_but(12, &[]);
    // The compile worker, the one that exited, and another.
    assert_eq!(ran.processes, 3);
}

#[test]
fn workers_that_exit_as_soon_as_they_are_ready_do_not_keep_the_run_going() {
    let ran = run(Start::ReadyThenExit);
    // Whether it was sent an item before it was seen to be gone is a matter of luck.
    match &ran.result {
        Ok(summary) => assert_eq!(summary.counts.failed, 12),
        Err(error) => assert!(matches!(error, Error::Pool { .. }), "{error}"),
    }
}

#[test]
fn workers_that_begin_with_garbage() {
    check_broken(Start::Garbage, "a worker broke the protocol at its start: bytes that are no frame");
}

#[test]
fn workers_of_another_build() {
    let build = wasmpool::wire::version::BUILD;
    check_broken(
        Start::OtherBuild,
        &format!("a worker broke the protocol at its start: the other side is wasmpool 0, this one {build}"),
    );
}

#[test]
fn workers_that_speak_another_protocol() {
    check_broken(
        Start::OtherProtocol,
        "a worker broke the protocol at its start: the other side speaks protocol 2, this one 1",
    );
}

#[test]
fn workers_that_do_not_greet() {
    check_broken(
        Start::ReadyUngreeted,
        "a worker broke the protocol at its start: ready before the greeting",
    );
}

#[test]
fn workers_that_greet_twice() {
    check_broken(Start::GreetTwice, "a worker broke the protocol at its start: a second greeting");
}

#[test]
fn w11_workers_that_are_ready_twice() {
    check_broken(Start::ReadyTwice, "a worker broke the protocol at its start: ready twice");
}

#[test]
fn w10_workers_with_results_before_they_are_ready() {
    check_broken(Start::ResultUnready, "a worker broke the protocol at its start: a result nobody asked for");
}

#[test]
fn w10_workers_with_results_before_they_are_sent_items() {
    check_broken(
        Start::ReadyThenResult,
        "a worker broke the protocol at its start: a result nobody asked for",
    );
}

#[test]
fn workers_that_close_their_results_before_they_are_ready() {
    check_broken(
        Start::CloseResults,
        "a worker broke the protocol at its start: it closed its pipe and went on",
    );
}

#[test]
fn a_worker_that_refuses_the_guest_ends_the_run() {
    let ran = run(Start::Refuse);
    assert_eq!(ran.error().to_string(), "`fake.wasm` is no good");
    assert_eq!(ran.error().exit_code(), ExitCode::GUEST);
}
