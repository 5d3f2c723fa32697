//! What programs with Python's `multiprocessing` do, done with sandboxed guests: construct by construct, with the
//! values that they print.

use std::fmt::Write as _;

use crate::harness::{Wasmpool, run, wasmpool};

/// Four texts and an empty one: how many words each has, how many different ones, how long they are on average.
const TEXTS: [(&str, u64, u64, &str); 5] = [
    ("several processes divide the numbers among all four cores", 9, 9, "5.444444444444445"),
    ("every worker fetches another item when idle again", 8, 8, "5.25"),
    ("results return ordered although workers finish at random", 8, 8, "6.125"),
    ("memory stays private unless several guests share it", 8, 8, "5.5"),
    ("", 0, 0, "0.0"),
];

fn records(values: impl IntoIterator<Item = String>) -> String {
    values.into_iter().enumerate().fold(String::new(), |mut records, (index, value)| {
        let _ = writeln!(records, r#"{{"v":1,"index":{index},"status":"ok","value":{value}}}"#);
        records
    })
}

fn jsonl(line: &str, items: impl IntoIterator<Item = String>) -> Wasmpool {
    let lines: Vec<_> = items.into_iter().collect();
    run(&format!("{line} --jsonl items.jsonl")).file("items.jsonl", lines.join("\n"))
}

#[test]
fn a_process_computes_a_sum() {
    wasmpool("call tour.wasm sum 0 1000000").stdout("499999500000\n").check();
}

#[test]
fn a_pool_counts_divisors() {
    let rows = records(["56", "8", "16", "8", "18", "8", "32", "8"].map(str::to_owned));
    let numbers = (5_000_000..=5_000_007).map(|n| n.to_string());
    jsonl("primes.wasm count-divisors", numbers).stdout(rows).check();
}

#[test]
fn map_keeps_the_order_of_its_items() {
    let items = (0..100).map(|i| format!(r#"{{"id": {i}, "value": {i}}}"#));
    let results = (0..100).map(|i| format!(r#"{{"id":{i},"result":{}}}"#, i * i));
    jsonl("tour.wasm square-item", items).stdout(records(results)).check();
}

#[test]
fn imap_unordered_gives_the_same_set() {
    let items = (0..100).map(|i| format!(r#"{{"id": {i}, "value": {i}}}"#));
    let mut expected: Vec<_> =
        (0..100).map(|i| format!(r#""value":{{"id":{i},"result":{}}}}}"#, i * i)).collect();
    expected.sort();
    let is_same_set = move |stdout: &str| {
        let mut found: Vec<_> = stdout
            .lines()
            .filter_map(|line| line.find("\"value\"").map(|at| line[at..].to_owned()))
            .collect();
        found.sort();
        found == expected
    };
    jsonl("tour.wasm square-item --unordered", items).stdout_is(is_same_set).check();
}

#[test]
fn starmap_takes_arguments_apart() {
    let items = ["[1,2]", "[3,4]", "[5,6]"].map(str::to_owned);
    jsonl("tour.wasm add", items).stdout(records(["3", "7", "11"].map(str::to_owned))).check();
}

#[test]
fn keyword_arguments_have_names() {
    let items = (0..10).map(|n| format!(r#"{{"exp": 2, "base": {n}}}"#));
    jsonl("tour.wasm power", items).stdout(records((0..10).map(|n| (n * n).to_string()))).check();
}

#[test]
fn submitted_texts_are_analyzed() {
    let items = TEXTS.iter().map(|(text, ..)| serde_json::Value::from(*text).to_string());
    let results = TEXTS.iter().map(|(_, words, unique, length)| {
        format!(r#"{{"word-count":{words},"unique-words":{unique},"avg-word-length":{length}}}"#)
    });
    jsonl("text.wasm analyze", items).stdout(records(results)).check();
}

#[test]
fn a_task_that_fails_leaves_the_others_alone() {
    let is_nine_and_one = |stdout: &str| {
        let of = |status: &str| stdout.lines().filter(|line| line.contains(status)).count();
        of(r#""status":"ok""#) == 9 && of(r#""index":3,"input":3,"status":"trap""#) == 1
    };
    run("fail.wasm f --range 0..10")
        .wat(
            "fail.wasm",
            r#"(module (func (export "f") (param i64) (result i64)
                 (if (i64.eq (local.get 0) (i64.const 3)) (then unreachable)) (local.get 0)))"#,
        )
        .stdout_is(is_nine_and_one)
        .code(1)
        .check();
}

#[test]
fn a_pool_counts_primes_in_parts_and_as_a_whole() {
    let counts = [9592, 8392, 8013, 7863, 7678, 7560, 7445, 7408];
    let rows = counts.iter().zip(0..).fold(
        String::from("index,start,end,status,value,error\n"),
        |mut rows, (count, part)| {
            let _ = writeln!(rows, "{part},{},{},ok,{count},", part * 100_000, (part + 1) * 100_000);
            rows
        },
    );
    run("primes.wasm --range 0..800000 --step 100000 --each --format csv").stdout(rows).check();
    run("primes.wasm --range 0..800000").stdout("63951\n").check();
}

#[test]
fn fifty_tasks_of_a_producer_find_41_062_primes() {
    let tasks = (1..=50).map(|task| format!("[{},{}]", task * 10_000, (task + 1) * 10_000));
    let is_right = |stdout: &str| {
        let values: Vec<u64> = stdout
            .lines()
            .filter_map(|line| line.rsplit_once("\"value\":")?.1.strip_suffix('}')?.parse().ok())
            .collect();
        (values.len(), values.first(), values.last(), values.iter().sum::<u64>())
            == (50, Some(&1033), Some(&753), 41_062)
    };
    jsonl("primes.wasm count-primes", tasks).stdout_is(is_right).check();
}
