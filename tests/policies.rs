//! What becomes of items that fail and of the run they are in, as its flags say; and what waits in memory meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Wasmpool, run, wasmpool};

/// Returns 8 MiB, for 0 only after some seconds of counting.
const LARGE: &str = r#"
(component
  (core module $m (memory (export "memory") 260)
    (func (export "f") (param i64) (result i32) (local $i i64)
      (if (i64.eqz (local.get 0)) (then
        (loop $again
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br_if $again (i64.lt_u (local.get $i) (i64.const 2_500_000_000))))))
      (memory.fill (i32.const 16) (i32.const 120) (i32.const 8388608))
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.const 8388608))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func (export "f") (param "n" u64) (result string)
    (canon lift (core func $i "f") (memory $memory))))
"#;

/// The records that were printed, by their index.
fn records(stdout: &str) -> BTreeMap<u64, Value> {
    let records = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record is JSON"));
    records.map(|record| (record["index"].as_u64().expect("an index"), record)).collect()
}

/// How often each item was started.
fn attempts(stdout: &str) -> Vec<u64> {
    records(stdout).values().map(|record| record["attempts"].as_u64().expect("a number")).collect()
}

/// How many items ended with this status.
fn count(stdout: &str, status: &str) -> usize {
    records(stdout).values().filter(|record| record["status"] == status).count()
}

#[test]
fn an_item_that_fails_is_run_again_if_that_is_asked_for() {
    run("hostile.wasm trap-odd --range 0..4 --retries 2 --meta")
        .stdout_is(|stdout| attempts(stdout) == [1, 3, 1, 3] && count(stdout, "trap") == 2)
        .code(1)
        .check();
}

#[test]
fn an_item_that_takes_too_long_is_run_again_if_that_is_asked_for() {
    run("hostile.wasm spin --range 1..2 --retries 1 --timeout 200ms --meta")
        .stdout_is(|stdout| attempts(stdout) == [2] && count(stdout, "timeout") == 1)
        .stderr_is(|stderr| stderr.lines().count() == 2)
        .code(1)
        .check();
}

#[test]
fn an_item_that_computes_too_long_is_stopped_and_one_that_sleeps_is_not() {
    let timeout = r#""status":"timeout","limit":"cpu","after_ms":300}"#;
    run("hostile.wasm spin --range 0..3 --cpu-time 300ms")
        .stdout(format!(
            "{{\"v\":1,\"index\":0,\"input\":0,\"status\":\"ok\",\"value\":0}}\n\
             {{\"v\":1,\"index\":1,\"input\":1,{timeout}\n\
             {{\"v\":1,\"index\":2,\"input\":2,\"status\":\"ok\",\"value\":2}}\n"
        ))
        .stderr_is(|stderr| stderr.contains("its item used up its CPU time"))
        .code(1)
        .check();
    run("hostile.wasm sleep-ms --item 900 --cpu-time 300ms")
        .stdout_is(|stdout| count(stdout, "ok") == 1)
        .check();
}

#[test]
fn an_item_that_crashes_its_worker_is_tried_as_often_as_it_is_said() {
    for (retries, expected) in [("0", 1), ("2", 3)] {
        let mut running =
            run("hostile.wasm spin --range 0..2 --chunk 1 --timeout none --meta -j1 --crash-retries")
                .args(retries)
                .stdout_is(move |stdout| attempts(stdout) == [1, expected] && count(stdout, "crash") == 1)
                .stderr_is(|_| true)
                .code(1)
                .start();
        // By then the compile worker has ended.
        running.line();
        for _ in 0..expected {
            running.worker_at_work().kill(Signal::ABORT);
        }
        running.check();
    }
}

#[test]
fn an_item_that_is_started_at_most_once_is_not_started_again_after_a_kill() {
    let mut running =
        run("hostile.wasm spin --range 0..2 --chunk 1 --timeout none --meta -j1 --at-most-once")
            .stdout_is(|stdout| attempts(stdout) == [1, 1] && count(stdout, "crash") == 1)
            .stderr_is(|_| true)
            .code(1)
            .start();
    running.line();
    running.worker_at_work().kill(Signal::KILL);
    running.check();
}

#[test]
fn a_run_ends_at_the_first_failure_if_that_is_asked_for() {
    run("hostile.wasm fail-every --jsonl items.jsonl --fail-fast -j1 --chunk 1 --window 2")
        .file("items.jsonl", "[1,2]\n[2,2]\n[3,2]\n[4,2]\n".repeat(50))
        .stdout_is(|stdout| {
            let records = records(stdout);
            let cancelled = count(stdout, "cancelled");
            let failed = count(stdout, "trap");
            (1..10).contains(&failed) && records.len() < 200 && records.len() - cancelled < 20
        })
        .stderr_is(|stderr| stderr == "error: the run was ended: an item has failed\n")
        .code(1)
        .check();
}

#[test]
fn a_file_that_was_cancelled_has_its_name() {
    let names: Vec<_> = (0..60).map(|number| format!("{number}.txt")).collect();
    let mut job =
        run("hostile.wasm panic-with --fail-fast -j 1 --chunk 1").args("--files").args(&names.join(" "));
    for name in &names {
        job = job.file(name, "x");
    }
    job.stdout_is(move |stdout| {
        count(stdout, "cancelled") > 1
            && records(stdout).iter().all(|(index, record)| record["input"] == format!("{index}.txt"))
    })
    .stderr_is(|_| true)
    .code(1)
    .check();
}

#[test]
fn a_run_ends_at_so_many_failures_if_that_is_asked_for() {
    run("hostile.wasm trap-odd --range 0..6 --fail-fast=4")
        .stdout_is(|stdout| count(stdout, "trap") == 3)
        .code(1)
        .check();
}

#[test]
fn a_run_that_takes_too_long_is_ended_with_124() {
    run("hostile.wasm spin --range 0..3 --timeout none --run-timeout 4s")
        .stdout_is(|stdout| {
            count(stdout, "cancelled") >= 1 && count(stdout, "cancelled") + count(stdout, "ok") == 3
        })
        .refused(124, "error: the run was ended after 4 s\n");
}

#[test]
fn an_interrupted_run_lets_end_what_runs_and_cancels_the_rest() {
    let mut running = run("hostile.wasm sleep-ms --jsonl items.jsonl -j1 --chunk 1 --timeout none")
        .file(
            "items.jsonl",
            "10\n600\n60000\n60000\n60000\n60000\n60000\n60000\n60000\n60000\n60000\n60000\n60000\n",
        )
        .stdout_is(|stdout| {
            let records = records(stdout);
            records.len() == 13 && count(stdout, "ok") == 2 && count(stdout, "cancelled") == 11
        })
        .stderr_is(|_| true)
        .code(143)
        .start();
    assert!(running.line().contains("\"ok\""));
    // The second has been sent by then, and has not ended.
    assert!(!running.ends_within(Duration::from_millis(150)), "it ends by itself");
    running.signal(Signal::TERM);
    let ended = running.check();
    assert!(ended.took < Duration::from_secs(20), "{ended}");
}

#[test]
fn an_item_that_was_running_when_the_run_ended_was_started_once() {
    let mut running = run("hostile.wasm spin --range 0..3 -j1 --chunk 1 --timeout none --meta")
        .stdout_is(|stdout| attempts(stdout) == [1, 1, 0] && count(stdout, "cancelled") == 2)
        .stderr_is(|stderr| stderr.starts_with("error: interrupted"))
        .code(143)
        .start();
    running.line();
    running.signal(Signal::TERM);
    running.check();
}

/// A run of one item that fails again and again is ended meanwhile: the item is told as it failed last.
#[track_caller]
fn check_ended_between_retries(line: &str, status: &'static str) {
    run(line)
        .args("--retries 1000000000 --run-timeout 4s --meta")
        .stdout_is(move |stdout| count(stdout, status) == 1 && attempts(stdout)[0] > 1)
        .stderr_is(|stderr| stderr.ends_with("error: the run was ended after 4 s\n"))
        .code(124)
        .check();
}

#[test]
fn an_item_that_is_to_be_run_again_when_the_run_ends_is_told_as_it_failed() {
    check_ended_between_retries("hostile.wasm trap-odd --item 1", "trap");
    check_ended_between_retries("hostile.wasm spin --item 1 --timeout 100ms", "timeout");
}

#[test]
fn a_merged_run_that_is_ended_prints_no_list_of_what_was_not_run() {
    run("hostile.wasm spin --range 0..3 --timeout none --run-timeout 4s --format text")
        .stdout_is(|stdout| !stdout.contains("cancelled"))
        .refused(124, "error: the run was ended after 4 s\n");
}

#[test]
fn a_worker_is_replaced_when_it_has_run_as_many_items_as_it_may() {
    run("hostile.wasm busy --range 0..10 --max-items-per-worker 3 --meta")
        .stdout_is(|stdout| {
            let mut pids = BTreeMap::<u64, u32>::new();
            for record in records(stdout).values() {
                *pids.entry(record["pid"].as_u64().expect("a number")).or_default() += 1;
            }
            pids.values().sum::<u32>() == 10 && pids.values().all(|items| *items <= 3)
        })
        .check();
}

/// Memory that the host may have in the runs below: the window's 32 MiB, what is on its way from two workers, and what
/// a process has anyway.
const MOST_KIB: u64 = 200 << 10;

fn large(line: &str) -> Wasmpool {
    wasmpool("run --progress none large.wasm f --range 0..100 --timeout none -j2 -o out.jsonl")
        .args(line)
        .wat("large.wasm", LARGE)
}

#[test]
#[expect(clippy::print_stdout, reason = "`make faults` shows it")]
fn h15_results_that_wait_for_a_slow_item_do_not_fill_the_memory() {
    for line in ["", "--chunk 100", "--window 64"] {
        let peak = large(line).start().peak_kib();
        assert!(peak < MOST_KIB, "the host had {peak} KiB");
        println!("figure: H15 {} MiB at most", peak >> 10);
    }
}

#[test]
fn a_run_whose_output_nobody_reads_is_ended_too() {
    let mut running = run("hostile.wasm busy --range 0..100000000 --run-timeout 2s")
        .stderr("error: the run was ended after 2 s\n")
        .code(124)
        .start();
    let _unread = running.take_stdout();
    let ended = running.check();
    assert!(ended.took < Duration::from_secs(20), "{ended}");
}
