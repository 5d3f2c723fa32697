use super::*;
use crate::outcome::{Meta, Output, WorkerEnd};

fn ok() -> Outcome {
    Outcome::Ok(Output::from_untrusted(b"7").unwrap())
}

fn crash() -> Outcome {
    Outcome::Crash { end: WorkerEnd::Exited(1) }
}

fn completion(outcome: Outcome, attempts: u32) -> Completion {
    let meta = Meta { attempts, wall: Duration::from_secs(2), ..Meta::default() };
    Completion { meta: Box::new(meta), ..Completion::new(outcome) }
}

/// Ends an item, and emits it.
fn end(state: &mut RunState, item: ItemIndex, outcome: Outcome) {
    state.ended(item, &completion(outcome, 1));
    state.accepted(1, 0);
}

#[test]
fn a_run_is_not_over_before_its_input_is() {
    let mut state = RunState::default();
    assert!(!state.is_over());
    end(&mut state, 0, ok());
    assert!(!state.is_over());
    state.input_ended(1);
    assert!(state.is_over());
}

#[test]
fn a_run_without_items_is_over_with_its_input() {
    let mut state = RunState::default();
    state.input_ended(0);
    assert!(state.is_over());
}

#[test]
fn a_run_is_not_over_before_every_item_is_emitted() {
    let mut state = RunState::default();
    state.input_ended(2);
    state.ended(1, &completion(ok(), 1));
    state.accepted(0, 0);
    state.ended(0, &completion(ok(), 1));
    assert!(!state.is_over());
    state.accepted(2, 0);
    assert!(state.is_over());
}

#[test]
fn a_run_is_not_over_before_every_merge_is_back() {
    let mut state = RunState::default();
    state.input_ended(1);
    state.ended(0, &completion(ok(), 1));
    state.accepted(1, 1);
    assert!(!state.is_over());
    state.ended(MERGE_BIT, &completion(ok(), 1));
    assert!(state.is_over());
}

#[test]
fn a_merge_that_asks_for_another_keeps_the_run_going() {
    let mut state = RunState::default();
    state.input_ended(0);
    state.accepted(0, 1);
    state.ended(MERGE_BIT, &completion(ok(), 1));
    state.accepted(0, 1);
    assert!(!state.is_over());
}

#[test]
fn items_are_counted_by_how_they_ended() {
    let mut state = RunState::default();
    for (item, outcome) in (0..).zip([ok(), crash(), Outcome::Cancelled, ok()]) {
        end(&mut state, item, outcome);
    }
    assert_eq!(state.counts(4), Counts { items: 4, ok: 2, err: 0, failed: 1, cancelled: 1 });
}

#[test]
fn an_err_is_counted_where_the_function_returns_a_result() {
    let ended = |returns| {
        let mut state = RunState::new(returns);
        for value in [r#"{"err":null}"#, r#"{"ok":7}"#, r#"{"err":"why"}"#] {
            end(&mut state, 0, Outcome::Ok(Output::from_untrusted(value.as_bytes()).unwrap()));
        }
        state.counts(3)
    };
    let counts = Counts { items: 3, ok: 3, err: 2, failed: 0, cancelled: 0 };
    assert_eq!(ended(Returns::Result), counts);
    assert_eq!(ended(Returns::Value), Counts { err: 0, ..counts });
}

#[test]
fn items_that_were_admitted_and_did_not_end_are_cancelled() {
    let mut state = RunState::default();
    end(&mut state, 0, ok());
    assert_eq!(state.counts(5), Counts { items: 5, ok: 1, err: 0, failed: 0, cancelled: 4 });
}

#[test]
fn progress_counts_only_items_that_have_ended() {
    let mut state = RunState::default();
    end(&mut state, 3, crash());
    assert_eq!(state.progress(), Counts { items: 1, ok: 0, err: 0, failed: 1, cancelled: 0 });
}

#[test]
fn merges_are_not_counted_among_the_items() {
    let mut state = RunState::default();
    state.accepted(0, 2);
    state.ended(MERGE_BIT, &completion(ok(), 1));
    state.ended(MERGE_BIT | 1, &completion(crash(), 1));
    assert_eq!(state.progress(), Counts::default());
    assert_eq!(state.failed_merges, 1);
}

#[test]
fn every_attempt_at_an_item_counts_and_the_time_of_the_last_of_merges_too() {
    let mut state = RunState::default();
    state.accepted(0, 1);
    state.ended(0, &completion(ok(), 3));
    state.ended(MERGE_BIT, &completion(ok(), 2));
    assert_eq!((state.attempts, state.busy), (3, Duration::from_secs(4)));
}

#[test]
fn w19_a_pool_is_broken_after_three_failed_starts_for_each_worker_in_a_row() {
    let mut state = RunState::default();
    let broken: Vec<bool> = (0..6).map(|_| state.worker_never_ready(StartFault::Own, 2)).collect();
    assert_eq!(broken, [false, false, false, false, false, true]);
}

#[test]
fn starts_that_were_killed_from_outside_break_a_pool_ten_times_later() {
    let mut state = RunState::default();
    let n_starts = (1..).find(|_| state.worker_never_ready(StartFault::Outside, 2));
    assert_eq!(n_starts, Some(60));
}

#[test]
fn w19_a_worker_that_becomes_ready_mends_the_pool() {
    let mut state = RunState::default();
    for _ in 0..2 {
        assert!(!state.worker_never_ready(StartFault::Own, 1));
        assert!(!state.worker_never_ready(StartFault::Own, 1));
        state.worker_ready();
    }
}
