//! Values that become one: of ranges, of blocks, of whatever is asked for; and what is printed where one failed.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::harness::{Wasmpool, run};

/// A text of about so many bytes: lines of words from a vocabulary of some thousands, the first ones often, some of
/// them not ASCII, in upper and lower case.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    let mut state = 42_u64;
    let mut random = move || {
        // The multiplier and the increment are Knuth's, for MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    while text.len() < bytes {
        for _ in 0..random() % 20 + 1 {
            let word = random() % (random() % 20_000 + 1);
            let _ = match word % 7 {
                0 => write!(text, "Ärger{word} "),
                1 => write!(text, "WORD{word}\t"),
                _ => write!(text, "word{word} "),
            };
        }
        text.push('\n');
    }
    text
}

/// What there is to say about a text, counted word by word on one thread.
fn analysis(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    let unique: HashSet<_> = words.iter().collect();
    let average = letters as f64 / words.len() as f64;
    format!(
        "{{\"word-count\":{},\"unique-words\":{},\"avg-word-length\":{average:?}}}\n",
        words.len(),
        unique.len()
    )
}

#[test]
fn the_merged_analysis_of_fifty_megabytes_is_that_of_a_single_thread() {
    let text = text(50_000_000);
    run("text.wasm --blocks notes.txt").file("notes.txt", &text).stdout(analysis(&text)).check();
}

#[test]
fn how_a_text_is_cut_and_shared_out_changes_nothing() {
    let text = text(300_000);
    for flags in
        ["--block-size 1KiB -j 1", "--block-size 10000 -j 3 --chunk 1", "--block-size 16MiB", "--unordered"]
    {
        run(&format!("text.wasm tally --blocks - {flags}")).stdin(&text).stdout(analysis(&text)).check();
    }
}

#[test]
fn the_lines_of_a_text_may_be_merged_too() {
    let text = text(20_000);
    run("text.wasm --lines notes.txt --merge").file("notes.txt", &text).stdout(analysis(&text)).check();
}

#[test]
fn files_may_be_merged() {
    run("text.wasm --files a b --merge")
        .file("a", "one two\n")
        .file("b", "two three\n")
        .stdout("{\"word-count\":4,\"unique-words\":3,\"avg-word-length\":3.5}\n")
        .check();
}

/// A number is a map, x to a * x + b of 16 bits each; merging composes two of them, which is associative and depends on
/// their order.
const MAPS: &str = r#"
(component
  (core module $m
    (func (export "f") (param i32) (result i32) (local.get 0))
    (func (export "merge") (param $x i32) (param $y i32) (result i32)
      (local $a i32)
      (local.set $a (i32.shr_u (local.get $x) (i32.const 16)))
      (i32.or
        (i32.shl (i32.mul (local.get $a) (i32.shr_u (local.get $y) (i32.const 16))) (i32.const 16))
        (i32.and
          (i32.add (i32.mul (local.get $a) (i32.and (local.get $y) (i32.const 0xffff))) (local.get $x))
          (i32.const 0xffff)))))
  (core instance $i (instantiate $m))
  (func (export "f") (param "map" u32) (result u32) (canon lift (core func $i "f")))
  (func (export "merge-f") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "merge"))))
"#;

#[test]
fn values_are_merged_in_input_order() {
    let maps: Vec<u32> = (1..=1000_u32).map(|n| n.wrapping_mul(2_654_435_769) | 0x1_0000).collect();
    let compose = |x: u32, y: &u32| {
        let (a, b) = (x >> 16, x & 0xffff);
        a.wrapping_mul(y >> 16) << 16 | a.wrapping_mul(y & 0xffff).wrapping_add(b) & 0xffff
    };
    let merged = maps[1..].iter().fold(maps[0], compose);
    let lines = maps.iter().fold(String::new(), |mut lines, map| {
        let _ = writeln!(lines, "{map}");
        lines
    });
    for flags in ["-j 1", "-j 4 --chunk 1", "-j 2 --unordered"] {
        run(&format!("maps.wasm f --merge --jsonl - {flags}"))
            .wat("maps.wasm", MAPS)
            .stdin(&lines)
            .stdout(format!("{merged}\n"))
            .check();
    }
}

#[test]
fn each_block_may_be_printed() {
    run("text.wasm tally --blocks notes.txt --block-size 4 --each")
        .file("notes.txt", "one\ntwo two\n")
        .stdout(
            "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":{\"words\":1,\"letters\":3,\"vocabulary\":[\"one\"]}}\n\
             {\"v\":1,\"index\":1,\"status\":\"ok\",\"value\":{\"words\":2,\"letters\":6,\"vocabulary\":[\"two\"]}}\n",
        )
        .check();
}

#[test]
fn an_item_that_failed_leaves_no_merged_value() {
    let refused = "{\"v\":1,\"index\":1,\"status\":\"input\",\
                   \"error\":\"item 1, parameter \\\"text\\\": expected UTF-8, found 0xff at byte 1\"}\n";
    run("text.wasm tally --blocks bytes --block-size 4")
        .file("bytes", b"one\n\xff\xff\xff\nyes\n")
        .stdout(refused)
        .code(1)
        .check();
}

/// `f` gives its argument; merging fails where both are even; finishing fails at 9.
const FRAGILE: &str = r#"
(component
  (core module $m
    (func (export "f") (param i64) (result i64) (local.get 0))
    (func (export "merge") (param i64 i64) (result i64)
      (if (i64.eqz (i64.and (i64.or (local.get 0) (local.get 1)) (i64.const 1))) (then unreachable))
      (i64.add (local.get 0) (local.get 1)))
    (func (export "finish") (param i64) (result i64)
      (if (i64.eq (local.get 0) (i64.const 9)) (then unreachable))
      (i64.mul (local.get 0) (i64.const 100))))
  (core instance $i (instantiate $m))
  (func (export "f") (param "n" u64) (result u64) (canon lift (core func $i "f")))
  (func (export "merge-f") (param "a" u64) (param "b" u64) (result u64) (canon lift (core func $i "merge")))
  (func (export "finish-f") (param "merged" u64) (result u64) (canon lift (core func $i "finish"))))
"#;

fn fragile(items: &str) -> Wasmpool {
    run("fragile.wasm f --merge --jsonl -").wat("fragile.wasm", FRAGILE).stdin(items)
}

#[test]
fn the_guest_may_finish_the_merged_value() {
    fragile("1\n2\n").stdout("300\n").check();
    fragile("7\n").stdout("700\n").check();
    fragile("").check();
}

#[test]
fn a_merge_that_failed_is_told_in_the_place_of_a_value() {
    let is_told = |stdout: &str| {
        stdout.starts_with("{\"v\":1,\"merge\":[0,2],\"status\":\"trap\",\"kind\":\"unreachable\"")
    };
    fragile("2\n4\n").stdout_is(is_told).code(1).check();
    fragile("4\n5\n").stdout_is(is_told).code(1).check();
}

#[test]
fn what_cannot_be_merged_is_refused() {
    run("primes.wasm count-divisors --range 1..9 --merge").refused(
        3,
        "error: `primes.wasm` has nothing that merges the values of `count-divisors`\n\n\
         hint: `--merge` needs `merge-count-divisors(a: u64, b: u64) -> u64` beside `count-divisors`\n",
    );
}
