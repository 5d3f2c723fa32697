//! What a worker may say, and what it comes to.

use super::*;
use crate::outcome::TrapKind;

#[test]
fn w11_ready_before_the_greeting_is_a_violation() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(0));
    assert_eq!(worker.ready(), Err(violation("ready before the greeting")));
}

#[test]
fn w11_ready_twice_is_a_violation() {
    assert_eq!(ready().ready(), Err(violation("ready twice")));
}

#[test]
fn w11_a_second_greeting_is_a_violation() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(0));
    worker.greeted().unwrap();
    assert_eq!(worker.greeted(), Err(violation("a second greeting")));
    assert_eq!(ready().greeted(), Err(violation("a second greeting")));
}

#[test]
fn w11_a_result_before_ready_is_a_violation() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(0));
    check_refused(&mut worker, &sevens(0, 1), "a result nobody asked for");
}

#[test]
fn a_worker_takes_items_from_when_it_is_ready() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(0));
    worker.greeted().unwrap();
    assert!(!worker.is_ready());
    worker.ready().unwrap();
    assert!(worker.is_ready());
}

#[test]
fn a_worker_may_refuse_the_guest_until_it_is_ready() {
    let mut worker = WorkerState::new(SLOT, PID, rules(Some(LIMIT)), at(0));
    assert_eq!(worker.may_refuse(), Ok(()));
    worker.greeted().unwrap();
    assert_eq!(worker.may_refuse(), Ok(()));
    worker.ready().unwrap();
    assert_eq!(worker.may_refuse(), Err(violation("a refusal of the guest after being ready")));
}

#[test]
fn items_are_called_with_the_function_and_merges_with_its_merge() {
    let mut worker = ready();
    let call = worker.assign(items(5, 2), at(0));
    assert_eq!(call, Call { group: 0, export: 0, attempt: 1, chunk: items(5, 2) });
    assert_eq!(worker.assign(merges(2), at(0)).export, 1);
}

#[test]
fn what_is_outstanding_is_counted_in_items_and_in_chunks() {
    let mut worker = with_items(3);
    worker.assign(items(3, 2), at(0));
    answered(&mut worker, 0, 2, at(1));
    assert_eq!((worker.outstanding(), worker.chunks()), (3, 2));
    answered(&mut worker, 2, 1, at(1));
    assert_eq!((worker.outstanding(), worker.chunks()), (2, 1));
}

#[test]
fn a_chunk_may_be_answered_in_several_batches() {
    let mut worker = with_items(3);
    assert_eq!(answer(&mut worker, &sevens(0, 1)), (vec![(0, "ok")], Ok(())));
    assert_eq!(answer(&mut worker, &sevens(1, 2)), (vec![(1, "ok"), (2, "ok")], Ok(())));
    assert_eq!(worker.outstanding(), 0);
}

#[test]
fn merges_are_answered_like_items() {
    let mut worker = ready();
    worker.assign(merges(1), at(0));
    assert_eq!(answer(&mut worker, &sevens(MERGE_BIT, 1)), (vec![(MERGE_BIT, "ok")], Ok(())));
}

#[test]
fn chunks_are_answered_in_the_order_of_their_sending_not_of_their_items() {
    let mut worker = ready();
    worker.assign(items(9, 1), at(0));
    worker.assign(items(2, 1), at(0));
    answered(&mut worker, 9, 1, at(1));
    answered(&mut worker, 2, 1, at(1));
}

#[test]
fn every_way_a_call_can_end_is_an_outcome() {
    let kind = TrapKind::IntegerDivideByZero;
    let ends = [
        CallEnd::Ok(b"7"),
        CallEnd::Trap { kind, error: "division" },
        CallEnd::Exit { code: 3 },
        CallEnd::Output { error: "too long" },
        CallEnd::Input { error: "no number" },
        CallEnd::Denied { error: "not allowed" },
    ];
    let written = ends.into_iter().fold(Written::new(0, 1), |written, end| written.push(&report(end)));
    let mut completions = Vec::new();
    with_items(6).answer(&written.batch(), false, at(1), &mut completions).unwrap();
    let outcomes: Vec<_> = completions.into_iter().map(|(_, completion)| completion.outcome).collect();
    let expected = [
        Outcome::Ok(Output::from_untrusted(b"7").unwrap()),
        Outcome::Trap { kind, error: "division".into() },
        Outcome::Exit { code: 3 },
        Outcome::Output { error: "too long".into() },
        Outcome::Input { error: "no number".into() },
        Outcome::Denied { error: "not allowed".into() },
    ];
    assert_eq!(outcomes, expected);
}

/// The completion of the only item of a worker that says `report`, at 1 s.
fn completion(report: &Report<'_>) -> Completion {
    let mut ends = Vec::new();
    let written = Written::new(0, 1).push(report);
    with_items(1).answer(&written.batch(), false, at(1), &mut ends).unwrap();
    ends.remove(0).1
}

#[test]
fn a_completion_tells_who_ran_the_item_and_what_it_cost() {
    let report = Report { wall_ns: 5, cpu_ns: 4, peak_memory: 3, backtrace: "inner\nouter", ..value("7") };
    let expected = Meta {
        wall: Duration::from_nanos(5),
        cpu: Duration::from_nanos(4),
        peak_memory: 3,
        attempts: 1,
        worker: SLOT,
        pid: PID,
        backtrace: vec!["inner".into(), "outer".into()],
    };
    assert_eq!(*completion(&report).meta, expected);
}

#[test]
fn a_completion_carries_what_the_guest_printed() {
    let completion = completion(&Report { stdout: b"out", stderr: b"err", ..value("7") });
    assert_eq!((&*completion.stdout, &*completion.stderr), (&b"out"[..], &b"err"[..]));
}

#[test]
fn no_item_ran_longer_than_since_it_was_sent() {
    let completion = completion(&Report { wall_ns: u64::MAX, ..value("7") });
    assert_eq!(completion.meta.wall, Duration::from_secs(1));
}

#[test]
fn w6_a_result_of_an_item_that_was_never_sent_is_a_violation() {
    check_refused(&mut with_items(2), &sevens(99, 1), "a result of an item that is not running");
}

#[test]
fn w6_a_result_of_a_later_item_of_the_chunk_is_a_violation() {
    check_refused(&mut with_items(2), &sevens(1, 1), "a result of an item that is not running");
}

#[test]
fn w7_a_result_of_an_item_that_another_worker_has_is_a_violation_and_does_the_other_no_harm() {
    let (mut liar, mut other) = (with_items(1), ready());
    other.assign(items(1, 1), at(0));
    check_refused(&mut liar, &sevens(1, 1), "a result of an item that is not running");
    assert_eq!(answer(&mut other, &sevens(1, 1)), (vec![(1, "ok")], Ok(())));
}

#[test]
fn w7_a_result_of_another_attempt_is_a_violation() {
    let written = Written::new(0, 2).push(&value("7"));
    check_refused(&mut with_items(1), &written, "a result of another attempt");
}

#[test]
fn w8_a_second_result_of_an_item_is_a_violation() {
    let mut worker = with_items(2);
    answered(&mut worker, 0, 1, at(1));
    check_refused(&mut worker, &sevens(0, 1), "a result of an item that is not running");
}

#[test]
fn w8_a_second_result_of_the_only_item_is_a_violation() {
    let mut worker = with_items(1);
    answered(&mut worker, 0, 1, at(1));
    check_refused(&mut worker, &sevens(0, 1), "a result nobody asked for");
}

#[test]
fn w10_results_of_items_that_are_not_sent_yet_are_a_violation() {
    check_refused(&mut with_items(2), &sevens(0, 3), "more results than items");
}

#[test]
fn w10_a_batch_over_two_chunks_is_a_violation() {
    let mut worker = with_items(2);
    worker.assign(items(2, 2), at(0));
    check_refused(&mut worker, &sevens(0, 4), "more results than items");
}

#[test]
fn w10_a_result_of_a_chunk_whose_turn_has_not_come_is_a_violation() {
    let mut worker = with_items(2);
    worker.assign(items(2, 2), at(0));
    check_refused(&mut worker, &sevens(2, 2), "a result of an item that is not running");
}

#[test]
fn a_result_that_comes_as_a_merge_is_a_violation() {
    let result = with_items(1).answer(&sevens(0, 1).batch(), true, at(1), &mut Vec::new());
    assert_eq!(result, Err(violation("a result of the wrong kind")));
}

#[test]
fn a_merge_that_comes_as_a_result_is_a_violation() {
    let mut worker = ready();
    worker.assign(merges(1), at(0));
    let result = worker.answer(&sevens(MERGE_BIT, 1).batch(), false, at(1), &mut Vec::new());
    assert_eq!(result, Err(violation("a result of the wrong kind")));
}

/// A batch of a good result and then `report`: the first counts, the second breaks `rule`.
#[track_caller]
fn check_lie(report: &Report<'_>, rule: &str) {
    let written = sevens(0, 1).push(report);
    let mut worker = with_items(3);
    assert_eq!(answer(&mut worker, &written), (vec![(0, "ok")], Err(violation(rule))));
    assert_eq!(worker.outstanding(), 2);
}

#[test]
fn a_value_that_is_no_json_is_a_violation_after_the_results_before_it_counted() {
    check_lie(&value("7 8"), "a value that is no JSON");
}

#[test]
fn a_value_on_two_lines_is_a_violation() {
    check_lie(&value("[7,\n8]"), "a value with control characters");
}

#[test]
fn more_output_than_an_item_may_have_is_a_violation() {
    let stdout = [b'x'; 99];
    check_lie(&Report { stdout: &stdout, ..value("77") }, "more output than an item may have");
}

#[test]
fn as_much_output_as_an_item_may_have_is_fine() {
    let stdout = [b'x'; 60];
    let stderr = [b'x'; 39];
    let written = Written::new(0, 1).push(&Report { stdout: &stdout, stderr: &stderr, ..value("7") });
    assert_eq!(answer(&mut with_items(1), &written).1, Ok(()));
}

#[test]
fn fewer_reports_than_a_batch_says_are_a_violation_after_those_there_are_counted() {
    let written = Written { count: 2, ..sevens(0, 1) };
    let (ends, result) = answer(&mut with_items(2), &written);
    assert_eq!(ends, [(0, "ok")]);
    assert!(result.is_err());
}

#[test]
fn more_reports_than_a_batch_says_are_a_violation_and_do_not_count() {
    let written = Written { count: 1, ..sevens(0, 2) };
    let mut worker = with_items(2);
    let (ends, result) = answer(&mut worker, &written);
    assert_eq!(ends, [(0, "ok")]);
    assert!(result.is_err());
    assert_eq!(worker.outstanding(), 1);
}
