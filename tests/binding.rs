//! `--bind` and `--init`: the function that is left, instances that are prepared, and what is refused before anything
//! runs.

use crate::harness::{Wasmpool, bash, run, wasmpool};

const POWER: &str = "`power(base: s64, exp: u32) -> s64`";

const SHARED: &str = "warning: the items of a worker share its instance: what one leaves in memory the next finds, so \
                      results can depend on how the work is shared out\n";

/// Counts the calls of its instance, from where `start-at` sets the count; `start-between` sets it to a quotient.
const COUNTER: &str = r#"
(module
  (global $calls (mut i64) (i64.const 0))
  (func (export "reset") (global.set $calls (i64.const 0)))
  (func (export "start-at") (param i64) (global.set $calls (local.get 0)))
  (func (export "start-between") (param i64 i64)
    (global.set $calls (i64.div_s (local.get 0) (local.get 1))))
  (func (export "count") (param i64) (result i64)
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (global.get $calls)))
"#;

fn ok(index: u64, value: i64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":{value}}}\n")
}

fn ok_number(index: u64, input: u64, value: u64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{input},\"status\":\"ok\",\"value\":{value}}}\n")
}

fn squares() -> String {
    (0..10).map(|n| ok_number(n, n, n * n)).collect()
}

fn counter(arguments: &str) -> Wasmpool {
    run(&format!("guest.wasm count --range 0..3 -j 1 {arguments}")).wat("guest.wasm", COUNTER)
}

#[test]
fn a_range_is_for_the_parameter_that_is_not_bound() {
    run("tour.wasm power --bind exp=2 --range 0..10").stdout(squares()).check();
    let powers = ok_number(0, 0, 1) + &ok_number(1, 1, 2) + &ok_number(2, 2, 4);
    run("tour.wasm power --bind base=2 --range 0..3").stdout(powers).check();
}

#[test]
fn a_line_of_json_is_for_the_parameters_that_are_not_bound() {
    run("tour.wasm power --bind exp=2 --jsonl -").stdin("3\n-4\n").stdout(ok(0, 9) + &ok(1, 16)).check();
    run("guest.wasm f --bind p1=100 --jsonl -")
        .wat(
            "guest.wasm",
            r#"(module (func (export "f") (param i64 i64 i64) (result i64)
                 (i64.sub (i64.mul (local.get 0) (local.get 1)) (local.get 2))))"#,
        )
        .stdin("[3,1]\n{\"p2\":5,\"p0\":2}\n")
        .stdout(ok(0, 299) + &ok(1, 195))
        .check();
}

#[test]
fn a_range_of_two_integers_is_cut_for_the_two_that_are_not_bound() {
    let expected = "{\"v\":1,\"index\":0,\"input\":[0,5],\"status\":\"ok\",\"value\":7}\n\
                    {\"v\":1,\"index\":1,\"input\":[5,9],\"status\":\"ok\",\"value\":6}\n";
    run("guest.wasm f --bind p1=2 --range 0..9 --step 5")
        .wat(
            "guest.wasm",
            r#"(module (func (export "f") (param i32 i32 i32) (result i32)
                 (i32.add (local.get 1) (i32.sub (local.get 2) (local.get 0)))))"#,
        )
        .stdout(expected)
        .check();
}

#[test]
fn an_item_and_a_line_are_for_the_parameter_that_is_not_bound() {
    run("tour.wasm add --bind a=40 --item 2")
        .stdout(ok(0, 42).replace("\"status", "\"input\":2,\"status"))
        .check();
    run("tour.wasm sum-bytes --bind data=AQID --item []").refused(
        2,
        "error: `--bind` leaves no parameter of `sum-bytes(data: list<u8>) -> u64` for the input\n\n\
         hint: leave one out, or call it once: `wasmpool call`\n",
    );
}

#[test]
fn a_call_has_the_arguments_that_are_not_bound() {
    wasmpool("call tour.wasm power --bind exp=3 5").stdout("125\n").check();
    wasmpool("call tour.wasm power --bind exp=3 --bind base=2").stdout("8\n").check();
    wasmpool("call tour.wasm power --bind exp=3 5 6").refused(
        3,
        "error: `tour.wasm` cannot be called like this: `power(base: s64) -> s64` takes 1 argument, 2 are given\n",
    );
}

#[test]
fn a_bench_has_bound_parameters() {
    wasmpool("bench tour.wasm power --bind exp=2 --range 0..100 --runs 1 -j 1 --format json")
        .stdout_is(|stdout| stdout.contains("power"))
        .stderr_is(|_| true)
        .check();
}

#[test]
fn what_is_bound_helps_to_choose_the_function() {
    run("tour.wasm --bind exp=2 --range 0..10").stdout(squares()).check();
    run("tour.wasm --bind exp=2 --lines /dev/null").refused(
        3,
        "error: `tour.wasm` has no function for `--lines`, which needs one `string` or `list<u8>` beside `exp`\n\n\
         hint: it exports `square-item(item: record { id: u64, value: s64 }) -> record { id: u64, result: s64 }`, \
         `add(a: s64, b: s64) -> s64`, `power(base: s64, exp: u32) -> s64`, `sum(start: u64, end: u64) -> u64`, \
         `merge-sum(a: u64, b: u64) -> u64`, `sum-bytes(data: list<u8>) -> u64`, \
         `split(start: u64, end: u64, parts: u64) -> list<tuple<u64, u64>>` and \
         `divide(a: s64, b: s64) -> result<s64, string>`\n",
    );
}

#[test]
fn values_of_a_bound_function_are_merged() {
    run("tour.wasm sum --bind start=0 --range 1..4").stdout("4\n").check();
}

#[test]
fn a_parameter_that_is_not_there_is_named() {
    let expected = format!(
        "error: `tour.wasm` has no parameter `ex` in {POWER}\n\nhint: its parameters are `base` and `exp`\n"
    );
    run("tour.wasm power --bind ex=2 --range 0..10").refused(3, &expected);
    wasmpool("call tour.wasm power --bind ex=2 1").refused(3, &expected);
}

#[test]
fn a_value_of_another_type_is_refused_before_anything_runs() {
    run("tour.wasm power --bind exp=-2 --range 0..10 --journal journal").refused(
        3,
        &format!(
            "error: `tour.wasm` cannot take `--bind exp=-2`: it does not fit `exp: u32` of {POWER}: expected u32, found -2\n"
        ),
    );
    run("tour.wasm power --bind exp=two --range 0..10")
        .refused(2, "error: `two` is no JSON value for `exp: u32`\n\nhint: write a number\n");
}

#[test]
fn a_parameter_is_bound_once() {
    run("tour.wasm power --bind exp=2 --bind exp=2 --range 0..10")
        .refused(2, "error: `--bind exp=…` is given twice\n\nhint: give it once\n");
}

#[test]
fn a_function_without_parameters_left_has_no_input() {
    run("tour.wasm power --bind exp=2 --bind base=2 --range 0..10").refused(
        2,
        &format!(
            "error: `--bind` leaves no parameter of {POWER} for the input\n\n\
             hint: leave one out, or call it once: `wasmpool call`\n"
        ),
    );
}

#[test]
fn the_types_of_what_is_left_are_held_against_the_input() {
    run("tour.wasm power --bind exp=2 --lines /dev/null").stderr_is(|stderr| {
        stderr.starts_with(
            "error: `tour.wasm` cannot be run like this: `--lines` needs one `string` or `list<u8>`, but what is left \
             of the function is `power(base: s64) -> s64`\n",
        )
    }).code(3).check();
}

#[test]
fn a_journal_of_other_bound_values_is_refused() {
    let run = |value: u32| {
        format!(
            "wasmpool run --progress none guests/tour.wasm power --bind exp={value} --range 0..3 --journal j"
        )
    };
    bash(&format!("{} > /dev/null; {} --resume", run(2), run(3)))
        .stderr_is(|stderr| stderr.contains("`--bind` was `exp=2`, now it is `exp=3`"))
        .code(2)
        .check();
    bash(&format!("{} > /dev/null; wasmpool replay j 2", run(2)))
        .stdout_is(|stdout| stdout.contains("\"value\":4"))
        .stderr_is(|_| true)
        .check();
}

#[test]
fn an_instance_is_prepared_once_and_kept() {
    let expected = |first: u64| (0..3).map(|n| ok_number(n, n, first + n)).collect::<String>();
    counter("--init start-at=10").stdout(expected(11)).stderr(SHARED).check();
    counter("--init start-between=[90,3]").stdout(expected(31)).stderr(SHARED).check();
    counter("--init start-between={\"p1\":2,\"p0\":8}").stdout(expected(5)).stderr(SHARED).check();
    counter("--init reset").stdout(expected(1)).stderr(SHARED).check();
}

#[test]
fn a_call_and_a_bench_have_instances_that_are_prepared() {
    wasmpool("call guest.wasm count 0 --init start-at=41").wat("guest.wasm", COUNTER).stdout("42\n").check();
    wasmpool("bench guest.wasm count --range 0..9 --init start-at=1 --runs 1 -j 1 --format json")
        .wat("guest.wasm", COUNTER)
        .stdout_is(|stdout| stdout.starts_with('{'))
        .stderr_is(|_| true)
        .check();
}

#[test]
fn a_function_prepares_what_it_has_parameters_bound_in() {
    wasmpool("call guest.wasm count --bind p0=1 --init count=1")
        .wat("guest.wasm", COUNTER)
        .stdout("2\n")
        .check();
}

#[test]
fn an_initializer_that_fails_fails_the_item_it_was_run_for() {
    counter("--init start-between=[1,0] --unordered")
        .stdout_is(|stdout| {
            stdout.lines().count() == 3
                && stdout
                    .lines()
                    .all(|line| line.contains("\"status\":\"trap\",\"kind\":\"integer-divide-by-zero\""))
        })
        .stderr(SHARED)
        .code(1)
        .check();
}

#[test]
fn an_initializer_that_does_not_fit_is_refused_before_anything_runs() {
    let refused = |init: &str, expected: &str| {
        run(&format!("primes.wasm --range 0..9 --init {init}")).refused(3, expected);
    };
    let count = "`count-primes(start: u64, end: u64) -> u64`";
    refused(
        "count-divisors",
        "error: `primes.wasm` cannot be prepared like this: `count-divisors(n: u64) -> u64` takes 1 argument, none is \
         given\n\nhint: write `--init count-divisors=JSON`, with a value for `n`\n",
    );
    refused(
        "count-primes=[1]",
        &format!(
            "error: `primes.wasm` cannot take `--init count-primes=[1]`: it does not fit {count}: expected 2 arguments, \
             found 1\n"
        ),
    );
    run("primes.wasm --range 0..9 --init begin")
        .stderr_is(|stderr| stderr.starts_with("error: `primes.wasm` has no export `begin`\n"))
        .code(3)
        .check();
}

#[test]
fn what_is_prepared_is_kept_whatever_else_is_asked_for() {
    counter("--init reset --isolation worker")
        .stdout(ok_number(0, 0, 1) + &ok_number(1, 1, 2) + &ok_number(2, 2, 3))
        .stderr(SHARED)
        .check();
    counter("--init reset --isolation item").refused(
        2,
        "error: `--init` does not go with `--isolation item`: an instance that is prepared is kept\n\n\
         hint: leave `--isolation` out\n",
    );
    counter("--init reset --deterministic").refused(
        2,
        "error: `--deterministic` does not go with `--init`: what an item finds would depend on its worker\n\n\
         hint: leave one of them out\n",
    );
}
