//! Guests that misbehave and workers that die: what becomes of their items, and that the others go on.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::harness::{PATIENCE, Running, Wasmpool, Worker, run, wasmpool};

/// Takes its time for 1, and none for other numbers.
const SLOW: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (local $i i64)
    (if (i64.eq (local.get 0) (i64.const 1)) (then
      (loop $again
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br_if $again (i64.lt_u (local.get $i) (i64.const 2_000_000_000))))))
    (local.get 0)))
"#;

/// Counts the numbers of a range; traps for one that starts with 30, and where more than 70 are put together.
const FRAGILE: &str = r#"
(module
  (func (export "count") (param i64 i64) (result i64)
    (if (i64.eq (local.get 0) (i64.const 30)) (then unreachable))
    (i64.sub (local.get 1) (local.get 0)))
  (func (export "merge-count") (param i64 i64) (result i64) (local $sum i64)
    (local.set $sum (i64.add (local.get 0) (local.get 1)))
    (if (i64.gt_s (local.get $sum) (i64.const 70)) (then unreachable))
    (local.get $sum)))
"#;

const UNREACHABLE: &str =
    r#""status":"trap","kind":"unreachable","error":"wasm trap: wasm `unreachable` instruction executed""#;

fn ok(index: u64, input: u64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{input},\"status\":\"ok\",\"value\":{input}}}\n")
}

fn timeout(index: u64, input: u64, milliseconds: u64) -> String {
    format!(
        "{{\"v\":1,\"index\":{index},\"input\":{input},\"status\":\"timeout\",\"limit\":\"wall\",\
         \"after_ms\":{milliseconds}}}\n"
    )
}

/// Every line of standard error says that a worker has been replaced for this reason.
fn says_replaced(reason: &'static str) -> impl Fn(&str) -> bool {
    move |stderr| {
        !stderr.is_empty()
            && stderr.lines().all(|line| {
                line.starts_with("warning: worker ") && line.ends_with(&format!(" {reason}; replaced"))
            })
    }
}

#[test]
fn g18_an_item_that_traps_does_not_keep_others_from_ending_well() {
    let trap = |index| format!("{{\"v\":1,\"index\":{index},\"input\":{index},{UNREACHABLE}}}\n");
    run("hostile.wasm trap-odd --range 0..4")
        .stdout(ok(0, 0) + &trap(1) + &ok(2, 2) + &trap(3))
        .code(1)
        .check();
}

#[test]
fn g18_a_trap_is_named_by_its_kind() {
    for (line, kind, error) in [
        ("trap-unreachable --range 0..1", "unreachable", "wasm `unreachable` instruction executed"),
        ("overflow-stack --range 0..1", "stack-overflow", "call stack exhausted"),
        (
            "read-address --range 4294967295..=4294967295",
            "memory-out-of-bounds",
            "out of bounds memory access",
        ),
    ] {
        run("hostile.wasm")
            .args(line)
            .stdout_is(move |stdout| {
                stdout.ends_with(&format!(
                    "\"status\":\"trap\",\"kind\":\"{kind}\",\"error\":\"wasm trap: {error}\"}}\n"
                ))
            })
            .code(1)
            .check();
    }
}

#[test]
fn g18_a_failed_item_is_a_row_as_text() {
    run("hostile.wasm trap-odd --range 0..2 --format text")
        .stdout("input  value\n    0      0\n    1  trap: wasm `unreachable` instruction executed\n")
        .code(1)
        .check();
}

#[test]
fn the_message_of_a_panic_is_in_the_record() {
    run("hostile.wasm panic-with --lines -")
        .stdin("on purpose\n")
        .stdout_is(|stdout| {
            let record: Value = serde_json::from_str(stdout).expect("a record is JSON");
            let stderr = record["stderr"].as_str().unwrap_or_default();
            record["status"] == "trap" && stderr.contains("panicked at") && stderr.contains("\non purpose\n")
        })
        .code(1)
        .check();
}

/// A component says only whether it ended well, so every code but 0 is 1.
#[test]
fn g19_a_guest_that_exits_is_told_from_one_that_traps() {
    let exit = |index, code| {
        format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"exit\",\"code\":{code}}}\n")
    };
    run("hostile.wasm exit-with --range 0..4")
        .stdout(exit(0, 0) + &exit(1, 1) + &exit(2, 1) + &exit(3, 1))
        .code(1)
        .check();
}

#[test]
fn what_a_guest_prints_is_in_its_record_and_nowhere_else() {
    run("hostile.wasm print --lines -")
        .stdin("{\"v\":1}\n")
        .stdout("{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":7,\"stdout\":\"{\\\"v\\\":1}\"}\n")
        .check();
    run("hostile.wasm print-error --lines -")
        .stdin("\x1b[2J\n")
        .stdout("{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":4,\"stderr\":\"\\u001b[2J\"}\n")
        .check();
}

#[test]
fn g1_an_item_that_never_ends_is_stopped_and_the_others_go_on() {
    let ended = run("hostile.wasm spin --range 0..4 --timeout 300ms")
        .stdout(ok(0, 0) + &timeout(1, 1, 300) + &ok(2, 2) + &timeout(3, 3, 300))
        .stderr_is(says_replaced("was killed: its item used up its time"))
        .code(1)
        .check();
    assert!(ended.took >= Duration::from_millis(300) && ended.took < PATIENCE / 4, "{:?}", ended.took);
}

#[test]
fn g3_an_item_that_sleeps_too_long_is_stopped_and_the_others_go_on() {
    let ended = run("hostile.wasm sleep-ms --range 3600000..3600001 --timeout 300ms")
        .stdout(timeout(0, 3_600_000, 300))
        .stderr_is(says_replaced("was killed: its item used up its time"))
        .code(1)
        .check();
    assert!(ended.took >= Duration::from_millis(300) && ended.took < PATIENCE / 4, "{:?}", ended.took);
}

#[test]
fn m7_a_start_function_that_never_ends_is_stopped_at_the_items_limit() {
    let looping = r#"(module (func $s (loop br 0)) (start $s) (func (export "f") (param i64)))"#;
    run("looping.wasm f --range 0..1 --timeout 300ms")
        .wat("looping.wasm", looping)
        .stdout(timeout(0, 0, 300))
        .stderr_is(says_replaced("was killed: its item used up its time"))
        .code(1)
        .check();
}

#[test]
fn m7_a_start_function_that_traps_is_a_trap_of_each_item() {
    let trap = |index| format!("{{\"v\":1,\"index\":{index},\"input\":{index},{UNREACHABLE}}}\n");
    run("trap.wasm f --range 0..2")
        .wat("trap.wasm", r#"(module (func $s unreachable) (start $s) (func (export "f") (param i64)))"#)
        .stdout(trap(0) + &trap(1))
        .code(1)
        .check();
}

#[test]
fn g13_a_guest_that_prints_without_end_is_stopped_at_the_limit() {
    run("hostile.wasm flood-stdout --range 16777217..=16777217")
        .stdout_is(|stdout| {
            let error = r#""status":"output","error":"the guest printed more than 16777216 bytes""#;
            stdout.contains(error) && stdout.len() < 17 << 20
        })
        .code(1)
        .check();
}

#[test]
fn g16_a_value_beyond_the_limit_fails_its_item() {
    run("hostile.wasm big-result --range 16777215..=16777215")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":16777215,\"status\":\"output\",\"error\":\"the value and what was \
             printed take 16777217 bytes; the limit is 16777216\"}\n",
        )
        .code(1)
        .check();
}

#[test]
fn g9_memory_beyond_the_limit_is_refused_to_the_guest() {
    run("hostile.wasm grow-memory --range 65535..65536 --format text")
        .stdout_is(|stdout| stdout.ends_with(" null\n"))
        .check();
}

#[test]
fn no_merged_value_is_printed_if_an_item_failed() {
    run("fragile.wasm count --range 0..60 --step 10")
        .wat("fragile.wasm", FRAGILE)
        .stdout(format!("{{\"v\":1,\"index\":3,\"input\":[30,40],{UNREACHABLE}}}\n"))
        .code(1)
        .check();
}

#[test]
fn a_merge_that_fails_is_printed_in_place_of_the_value() {
    run("fragile.wasm count --range 100..180 --step 40")
        .wat("fragile.wasm", FRAGILE)
        .stdout(format!("{{\"v\":1,\"merge\":[0,2],{UNREACHABLE}}}\n"))
        .code(1)
        .check();
}

/// The run, when item 0 has ended and item 1 is running, and the worker that runs it.
fn running_item_1(job: Wasmpool) -> (Running, Worker) {
    let mut running = job.args("-j 1 --chunk 1 --meta").start();
    let record: Value = serde_json::from_str(&running.line()).expect("a record is JSON");
    let pid = record["pid"].as_u64();
    let worker = running.workers().into_iter().find(|worker| raw(worker.pid()) == pid);
    let worker = worker.expect("the worker that answered is there");
    worker.wait_until_it_computes();
    (running, worker)
}

fn raw(pid: Pid) -> Option<u64> {
    u64::try_from(pid.as_raw_pid()).ok()
}

/// The worker that has taken the place of another, when it computes.
fn successor(running: &Running) -> Worker {
    // The spare that stood by has no more to do than to wait for its turn.
    let mut workers = running.workers();
    let mut computing = Vec::new();
    let deadline = std::time::Instant::now() + PATIENCE;
    while computing.is_empty() && std::time::Instant::now() < deadline {
        computing.extend(workers.drain(..).find(Worker::computes_now));
        workers = running.workers();
    }
    computing.pop().expect("another worker takes the item")
}

/// Whether the records, with `--meta`, have these statuses and numbers of attempts.
fn has(expected: &'static [(&str, u64)]) -> impl Fn(&str) -> bool {
    move |stdout| {
        let records =
            stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record is JSON"));
        let found = records.map(|record| (record["status"].clone(), record["attempts"].clone()));
        found.eq(expected.iter().map(|(status, attempts)| (Value::from(*status), Value::from(*attempts))))
    }
}

#[test]
fn a_worker_killed_mid_item_costs_one_attempt() {
    let job = run("slow.wasm f --range 0..3").wat("slow.wasm", SLOW);
    let job = job.stdout_is(has(&[("ok", 1), ("ok", 2), ("ok", 1)]));
    let (running, worker) = running_item_1(job.stderr_is(says_replaced("was killed by SIGKILL")));
    worker.kill(Signal::KILL);
    running.check();
}

#[test]
fn w18_an_item_that_crashes_a_worker_once_is_tried_again() {
    let job = run("slow.wasm f --range 0..3").wat("slow.wasm", SLOW);
    let job = job.stdout_is(has(&[("ok", 1), ("ok", 2), ("ok", 1)]));
    let (running, worker) = running_item_1(job.stderr_is(says_replaced("was killed by SIGSEGV")));
    worker.kill(Signal::SEGV);
    running.check();
}

#[test]
fn w18_an_item_that_crashes_two_workers_is_not_tried_again() {
    let job = run("hostile.wasm spin --range 0..3").code(1);
    let job = job.stdout_is(|stdout| {
        has(&[("ok", 1), ("crash", 2), ("ok", 1)])(stdout) && stdout.contains(r#","signal":"SIGSEGV","#)
    });
    let (running, worker) = running_item_1(job.stderr_is(says_replaced("was killed by SIGSEGV")));
    worker.kill(Signal::SEGV);
    successor(&running).kill(Signal::SEGV);
    running.check();
}

#[test]
fn workers_killed_between_items_cost_nothing() {
    let mut running = run("hostile.wasm echo-string --lines - --meta -j 2")
        .stdin_open()
        .stdout_is(has(&[("ok", 1), ("ok", 1)]))
        .stderr_is(says_replaced("was killed by SIGKILL"))
        .start();
    running.write("one\n");
    running.line();
    running.workers().iter().for_each(|worker| worker.kill(Signal::KILL));
    running.write("two\n");
    running.line();
    running.close_stdin();
    running.check();
}

#[test]
fn h24_workers_are_replaced_although_the_program_has_been_deleted() {
    let mut running = run("hostile.wasm echo-string --lines - --format text -j 1")
        .copied()
        .stdin_open()
        .stdout_is(|stdout| stdout.ends_with("two\n"))
        .stderr_is(|stderr| stderr.contains("was killed by SIGKILL; replaced"))
        .start();
    running.write("one\n");
    running.line();
    fs::remove_file(running.path("wasmpool")).expect("it is a file of ours");
    running.workers().iter().for_each(|worker| worker.kill(Signal::KILL));
    running.write("two\n");
    running.line();
    running.close_stdin();
    running.check();
}

#[test]
fn h3_a_worker_that_is_stopped_runs_into_the_limit() {
    let job = run("slow.wasm f --range 0..3 --timeout 2s").wat("slow.wasm", SLOW).code(1);
    let job = job.stdout_is(has(&[("ok", 1), ("timeout", 1), ("ok", 1)]));
    let job = job.stderr_is(says_replaced("was killed: its item used up its time"));
    let (running, worker) = running_item_1(job);
    worker.signal(Signal::STOP);
    running.check();
}

#[test]
fn h4_no_item_times_out_while_the_host_is_stopped() {
    const LIMIT: Duration = Duration::from_secs(2);
    let mut running = run("hostile.wasm sleep-ms --range 0..60 -j 2 --timeout 2s --format text")
        .stdout_is(|stdout| {
            let rows = stdout.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
            rows.eq((0..60).map(|number| vec![number.to_string(); 2]))
        })
        .start();
    running.line();
    running.signal(Signal::STOP);
    assert!(!running.ends_within(LIMIT + LIMIT / 2), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn a_call_that_is_stopped_says_so() {
    wasmpool("call hostile.wasm spin 1 --timeout 300ms")
        .stdout("{\"v\":1,\"index\":0,\"input\":[1],\"status\":\"timeout\",\"limit\":\"wall\",\"after_ms\":300}\n")
        .stderr_is(says_replaced("was killed: its item used up its time"))
        .code(1)
        .check();
}
