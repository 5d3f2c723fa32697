//! Items that are run again, or are not, as the user wants it; limits of CPU time; workers that have worked enough.

use std::num::NonZero;

use super::*;

const ABORTED: Cause = Cause::Ended(WorkerEnd::Signalled(6));
const KILLED: Cause = Cause::Ended(WorkerEnd::Signalled(SIGKILL));

/// CPU time an item may have.
const CPU: Duration = Duration::from_secs(4);

fn under(policy: Policy) -> WorkerState {
    ready_under(Rules { policy, ..rules(Some(LIMIT)) })
}

/// What became of item 0 at each of these ends, until it was not tried again.
fn ends(policy: Policy, causes: &[Cause]) -> Vec<Option<Outcome>> {
    let mut worker = under(policy);
    worker.assign(items(0, 1), at(0));
    let mut ends = Vec::new();
    for cause in causes {
        let Aftermath { mut completions, suspect, .. } = worker.bury(cause, page(0, at(0)));
        ends.push(completions.pop().map(|(_, completion)| completion.outcome));
        let Some(suspect) = suspect else { break };
        worker = under(policy);
        worker.assign_again(suspect, at(0));
    }
    ends
}

#[test]
fn an_item_may_bring_down_as_many_workers_as_it_is_said() {
    let crash = Some(Outcome::Crash { end: WorkerEnd::Signalled(6) });
    let policy = |crash_retries| Policy { crash_retries, ..Policy::default() };
    assert_eq!(ends(policy(0), &[ABORTED]), std::slice::from_ref(&crash));
    assert_eq!(ends(policy(2), &[ABORTED, ABORTED, ABORTED]), [None, None, crash]);
}

#[test]
fn an_item_that_is_not_to_be_run_again_is_not_run_again_after_a_kill_from_outside() {
    let policy = Policy { crash_retries: 0, ..Policy::default() };
    assert_eq!(ends(policy, &[KILLED]), [Some(Outcome::Crash { end: WorkerEnd::Signalled(SIGKILL) })]);
}

#[test]
fn an_item_that_is_started_at_most_once_is_not_excused() {
    let policy = Policy { crash_retries: 0, at_most_once: true, ..Policy::default() };
    let mut worker = under(policy);
    worker.assign(items(0, 3), at(0));
    let Aftermath { completions, suspect, failed: _, again: _, requeue } = worker.bury(&ABORTED, IDLE);
    assert_eq!(ended(&completions), [(0, "crash")]);
    assert_eq!(suspect, None);
    assert_eq!(requeue, [items(1, 2)]);
}

#[test]
fn a_worker_that_lacked_memory_is_told_from_one_that_crashed() {
    let lacked = Cause::OutOfMemory(WorkerEnd::Signalled(6));
    let error = "the worker was killed by SIGABRT".to_owned();
    let memory = Outcome::Memory { limit: MemoryLimit::Process, bytes: 1 << 30, error };
    assert_eq!(ends(Policy::default(), &[lacked.clone(), lacked]), [None, Some(memory)]);
}

fn trap() -> CallEnd<'static> {
    CallEnd::Trap { kind: crate::outcome::TrapKind::Unreachable, error: "" }
}

#[test]
fn an_item_that_fails_is_run_again_as_often_as_it_is_said() {
    let mut worker = under(Policy { retries: 2, ..Policy::default() });
    worker.assign(items(0, 2), at(0));
    let first = Written::new(0, 1).push(&report(trap())).push(&value("7"));
    assert_eq!(answer(&mut worker, &first), (vec![(1, "ok")], Ok(())));
    for attempt in [2, 3] {
        let again = worker.take_again().pop().expect("it is to be run again").0;
        assert_eq!(worker.assign_again(again, at(1)).attempt, attempt);
        let failed = Written::new(0, attempt).push(&report(trap()));
        let last = if attempt == 3 { vec![(0, "trap")] } else { vec![] };
        assert_eq!(answer(&mut worker, &failed), (last, Ok(())));
    }
    assert_eq!(worker.take_again(), []);
}

#[test]
fn an_item_that_does_not_fit_is_not_run_again() {
    let mut worker = under(Policy { retries: 2, ..Policy::default() });
    worker.assign(items(0, 1), at(0));
    let unfit = Written::new(0, 1).push(&report(CallEnd::Input { error: "no" }));
    assert_eq!(answer(&mut worker, &unfit), (vec![(0, "input")], Ok(())));
}

#[test]
fn an_item_that_used_up_its_time_is_run_again_if_that_is_asked_for() {
    let policy = Policy { retries: 1, ..Policy::default() };
    let timeout = Outcome::Timeout { limit: TimeLimit::Wall(LIMIT) };
    assert_eq!(ends(policy, &[Cause::TimedOut(0), Cause::TimedOut(0)]), [None, Some(timeout)]);
}

#[test]
fn a_merge_that_fails_is_not_run_again() {
    let mut worker = under(Policy { retries: 2, ..Policy::default() });
    worker.assign(merges(1), at(0));
    let failed = Written::new(MERGE_BIT, 1).push(&report(trap()));
    assert_eq!(answer(&mut worker, &failed), (vec![(MERGE_BIT, "trap")], Ok(())));
}

#[test]
fn a_worker_has_room_for_as_many_items_as_it_may_run() {
    let mut worker = under(Policy { max_items_per_worker: NonZero::new(5), ..Policy::default() });
    assert_eq!(worker.room(), 5);
    worker.assign(items(0, 3), at(0));
    assert_eq!(worker.room(), 2);
    answered(&mut worker, 0, 1, at(1));
    worker.given_back(Back { first: 1, attempt: 1, count: 2 }).unwrap();
    assert_eq!(worker.room(), 4);
    assert_eq!(under(Policy::default()).room(), u64::MAX);
}

#[test]
fn the_rest_of_a_chunk_may_be_given_back() {
    let mut worker = with_items(4);
    answered(&mut worker, 0, 1, at(1));
    assert_eq!(worker.given_back(Back { first: 1, attempt: 1, count: 3 }), Ok(items(1, 3)));
    assert_eq!((worker.outstanding(), worker.deadline()), (0, None));
}

#[test]
fn what_is_given_back_is_the_rest_of_a_chunk_that_was_begun() {
    let rule = Err(violation("items given back that are not the rest of a chunk"));
    let mut worker = with_items(4);
    assert_eq!(worker.given_back(Back { first: 0, attempt: 1, count: 4 }), rule);
    answered(&mut worker, 0, 1, at(1));
    for (first, attempt, count) in [(2, 1, 2), (1, 2, 3), (1, 1, 2), (1, 1, 4), (0, 1, 4)] {
        assert_eq!(worker.given_back(Back { first, attempt, count }), rule);
    }
    let none = Err(violation("items given back that it does not have"));
    assert_eq!(ready().given_back(Back { first: 0, attempt: 1, count: 1 }), none);
}

fn with_cpu_limit() -> WorkerState {
    let limits = Limits { wall: None, cpu: Some(CPU) };
    let mut worker = ready_under(Rules { limits, ..rules(None) });
    worker.spent(Duration::from_secs(1), at(1));
    worker.assign(items(0, 2), at(1));
    worker
}

/// The moment at which so much CPU time can have been used since `since`.
fn when(since: u64, cpu: Duration) -> Nanos {
    at(since).after(cpu).after(CPU_SLACK)
}

#[test]
fn cpu_time_is_looked_at_when_it_can_have_been_used_up() {
    let mut worker = with_cpu_limit();
    assert_eq!(worker.deadline(), Some(when(1, CPU)));
    // Half of it has been used by then.
    worker.spent(Duration::from_secs(3), at(6));
    assert_eq!(worker.judge(page(0, at(1)), at(6)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(when(6, CPU / 2)));
    worker.spent(Duration::from_secs(6), at(9));
    assert_eq!(worker.judge(page(0, at(1)), at(9)), Judgement::OutOfCpu(0));
}

#[test]
fn cpu_time_before_the_last_result_is_not_the_items() {
    let mut worker = with_cpu_limit();
    worker.spent(Duration::from_secs(4), at(4));
    answered(&mut worker, 0, 1, at(4));
    worker.spent(Duration::from_secs(7), at(8));
    assert_eq!(worker.judge(page(1, at(4)), worker.deadline().unwrap()), Judgement::Wait);
}

#[test]
fn w29_a_page_that_says_nothing_wins_no_more_than_a_second_of_cpu_time() {
    let mut worker = with_cpu_limit();
    worker.spent(Duration::from_secs(1) + CPU + CPU_SLACK, at(9));
    assert_eq!(worker.judge(IDLE, at(9)), Judgement::Wait);
    worker.spent(Duration::from_secs(1) + CPU + CPU_SLACK + GRACE, at(10));
    assert_eq!(worker.judge(IDLE, at(10)), Judgement::OutOfCpu(0));
}

#[test]
fn an_item_out_of_cpu_time_ends_as_a_timeout() {
    let aftermath = with_cpu_limit().bury(&Cause::OutOfCpu(0), page(0, at(1)));
    let (item, completion) = &aftermath.completions[0];
    assert_eq!((*item, &completion.outcome), (0, &Outcome::Timeout { limit: TimeLimit::Cpu(CPU) }));
    assert_eq!(aftermath.requeue, [items(1, 1)]);
}

#[test]
fn cpu_time_is_put_down_to_the_item_that_the_page_names() {
    let mut worker = with_cpu_limit();
    worker.spent(Duration::from_secs(20), at(9));
    // The first one's result waits for the second to end.
    assert_eq!(worker.judge(page(1, at(1)), at(9)), Judgement::OutOfCpu(1));
    assert_eq!(salvage(&mut worker, &sevens(0, 1), Some(1)), [(0, "ok")]);
    let aftermath = worker.bury(&Cause::OutOfCpu(1), page(1, at(1)));
    assert_eq!(ended(&aftermath.completions), [(1, "timeout")]);
}

#[test]
fn a_page_that_names_an_item_of_nobody_breaks_the_protocol_where_only_cpu_time_is_limited() {
    let mut worker = with_cpu_limit();
    worker.spent(Duration::from_secs(20), at(9));
    let lie = violation("it says it is running an item it does not have");
    assert_eq!(worker.judge(page(7, at(1)), at(9)), Judgement::Violation(lie));
}

#[test]
fn a_page_that_says_nothing_is_not_asked_again_and_again() {
    let mut worker = with_cpu_limit();
    worker.spent(Duration::from_secs(1) + CPU + CPU_SLACK, at(9));
    assert_eq!(worker.judge(IDLE, at(9)), Judgement::Wait);
    assert_eq!(worker.deadline(), Some(at(10)));
}

#[test]
fn an_item_that_failed_and_was_sent_ahead_keeps_its_count() {
    let mut worker = under(Policy { retries: 1, ..Policy::default() });
    worker.assign(items(0, 2), at(0));
    let failed = Written::new(0, 1).push(&report(trap()));
    assert_eq!(answer(&mut worker, &failed), (vec![], Ok(())));
    let again = worker.take_again().pop().expect("it is to be run again").0;
    worker.assign_again(again, at(1));
    let aftermath = worker.bury(&ABORTED, page(1, at(1)));
    assert_eq!(aftermath.suspect.map(|suspect| suspect.chunk), Some(items(1, 1)));
    let again: Vec<_> = aftermath.again.iter().map(|again| (&again.chunk, again.tries.attempt())).collect();
    assert_eq!(again, [(&items(0, 1), 2)]);
    assert_eq!(aftermath.requeue, []);
}

#[test]
fn an_item_that_is_run_again_in_the_same_worker_is_running() {
    let mut worker = under(Policy { retries: 1, ..Policy::default() });
    worker.assign(items(0, 1), at(0));
    let failed = Written::new(0, 1).push(&report(trap()));
    assert_eq!(answer(&mut worker, &failed), (vec![], Ok(())));
    let again = worker.take_again().pop().expect("it is to be run again").0;
    worker.assign_again(again, at(1));
    let second = Hint { running: Some((0, 2)), since: at(1) };
    assert_eq!(worker.judge(second, at(11)), Judgement::TimedOut(0));
    let aftermath = worker.bury(&Cause::TimedOut(0), second);
    assert_eq!(ended(&aftermath.completions), [(0, "timeout")]);
    assert_eq!(aftermath.completions[0].1.meta.attempts, 2);
}

fn once() -> WorkerState {
    let mut worker = under(Policy { at_most_once: true, ..Policy::default() });
    worker.assign(items(0, 3), at(0));
    worker.assign(items(3, 2), at(0));
    worker
}

/// Which items ended, and which are left to others, of a worker that was sent the items 0 to 4.
fn once_after(cause: &Cause, hint: Hint) -> (Ended, Vec<Chunk>) {
    let Aftermath { completions, suspect, failed: _, again, requeue } = once().bury(cause, hint);
    assert_eq!((suspect, again), (None, vec![]));
    (ended(&completions), requeue)
}

#[test]
fn what_is_started_at_most_once_has_ended_up_to_what_the_page_names() {
    let started = vec![(0, "crash"), (1, "crash")];
    assert_eq!(once_after(&ABORTED, page(1, at(0))), (started, vec![items(2, 1), items(3, 2)]));
    let started = vec![(0, "crash"), (1, "crash"), (2, "crash"), (3, "timeout")];
    assert_eq!(once_after(&Cause::TimedOut(3), page(3, at(0))), (started, vec![items(4, 1)]));
}

#[test]
fn what_is_started_at_most_once_has_ended_with_a_worker_that_lied() {
    let lied = Cause::Violation(violation("a lie"));
    let all = (0..5).map(|item| (item, "protocol")).collect();
    assert_eq!(once_after(&lied, page(0, at(0))), (all, vec![]));
}

#[test]
fn what_is_started_at_most_once_is_not_run_again_whatever_else_is_asked_for() {
    let policy = Policy { at_most_once: true, retries: 3, crash_retries: 3, ..Policy::default() };
    assert_eq!(ends(policy, &[ABORTED]).len(), 1);
    let mut worker = under(policy);
    worker.assign(items(0, 1), at(0));
    let failed = Written::new(0, 1).push(&report(trap()));
    assert_eq!(answer(&mut worker, &failed), (vec![(0, "trap")], Ok(())));
}

#[test]
fn w10_a_worker_that_does_not_give_the_rest_of_a_long_answer_back_breaks_the_protocol() {
    let guest = GuestLimits { output: 64 << 20, ..GuestLimits::default() };
    let mut worker = ready_under(Rules { guest, ..rules(None) });
    worker.assign(items(0, 2), at(0));
    let printed = vec![b'x'; MAX_ANSWER];
    let long = Report { stdout: &printed, ..value("7") };
    let both = Written::new(0, 1).push(&long).push(&value("7"));
    let rule = violation("more results than are to be given at once");
    assert_eq!(answer(&mut worker, &both), (vec![(0, "ok")], Err(rule)));
}

#[test]
fn w13_errors_count_as_what_a_worker_may_answer_at_once() {
    let mut worker = with_items(3);
    let error = "e".repeat(MAX_ANSWER);
    let long = report(CallEnd::Trap { kind: crate::outcome::TrapKind::Other, error: &error });
    let both = Written::new(0, 1).push(&long).push(&value("7"));
    let rule = violation("more results than are to be given at once");
    assert_eq!(answer(&mut worker, &both), (vec![(0, "trap")], Err(rule)));
}

#[test]
fn w13_a_backtrace_of_any_length_breaks_the_protocol() {
    let mut worker = with_items(1);
    let lines = "\n".repeat(MAX_BACKTRACE + 1);
    let report = Report { backtrace: &lines, ..value("7") };
    check_refused(&mut worker, &Written::new(0, 1).push(&report), "a backtrace that is too long");
}
