//! `wasmpool pipeline`: what becomes of items from stage to stage, whatever fails and whoever is slow.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Wasmpool, wasmpool};

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

/// Never ends for 1.
const ENDLESS: &str = r#"
(module
  (func (export "f") (param i64) (result i64)
    (if (i64.eq (local.get 0) (i64.const 1)) (then (loop $again (br $again))))
    (local.get 0)))
"#;

const QUICK: &str = r#"(module (func (export "f") (param i64) (result i64) (local.get 0)))"#;

const TASKS: &str = "tour.wasm#split primes.wasm#count-primes --item [10000,510000,50]";

const UNREACHABLE: &str =
    r#""status":"trap","kind":"unreachable","error":"wasm trap: wasm `unreachable` instruction executed""#;

/// `wasmpool pipeline`, without the summary, which holds times.
fn pipeline(line: &str) -> Wasmpool {
    wasmpool("pipeline --progress none").args(line)
}

fn ok(index: u64, value: u64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"ok\",\"value\":{value}}}\n")
}

/// The record of an item that traps in a stage.
fn trap(index: u64, stage: &str) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"stage\":\"{stage}\",{UNREACHABLE}}}\n")
}

fn records(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
}

fn printed(line: &str) -> String {
    pipeline(line).stdout_is(|_| true).check().stdout
}

#[test]
fn a_stage_is_called_with_what_the_one_before_returned() {
    pipeline("primes.wasm#count-primes primes.wasm#count-divisors --range 0..40 --step 10 --format csv")
        .stdout("index,start,end,stage,status,value,error\n0,0,10,,ok,3,\n1,10,20,,ok,3,\n2,20,30,,ok,2,\n3,30,40,,ok,2,\n")
        .check();
}

/// 4, 4, 2 and 2 primes; 3, 3, 2 and 2 divisors; 2, 2, 2 and 2 of those.
#[test]
fn there_may_be_more_stages_than_two() {
    let divisors = "primes.wasm#count-divisors";
    pipeline("primes.wasm#count-primes --range 0..40 --step 10 --format text")
        .args(divisors)
        .args(divisors)
        .stdout("range   value\n0..10       2\n10..20      2\n20..30      2\n30..40      2\n")
        .check();
}

/// As one item of JSON would be: an object with a member for each parameter.
#[test]
fn several_parameters_take_a_record_by_its_names() {
    let module = r#"(component
        (core module $m (func (export "f") (param i32) (result i32)
            (i64.store (i32.const 0) (i64.const 100)) (i64.store (i32.const 8) (i64.const 0)) (i32.const 0))
            (memory (export "m") 1))
        (core instance $i (instantiate $m))
        (type $range (record (field "end" u64) (field "start" u64)))
        (export $exported "range" (type $range))
        (func $f (param "n" u32) (result $exported)
            (canon lift (core func $i "f") (memory $i "m")))
        (export "f" (func $f)))"#;
    pipeline("range.wasm#f primes.wasm#count-primes --item 1")
        .wat("range.wasm", module)
        .stdout("{\"v\":1,\"index\":0,\"input\":1,\"status\":\"ok\",\"value\":25}\n")
        .check();
}

#[test]
fn fifty_tasks_have_the_primes_that_they_have() {
    let records = records(&printed(TASKS));
    let values: Vec<_> = records.iter().filter_map(|record| record["value"].as_u64()).collect();
    assert_eq!((values.len(), values.iter().sum::<u64>()), (50, 41062));
    assert_eq!((values.first(), values.last()), (Some(&1033), Some(&753)));
    for (position, record) in records.iter().enumerate() {
        assert_eq!((&record["index"], &record["part"]), (&0.into(), &vec![position].into()));
    }
}

#[test]
fn the_values_of_the_last_stage_can_be_merged() {
    pipeline(TASKS).args("--merge").stdout("41062\n").check();
}

#[test]
fn the_elements_of_lists_are_items_in_the_order_of_the_input() {
    pipeline("tour.wasm#split primes.wasm#count-primes --jsonl items.jsonl --format csv")
        .file("items.jsonl", "[0,20,2]\n[0,0,1]\n[20,40,2]\n")
        .stdout("index,part,stage,status,value,error\n0,0,,ok,4,\n0,1,,ok,4,\n2,0,,ok,2,\n2,1,,ok,2,\n")
        .check();
}

#[test]
fn an_element_of_an_elements_list_has_a_place_in_each() {
    let nans = "hostile.wasm#make-nans";
    let job = pipeline(nans).args(nans).args("hostile.wasm#count-calls --item 1 --item 2");
    let places = |record: &Value| (record["index"].as_u64(), record["part"].as_array().map(Vec::len));
    let ended = job.stdout_is(|_| true).check();
    let records = records(&ended.stdout);
    assert!(records.len() > 2 && records.iter().all(|record| places(record).1 == Some(2)), "{ended}");
    let keys: Vec<_> = records.iter().map(|record| (places(record).0, record["part"].to_string())).collect();
    assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]), "{ended}");
}

#[test]
fn an_empty_input_is_an_empty_output() {
    pipeline("primes.wasm#count-divisors primes.wasm#count-divisors --range 0..0").check();
    pipeline("primes.wasm#count-divisors primes.wasm#count-divisors --range 0..0 --format json")
        .stdout("[\n]\n")
        .check();
    pipeline("tour.wasm#split primes.wasm#count-primes --item [0,0,9]").check();
}

#[test]
fn an_item_that_fails_goes_no_further_and_the_others_do() {
    let odd = "hostile.wasm#trap-odd";
    pipeline("hostile.wasm#trap-odd primes.wasm#count-divisors --range 0..5")
        .stdout(ok(0, 0) + &trap(1, odd) + &ok(2, 2) + &trap(3, odd) + &ok(4, 3))
        .code(1)
        .check();
    // 0, 1, 2, 2 and 3 divisors.
    pipeline("primes.wasm#count-divisors hostile.wasm#trap-odd primes.wasm#count-divisors --range 0..5")
        .stdout(ok(0, 0) + &trap(1, odd) + &ok(2, 2) + &ok(3, 2) + &trap(4, odd))
        .code(1)
        .check();
    pipeline("primes.wasm#count-divisors hostile.wasm#trap-odd --range 0..3")
        .stdout(ok(0, 0) + &trap(1, odd) + &ok(2, 2))
        .code(1)
        .check();
}

#[test]
fn a_failure_is_a_row_that_names_its_stage() {
    pipeline("hostile.wasm#trap-odd primes.wasm#count-divisors --range 0..2 --format text")
        .stdout(
            "input  value\n    0      0\n    1  trap in hostile.wasm#trap-odd: wasm `unreachable` instruction executed\n",
        )
        .code(1)
        .check();
}

#[test]
fn of_a_result_the_ok_goes_on_and_an_err_is_where_its_item_ends() {
    pipeline("hostile.wasm#may-fail primes.wasm#count-divisors --range 0..3")
        .stdout(
            ok(0, 0)
                + "{\"v\":1,\"index\":1,\"input\":1,\"stage\":\"hostile.wasm#may-fail\",\"status\":\"ok\",\
                   \"value\":{\"err\":\"1 is odd\"}}\n"
                + &ok(2, 2),
        )
        .check();
}

#[test]
fn what_guests_print_on_the_way_is_in_the_record() {
    pipeline("hostile.wasm#print hostile.wasm#count-calls --lines -")
        .stdin("one\ntwo\n")
        .stdout(
            "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":1,\"stdout\":\"one\"}\n\
             {\"v\":1,\"index\":1,\"status\":\"ok\",\"value\":1,\"stdout\":\"two\"}\n",
        )
        .check();
}

#[test]
fn files_are_known_by_their_names_to_the_end() {
    pipeline("hostile.wasm#print hostile.wasm#trap-odd --files a.txt b.txt c.txt --format csv")
        .file("a.txt", "two!")
        .file("b.txt", "one")
        .stdout(
            "index,file,stage,status,value,error\n0,a.txt,,ok,4,\n\
             1,b.txt,hostile.wasm#trap-odd,trap,,wasm `unreachable` instruction executed\n\
             2,c.txt,hostile.wasm#print,input,,\"item 2, `c.txt`: No such file or directory (os error 2)\"\n",
        )
        .code(1)
        .check();
}

/// Fails in each stage, and makes lists of different lengths.
fn mixed(options: &str) -> Wasmpool {
    let items: String = (0..60).map(|n| format!("[{n},{},{}]\n", 3 * n, n % 7)).collect();
    pipeline("tour.wasm#split tour.wasm#sum hostile.wasm#trap-odd --jsonl items.jsonl")
        .args(options)
        .file("items.jsonl", items + "\"no range\"\n")
        .code(1)
}

#[test]
fn how_the_work_is_shared_out_changes_no_byte() {
    let expected = mixed("-j 1").stdout_is(|stdout| stdout.lines().count() > 100).check().stdout;
    for options in
        ["-j 4", "-j 1,4,2", "-j 4 --queue 1", "-j 2 --chunk 1", "-j 3 --chunk 50 --queue 7 --window 1"]
    {
        mixed(options).stdout(expected.clone()).check();
    }
}

#[test]
fn unordered_items_are_the_same_items() {
    let sorted = |stdout: &str| {
        let mut lines: Vec<_> = stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let expected = sorted(&mixed("").stdout_is(|_| true).check().stdout);
    for options in ["--unordered", "--unordered -j 4 --queue 1"] {
        let expected = expected.clone();
        mixed(options).stdout_is(move |stdout| sorted(stdout) == expected).check();
    }
}

#[test]
fn unordered_an_item_waits_for_no_other() {
    let mut running = pipeline("slow.wasm#f quick.wasm#f --range 1..4 --unordered -j 2 --chunk 1")
        .wat("slow.wasm", SLOW)
        .wat("quick.wasm", QUICK)
        .stdout_is(|stdout| stdout.lines().count() == 3)
        .start();
    let first = running.line();
    assert!(!first.contains("\"input\":1,"), "{first}");
    running.check();
}

/// Each item of the first stage leaves a mark, and the second stage waits, for its item, until 20 more have.
#[test]
fn a_stage_is_ahead_of_the_next_by_the_queue_and_no_more() {
    const ITEMS: u64 = 80;
    const QUEUE: u64 = 20;
    let items: String = (0..ITEMS).map(|n| format!("[{n},{}]\n", ITEMS.min(n + QUEUE))).collect();
    let job = pipeline(
        "hostile.wasm#mark hostile.wasm#wait-for-marks --jsonl items.jsonl --dir marks:rw -j 1 --queue 20 --chunk 1",
    );
    std::fs::create_dir(job.path("marks")).expect("there is none");
    let job = job.file("items.jsonl", items).stderr_is(|_| true);
    let stdout = job.stdout_is(|_| true).check().stdout;
    let marks: Vec<_> = records(&stdout).iter().filter_map(|record| record["value"].as_u64()).collect();
    assert_eq!(marks.len() as u64, ITEMS);
    for (done, marks) in (0..).zip(marks) {
        // And the one that each stage runs.
        assert!(marks <= done + QUEUE + 2, "{marks} marks when {done} items had been done with");
    }
}

#[test]
fn an_endless_input_is_not_read_ahead_of_a_slow_stage() {
    let mut running = pipeline(
        "tour.wasm#sum-bytes hostile.wasm#spin --lines - -j 1 --queue 20 --timeout none --unordered",
    )
    .stdin_open()
    .stdout_is(|_| true)
    .stderr("error: interrupted by SIGTERM\n")
    .code(143)
    .start();
    // Lines that are odd, each longer than anything that reads ahead in bytes.
    let line = "a".repeat((1 << 20) + 1) + "\n";
    let taken = running.write_until_full(&line, 100);
    assert!(taken < 40, "{taken} MiB were read");
    running.signal(Signal::TERM);
    running.check();
}

/// A worker waits in its item for three marks, and is killed before there are any.
#[test]
fn a_worker_that_is_killed_in_any_stage_costs_nothing() {
    let (wait, echo) = ("hostile.wasm#wait-for-marks", "hostile.wasm#echo-u64");
    for stages in [format!("{wait} {echo}"), format!("{echo} {wait}")] {
        let record =
            |index| format!("{{\"v\":1,\"index\":{index},\"input\":3,\"status\":\"ok\",\"value\":3}}\n");
        let job = pipeline(&stages).args("--item 3 --item 3 --item 3 --item 3 -j 2 --chunk 1 --dir marks");
        std::fs::create_dir(job.path("marks")).expect("there is none");
        let running = job
            .stdout((0..4).map(record).collect::<String>())
            .stderr_is(|stderr| {
                stderr.lines().count() == 1 && stderr.ends_with(" was killed by SIGKILL; replaced\n")
            })
            .start();
        running.worker_at_work().kill(Signal::KILL);
        for mark in ["marks/1", "marks/2", "marks/3"] {
            std::fs::write(running.path(mark), "").expect("the folder is there");
        }
        running.check();
    }
}

#[test]
fn limits_hold_for_each_call_of_each_stage() {
    let timeout = |index: u64, stage: &str| {
        format!(
            "{{\"v\":1,\"index\":{index},\"input\":{index},\"stage\":\"{stage}\",\"status\":\"timeout\",\
             \"limit\":\"wall\",\"after_ms\":300}}\n"
        )
    };
    for stages in ["hostile.wasm#spin hostile.wasm#echo-u64", "hostile.wasm#echo-u64 hostile.wasm#spin"] {
        let expected = ok(0, 0) + &timeout(1, "hostile.wasm#spin") + &ok(2, 2);
        pipeline(stages)
            .args("--range 0..3 --timeout 300ms")
            .stdout(expected)
            .stderr_is(|stderr| stderr.contains("its item used up its time; replaced\n"))
            .code(1)
            .check();
    }
}

#[test]
fn an_item_is_run_again_in_its_stage() {
    let ended = pipeline("hostile.wasm#echo-u64 hostile.wasm#trap-odd --range 1..2 --retries 2 --meta")
        .stdout_is(|_| true)
        .code(1)
        .check();
    let record = &records(&ended.stdout)[0];
    assert_eq!((&record["attempts"], &record["stage"]), (&3.into(), &"hostile.wasm#trap-odd".into()));
}

/// Every item that was read has a record, in order: what was done with, then what was not.
#[track_caller]
fn check_cut_short(stdout: &str) {
    let records = records(stdout);
    let statuses: Vec<_> =
        records.iter().map(|record| record["status"].as_str().unwrap_or_default()).collect();
    let done = statuses.iter().take_while(|status| **status != "cancelled").count();
    assert!(done > 0 && done < statuses.len(), "{stdout}");
    assert!(statuses[done..].iter().all(|status| *status == "cancelled"), "{stdout}");
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["index"], index, "{stdout}");
        assert_eq!(record["status"] == "cancelled", record["stage"].is_string(), "{stdout}");
    }
}

#[test]
fn an_interrupt_ends_all_stages_and_every_item_has_a_record() {
    for stages in ["hostile.wasm#echo-u64 hostile.wasm#spin", "hostile.wasm#spin hostile.wasm#echo-u64"] {
        let mut running = pipeline(stages)
            .args("--range 0..1000000 -j 1 --chunk 1 --timeout none --queue 5")
            .stdout_is(|_| true)
            .stderr("error: interrupted by SIGINT\n")
            .code(130)
            .start();
        running.line();
        running.signal(Signal::INT);
        check_cut_short(&running.check().stdout);
    }
}

#[test]
fn a_run_that_takes_too_long_ends_with_124() {
    let job = pipeline("slow.wasm#f slow.wasm#f --range 0..9 -j 1 --chunk 1 --run-timeout 4s");
    let ended = job
        .wat("slow.wasm", ENDLESS)
        .stdout_is(|_| true)
        .stderr("error: the run was ended after 4 s\n")
        .code(124)
        .check();
    check_cut_short(&ended.stdout);
    assert!(ended.took >= Duration::from_secs(4), "{:?}", ended.took);
}

#[test]
fn the_first_failure_in_any_stage_ends_the_run_if_that_is_asked_for() {
    for stages in
        ["hostile.wasm#trap-odd hostile.wasm#echo-u64", "hostile.wasm#echo-u64 hostile.wasm#trap-odd"]
    {
        let ended = pipeline(stages)
            .args("--range 0..1000000 -j 1 --chunk 1 --fail-fast")
            .stdout_is(|_| true)
            .stderr("error: the run was ended: an item has failed\n")
            .code(1)
            .check();
        let records = records(&ended.stdout);
        assert!(records.len() < 100_000 && records.iter().any(|record| record["status"] == "trap"));
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record["index"], index);
        }
    }
}

#[test]
fn a_closed_output_ends_all_stages() {
    let mut running =
        pipeline("hostile.wasm#echo-u64 hostile.wasm#echo-u64 --range 0..1000000").code(141).start();
    drop(running.take_stdout());
    running.check();
}

#[test]
fn a_file_of_results_is_whole_or_not_there() {
    let running =
        pipeline("primes.wasm#count-divisors primes.wasm#count-divisors --range 0..3 -o out.jsonl").start();
    let path = running.path("out.jsonl");
    let read = move |path: &Path| std::fs::read_to_string(path).expect("it is written");
    assert!(running.ends_within(crate::harness::PATIENCE));
    assert_eq!(read(&path), ok(0, 0) + &ok(1, 1) + &ok(2, 2));
    running.check();
}

#[test]
fn types_that_do_not_fit_are_refused_before_anything_runs() {
    pipeline("hostile.wasm#panic-with primes.wasm#count-primes --lines -").stdin("one\n").refused(
        3,
        "error: `primes.wasm` cannot follow `hostile.wasm#panic-with`, which returns `string`: \
         `count-primes(start: u64, end: u64) -> u64` takes `tuple<u64, u64>`\n\n\
         hint: a `list<tuple<u64, u64>>` would do, too: each element is an item\n",
    );
    pipeline("hostile.wasm#ignore primes.wasm#count-divisors --item 1").refused(
        3,
        "error: `primes.wasm` cannot follow `hostile.wasm#ignore`, which returns nothing: \
         `count-divisors(n: u64) -> u64` takes `u64`\n\nhint: a `list<u64>` would do, too: each element is an item\n",
    );
}

#[test]
fn a_stage_that_is_not_there_is_refused() {
    pipeline("primes.wasm#count-divisors primes.wasm#count --item 1")
        .stdout("")
        .stderr_is(|stderr| stderr.starts_with("error: `primes.wasm` has no export `count`\n"))
        .code(3)
        .check();
    pipeline("primes.wasm#count-divisors none.wasm#f --item 1")
        .stderr_is(|stderr| stderr.starts_with("error: `none.wasm` does not exist\n"))
        .code(3)
        .check();
}

#[test]
fn wrong_usage_is_told_with_what_to_write() {
    for (line, stderr) in [
        (
            "primes.wasm#count-divisors --item 1",
            "error: a pipeline has two stages or more, and this is one\n\n\
             hint: `wasmpool run primes.wasm count-divisors` runs one function\n",
        ),
        (
            "primes.wasm tour.wasm#sum --item 1",
            "error: the stage `primes.wasm` does not name a guest and a function\n\n\
             hint: write `primes.wasm#EXPORT`\n",
        ),
        (
            "a.wasm#f b.wasm#g --item 1 -j 1,2,3",
            "error: `--workers 1,2,3` is for 3 stages, and there are 2\n\n\
             hint: write one number for all stages, or one for each\n",
        ),
        ("a.wasm#f b.wasm#g --item 1 --queue 0", "error: `--queue` takes a whole number from 1, not `0`\n"),
        (
            "a.wasm#f b.wasm#g --item 1 --journal j",
            "error: `--journal` is not for pipelines: what is recorded is how the items of one function end\n\n\
             hint: run stage by stage with `wasmpool run`, each with a journal of its own\n",
        ),
        (
            "a.wasm#f b.wasm#g --item 1 --merge --unordered",
            "error: `--merge` does not go with `--unordered`\n\nhint: leave one of them out\n",
        ),
    ] {
        pipeline(line).refused(2, stderr);
    }
}

#[test]
fn the_summary_is_of_all_stages() {
    wasmpool("pipeline -j 1,2 --stats")
        .args(TASKS)
        .stdout_is(|stdout| stdout.lines().count() == 50)
        .stderr_is(|stderr| {
            let starts = ["items  50 items: 50 ok, 0 failed; 51 attempts", "time   ", "pool   3 workers, "];
            starts.iter().zip(stderr.lines()).all(|(start, line)| line.starts_with(start))
                && stderr.contains("\nstage   tour.wasm#split: 1 item, min ")
                && stderr.contains("\nstage   primes.wasm#count-primes: 50 items, min ")
                && stderr.contains("\nworker  2: ")
        })
        .check();
}
