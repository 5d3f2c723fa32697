//! Guests that try what guests should not: what they get is an error or nothing.

use crate::harness::run;

/// A module whose `f` calls one function of the host with its argument, and returns what that returns.
fn calling(import: &str, call: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" {import})
            (memory (export "memory") 1)
            (func (export "f") (param $n i32) (result i32) {call}))"#
    )
}

/// The values of the items from 0 to before `count`.
fn values(values: &[i64]) -> String {
    let record = |(index, value)| {
        format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"ok\",\"value\":{value}}}\n")
    };
    values.iter().enumerate().map(record).collect()
}

/// Errors of preview 1.
const BADF: i64 = 8;
const NOTSOCK: i64 = 57;

/// A plain module keeps its code; one that preview 1 does not know ends the item as a refused call.
#[test]
fn g19_a_module_that_exits_keeps_its_code() {
    let text = calling(
        r#""proc_exit" (func $exit (param i32))"#,
        "(call $exit (select (i32.const 0x80000000) (local.get $n) (i32.eq (local.get $n) (i32.const 4)))) (i32.const 0)",
    );
    for (code, end) in [
        (0, r#""status":"exit","code":0"#),
        (3, r#""status":"exit","code":3"#),
        (125, r#""status":"exit","code":125"#),
        (
            255,
            r#""status":"trap","kind":"host-call","error":"exit with invalid exit status outside of [0..126)""#,
        ),
        (
            4,
            r#""status":"trap","kind":"host-call","error":"exit with invalid exit status outside of [0..126)""#,
        ),
    ] {
        run(&format!("exit.wasm f --range {code}..={code}"))
            .wat("exit.wasm", &text)
            .stdout(format!("{{\"v\":1,\"index\":0,\"input\":{code},{end}}}\n"))
            .code(1)
            .check();
    }
}

#[test]
fn g25_a_stream_that_is_closed_twice_is_an_error() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32)
          (drop (call $close (local.get 0))) (call $close (local.get 0))))"#;
    run("close.wasm f --range 0..5").wat("close.wasm", text).stdout(values(&[BADF; 5])).check();
}

#[test]
fn g25_streams_that_are_renumbered_again_and_again_take_nothing() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32) (local $n i32)
          (drop (call $renumber (i32.const 1) (local.get 0)))
          (loop $again
            (drop (call $renumber (i32.const 2) (i32.const 2)))
            (drop (call $renumber (i32.const 77) (i32.const 2)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 10000))))
          (call $renumber (i32.const 1) (i32.const 900000))))"#;
    run("renumber.wasm f --range 0..4").wat("renumber.wasm", text).stdout(values(&[BADF; 4])).check();
}

#[test]
fn g29_there_are_no_sockets() {
    let text = calling(
        r#""sock_shutdown" (func $shutdown (param i32 i32) (result i32))"#,
        "(call $shutdown (local.get $n) (i32.const 1))",
    );
    run("socket.wasm f --range 0..4")
        .wat("socket.wasm", &text)
        .stdout(values(&[NOTSOCK, NOTSOCK, NOTSOCK, BADF]))
        .check();
}

#[test]
fn g28_more_random_bytes_than_there_should_be_are_refused() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 2000)
        (func (export "f") (param i32) (result i32) (call $random (i32.const 0) (local.get 0))))"#;
    run("random.wasm f --range 120000000..=120000000")
        .wat("random.wasm", text)
        .stdout_is(|stdout| stdout.contains(r#""status":"trap","kind":"host-call","#))
        .code(1)
        .check();
}

/// A component whose value is a string at this place in a memory of one page.
fn returning(at: u32, length: u32, data: &str) -> String {
    format!(
        r#"(component
            (core module $m
              (memory (export "memory") 1)
              (data (i32.const 64) "{data}")
              (func (export "f") (param i64) (result i32)
                (i32.store (i32.const 0) (i32.const {at}))
                (i32.store (i32.const 4) (i32.const {length}))
                (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "n" u64) (result string)
              (canon lift (core func $i "f") (memory $i "memory"))))"#
    )
}

#[track_caller]
fn check_breaks_the_component_model(guest: &str) {
    run("lie.wasm f --range 0..3")
        .wat("lie.wasm", guest)
        .stdout_is(|stdout| {
            stdout.lines().count() == 3
                && stdout.lines().all(|line| line.contains(r#""status":"trap","kind":"component-model","#))
        })
        .code(1)
        .check();
}

#[test]
fn g16_a_value_that_lies_about_its_length_is_a_trap() {
    for (at, length) in [(64, 65_536), (65_535, 2), (64, i32::MAX.cast_unsigned()), (u32::MAX, u32::MAX >> 1)]
    {
        check_breaks_the_component_model(&returning(at, length, "x"));
    }
}

#[test]
fn g17_a_text_that_is_no_utf8_is_a_trap() {
    check_breaks_the_component_model(&returning(64, 3, r"a\ffb"));
}

#[test]
fn g32_a_guest_that_prints_a_message_of_the_protocol_has_printed_it() {
    run("hostile.wasm print --lines -")
        .stdin(b"wp\x01\x05\x00\x00\x07\x00\n")
        .stdout(
            "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":8,\
             \"stdout\":\"wp\\u0001\\u0005\\u0000\\u0000\\u0007\\u0000\"}\n",
        )
        .check();
}

#[test]
fn g15_escapes_of_a_terminal_are_shown_as_text() {
    run("hostile.wasm print-error --lines - --format text")
        .stdin(b"\x1b[2J\x1b]0;hi\x07\r\x00\n")
        .stdout_is(|stdout| {
            stdout.contains(r"\u{1b}[2J") && !stdout.bytes().any(|byte| byte < b' ' && byte != b'\n')
        })
        .check();
}

#[test]
fn g2_a_guest_that_calls_the_host_for_ever_runs_into_its_limit() {
    let text = calling(
        r#""sched_yield" (func $yield (result i32))"#,
        "(loop $again (drop (call $yield)) (br $again)) (i32.const 0)",
    );
    run("yield.wasm f --range 0..1 --timeout 300ms")
        .wat("yield.wasm", &text)
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":0,\"status\":\"timeout\",\"limit\":\"wall\",\"after_ms\":300}\n",
        )
        .stderr_is(|stderr| stderr.ends_with(" was killed: its item used up its time; replaced\n"))
        .code(1)
        .check();
}

#[test]
fn g6_recursion_without_end_costs_no_worker() {
    run("hostile.wasm overflow-stack --range 0..50")
        .stdout_is(|stdout| {
            stdout.lines().count() == 50
                && stdout.lines().all(|line| line.contains(r#""status":"trap","kind":"stack-overflow","#))
        })
        .code(1)
        .check();
}

#[test]
fn g10_a_table_beyond_the_limit_is_refused_to_the_guest() {
    let text = r#"(module (table $t 1 funcref) (func (export "f") (param i32) (result i32)
        (table.grow $t (ref.null func) (local.get 0))))"#;
    run("table.wasm f --range 50000000..50000001")
        .wat("table.wasm", text)
        .stdout("{\"v\":1,\"index\":0,\"input\":50000000,\"status\":\"ok\",\"value\":-1}\n")
        .check();
}

/// Allocates for what the host returns by asking the host for more.
const CALLS_BACK: &str = r#"
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $libc
    (type $bytes (func (param i64 i32)))
    (memory (export "memory") 2)
    (table (export "table") 1 funcref)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $bytes) (i64.const 8) (i32.const 64) (i32.const 0))
      (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $bytes
    (canon lower (func $random "get-random-bytes") (memory $memory) (realloc (func $realloc))))
  (core module $main
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (import "libc" "table" (table 1 funcref))
    (elem (i32.const 0) $bytes)
    (func (export "f") (param i64) (result i64)
      (call $bytes (i64.const 8) (i32.const 64))
      (local.get 0)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "bytes" (func $bytes))))
    (with "libc" (instance $libc))))
  (func (export "f") (param "n" u64) (result u64) (canon lift (core func $main "f"))))
"#;

#[test]
fn g7_recursion_through_the_host_ends_at_its_first_step() {
    run("back.wasm f --range 0..3")
        .wat("back.wasm", CALLS_BACK)
        .stdout_is(|stdout| {
            stdout.lines().count() == 3
                && stdout.lines().all(|line| line.contains(r#""status":"trap","kind":"component-model","#))
        })
        .code(1)
        .check();
}
