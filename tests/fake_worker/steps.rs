//! Workers that fail at each step of an item, in each way: nothing waits for ever, and no other item is the worse for
//! it.

use rustix::process::Signal;
use wasmpool::outcome::{Outcome, WorkerEnd};
use wasmpool::pool::Job;

use super::{Fake, Fault, Misdeed, Page, Ran, Script, Step, When, job, numbers};

/// The item at which workers fail.
const BAD: u64 = 6;

fn run(when: When, step: Step, fault: Fault) -> Ran {
    let misdeed = Some((when, Misdeed::Fail(step, fault)));
    let fake = Fake::new(Script { misdeed, page: Page::Honest, ..Script::default() });
    fake.run(Job { chunk: Some(1), ..job(numbers(12)) })
}

/// Whether an item whose workers failed like this ended like this.
fn is_end_of(fault: Fault, outcome: &Outcome) -> bool {
    match fault {
        Fault::Crash => *outcome == Outcome::Crash { end: WorkerEnd::Signalled(Signal::SEGV.as_raw()) },
        Fault::Exit => *outcome == Outcome::Crash { end: WorkerEnd::Exited(1) },
        Fault::Error => matches!(outcome, Outcome::Protocol { .. }),
    }
}

/// Fails once, then at every attempt, in each of the three ways.
#[track_caller]
fn check(step: Step) {
    for fault in [Fault::Crash, Fault::Exit, Fault::Error] {
        let once = run(When::First(BAD), step, fault);
        once.check_ok_but(12, &[]);
        let always = run(When::Always(BAD), step, fault);
        always.check_ok_but(12, &[BAD]);
        let (outcome, attempts) = always.end(BAD);
        assert!(is_end_of(fault, outcome), "{step:?}, {fault:?}: {outcome:?}");
        assert_eq!(attempts, 2, "{step:?}, {fault:?}");
    }
}

#[test]
fn w20_workers_that_fail_when_they_get_an_item() {
    check(Step::Decode);
}

#[test]
fn w20_workers_that_fail_while_they_run_an_item() {
    check(Step::Run);
}

#[test]
fn w20_workers_that_fail_when_they_give_the_result() {
    check(Step::Encode);
}
