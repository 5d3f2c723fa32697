//! Workers that do not read, do not listen, talk too much, or close what they should keep open.

use std::io::Cursor;
use std::time::Duration;

use wasmpool::outcome::Outcome;
use wasmpool::pool::Job;
use wasmpool::source::{LineEnd, Lines};

use super::fake::wall;
use super::fake::{alone, own_cpu_time};
use super::{Fake, Misdeed, Ran, Script, Start, When, job, numbers};

const LIMIT: Duration = Duration::from_millis(300);

/// More than a pipe holds.
const LONG: usize = 200_000;

/// Texts longer than a pipe, for one worker.
fn run_texts(start: Start, count: usize) -> Ran {
    let texts = format!("{}\n", "x".repeat(LONG)).repeat(count);
    let source = Box::new(Lines::new(Cursor::new(texts), "the texts".into(), LineEnd::Lf));
    let fake = Fake::new(Script { start, ..Script::default() });
    fake.run(Job { workers: 1, limits: wall(LIMIT), ..job(source) })
}

#[test]
fn w15_a_worker_that_does_not_read_its_requests_is_replaced() {
    let ran = run_texts(Start::DeafOnce, 8);
    assert_eq!((ran.summary().counts.ok, ran.summary().replaced), (8, 1));
}

#[test]
fn w15_workers_that_do_not_read_their_requests_cannot_keep_an_item_for_ever() {
    let ran = run_texts(Start::Deaf, 1);
    assert_eq!(ran.end(0).0, &Outcome::Timeout { limit: wasmpool::outcome::TimeLimit::Wall(LIMIT) });
}

#[test]
fn w16_a_worker_that_closes_its_results_and_goes_on() {
    let misdeed = Some((When::Always(5), Misdeed::CloseResults));
    let ran = Fake::new(Script { misdeed, ..Script::default() }).run(job(numbers(12)));
    ran.check_ok_but(12, &[5]);
    let error = "it closed its pipe and went on".into();
    assert_eq!(ran.end(5), (&Outcome::Protocol { error }, 2));
}

#[test]
fn a_worker_that_closes_its_requests_and_goes_on() {
    let misdeed = Some((When::Always(5), Misdeed::CloseRequests));
    let fake = Fake::new(Script { misdeed, ..Script::default() });
    let ran = fake.run(Job { limits: wall(LIMIT), ..job(numbers(12)) });
    ran.check_ok_but(12, &[5]);
}

/// The host waits for a worker that hangs, and does not use up a processor meanwhile.
fn check_quiet(script: Script) {
    let limit = LIMIT * 5;
    let before = own_cpu_time();
    let ran = Fake::new(script).run(Job { workers: 1, limits: wall(limit), ..job(numbers(1)) });
    assert!(matches!(ran.end(0).0, Outcome::Timeout { .. }), "{:?}", ran.end(0));
    let used = own_cpu_time().saturating_sub(before);
    assert!(used < limit / 3, "{used:?}");
}

#[test]
fn waiting_for_a_worker_without_standard_error_costs_no_processor_time() {
    let name = "fake_worker::pipes::waiting_for_a_worker_without_standard_error_costs_no_processor_time";
    let misdeed = Some((When::Always(0), Misdeed::Hang));
    alone(name, || check_quiet(Script { misdeed, mute: true, ..Script::default() }));
}

#[test]
fn waiting_for_a_worker_that_closed_its_requests_costs_no_processor_time() {
    let name = "fake_worker::pipes::waiting_for_a_worker_that_closed_its_requests_costs_no_processor_time";
    let misdeed = Some((When::Always(0), Misdeed::CloseRequests));
    alone(name, || check_quiet(Script { misdeed, ..Script::default() }));
}

#[test]
fn w17_a_flood_on_standard_error_is_capped_and_costs_no_item() {
    let ran = Fake::new(Script { talk: 200_000, ..Script::default() }).run(job(numbers(20)));
    ran.check_ok_but(20, &[]);
    assert_eq!(ran.summary().attempts, 20);
    // 64 KiB for each process.
    let said: usize = ran.heard.said.iter().map(String::len).sum();
    assert!((1..=2 * (64 << 10)).contains(&said), "{said} bytes");
}

#[test]
fn lines_for_the_log_are_passed_on_although_nothing_is_on_standard_error() {
    let misdeed = Some((When::Everywhere, Misdeed::Log));
    let ran = Fake::new(Script { misdeed, mute: true, ..Script::default() }).run(job(numbers(12)));
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.heard.said, ["a line for the log"; 12]);
}

#[test]
fn a_worker_without_standard_error_gets_everything_done() {
    Fake::new(Script { mute: true, ..Script::default() }).run(job(numbers(20))).check_ok_but(20, &[]);
}

#[test]
fn a_worker_that_does_not_end_when_asked_to_is_killed() {
    Fake::new(Script { stay: true, ..Script::default() }).run(job(numbers(12))).check_ok_but(12, &[]);
}
