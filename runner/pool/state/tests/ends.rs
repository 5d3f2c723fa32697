//! What becomes of a worker's items when it ends.

use proptest::prelude::*;

use super::*;

const ABORTED: Cause = Cause::Ended(WorkerEnd::Signalled(6));
const KILLED: Cause = Cause::Ended(WorkerEnd::Signalled(SIGKILL));

fn lied() -> Cause {
    Cause::Violation(violation("a lie"))
}

/// Which items are to be tried alone, at which attempt; which chunks go back to the queue; how which items ended.
type Told = (Option<(Chunk, u32)>, Vec<Chunk>, Ended);

fn bury(worker: WorkerState, cause: &Cause, hint: Hint) -> Told {
    let Aftermath { completions, suspect, failed: _, again: _, requeue } = worker.bury(cause, hint);
    let suspect = suspect.map(|suspect| (suspect.chunk, suspect.tries.attempt()));
    (suspect, requeue, ended(&completions))
}

/// Lets item 0 be running in a fresh worker for each of `causes`, as long as it is tried again; its end.
#[track_caller]
fn end_after(causes: &[Cause]) -> Completion {
    let mut worker = with_items(1);
    for (position, cause) in causes.iter().enumerate() {
        let mut aftermath = worker.bury(cause, page(0, at(0)));
        if let Some((0, completion)) = aftermath.completions.pop() {
            assert_eq!(position + 1, causes.len(), "the item ended before the last cause");
            return completion;
        }
        worker = ready();
        worker.assign_again(aftermath.suspect.expect("it ends or is tried again"), at(0));
    }
    panic!("the item has not ended");
}

#[test]
fn the_item_that_was_running_is_tried_again_alone() {
    let expected = (Some((items(0, 1), 2)), vec![items(1, 2)], vec![]);
    assert_eq!(bury(with_items(3), &ABORTED, page(0, at(0))), expected);
}

#[test]
fn a_second_attempt_is_sent_as_one() {
    let suspect = with_items(1).bury(&ABORTED, page(0, at(0))).suspect.unwrap();
    let mut worker = ready();
    assert_eq!(worker.assign_again(suspect, at(0)).attempt, 2);
    check_refused(&mut worker, &sevens(0, 1), "a result of another attempt");
    let second = Written::new(0, 2).push(&value("7"));
    assert_eq!(answer(&mut worker, &second), (vec![(0, "ok")], Ok(())));
}

#[test]
fn chunks_sent_ahead_go_back_to_the_queue() {
    let mut worker = with_items(1);
    worker.assign(items(1, 2), at(0));
    worker.assign(merges(1), at(0));
    let expected = (Some((items(0, 1), 2)), vec![items(1, 2), merges(1)], vec![]);
    assert_eq!(bury(worker, &ABORTED, page(0, at(0))), expected);
}

#[test]
fn what_has_been_answered_does_not_come_back() {
    let mut worker = with_items(4);
    answered(&mut worker, 0, 2, at(1));
    let expected = (Some((items(2, 1), 2)), vec![items(3, 1)], vec![]);
    assert_eq!(bury(worker, &ABORTED, page(2, at(1))), expected);
}

#[test]
fn a_worker_with_nothing_to_do_leaves_nothing_behind() {
    assert_eq!(bury(ready(), &ABORTED, IDLE), (None, vec![], vec![]));
    let mut worker = with_items(1);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(bury(worker, &lied(), page(0, at(0))), (None, vec![], vec![]));
}

#[test]
fn an_item_that_brings_down_two_workers_ends_as_a_crash() {
    let completion = end_after(&[ABORTED, Cause::Ended(WorkerEnd::Exited(1))]);
    assert_eq!(completion.outcome, Outcome::Crash { end: WorkerEnd::Exited(1) });
    assert_eq!(completion.meta.attempts, 2);
}

#[test]
fn an_item_under_which_two_workers_lie_ends_as_a_protocol_error() {
    let completion = end_after(&[lied(), lied()]);
    assert_eq!(completion.outcome, Outcome::Protocol { error: "a lie".into() });
    assert_eq!(completion.meta.attempts, 2);
}

#[test]
fn an_item_that_ends_two_workers_in_two_ways_ends_in_the_second() {
    assert_eq!(end_after(&[ABORTED, lied()]).outcome.status(), "protocol");
    assert_eq!(end_after(&[lied(), ABORTED]).outcome.status(), "crash");
}

#[test]
fn an_item_whose_workers_are_killed_from_outside_is_tried_five_times() {
    let completion = end_after(&[KILLED, KILLED, KILLED, KILLED, KILLED]);
    assert_eq!(completion.outcome, Outcome::Crash { end: WorkerEnd::Signalled(SIGKILL) });
    assert_eq!(completion.meta.attempts, 5);
}

#[test]
fn a_kill_from_outside_is_not_held_against_an_item_that_crashes_once() {
    let completion = end_after(&[KILLED, KILLED, ABORTED, KILLED, ABORTED]);
    assert_eq!(completion.outcome, Outcome::Crash { end: WorkerEnd::Signalled(6) });
    assert_eq!(completion.meta.attempts, 5);
}

#[test]
fn an_item_that_used_up_its_time_is_not_tried_again() {
    let completion = end_after(&[Cause::TimedOut(0)]);
    assert_eq!(completion.outcome, Outcome::Timeout { limit: TimeLimit::Wall(LIMIT) });
    assert_eq!(completion.meta.attempts, 1);
}

#[test]
fn a_timeout_counts_the_attempts_before_it() {
    assert_eq!(end_after(&[ABORTED, Cause::TimedOut(0)]).meta.attempts, 2);
}

#[test]
fn the_end_of_an_item_tells_which_worker_it_was_the_last_to_end() {
    let meta = end_after(&[ABORTED, ABORTED]).meta;
    assert_eq!((meta.worker, meta.pid), (SLOT, PID));
}

#[test]
fn results_in_the_outbox_of_a_dead_worker_count() {
    let mut worker = with_items(4);
    assert_eq!(salvage(&mut worker, &sevens(0, 2), None), [(0, "ok"), (1, "ok")]);
    let expected = (Some((items(2, 1), 2)), vec![items(3, 1)], vec![]);
    assert_eq!(bury(worker, &ABORTED, page(2, at(0))), expected);
}

#[test]
fn merges_in_the_outbox_of_a_dead_worker_count() {
    let mut worker = ready();
    worker.assign(merges(2), at(0));
    assert_eq!(salvage(&mut worker, &sevens(MERGE_BIT, 1), None), [(MERGE_BIT, "ok")]);
}

#[test]
fn results_that_were_read_and_are_still_in_the_outbox_count_once() {
    let mut worker = with_items(4);
    answered(&mut worker, 0, 2, at(1));
    assert_eq!(salvage(&mut worker, &sevens(0, 2), None), []);
    assert_eq!(worker.outstanding(), 2);
}

#[test]
fn results_in_the_outbox_count_up_to_the_item_that_used_up_its_time() {
    let mut worker = with_items(4);
    assert_eq!(salvage(&mut worker, &sevens(0, 3), Some(2)), [(0, "ok"), (1, "ok")]);
    let expected = (None, vec![items(3, 1)], vec![(2, "timeout")]);
    assert_eq!(bury(worker, &Cause::TimedOut(2), page(2, at(0))), expected);
}

#[test]
fn a_result_of_another_attempt_in_the_outbox_does_not_count() {
    let written = Written::new(0, 2).push(&value("7"));
    assert_eq!(salvage(&mut with_items(1), &written, None), []);
}

#[test]
fn results_in_the_outbox_beyond_the_chunk_do_not_count() {
    assert_eq!(salvage(&mut with_items(2), &sevens(0, 3), None), []);
}

#[test]
fn results_in_the_outbox_count_up_to_the_first_that_is_none() {
    let written = sevens(0, 1).push(&value("nonsense")).push(&value("7"));
    let mut worker = with_items(3);
    assert_eq!(salvage(&mut worker, &written, None), [(0, "ok")]);
    assert_eq!(worker.outstanding(), 2);
}

#[test]
fn nothing_can_be_salvaged_from_a_worker_that_has_answered_everything() {
    let mut worker = with_items(1);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(salvage(&mut worker, &sevens(0, 1), None), []);
}

/// A worker that has answered item 0 of its first chunk, and has items 10 and 11 next.
fn between_chunks() -> WorkerState {
    let mut worker = with_items(1);
    worker.assign(items(10, 2), at(0));
    answered(&mut worker, 0, 1, at(1));
    worker
}

#[test]
fn a_worker_that_ends_between_chunks_costs_no_attempt() {
    let expected = (Some((items(10, 1), 1)), vec![items(11, 1)], vec![]);
    assert_eq!(bury(between_chunks(), &KILLED, IDLE), expected);
    assert_eq!(bury(between_chunks(), &ABORTED, IDLE), expected);
}

#[test]
fn a_worker_that_ends_before_its_page_names_the_next_item_costs_no_attempt() {
    let expected = (Some((items(10, 1), 1)), vec![items(11, 1)], vec![]);
    assert_eq!(bury(between_chunks(), &KILLED, page(0, at(0))), expected);
}

#[test]
fn a_worker_that_ends_when_its_last_result_is_in_the_outbox_costs_no_attempt() {
    let mut worker = with_items(3);
    salvage(&mut worker, &sevens(0, 2), None);
    let expected = (Some((items(2, 1), 1)), vec![], vec![]);
    assert_eq!(bury(worker, &KILLED, page(1, at(0))), expected);
}

#[test]
fn a_worker_that_ends_before_its_first_item_costs_no_attempt() {
    let expected = (Some((items(0, 1), 1)), vec![items(1, 1)], vec![]);
    assert_eq!(bury(with_items(2), &KILLED, IDLE), expected);
}

#[test]
fn w29_an_item_whose_workers_always_claim_to_have_been_idle_is_tried_twice_more() {
    let mut attempts = Vec::new();
    let mut aftermath = between_chunks().bury(&ABORTED, IDLE);
    while let Some(suspect) = aftermath.suspect.take() {
        let mut worker = ready();
        attempts.push(worker.assign_again(suspect, at(0)).attempt);
        aftermath = worker.bury(&ABORTED, IDLE);
    }
    assert_eq!(attempts, [1, 2]);
    assert_eq!(ended(&aftermath.completions), [(10, "crash")]);
}

#[test]
fn w29_a_dead_workers_page_cannot_blame_an_item_that_was_not_due() {
    for named in [1, 2, 10, 99] {
        let mut worker = with_items(3);
        worker.assign(items(10, 1), at(0));
        let expected = (Some((items(0, 1), 2)), vec![items(1, 2), items(10, 1)], vec![]);
        assert_eq!(bury(worker, &ABORTED, page(named, at(0))), expected);
    }
}

#[test]
fn w29_a_page_cannot_have_an_item_timed_out_that_was_not_due() {
    let mut worker = with_items(3);
    assert_eq!(worker.judge(page(2, at(0)), at(10)), Judgement::TimedOut(2));
    let expected = (Some((items(0, 1), 2)), vec![items(1, 2)], vec![]);
    assert_eq!(bury(worker, &Cause::TimedOut(2), page(2, at(0))), expected);
}

#[test]
fn w29_a_page_cannot_have_an_item_of_a_chunk_sent_ahead_timed_out() {
    let mut worker = with_items(1);
    worker.assign(items(10, 1), at(0));
    assert_eq!(worker.judge(page(10, at(0)), at(10)), Judgement::TimedOut(10));
    let expected = (Some((items(0, 1), 2)), vec![items(10, 1)], vec![]);
    assert_eq!(bury(worker, &Cause::TimedOut(10), page(10, at(0))), expected);
}

#[test]
fn a_violation_is_put_down_to_the_item_whose_result_was_due_wherever_the_worker_is_by_now() {
    let mut worker = with_items(4);
    let written = sevens(0, 1).push(&value("nonsense")).push(&value("7"));
    let (_, result) = answer(&mut worker, &written);
    let cause = Cause::Violation(result.unwrap_err());
    let expected = (Some((items(1, 1), 2)), vec![items(2, 2)], vec![]);
    assert_eq!(bury(worker, &cause, page(3, at(0))), expected);
}

#[test]
fn an_item_that_a_stalled_worker_had_not_started_is_not_timed_out_with_it() {
    let mut worker = between_chunks();
    assert_eq!(worker.judge(IDLE, at(11)), Judgement::Wait);
    assert_eq!(worker.judge(IDLE, at(12)), Judgement::TimedOut(10));
    let expected = (Some((items(10, 1), 1)), vec![items(11, 1)], vec![]);
    assert_eq!(bury(worker, &Cause::TimedOut(10), IDLE), expected);
}

#[test]
fn w29_an_item_whose_worker_claims_to_be_idle_again_is_timed_out() {
    let suspect = with_items(1).bury(&ABORTED, IDLE).suspect.unwrap();
    let mut worker = ready();
    worker.assign_again(suspect, at(0));
    assert_eq!(worker.judge(IDLE, at(10)), Judgement::Wait);
    assert_eq!(worker.judge(IDLE, at(11)), Judgement::TimedOut(0));
    assert_eq!(bury(worker, &Cause::TimedOut(0), IDLE), (None, vec![], vec![(0, "timeout")]));
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(ABORTED),
        Just(KILLED),
        Just(lied()),
        (0..12_u64).prop_map(Cause::TimedOut),
        Just(Cause::Ended(WorkerEnd::Exited(0))),
    ]
}

proptest! {
    #[test]
    fn whatever_ends_a_worker_every_item_is_in_one_place(
        lengths in proptest::collection::vec(1..5_u64, 0..4),
        n_answered in 0..16_u64,
        cause in cause(),
        named in proptest::option::of(0..14_u64),
        n_salvaged in 0..4_u32,
    ) {
        let mut worker = ready();
        let total: u64 = lengths.iter().sum();
        let mut seen = Vec::new();
        let mut first = 0;
        for length in lengths {
            worker.assign(items(first, length), at(0));
            first += length;
        }
        for item in 0..n_answered.min(total) {
            answered(&mut worker, item, 1, at(1));
            seen.push(item);
        }
        let until = if let Cause::TimedOut(item) = cause { Some(item) } else { None };
        let written = sevens(n_answered.min(total), n_salvaged);
        seen.extend(salvage(&mut worker, &written, until).into_iter().map(|(item, _)| item));

        let hint = Hint { running: named.map(|item| (item, 1)), since: at(0) };
        let Aftermath { completions, suspect, failed: _, again: _, requeue } = worker.bury(&cause, hint);
        prop_assert!(completions.len() <= 1);
        seen.extend(completions.iter().map(|(item, _)| *item));
        let chunks = suspect.into_iter().map(|suspect| suspect.chunk).chain(requeue);
        seen.extend(chunks.flat_map(|chunk| chunk.first()..chunk.first() + chunk.len()));
        prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
    }
}
