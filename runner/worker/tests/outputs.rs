use super::{Ended, binary, call, ended, guest, load, serve};
use crate::item::Input;
use crate::worker::guest::CallRecord;

/// A wasip1 module whose `f` prints `text` to the descriptor it gets, `times` over.
fn printer(text: &str) -> String {
    let len = text.len();
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "{text}")
            (func (export "f") (param $fd i32) (param $times i32) (result i32)
              (i32.store (i32.const 0) (i32.const 64))
              (i32.store (i32.const 4) (i32.const {len}))
              (loop $again
                (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
                (local.set $times (i32.sub (local.get $times) (i32.const 1)))
                (br_if $again (local.get $times)))
              (i32.load (i32.const 8))))"#
    )
}

#[test]
fn standard_output_is_captured() {
    let mut record = CallRecord::default();
    guest(&printer("hi there"), "f").call(0, 0, Input::Arguments(b"[1, 2]"), &mut record);
    assert_eq!(record.report().stdout, b"hi therehi there");
    assert_eq!(record.report().stderr, b"");
}

#[test]
fn standard_error_is_captured() {
    let mut record = CallRecord::default();
    guest(&printer("oh"), "f").call(0, 0, Input::Arguments(b"[2, 1]"), &mut record);
    assert_eq!(record.report().stderr, b"oh");
}

#[test]
fn what_one_item_prints_does_not_reach_the_next() {
    let mut guest = guest(&printer("x"), "f");
    let mut record = CallRecord::default();
    guest.call(0, 0, Input::Arguments(b"[1, 3]"), &mut record);
    guest.call(0, 0, Input::Arguments(b"[2, 1]"), &mut record);
    assert_eq!(record.report().stdout, b"");
}

#[test]
fn printing_past_the_limit_ends_the_item() {
    let mut serve = serve(&["f"]);
    serve.limits.output = 100;
    let mut record = CallRecord::default();
    load(&binary(&printer("0123456789")), &serve).expect("loads").call(
        0,
        0,
        Input::Arguments(b"[1, 11]"),
        &mut record,
    );
    assert_eq!(ended(&record), Ended::Output("the guest printed more than 100 bytes".to_owned()));
}

#[test]
fn a_value_counts_against_the_limit_too() {
    let mut serve = serve(&["f"]);
    serve.limits.output = 100;
    let mut record = CallRecord::default();
    load(&binary(&printer("0123456789")), &serve).expect("loads").call(
        0,
        0,
        Input::Arguments(b"[1, 10]"),
        &mut record,
    );
    let error = "the value and what was printed take 102 bytes; the limit is 100".to_owned();
    assert_eq!(ended(&record), Ended::Output(error));
}

#[test]
fn a_value_that_takes_too_much_memory_ends_the_item() {
    // 8 million numbers of 64 bits each: 512 MB as values of the runtime.
    let text = r#"(component
        (core module $m
          (memory (export "memory") 1100)
          (func (export "f") (result i32)
            (i32.store (i32.const 4) (i32.const 8000000))
            (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (result (list u64)) (canon lift (core func $i "f") (memory $i "memory"))))"#;
    let ended = call(&mut guest(text, "f"), Input::Arguments(b"[]"));
    assert_eq!(ended, Ended::Output("the value takes too much memory".to_owned()));
}

#[test]
fn a_code_given_to_proc_exit_is_told() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (call $exit (local.get 0))))"#;
    let mut guest = guest(text, "f");
    assert_eq!(call(&mut guest, Input::Number(7)), Ended::Exit(7));
    assert_eq!(call(&mut guest, Input::Number(0)), Ended::Exit(0));
}

#[test]
fn a_guest_without_files_has_no_files_arguments_or_environment() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (result i32 i32 i32)
          (call $prestat (i32.const 3) (i32.const 0))
          (drop (call $args (i32.const 0) (i32.const 4)))
          (drop (call $environ (i32.const 8) (i32.const 12)))
          (i32.load (i32.const 0))
          (i32.load (i32.const 8))))"#;
    let bad_descriptor = 8;
    super::check(&mut guest(text, "f"), Input::Arguments(b"[]"), &format!("[{bad_descriptor},0,0]"));
}

#[test]
fn a_guest_may_sleep() {
    // One subscription to the monotonic clock, 2 ms from now.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (result i32)
          (i32.store (i32.const 16) (i32.const 1))
          (i64.store (i32.const 24) (i64.const 2000000))
          (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
          (i32.load (i32.const 128))))"#;
    let mut record = CallRecord::default();
    guest(text, "f").call(0, 0, Input::Arguments(b"[]"), &mut record);
    assert_eq!(ended(&record), Ended::Ok("1".to_owned()));
    assert!(record.report().wall_ns >= 2_000_000);
}
