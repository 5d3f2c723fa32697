//! When a worker is killed for taking too long.

use super::*;

const GRACED: u64 = 11;

/// Judges at each deadline, with the page that `page` makes of the time, until something is to be done; when, and what.
#[track_caller]
fn doom(worker: &mut WorkerState, page: impl Fn(Nanos) -> Hint) -> (Nanos, Judgement) {
    for _ in 0..1000 {
        let deadline = worker.deadline().expect("there is something to wait for");
        match worker.judge(page(deadline), deadline) {
            Judgement::Wait => assert!(worker.deadline().unwrap() > deadline, "a wait moves the deadline"),
            judgement => return (deadline, judgement),
        }
    }
    panic!("the worker lives for ever");
}

#[test]
fn a_worker_without_items_has_no_deadline() {
    assert_eq!(ready().deadline(), None);
    let mut worker = with_items(1);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(worker.deadline(), None);
}

#[test]
fn without_a_limit_there_is_no_deadline() {
    let mut worker = ready_under(rules(None));
    worker.assign(items(0, 1), at(0));
    assert_eq!(worker.deadline(), None);
    assert_eq!(worker.judge(page(0, at(0)), at(1_000_000)), Judgement::Wait);
}

#[test]
fn w11_a_worker_that_never_becomes_ready_is_too_slow_to_start() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(5));
    assert_eq!(doom(&mut worker, |_| IDLE), (at(65), Judgement::TooSlowToStart));
}

#[test]
fn w11_a_greeting_gives_a_worker_no_more_time_to_start() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(5));
    worker.greeted().unwrap();
    assert_eq!(worker.deadline(), Some(at(65)));
}

#[test]
fn nothing_is_judged_before_its_deadline() {
    let mut worker = with_items(1);
    assert_eq!(worker.judge(page(99, at(0)), at(9)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(at(10)));
}

#[test]
fn an_item_is_timed_out_when_its_time_is_up() {
    assert_eq!(doom(&mut with_items(1), |_| page(0, at(0))), (at(10), Judgement::TimedOut(0)));
}

#[test]
fn the_time_of_an_item_begins_when_it_starts() {
    let started_late = |_| page(0, Nanos(at(0).0 + 400_000_000));
    let killed = Nanos(at(10).0 + 400_000_000);
    assert_eq!(doom(&mut with_items(1), started_late), (killed, Judgement::TimedOut(0)));
}

#[test]
fn an_item_that_starts_after_a_look_is_timed_out_when_its_time_is_up() {
    // The bound has been moved out of the way by a result.
    let mut worker = with_items(3);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(worker.judge(IDLE, at(11)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(at(12)));
    let started = Nanos(at(11).0 + 1);
    assert_eq!(worker.judge(page(1, started), at(12)), Judgement::TimedOut(1));
}

#[test]
fn a_result_gives_the_next_item_all_its_time() {
    let mut worker = with_items(2);
    answered(&mut worker, 0, 1, at(8));
    assert_eq!(doom(&mut worker, |_| page(1, at(8))), (at(18), Judgement::TimedOut(1)));
}

#[test]
fn the_time_of_a_chunk_sent_ahead_begins_when_its_turn_comes() {
    let mut worker = with_items(1);
    worker.assign(items(1, 1), at(0));
    answered(&mut worker, 0, 1, at(9));
    assert_eq!(doom(&mut worker, |_| page(1, at(9))), (at(19), Judgement::TimedOut(1)));
}

#[test]
fn the_time_of_a_worker_that_had_nothing_to_do_begins_with_its_next_chunk() {
    let mut worker = with_items(1);
    answered(&mut worker, 0, 1, at(1));
    worker.assign(items(1, 1), at(100));
    assert_eq!(worker.deadline(), Some(at(110)));
}

#[test]
fn an_item_that_runs_while_results_before_it_are_unsent_is_the_one_that_times_out() {
    let running = page(3, Nanos(500_000));
    assert_eq!(doom(&mut with_items(9), |_| running), (Nanos(at(10).0 + 500_000), Judgement::TimedOut(3)));
}

#[test]
fn a_page_that_still_names_the_item_answered_last_is_no_lie() {
    let mut worker = with_items(2);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(worker.judge(page(0, at(0)), at(11)), Judgement::Wait);
}

#[test]
fn w29_a_page_that_names_an_item_the_worker_does_not_have_is_a_violation() {
    let rule = violation("it says it is running an item it does not have");
    assert_eq!(doom(&mut with_items(2), |_| page(2, at(0))), (at(10), Judgement::Violation(rule)));
}

#[test]
fn w29_a_page_that_names_an_item_answered_long_ago_is_a_violation() {
    let mut worker = with_items(3);
    answered(&mut worker, 0, 2, at(1));
    let rule = violation("it says it is running an item it does not have");
    assert_eq!(worker.judge(page(0, at(0)), at(11)), Judgement::Violation(rule));
}

#[test]
fn w29_a_page_that_names_no_item_for_ever_ends_at_the_bound() {
    assert_eq!(doom(&mut with_items(5), |_| IDLE), (at(GRACED), Judgement::TimedOut(0)));
}

#[test]
fn w29_a_page_that_names_the_item_answered_last_for_ever_ends_at_the_bound() {
    let mut worker = with_items(5);
    answered(&mut worker, 0, 2, at(1));
    assert_eq!(doom(&mut worker, |_| page(1, at(0))), (at(1 + GRACED), Judgement::TimedOut(2)));
}

#[test]
fn w29_a_page_that_says_the_item_has_just_started_for_ever_ends_at_the_bound() {
    assert_eq!(doom(&mut with_items(5), |now| page(0, now)), (at(GRACED), Judgement::TimedOut(0)));
}

#[test]
fn w29_a_page_that_jumps_back_and_forth_ends_at_the_bound() {
    let mut worker = with_items(5);
    let mut looks = 0;
    while worker.judge(page(looks % 2, at(1_000)), worker.deadline().unwrap()) == Judgement::Wait {
        looks += 1;
    }
    assert_eq!(worker.judge(page(0, at(1_000)), at(GRACED)), Judgement::TimedOut(0));
    assert!(looks < 10);
}

#[test]
fn w29_a_start_in_the_future_is_taken_for_now() {
    let limits = rules(Some(Duration::from_nanos(100)));
    let mut worker = ready_under(limits);
    worker.assign(items(0, 1), at(0));
    assert_eq!(worker.judge(page(0, at(1000)), Nanos(100)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(Nanos(200)));
}

#[test]
fn w29_an_item_that_claims_to_have_started_long_ago_has_its_time_since_the_last_result() {
    let mut worker = ready();
    worker.assign(items(0, 1), at(100));
    assert_eq!(doom(&mut worker, |_| page(0, at(0))), (at(110), Judgement::TimedOut(0)));
}

#[test]
fn a_chunk_sent_ahead_gives_the_one_before_it_no_more_time() {
    let mut worker = with_items(1);
    worker.assign(items(1, 1), at(5));
    assert_eq!(worker.deadline(), Some(at(10)));
}

#[test]
fn what_was_seen_before_a_result_is_forgotten() {
    let mut worker = with_items(2);
    assert_eq!(worker.judge(page(0, Nanos(500_000_000)), at(10)), Judgement::Wait);
    answered(&mut worker, 0, 1, at(10));
    assert_eq!(worker.deadline(), Some(at(20)));
}

#[test]
fn an_item_does_not_start_anew() {
    let mut worker = with_items(1);
    let started = Nanos(at(0).0 + 200_000_000);
    assert_eq!(worker.judge(page(0, started), at(10)), Judgement::Wait);
    assert_eq!(worker.judge(page(0, at(10)), started.after(LIMIT)), Judgement::TimedOut(0));
}

#[test]
fn an_absurdly_long_limit_is_no_limit() {
    let mut worker = ready_under(rules(Some(Duration::MAX)));
    worker.assign(items(0, u64::MAX >> 1), at(1));
    assert_eq!(worker.deadline(), Some(Nanos(u64::MAX)));
}

#[test]
fn h4_a_host_that_was_away_does_not_hold_it_against_a_worker_between_two_items() {
    let mut worker = with_items(2);
    assert_eq!(worker.judge(IDLE, at(100)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(at(110)));
    assert_eq!(worker.judge(IDLE, at(110)), Judgement::Wait);
    assert_eq!(worker.judge(IDLE, at(111)), Judgement::TimedOut(0));
}
