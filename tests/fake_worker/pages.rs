//! Items that use up their time, whatever the status page says about them.

use std::time::Duration;

use wasmpool::outcome::Outcome;
use wasmpool::pool::Job;

use super::fake::wall;
use super::{Fake, Misdeed, Page, Ran, Script, When, job, numbers};

/// The item that hangs.
const BAD: u64 = 5;

const LIMIT: Duration = Duration::from_millis(300);

fn run(page: Page, misdeed: Misdeed) -> Ran {
    let script = Script { misdeed: Some((When::Always(BAD), misdeed)), page, ..Script::default() };
    Fake::new(script).run(Job { limits: wall(LIMIT), ..job(numbers(12)) })
}

/// However a worker hangs, it is killed, and the item's time is what is told to have run out.
#[track_caller]
fn check(page: Page, misdeed: Misdeed) {
    let ran = run(page, misdeed);
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD).0, &Outcome::Timeout { limit: wasmpool::outcome::TimeLimit::Wall(LIMIT) });
}

#[test]
fn a_worker_that_says_what_hangs() {
    check(Page::Honest, Misdeed::Hang);
}

#[test]
fn w29_a_page_that_says_nothing() {
    check(Page::Blank, Misdeed::Hang);
}

#[test]
fn w29_a_page_on_which_the_item_starts_anew_all_the_time() {
    check(Page::Restarting, Misdeed::Hang);
}

#[test]
fn w29_a_page_on_which_the_item_comes_and_goes() {
    check(Page::Flickering, Misdeed::Hang);
}

#[test]
fn w29_a_page_that_never_leaves_the_item() {
    check(Page::Frozen(BAD), Misdeed::Hang);
}

#[test]
fn w29_a_page_that_names_an_item_of_nobody() {
    let ran = run(Page::Frozen(1 << 40), Misdeed::Hang);
    ran.check_ok_but(12, &[BAD]);
    let error = "it says it is running an item it does not have".into();
    assert_eq!(ran.end(BAD), (&Outcome::Protocol { error }, 2));
}

#[test]
fn w29_a_page_that_puts_the_blame_on_the_next_item() {
    let ran = run(Page::Frozen(BAD + 1), Misdeed::Hang);
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD).1, 2);
}

#[test]
fn w29_a_page_that_names_the_wrong_item_costs_an_honest_worker_nothing() {
    let ran = Fake::new(Script { page: Page::Frozen(3), ..Script::default() }).run(job(numbers(12)));
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.summary().attempts, 12);
}

#[test]
fn w3_half_a_frame_and_then_silence() {
    check(Page::Honest, Misdeed::HangMidFrame);
}

#[test]
fn w5_a_result_that_trickles_in_byte_by_byte() {
    check(Page::Honest, Misdeed::Trickle(LIMIT / 10));
}

#[test]
fn w9_a_result_that_comes_when_the_item_has_timed_out_is_dropped() {
    check(Page::Honest, Misdeed::Late(LIMIT + LIMIT / 3));
}

#[test]
fn messages_without_end_do_not_stop_the_clock() {
    check(Page::Honest, Misdeed::LogForEver);
}
