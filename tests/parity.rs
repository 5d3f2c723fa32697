//! What programs with Python's `multiprocessing` do, done with sandboxed guests: construct by construct, with the
//! values that they print.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::harness::{Wasmpool, bash, run, wasmpool};
use crate::tidy::source::read;

/// Each construct of Python: the tests of it through the library and, where it has a sense there, through the command line, and
/// its program in `examples/`.
const ROWS: &[(&str, &[&str], &[&str], &str)] = &[
    ("Process", &["four_processes_sum_a_range"], &["a_process_computes_a_sum"], "process"),
    ("a function that only computes", &["map_counts_divisors"], &["a_pool_counts_divisors"], "divisors"),
    ("map", &["map_takes_and_returns_records_in_order"], &["map_keeps_the_order_of_its_items"], "map"),
    (
        "imap",
        &["imap_reads_an_endless_iterator_no_further_than_its_window"],
        &["imap_reads_an_endless_input_as_far_as_it_is_wanted"],
        "imap",
    ),
    (
        "imap_unordered",
        &["imap_unordered_gives_the_same_set"],
        &["imap_unordered_gives_the_same_set"],
        "imap_unordered",
    ),
    ("starmap", &["starmap_adds"], &["starmap_takes_arguments_apart"], "starmap"),
    ("functools.partial", &["bind_is_a_partial"], &["a_bound_argument_is_a_partial"], "partial"),
    ("submit", &["submit_analyzes_texts"], &["submitted_texts_are_analyzed"], "futures"),
    (
        "as_completed",
        &["as_completed_tells_which_call_it_is_and_failures_among_successes"],
        &["imap_unordered_gives_the_same_set"],
        "as_completed",
    ),
    (
        "result(timeout=10)",
        &["a_call_that_runs_is_cancelled_at_once_and_its_worker_goes_on"],
        &["a_limit_ends_what_never_ends"],
        "timeout",
    ),
    (
        "an exception in a task",
        &["one_call_of_ten_traps_and_nine_have_values"],
        &["a_task_that_fails_leaves_the_others_alone"],
        "failures",
    ),
    (
        "max_tasks_per_child, initializer",
        &["a_worker_has_a_successor_when_it_has_run_its_calls", "an_initializer_prepares_each_instance"],
        &["workers_are_replaced_when_they_have_run_their_items"],
        "initializer",
    ),
    (
        "SharedMemory",
        &[
            "segment_what_one_worker_writes_another_reads",
            "segment_what_the_host_has_sealed_each_worker_finds_as_it_was",
        ],
        &["what_is_shared_is_written_by_one_call_and_read_by_the_next"],
        "shared_memory",
    ),
    ("Value", &["value_every_increment_of_four_workers_counts"], &[], "value"),
    ("Array", &["array_each_of_four_workers_adds_its_number_to_every_element"], &[], "array"),
    ("Lock", &["lock_one_whose_holder_is_killed_is_never_stuck"], &[], "lock"),
    (
        "Queue",
        &["queue_a_producer_is_never_further_ahead_than_the_queue_is_long"],
        &["a_stage_is_ahead_of_the_next_by_the_queue_and_no_more"],
        "queue",
    ),
    ("Pipe", &["pipe_two_workers_play_ping_pong"], &[], "pipe"),
    (
        "producer, consumers, results",
        &["queue_the_host_produces_and_consumes_too"],
        &["fifty_tasks_of_a_producer_find_41_062_primes", "fifty_tasks_have_the_primes_that_they_have"],
        "producer_consumer",
    ),
    (
        "the speed-up of a pool",
        &["map_counts_divisors"],
        &["a_pool_counts_primes_in_parts_and_as_a_whole"],
        "process_pool",
    ),
    (
        "if __name__ == \"__main__\"",
        &["a_program_that_cannot_become_a_worker_is_told_so_and_starts_nothing"],
        &[],
        "port",
    ),
    (
        "what cannot be pickled",
        &["an_item_that_does_not_fit_is_refused_before_anything_runs"],
        &["an_argument_that_does_not_fit_is_refused_with_its_type"],
        "types",
    ),
];

#[test]
fn every_construct_has_its_tests_and_its_program() {
    let names = |files: &[&str]| -> BTreeSet<String> {
        let texts = files.iter().map(|file| read(&format!("tests/{file}.rs")));
        let lines: Vec<_> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let name = |line: &String| Some(line.strip_prefix("fn ")?.split_once("()")?.0.to_owned());
        lines.iter().filter_map(name).collect()
    };
    let library = ["parity", "futures", "pools", "refusals", "sharing"].map(|file| format!("library/{file}"));
    let library = names(&library.iter().map(String::as_str).collect::<Vec<_>>());
    let command = names(&["parity", "pipeline"]);
    for (construct, by_library, by_command, program) in ROWS {
        assert!(!by_library.is_empty(), "{construct}");
        for test in *by_library {
            assert!(library.contains(*test), "{construct}: there is no test `{test}`");
        }
        for test in *by_command {
            assert!(command.contains(*test), "{construct}: there is no test `{test}`");
        }
        let program = format!("examples/{program}.rs");
        assert!(read(&program).contains("fn main()"), "{construct}: {program}");
    }
}

#[test]
fn imap_reads_an_endless_input_as_far_as_it_is_wanted() {
    // It ends as soon as nobody reads on.
    let line = "wasmpool run guests/primes.wasm count-divisors --range 1..1000000000000 --each --progress none | head -n 5";
    let divisors = ["1", "2", "2", "3", "2"];
    let records = (1..).zip(divisors).map(|(number, divisors)| {
        format!(
            "{{\"v\":1,\"index\":{},\"input\":{number},\"status\":\"ok\",\"value\":{divisors}}}\n",
            number - 1
        )
    });
    bash(line).stdout(records.collect::<String>()).check();
}

#[test]
fn a_bound_argument_is_a_partial() {
    let squares = (0..10_u64).map(|base| (base * base).to_string());
    let bases = (0..10).map(|base| base.to_string());
    jsonl("tour.wasm power --bind exp=2", bases).stdout(records(squares)).check();
}

#[test]
fn a_limit_ends_what_never_ends() {
    run("hostile.wasm spin --range 0..2 --timeout 200ms --each")
        .stdout_is(|stdout| {
            stdout.contains(r#""index":0,"input":0,"status":"ok""#)
                && stdout.contains(r#""status":"timeout""#)
        })
        .stderr_is(|line| line.contains("its item used up its time"))
        .code(1)
        .check();
}

#[test]
fn workers_are_replaced_when_they_have_run_their_items() {
    run("primes.wasm count-divisors --range 1..13 -j 1 --max-items-per-worker 4 --chunk 1 --each --meta")
        .stdout_is(|stdout| {
            let pids = stdout.lines().filter_map(|line| line.split_once("\"pid\":"));
            let pids: BTreeSet<_> = pids.map(|(_, rest)| rest.split([',', '}']).next()).collect();
            pids.len() == 3
        })
        .check();
}

#[test]
fn what_is_shared_is_written_by_one_call_and_read_by_the_next() {
    let line = "head -c 8000 /dev/zero > numbers \
         && wasmpool call guests/sharing.wasm fill-halves n --share n=numbers:rw \
         && wasmpool call guests/sharing.wasm sum-floats n --share n=numbers";
    bash(line)
        .stdout("{\"ok\":1000}\n{\"ok\":249750.0}\n")
        .stderr_is(|note| note.contains("one trust group"))
        .check();
}

#[test]
fn an_argument_that_does_not_fit_is_refused_with_its_type() {
    wasmpool("call primes.wasm count-divisors many")
        .stderr_is(|error| error.contains("u64") && error.contains("many"))
        .code(2)
        .check();
}

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
