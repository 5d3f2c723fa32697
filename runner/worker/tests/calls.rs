use super::{Ended, STRINGS, binary, call, check, guest, load, serve};
use crate::guest::Integers;
use crate::item::Input;
use crate::wire::msg::Serve;
use crate::worker::guest::CallRecord;

const ADD: &str = r#"(module (func (export "add") (param i64 i64) (result i64)
    (i64.add (local.get 0) (local.get 1))))"#;

const COUNTER: &str = r#"(module
    (global $calls (mut i64) (i64.const 0))
    (memory 1)
    (func (export "count") (param i64) (result i64)
      (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
      (i64.store (i32.const 64) (i64.add (i64.load (i32.const 64)) (i64.const 10)))
      (i64.add (global.get $calls) (i64.load (i32.const 64)))))"#;

#[test]
fn a_module_is_called_with_the_ends_of_a_span() {
    check(&mut guest(ADD, "add"), Input::Span { start: -5, end: 12 }, "7");
}

#[test]
fn every_call_finds_globals_and_memory_as_they_were() {
    let mut guest = guest(COUNTER, "count");
    for _ in 0..3 {
        check(&mut guest, Input::Number(0), "11");
    }
}

#[test]
fn a_number_that_does_not_fit_is_the_inputs_fault() {
    let ended = call(&mut guest(ADD, "add"), Input::Span { start: 0, end: 1 << 63 });
    assert!(matches!(ended, Ended::Input(_)), "{ended:?}");
}

/// Gives back what it gets, as bits.
const SAME: &str =
    r#"(module (func (export "f") (param i32 i64) (result i32 i64) (local.get 0) (local.get 1)))"#;

#[test]
fn a_modules_integers_have_signs() {
    let ends = b"[-1,-9223372036854775808]";
    check(&mut guest(SAME, "f"), Input::Arguments(ends), "[-1,-9223372036854775808]");
}

#[test]
fn a_modules_integers_have_no_signs_when_that_is_said() {
    let unsigned = Serve { integers: Integers::Unsigned, ..serve(&["f"]) };
    let mut guest = load(&binary(SAME), &unsigned).expect("loads");
    let ends = "[4294967295,18446744073709551615]";
    check(&mut guest, Input::Arguments(ends.as_bytes()), ends);
    let refused = Ended::Input("parameter \"p0\": expected u32, found -1".to_owned());
    assert_eq!(call(&mut guest, Input::Arguments(b"[-1,0]")), refused);
}

#[test]
fn a_fold_goes_from_the_left() {
    let subtract = r#"(module (func (export "f") (param i64 i64) (result i64)
        (i64.sub (local.get 0) (local.get 1))))"#;
    check(&mut guest(subtract, "f"), Input::Fold(b"[100, 20, 3]"), "77");
}

#[test]
fn a_fold_of_one_value_is_that_value() {
    check(&mut guest(ADD, "add"), Input::Fold(b"[5]"), "5");
}

#[test]
fn a_function_without_a_result_returns_null() {
    check(&mut guest(r#"(module (func (export "f") (param i32)))"#, "f"), Input::Number(1), "null");
}

#[test]
fn several_results_are_an_array() {
    let both = r#"(module (func (export "f") (param f64) (result i32 f64) (i32.const -1) (local.get 0)))"#;
    check(&mut guest(both, "f"), Input::Arguments(b"[1.5]"), "[-1,1.5]");
}

#[test]
fn a_reactor_is_initialized_once_in_every_instance() {
    let reactor = r#"(module
        (global $n (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 1))))
        (func (export "f") (result i32) (global.get $n)))"#;
    let mut guest = guest(reactor, "f");
    check(&mut guest, Input::Arguments(b"[]"), "1");
    check(&mut guest, Input::Arguments(b"[]"), "1");
}

#[test]
fn a_module_with_start_is_called_without_running_it() {
    let program =
        r#"(module (func (export "_start") unreachable) (func (export "f") (result i32) (i32.const 4)))"#;
    check(&mut guest(program, "f"), Input::Arguments(b"[]"), "4");
}

#[test]
fn an_export_with_an_empty_name_is_called() {
    check(
        &mut guest(r#"(module (func (export "") (result i32) (i32.const 9)))"#, ""),
        Input::Arguments(b"[]"),
        "9",
    );
}

#[test]
fn a_component_takes_and_returns_strings() {
    let mut guest = guest(STRINGS, "test:text/texts@1.0.0#echo");
    check(&mut guest, Input::Text("grüße\n".as_bytes()), r#""grüße\n""#);
}

#[test]
fn a_components_merge_folds_in_one_instance() {
    let mut guest = guest(STRINGS, "test:text/texts@1.0.0#merge-echo");
    check(&mut guest, Input::Fold(br#"["a","bc","","d"]"#), r#""abcd""#);
}

#[test]
fn text_that_is_no_utf8_is_the_inputs_fault() {
    let ended = call(&mut guest(STRINGS, "test:text/texts@1.0.0#echo"), Input::Text(b"\xff"));
    assert!(matches!(ended, Ended::Input(_)), "{ended:?}");
}

/// Returns the very bytes.
const SAME_BYTES: &str =
    "(i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)";

/// A component whose `f` returns `value` for any bytes; that is made of their place `local.get 0` and their length
/// `local.get 1`.
fn over_bytes(result: &str, core: &str, value: &str) -> String {
    format!(
        r#"(component
          (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "f") (param i32 i32) {core} {value}))
          (core instance $i (instantiate $m))
          (func (export "f") (param "data" (list u8)) {result}
            (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#
    )
}

#[test]
fn a_function_over_bytes_may_return_anything() {
    let length = "(local.get 1)";
    let wide = "(i64.extend_i32_u (local.get 1))";
    for (result, core, value, json) in [
        ("bool", "i32", length, "true"),
        ("u8", "i32", length, "3"),
        ("s8", "i32", length, "3"),
        ("u16", "i32", length, "3"),
        ("s16", "i32", length, "3"),
        ("u32", "i32", "(i32.const -1)", "4294967295"),
        ("s32", "i32", "(i32.const -1)", "-1"),
        ("u64", "i64", "(i64.const -1)", "18446744073709551615"),
        ("s64", "i64", wide, "3"),
        ("f32", "f32", "(f32.convert_i32_u (local.get 1))", "3.0"),
        ("f64", "f64", "(f64.const nan)", "\"NaN\""),
        ("char", "i32", "(i32.load8_u (local.get 0))", "\"a\""),
        ("string", "i32", SAME_BYTES, "\"a\\u0000b\""),
        ("(list u8)", "i32", SAME_BYTES, "\"YQBi\""),
        ("(list u16)", "i32", "(i32.const 512)", "[]"),
        ("(option u8)", "i32", "(i32.const 512)", "null"),
    ] {
        let text = over_bytes(&format!("(result {result})"), &format!("(result {core})"), value);
        check(&mut guest(&text, "f"), Input::Text(b"a\0b"), json);
    }
    check(&mut guest(&over_bytes("", "", ""), "f"), Input::Text(b""), "null");
}

#[test]
fn bytes_are_the_same_whatever_form_they_come_in() {
    let mut guest = guest(&over_bytes("(result (list u8))", "(result i32)", SAME_BYTES), "f");
    let json = "\"AP8Q\"";
    check(&mut guest, Input::Text(&[0, 255, 16]), json);
    check(&mut guest, Input::File { name: b"f", content: &[0, 255, 16] }, json);
    check(&mut guest, Input::Json { line: 1, text: json.as_bytes() }, json);
    check(&mut guest, Input::Arguments(b"[[0,255,16]]"), json);
}

#[test]
fn text_that_a_function_over_bytes_returns_and_that_is_no_utf8_is_its_fault() {
    let mut guest = guest(&over_bytes("(result string)", "(result i32)", SAME_BYTES), "f");
    let short_way = call(&mut guest, Input::Text(b"a\xff"));
    assert!(matches!(short_way, Ended::Trap("component-model", _)), "{short_way:?}");
    assert_eq!(short_way, call(&mut guest, Input::Json { line: 0, text: b"[97, 255]" }));
}

#[test]
fn a_call_names_its_export_by_place() {
    let two = r#"(module (func (export "a") (result i32) (i32.const 1)) (func (export "b") (result i32) (i32.const 2)))"#;
    let mut guest = load(&binary(two), &serve(&["b", "a"])).expect("loads");
    let mut record = CallRecord::default();
    guest.call(0, 1, Input::Arguments(b"[]"), &mut record);
    assert_eq!(super::ended(&record), Ended::Ok("1".to_owned()));
}

#[test]
fn a_guest_with_more_memories_than_the_pool_has_runs_all_the_same() {
    let memories = "(memory 1)".repeat(40);
    let text = format!(r#"(module {memories} (func (export "f") (result i32) (memory.size 39)))"#);
    check(&mut guest(&text, "f"), Input::Arguments(b"[]"), "1");
}

#[test]
fn memory_grows_up_to_the_limit_and_no_further() {
    let text =
        r#"(module (memory 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let mut guest = guest(text, "f");
    check(&mut guest, Input::Number(16_383), "1");
    check(&mut guest, Input::Number(16_384), "-1");
}

#[test]
fn peak_memory_is_measured_when_asked_for() {
    let text = r#"(module (memory 2) (func (export "f") (drop (memory.grow (i32.const 3)))))"#;
    let mut serve = serve(&["f"]);
    serve.meta = true;
    let mut record = CallRecord::default();
    load(&binary(text), &serve).expect("loads").call(0, 0, Input::Arguments(b"[]"), &mut record);
    assert_eq!(record.report().peak_memory, 5 << 16);
}
