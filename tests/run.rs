//! `wasmpool run`: a function over a range or over lines, and the same bytes however the work is shared out.

use std::fmt::Write;
use std::time::Duration;

use crate::harness::{Chaos, Wasmpool, is_soak, run, wasmpool};

/// How many primes there are in each 100,000 numbers up to 800,000.
const PRIMES: [u64; 8] = [9592, 8392, 8013, 7863, 7678, 7560, 7445, 7408];

/// Returns twice its argument, and how often this instance was called.
const COUNTER: &str = r#"
(module
  (global $calls (mut i64) (i64.const 0))
  (func (export "f") (param i64) (result i64)
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i64.add (i64.mul (local.get 0) (i64.const 2)) (global.get $calls))))
"#;

/// Enough of them for chunks to be cut, stolen and split.
const LINES: u64 = 3_000;

#[test]
fn primes_below_800_000_are_63_951() {
    run("primes.wasm --range 1..800000").stdout("63951\n").check();
}

#[test]
fn a_merged_value_as_jsonl_tells_how_many_items_it_is_of() {
    run("primes.wasm --range 0..800000 --step 100000 --format jsonl")
        .stdout("{\"v\":1,\"status\":\"ok\",\"items\":8,\"value\":63951}\n")
        .check();
}

#[test]
fn each_part_of_a_range_is_a_record() {
    let records = PRIMES.iter().zip(0..).fold(String::new(), |mut records, (value, index)| {
        let (start, end) = (index * 100_000, (index + 1) * 100_000);
        let _ = writeln!(
            records,
            r#"{{"v":1,"index":{index},"input":[{start},{end}],"status":"ok","value":{value}}}"#
        );
        records
    });
    run("primes.wasm --range 0..800000 --step 100000 --each").stdout(records).check();
}

#[test]
fn each_part_of_a_range_is_a_row_as_text() {
    let rows = "\
range           value
0..100000        9592
100000..200000   8392
200000..300000   8013
300000..400000   7863
400000..500000   7678
500000..600000   7560
600000..700000   7445
700000..800000   7408
";
    run("primes.wasm --range 0..800000 --step 100000 --each --format text").stdout(rows).check();
}

#[test]
fn items_as_csv_have_a_line_of_names() {
    run("primes.wasm --range 0..200000 --step 100000 --each --format csv")
        .stdout("index,start,end,status,value,error\n0,0,100000,ok,9592,\n1,100000,200000,ok,8392,\n")
        .check();
}

#[test]
fn items_as_json_are_one_array() {
    run("primes.wasm --range 0..800000 --step 1000 --each --format json -j 2")
        .stdout_is(|stdout| {
            let records: Vec<serde_json::Value> = serde_json::from_str(stdout).expect("it is an array");
            records.iter().map(|record| record["index"].as_u64()).eq((0..800).map(Some))
        })
        .check();
}

#[test]
fn a_range_for_one_integer_may_include_its_end() {
    let rows = "  input  value
5000000     56
5000001      8
5000002     16
5000003      8
5000004     18
5000005      8
5000006     32
5000007      8
";
    run("primes.wasm count-divisors --range 5000000..=5000007 --format text").stdout(rows).check();
}

#[test]
fn a_range_without_numbers_prints_nothing() {
    run("primes.wasm --range 5..5").check();
    run("primes.wasm --range 5..5 --each").check();
}

#[test]
fn the_summary_goes_to_standard_error() {
    let is_summary = |stderr: &str| {
        let lines: Vec<_> = stderr.lines().collect();
        lines.len() == 3
            && lines[0] == "items  8 items: 8 ok, 0 failed; 8 attempts"
            && lines[1].starts_with("time   ")
            && lines[2].starts_with("pool   2 workers, ")
            && lines[2].ends_with(" steals, 0 replaced")
    };
    wasmpool("run primes.wasm --range 0..800000 --step 100000 --each -j 2 --format text --chunk 8")
        .stdout_is(|stdout| stdout.lines().count() == 9)
        .stderr_is(move |stderr| is_summary(&stderr.replace("1 steal,", "1 steals,")))
        .check();
}

#[test]
fn every_item_gets_a_fresh_instance_of_a_plain_module() {
    let records = (0..2000).fold(String::new(), |mut records, n| {
        let _ = writeln!(records, r#"{{"v":1,"index":{n},"input":{n},"status":"ok","value":{}}}"#, 2 * n + 1);
        records
    });
    run("counter.wasm f --range 0..2000").wat("counter.wasm", COUNTER).stdout(records).check();
}

#[test]
fn every_item_gets_a_fresh_instance_of_a_component() {
    run("hostile.wasm count-calls --range 0..200 --format text --chunk 50")
        .stdout_is(|stdout| {
            let rows = stdout.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
            rows.eq((0..200).map(|number| vec![number.to_string(), "1".to_owned()]))
        })
        .check();
}

#[test]
fn meta_tells_what_varies() {
    run("primes.wasm --range 0..100 --step 100 --each --meta")
        .stdout_is(|stdout| {
            let record: serde_json::Value = serde_json::from_str(stdout).expect("a record is JSON");
            let number = |key: &str| record[key].as_f64();
            record["value"] == 25
                && record["attempts"] == 1
                && record["worker"] == 0
                && number("pid").is_some_and(|pid| pid > 1.0)
                && ["ms", "cpu_ms", "peak_memory"].iter().all(|key| number(key) >= Some(0.0))
        })
        .check();
}

#[test]
fn items_in_the_order_in_which_they_end_are_the_same_items() {
    run("hostile.wasm busy --range 0..200 --unordered -j 2 --format text")
        .stdout_is(|stdout| {
            let numbers = stdout.lines().filter_map(|row| row.split_whitespace().next()?.parse::<u64>().ok());
            let mut numbers: Vec<_> = numbers.collect();
            numbers.sort_unstable();
            numbers == (0..200).collect::<Vec<_>>()
        })
        .check();
}

/// Items of a range that end neither in order nor at the same pace.
fn uneven_numbers() -> Wasmpool {
    run("hostile.wasm busy --range 0..300")
}

/// As [`uneven_numbers`], with a value that is a sum of them all.
fn merged_numbers() -> Wasmpool {
    run("primes.wasm --range 0..2000000")
}

fn lines() -> Wasmpool {
    let text = (0..LINES).fold(String::new(), |mut text, n| {
        let words = usize::try_from(n % 97).expect("it is small");
        let _ = writeln!(text, "{n} {}", "word and another ".repeat(words));
        text
    });
    run("text.wasm analyze --lines lines.txt").file("lines.txt", text)
}

/// However many workers and however long chunks are, standard output has the same bytes.
fn check_sharing(job: fn() -> Wasmpool) {
    const SHORT: [(&str, &str); 3] = [("2", "7"), ("16", "auto"), ("16", "1")];
    let expected = job().args("-j 1").stdout_is(|_| true).check().stdout;
    assert!(!expected.is_empty());
    let all =
        || ["1", "2", "16"].into_iter().flat_map(|j| ["auto", "1", "7", "1000"].map(|chunk| (j, chunk)));
    let (shares, rounds): (Vec<_>, _) = if is_soak() { (all().collect(), 20) } else { (SHORT.into(), 1) };
    for (workers, chunk) in shares.iter().cycle().take(shares.len() * rounds) {
        job().args(&format!("-j {workers} --chunk {chunk}")).stdout(expected.as_str()).check();
    }
}

#[test]
fn records_do_not_depend_on_workers_and_chunks() {
    check_sharing(uneven_numbers);
}

#[test]
fn a_merged_value_does_not_depend_on_workers_and_chunks() {
    check_sharing(merged_numbers);
}

#[test]
fn records_of_lines_do_not_depend_on_workers_and_chunks() {
    check_sharing(lines);
}

/// Standard output has the same bytes while workers are killed, again and again.
fn check_chaos(job: fn() -> Wasmpool) {
    let expected = job().stdout_is(|_| true).check().stdout;
    let rounds = if is_soak() { 20 } else { 1 };
    for seed in 0..rounds {
        let running = job().args("-j 2").stdout(expected.as_str()).stderr_is(is_talk_of_kills).start();
        let mut chaos = Chaos::among_workers_of(running.pid(), seed);
        running.check_while(Duration::from_millis(15), |_| chaos.strike());
        assert!(chaos.kills > 0, "the run was over before a worker could be killed");
    }
}

fn is_talk_of_kills(stderr: &str) -> bool {
    stderr.lines().all(|line| {
        line.starts_with("warning: worker ") && line.ends_with(" was killed by SIGKILL; replaced")
            || line == "warning: more workers were replaced; they are counted, not named"
    })
}

#[test]
fn h1_records_are_the_same_while_workers_are_killed() {
    check_chaos(|| run("hostile.wasm busy --range 0..800"));
}

#[test]
fn h1_a_merged_value_is_the_same_while_workers_are_killed() {
    check_chaos(|| run("primes.wasm --range 0..12000000"));
}

/// Each item draws a random number of its own: the same in each try at it.
#[test]
fn h1_records_of_a_deterministic_run_are_the_same_while_workers_are_killed() {
    check_chaos(|| {
        run("hostile.wasm read-random --jsonl items.jsonl --deterministic=5 --chunk 3")
            .file("items.jsonl", "[]\n".repeat(60_000))
    });
}

#[test]
fn h1_records_of_lines_are_the_same_while_workers_are_killed() {
    check_chaos(|| {
        let text: String = (0..2000).map(|n| format!("{n} {}\n", "word and another ".repeat(2000))).collect();
        run("text.wasm analyze --lines lines.txt").file("lines.txt", text)
    });
}

#[test]
fn an_empty_environment_will_do() {
    run("primes.wasm --range 1..800000").with_empty_environment().stdout("63951\n").check();
}

#[test]
#[expect(clippy::print_stderr, reason = "who runs the tests should know that one says nothing")]
fn a_user_without_rights_can_run_everything() {
    match run("primes.wasm --range 1..800000").by_nobody() {
        Some(job) => {
            job.stdout("63951\n").check();
        }
        None => eprintln!("not run by root: the user who runs this test has no more rights anyway"),
    }
}
