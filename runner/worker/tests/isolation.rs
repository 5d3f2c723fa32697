use super::{Ended, binary, call, load, serve};
use crate::item::Input;
use crate::limits::{GuestLimits, Isolation};
use crate::wire::msg::Serve;
use crate::worker::guest::{CallRecord, Guest};

/// Counts its calls in memory; traps for an argument of 0, prints for one of 2, exits for one of 3.
const COUNTER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\05\00\00\00")
    (data (i32.const 64) "hello")
    (func (export "count") (param i32) (result i32)
      (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
      (if (i32.eqz (local.get 0)) (then unreachable))
      (if (i32.eq (local.get 0) (i32.const 2))
        (then (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
      (if (i32.eq (local.get 0) (i32.const 3)) (then (call $exit (i32.const 1))))
      (i32.load (i32.const 32)))
    (func (export "again") (result i32)
      (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
      (i32.load (i32.const 32))))"#;

#[track_caller]
fn shared(text: &str, exports: &[&str], limits: GuestLimits) -> Guest {
    let serve = Serve { isolation: Isolation::Worker, limits, ..serve(exports) };
    load(&binary(text), &serve).expect("the test's guest can be loaded")
}

fn counter() -> Guest {
    shared(COUNTER, &["count", "again"], GuestLimits::default())
}

#[track_caller]
fn check(guest: &mut Guest, argument: i128, count: u32) {
    assert_eq!(call(guest, Input::Number(argument)), Ended::Ok(count.to_string()));
}

#[test]
fn the_items_of_a_shared_instance_find_what_others_left() {
    let mut guest = counter();
    for count in 1..4 {
        check(&mut guest, 1, count);
    }
}

#[test]
fn the_items_of_a_shared_component_find_what_others_left() {
    let text = r#"(component
        (core module $m (global $n (mut i32) (i32.const 0)) (func (export "f") (result i32)
          (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        (core instance $i (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
    let mut guest = shared(text, &["f"], GuestLimits::default());
    for count in 1..4 {
        assert_eq!(call(&mut guest, Input::Arguments(b"[]")), Ended::Ok(count.to_string()));
    }
}

#[test]
fn all_functions_share_the_instance() {
    let mut guest = counter();
    check(&mut guest, 1, 1);
    let mut record = CallRecord::default();
    guest.call(1, 1, Input::Arguments(b"[]"), &mut record);
    assert_eq!(super::ended(&record), Ended::Ok("2".to_owned()));
}

#[test]
fn after_a_trap_there_is_a_fresh_instance() {
    let mut guest = counter();
    check(&mut guest, 1, 1);
    assert!(matches!(call(&mut guest, Input::Number(0)), Ended::Trap(..)));
    check(&mut guest, 1, 1);
}

#[test]
fn after_an_exit_there_is_a_fresh_instance() {
    let mut guest = counter();
    check(&mut guest, 1, 1);
    assert_eq!(call(&mut guest, Input::Number(3)), Ended::Exit(1));
    check(&mut guest, 1, 1);
}

#[test]
fn after_an_item_that_does_not_fit_the_instance_is_the_same() {
    let mut guest = counter();
    check(&mut guest, 1, 1);
    assert!(matches!(call(&mut guest, Input::Number(1 << 40)), Ended::Input(_)));
    check(&mut guest, 1, 2);
}

#[test]
fn after_too_much_was_printed_there_is_a_fresh_instance() {
    let mut guest = shared(COUNTER, &["count"], GuestLimits { output: 4, ..GuestLimits::default() });
    check(&mut guest, 1, 1);
    assert!(matches!(call(&mut guest, Input::Number(2)), Ended::Output(_)));
    check(&mut guest, 1, 1);
}

#[test]
fn after_a_value_that_is_too_long_the_instance_is_the_same() {
    let mut guest = shared(COUNTER, &["count"], GuestLimits { output: 5, ..GuestLimits::default() });
    check(&mut guest, 1, 1);
    let error = "the value and what was printed take 6 bytes; the limit is 5".to_owned();
    assert_eq!(call(&mut guest, Input::Number(2)), Ended::Output(error));
    check(&mut guest, 1, 3);
}

#[test]
fn what_is_printed_belongs_to_its_item() {
    let mut guest = counter();
    let mut record = CallRecord::default();
    for printed in [true, false, true] {
        guest.call(0, 0, Input::Number(1 + i128::from(printed)), &mut record);
        assert_eq!(record.report().stdout, if printed { b"hello".as_slice() } else { b"" });
    }
}

#[test]
fn each_item_has_all_of_the_fuel() {
    let text = r#"(module (global $n (mut i32) (i32.const 0)) (func (export "f") (param i32) (result i32)
        (loop $again (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $again (local.get 0)))
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#;
    let mut guest = shared(text, &["f"], GuestLimits { fuel: Some(10_000), ..GuestLimits::default() });
    for count in 1..5 {
        check(&mut guest, 1000, count);
    }
    assert_eq!(call(&mut guest, Input::Number(100_000)), Ended::OutOfFuel);
    check(&mut guest, 1000, 1);
}

#[test]
fn what_an_item_has_grown_to_stays_and_counts() {
    let text =
        r#"(module (memory 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let mut guest = shared(text, &["f"], GuestLimits { memory: 10 << 16, ..GuestLimits::default() });
    assert_eq!(call(&mut guest, Input::Number(5)), Ended::Ok("1".to_owned()));
    assert_eq!(call(&mut guest, Input::Number(5)), Ended::Ok("-1".to_owned()));
    assert_eq!(call(&mut guest, Input::Number(4)), Ended::Ok("6".to_owned()));
}
