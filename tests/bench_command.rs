//! `wasmpool bench`: what its table says, what it calls the same, and what it refuses.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{PATIENCE, wasmpool};

/// The object of `bench --format json` with these arguments.
fn figures(arguments: &str, code: i32) -> Value {
    let job = wasmpool("bench --format json").args(arguments).code(code);
    // Workers that are replaced are told.
    let ended = job.stdout_is(|_| true).stderr_is(|stderr| !stderr.contains("error")).check();
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

#[test]
fn a_table_has_a_row_for_each_number_of_workers() {
    let ended = wasmpool("bench primes.wasm --range 1..800000 -j 2,3 --runs 2").stdout_is(|_| true).check();
    let parts: Vec<_> = ended.stdout.split("\n\n").collect();
    let [about, table, results] = parts.as_slice() else { panic!("{}", ended.stdout) };
    assert!(
        about.starts_with("guest     primes.wasm\nexport    count-primes(start: u64, end: u64) -> u64\n")
    );
    assert!(about.contains("\ninput     --range 1..800000: 800 items, merged into one value\n"), "{about}");
    let workers: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(workers, ["workers", "1", "2", "3"]);
    assert_eq!(*results, "results   the same in all 6 runs\n");
}

#[test]
fn json_has_every_time() {
    let figures = figures("primes.wasm count-divisors --range 1..100 -j 2 --runs 2", 0);
    assert_eq!((&figures["items"], &figures["merged"]), (&99.into(), &false.into()));
    let rows = figures["rows"].as_array().expect("there are rows");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["times_s"].as_array().map(Vec::len), Some(2));
        assert!(row["median_s"].as_f64().is_some_and(|median| median > 0.0));
    }
    assert_eq!(rows[0]["speed_up"], 1.0);
}

#[test]
fn items_that_fail_the_same_way_each_time_are_counted() {
    let figures = figures("hostile.wasm spin --range 0..2 --timeout 50ms --runs 1", 1);
    assert_eq!((&figures["failed"], &figures["same_results"]), (&1.into(), &true.into()));
}

#[test]
fn results_that_differ_are_told() {
    let job = wasmpool("bench clock.wasm now --range 0..2 -j 1 --runs 2").wat("clock.wasm", CLOCK);
    job.code(1)
        .stdout_is(|stdout| {
            stdout.contains("\nresults   run 2 with 1 worker differs from the first run with 1 worker\n")
        })
        .check();
}

/// What `now` returns is never the same.
const CLOCK: &str = r#"(component
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
    (core func $now (canon lower (func $clock "now")))
    (core module $m
        (import "clock" "now" (func $now (result i64)))
        (func (export "now") (param i64) (result i64) (call $now)))
    (core instance $i (instantiate $m (with "clock" (instance (export "now" (func $now))))))
    (func (export "now") (param "n" u64) (result u64) (canon lift (core func $i "now"))))"#;

#[test]
fn what_can_be_read_only_once_is_refused() {
    wasmpool("bench text.wasm analyze --lines -").stdin("words\n").refused(
        2,
        "error: `--lines -` can be read only once, and every run reads it\n\nhint: write it to a file first\n",
    );
}

#[test]
fn an_interrupt_ends_whichever_run_is_on() {
    let running = wasmpool("bench hostile.wasm spin --range 0..2 --timeout none")
        .stderr("error: interrupted by SIGINT\n")
        .code(130)
        .start();
    // The compile worker, the worker, and the spare that stands by once the run is on.
    while running.workers().len() < 2 {
        assert!(!running.ends_within(Duration::from_millis(5)), "it runs on and on");
    }
    running.signal(Signal::INT);
    assert!(running.ends_within(PATIENCE));
    running.check();
}
