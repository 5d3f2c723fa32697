use super::{Ended, binary, call, guest, load, serve};
use crate::item::Input;
use crate::wire::msg::Serve;
use crate::worker::guest::CallRecord;

/// The kind of trap that a function body ends in.
#[track_caller]
fn check(body: &str, kind: &str) {
    let text = format!(
        r#"(module
            (type $nothing (func))
            (memory 1)
            (table $t 2 funcref)
            (elem (table $t) (i32.const 1) func $takes_one)
            (tag $tag)
            (func $takes_one (param i32))
            (func $recurse (call $recurse))
            (func (export "f") {body}))"#
    );
    let mut record = CallRecord::default();
    let serve = Serve { meta: true, ..serve(&["f"]) };
    load(&binary(&text), &serve).expect("loads").call(0, 0, Input::Arguments(b"[]"), &mut record);
    match super::ended(&record) {
        Ended::Trap(found, _) => assert_eq!(found, kind),
        other => panic!("expected a trap, got {other:?}"),
    }
    let report = record.report();
    assert!(report.backtrace.lines().any(|frame| frame.contains(" guest!")), "{:?}", report.backtrace);
}

#[test]
fn g18_unreachable_is_told() {
    check("unreachable", "unreachable");
}

#[test]
fn g18_a_division_by_zero_is_told() {
    check("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "integer-divide-by-zero");
}

#[test]
fn g18_an_overflowing_division_is_told() {
    check("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer-overflow");
}

#[test]
fn g18_a_conversion_without_a_result_is_told() {
    check("(drop (i32.trunc_f32_s (f32.const nan)))", "bad-conversion-to-integer");
}

#[test]
fn g18_an_access_outside_memory_is_told() {
    check("(drop (i32.load (i32.const 65536)))", "memory-out-of-bounds");
}

#[test]
fn g18_an_access_outside_a_table_is_told() {
    check("(drop (table.get $t (i32.const 2)))", "table-out-of-bounds");
}

#[test]
fn g18_a_call_through_an_empty_slot_is_told() {
    check("(call_indirect $t (type $nothing) (i32.const 0))", "indirect-call-to-null");
}

#[test]
fn g18_a_call_with_another_signature_is_told() {
    check("(call_indirect $t (type $nothing) (i32.const 1))", "bad-signature");
}

#[test]
fn g6_a_used_up_stack_is_told() {
    check("(call $recurse)", "stack-overflow");
}

#[test]
fn g18_a_null_reference_is_told() {
    check("(drop (ref.as_non_null (ref.null func)))", "null-reference");
}

/// An element that was never set is a null reference, whichever instruction uses it.
#[test]
fn g18_an_element_that_was_never_set_is_told() {
    check("(drop (ref.as_non_null (table.get $t (i32.const 0))))", "null-reference");
    check("(return_call_indirect $t (type $nothing) (i32.const 0))", "indirect-call-to-null");
}

/// Casts that can fail belong to the proposal `gc`, which is off.
#[test]
fn g18_a_call_of_a_null_reference_is_told() {
    check("(call_ref $nothing (ref.null $nothing))", "null-reference");
}

/// Twenty of the frames would fill the stack by themselves.
#[test]
fn g8_frames_of_many_locals_use_up_the_stack_and_nothing_else() {
    let locals = "(local i64)".repeat(40_000);
    let used = (0..40_000).step_by(1000).map(|local| format!("(local.set {local} (local.get 0))"));
    let used: String = used.collect();
    let text = format!(
        r#"(module (func $f (param i64) (result i64) {locals} {used}
            (i64.add (local.get 3000) (call $f (i64.add (local.get 0) (i64.const 1)))))
          (func (export "f") (result i64) (call $f (i64.const 1))))"#
    );
    let mut guest = guest(&text, "f");
    for _ in 0..3 {
        let ended = call(&mut guest, Input::Arguments(b"[]"));
        assert!(matches!(ended, Ended::Trap("stack-overflow", _)), "{ended:?}");
    }
}

#[test]
fn an_uncaught_exception_is_told() {
    check("(throw $tag)", "uncaught-exception");
}

#[test]
fn a_value_that_breaks_the_component_model_is_told() {
    let text = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0x110000)))
        (core instance $i (instantiate $m))
        (func (export "f") (result char) (canon lift (core func $i "f"))))"#;
    let ended = call(&mut guest(text, "f"), Input::Arguments(b"[]"));
    assert!(matches!(ended, Ended::Trap("component-model", _)), "{ended:?}");
}

#[test]
fn a_trap_in_a_start_function_ends_the_item() {
    let text = r#"(module (func $s unreachable) (start $s) (func (export "f")))"#;
    let ended = call(&mut guest(text, "f"), Input::Arguments(b"[]"));
    assert!(matches!(ended, Ended::Trap("unreachable", _)), "{ended:?}");
}

#[test]
fn a_guest_goes_on_after_a_trap() {
    let text =
        r#"(module (func (export "f") (param i32) (result i32) (i32.div_s (i32.const 6) (local.get 0))))"#;
    let mut guest = guest(text, "f");
    assert!(matches!(call(&mut guest, Input::Number(0)), Ended::Trap(..)));
    assert_eq!(call(&mut guest, Input::Number(3)), Ended::Ok("2".to_owned()));
}

#[test]
fn a_traps_text_has_neither_address_nor_backtrace_even_when_both_are_known() {
    let text = r#"(module (memory 1) (func (export "f") (drop (i32.load (i32.const 65536)))))"#;
    let mut serve = serve(&["f"]);
    serve.meta = true;
    let mut record = CallRecord::default();
    load(&binary(text), &serve).expect("loads").call(0, 0, Input::Arguments(b"[]"), &mut record);
    let expected = Ended::Trap("memory-out-of-bounds", "wasm trap: out of bounds memory access".to_owned());
    assert_eq!(super::ended(&record), expected);
}

#[test]
fn a_backtrace_names_the_frames_innermost_first() {
    let text = r#"(module $calc (func $inner unreachable) (func $outer (export "f") (call $inner)))"#;
    let mut serve = serve(&["f"]);
    serve.meta = true;
    let mut record = CallRecord::default();
    load(&binary(text), &serve).expect("loads").call(0, 0, Input::Arguments(b"[]"), &mut record);
    let report = record.report();
    let names = report.backtrace.lines().map(|line| line.split_once(' ').expect("an offset").1);
    assert_eq!(names.collect::<Vec<_>>(), ["calc!inner", "calc!outer"]);
}

#[test]
fn without_meta_there_is_no_backtrace() {
    let mut record = CallRecord::default();
    guest(r#"(module (func (export "f") unreachable))"#, "f").call(
        0,
        0,
        Input::Arguments(b"[]"),
        &mut record,
    );
    assert_eq!(record.report().backtrace, "");
}
