//! Messages that break the protocol: the item whose result was due is tried once more, and nothing else is lost.

use wasmpool::outcome::{Outcome, WorkerEnd};

use super::fake::MAX_OUTPUT;
use super::{Fake, Lie, Misdeed, Ran, Results, Script, When, job, numbers};

/// The item that is lied about; others are before and behind it in its chunk.
const BAD: u64 = 5;

fn run(when: When, lie: Lie) -> Ran {
    let script = Script { misdeed: Some((when, Misdeed::Lie(lie))), ..Script::default() };
    Fake::new(script).run(job(numbers(12)))
}

/// A worker that tells this lie at each attempt costs the item and no other; `rule` is what it is told to have broken.
#[track_caller]
fn check(lie: Lie, rule: &str) {
    let ran = run(When::Always(BAD), lie);
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD), (&Outcome::Protocol { error: rule.into() }, 2));
    assert_eq!(
        ran.heard.replaced,
        [format!("broke the protocol: {rule}"), format!("broke the protocol: {rule}")]
    );
}

#[test]
fn a_lie_at_the_first_attempt_costs_one_attempt() {
    let ran = run(When::First(BAD), Lie::Garbage);
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.end(BAD).1, 2);
    assert_eq!(ran.summary().replaced, 1);
}

#[test]
fn workers_that_only_lie_fail_every_item_and_end_the_run_well() {
    let ran = run(When::Everywhere, Lie::Garbage);
    let all: Vec<_> = (0..12).collect();
    ran.check_ok_but(12, &all);
    assert!(ran.ends.values().all(|end| matches!(end.outcome, Outcome::Protocol { .. })), "{:?}", ran.ends);
    assert_eq!(ran.summary().counts.failed, 12);
    // Two attempts at each item, the workers at work and the spares, and the compile worker.
    assert!(ran.processes <= 24 + 4 + 2, "{} processes", ran.processes);
}

#[test]
fn w1_a_length_over_the_cap() {
    check(Lie::Length((256 << 10) + 1), "262145 bytes where at most 262144 are allowed");
}

#[test]
fn w1_the_longest_length() {
    check(Lie::Length(u32::MAX), "4294967295 bytes where at most 262144 are allowed");
}

#[test]
fn w1_a_length_that_is_too_short() {
    check(Lie::Length(0), "a frame with a wrong checksum");
}

#[test]
fn w1_a_batch_without_reports() {
    check(Lie::NoReports, "a Result message whose count is not what its payload holds");
}

#[test]
fn w2_garbage() {
    check(Lie::Garbage, "bytes that are no frame");
}

#[test]
fn a_frame_of_another_version() {
    check(Lie::Version, "a frame of version 2");
}

#[test]
fn a_message_of_an_unknown_kind() {
    check(Lie::Kind, "a message of unknown kind 99");
}

#[test]
fn a_fragment_that_is_not_full() {
    check(Lie::ShortFragment, "a fragment that does not continue its message");
}

#[test]
fn w6_the_result_of_an_item_that_is_not_its_turn() {
    check(Lie::ItemAhead(1), "a result of an item that is not running");
}

#[test]
fn w6_the_result_of_an_item_that_does_not_exist() {
    check(Lie::ItemAhead(1 << 40), "a result of an item that is not running");
}

#[test]
fn w7_the_result_of_another_attempt() {
    check(Lie::OtherAttempt, "a result of another attempt");
}

#[test]
fn w7_the_result_of_an_item_that_another_worker_is_running() {
    // The worker that has item 1 gets no further than that, so whoever runs one behind its chunk is another.
    let misdeed = Some((When::First(1), Misdeed::Forge(4)));
    let ran = Fake::new(Script { misdeed, ..Script::default() }).run(job(numbers(100)));
    // The genuine result counts, at the first attempt.
    ran.check_ok_but(100, &[]);
    assert!((0..100).all(|item| ran.end(item).1 == if item == 1 { 2 } else { 1 }));
    assert_eq!(ran.heard.replaced, ["broke the protocol: a result of an item that is not running"]);
}

#[test]
fn the_result_of_a_merge() {
    check(Lie::Merge, "a result of the wrong kind");
}

#[test]
fn w8_a_result_given_twice_counts_once() {
    let ran = run(When::Always(BAD), Lie::Twice);
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.end(BAD).1, 1);
    assert_eq!(ran.summary().replaced, 1);
}

#[test]
fn w8_workers_that_say_everything_twice_still_get_everything_done() {
    let ran = run(When::Everywhere, Lie::Twice);
    ran.check_ok_but(12, &[]);
}

#[test]
fn w10_more_results_than_items() {
    check(Lie::Repeated(9), "more results than items");
}

#[test]
fn w13_a_value_that_is_no_json() {
    check(Lie::NoJson, "a value that is no JSON");
}

#[test]
fn w13_a_value_that_is_no_utf8() {
    check(Lie::NoUtf8, "a value that is no JSON");
}

#[test]
fn w13_a_value_with_a_line_break() {
    check(Lie::LineBreak, "a value with control characters");
}

#[test]
fn w13_a_value_of_a_million_nested_arrays_is_json_and_harms_nobody() {
    let ran = run(When::Always(BAD), Lie::Nested(1_000_000));
    ran.check_ok_but(12, &[BAD]);
    let end = ran.end(BAD);
    assert!(
        matches!(end, (Outcome::Ok(output), 1) if output.json().len() == 2_000_000),
        "{}",
        end.0.status()
    );
}

#[test]
fn w13_a_value_of_a_million_arrays_that_are_not_closed() {
    check(Lie::Unclosed(1_000_000), "a value that is no JSON");
}

#[test]
fn w14_a_wrong_checksum() {
    check(Lie::Checksum, "a frame with a wrong checksum");
}

#[test]
fn more_output_than_an_item_may_have() {
    check(Lie::Output(MAX_OUTPUT as usize + 1), "more output than an item may have");
}

#[test]
fn a_message_longer_than_any_result() {
    let limit = MAX_OUTPUT + (1 << 20);
    let ran = run(When::Always(BAD), Lie::Output(2 * MAX_OUTPUT as usize));
    ran.check_ok_but(12, &[BAD]);
    let rule = format!("bytes where at most {limit} are allowed");
    assert!(
        matches!(ran.end(BAD).0, Outcome::Protocol { error } if error.ends_with(&rule)),
        "{:?}",
        ran.end(BAD)
    );
}

#[test]
fn a_second_greeting() {
    check(Lie::Hello, "a second greeting");
}

#[test]
fn w11_ready_in_place_of_a_result() {
    check(Lie::Ready, "ready twice");
}

#[test]
fn a_refusal_by_a_worker_that_was_ready_does_not_end_the_run() {
    check(Lie::Refusal, "a refusal of the guest after being ready");
}

#[test]
fn a_description_from_a_serving_worker() {
    check(Lie::Description, "a compile worker's message");
}

#[test]
fn code_from_a_serving_worker() {
    check(Lie::Code, "a compile worker's message");
}

#[test]
fn an_answer_nobody_asked_for() {
    check(Lie::Drain, "an answer nobody asked for");
}

#[test]
fn items_given_back_that_were_not_begun() {
    check(Lie::Back, "items given back that are not the rest of a chunk");
}

#[test]
fn a_farewell_while_there_is_work() {
    check(Lie::Bye, "a farewell while it is needed");
}

#[test]
fn w4_half_a_frame_and_a_good_exit() {
    let misdeed = Some((When::Always(BAD), Misdeed::DieMidFrame));
    let ran = Fake::new(Script { misdeed, ..Script::default() }).run(job(numbers(12)));
    ran.check_ok_but(12, &[BAD]);
    assert_eq!(ran.end(BAD), (&Outcome::Crash { end: WorkerEnd::Exited(0) }, 2));
}

#[track_caller]
fn check_honest(script: Script) {
    let ran = Fake::new(script).run(job(numbers(40)));
    ran.check_ok_but(40, &[]);
    let summary = ran.summary();
    assert_eq!((summary.attempts, summary.replaced), (40, 0), "{:?}", ran.heard);
}

#[test]
fn honest_results_may_come_in_one_message_for_a_chunk() {
    check_honest(Script { results: Results::Batched, ..Script::default() });
}

#[test]
fn honest_results_may_come_in_any_pieces() {
    check_honest(Script { results: Results::InPieces(7), ..Script::default() });
}

#[test]
fn honest_results_may_be_longer_than_a_frame() {
    check_honest(Script { stdout: 300_000, ..Script::default() });
}

#[test]
fn honest_results_of_a_chunk_may_be_longer_than_a_frame_together() {
    check_honest(Script { results: Results::Batched, stdout: 100_000, ..Script::default() });
}
