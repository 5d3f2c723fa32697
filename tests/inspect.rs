//! `wasmpool inspect`: what a guest offers, and what to type for it.

use crate::harness::wasmpool;

#[test]
fn exports_come_with_a_command_line_each() {
    let page = "\
primes.wasm: component, SIZE

exports
  wasmpool:guests/primes
    count-primes(start: u64, end: u64) -> u64
        wasmpool run primes.wasm count-primes --range 1..800000
    merge-count-primes(a: u64, b: u64) -> u64
        merges the values of `count-primes`
    count-divisors(n: u64) -> u64
        wasmpool run primes.wasm count-divisors --range 1..100

imports nothing
";
    // Its size depends on the compiler.
    let without_size = |stdout: &str| match stdout.split_once("component, ") {
        Some((start, rest)) => {
            let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            format!("{start}component, SIZE\n{rest}")
        }
        None => stdout.to_owned(),
    };
    wasmpool("inspect primes.wasm").stdout_is(move |stdout| without_size(stdout) == page).check();
}

#[test]
fn a_plain_module_has_numbers() {
    let page = "\
sum.wasm: module, 38 bytes

exports
  add(p0: s64, p1: s64) -> s64
      wasmpool run sum.wasm add --range 1..800000

imports nothing
";
    wasmpool("inspect sum.wasm")
        .wat("sum.wasm", r#"(module (func (export "add") (param i64 i64) (result i64) local.get 0))"#)
        .stdout(page)
        .check();
}

#[test]
fn what_is_imported_is_listed_even_if_it_is_nowhere() {
    let page = "\
needy.wasm: module, 27 bytes

exports no function

imports
  env.foo
";
    wasmpool("inspect needy.wasm")
        .wat("needy.wasm", r#"(module (import "env" "foo" (func)))"#)
        .stdout(page)
        .check();
}

#[test]
fn the_command_lines_work_as_they_are() {
    let page = wasmpool("inspect primes.wasm").stdout_is(|_| true).check().stdout;
    let lines: Vec<_> = page.lines().filter_map(|line| line.trim().strip_prefix("wasmpool ")).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        wasmpool(line).stdout_is(|stdout| !stdout.is_empty()).stderr_is(|_| true).check();
    }
}
