//! Typed values on their whole way: JSON, the worker, the guest's memory and back. What a function that echoes gets as
//! canonical JSON comes out of it byte for byte.
//!
//! The pool is driven as a program that uses the library drives it, with the command as the worker.

mod any;
mod passed;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use wasmpool::chunk::Inputs;

use self::any::{array, bytes, float32, float64, integer, json, nullable, one_of, record, tagged, tuple};
use self::passed::{Passed, item, jsonl, run};
use crate::harness::is_soak;

/// Gives many of `values` to a function of `hostile.wasm`. `pair` says of each which JSON the function gets, and which
/// has to come out.
#[track_caller]
fn check_all<T: std::fmt::Debug>(
    function: &str,
    values: impl Strategy<Value = T>,
    pair: impl Fn(&T) -> (String, String),
) {
    let count = if is_soak() { 20_000 } else { 300 };
    // The same values in every run: what fails once can be run again.
    let mut runner = TestRunner::deterministic();
    let mut next = || values.new_tree(&mut runner).expect("every value is a good one").current();
    let (inputs, expected): (Vec<_>, Vec<_>) = (0..count).map(|_| pair(&next())).unzip();
    let passed = run("hostile.wasm", &format!("wasmpool:tests/echo#{function}"), jsonl(1, &inputs));
    for ((input, expected), passed) in inputs.iter().zip(expected).zip(passed) {
        assert_eq!(passed, Passed::Ok(expected), "{input}");
    }
}

/// What a function of one parameter gets comes out of it byte for byte.
#[track_caller]
fn check_echo(function: &str, values: impl Strategy<Value = String>) {
    check_all(function, values, |value| (value.clone(), value.clone()));
}

#[test]
fn booleans_come_back() {
    check_echo("echo-bool", any::<bool>().prop_map(json));
}

#[test]
fn integers_of_8_bits_come_back() {
    check_echo("echo-u8", integer(u8::MIN, u8::MAX));
    check_echo("echo-s8", integer(i8::MIN, i8::MAX));
}

#[test]
fn integers_of_16_bits_come_back() {
    check_echo("echo-u16", integer(u16::MIN, u16::MAX));
    check_echo("echo-s16", integer(i16::MIN, i16::MAX));
}

#[test]
fn integers_of_32_bits_come_back() {
    check_echo("echo-u32", integer(u32::MIN, u32::MAX));
    check_echo("echo-s32", integer(i32::MIN, i32::MAX));
}

#[test]
fn integers_of_64_bits_come_back() {
    check_echo("echo-u64", integer(u64::MIN, u64::MAX));
    check_echo("echo-s64", integer(i64::MIN, i64::MAX));
}

#[test]
fn floats_of_32_bits_come_back() {
    check_echo("echo-f32", float32());
}

#[test]
fn floats_of_64_bits_come_back() {
    check_echo("echo-f64", float64());
}

#[test]
fn characters_come_back() {
    check_echo("echo-char", any::<char>().prop_map(json));
}

#[test]
fn strings_come_back() {
    check_echo("echo-string", any::<String>().prop_map(json));
}

#[test]
fn bytes_come_back() {
    check_echo("echo-bytes", bytes());
}

#[test]
fn lists_of_strings_come_back() {
    check_echo("echo-list", array(any::<String>().prop_map(json)));
}

#[test]
fn lists_of_records_come_back() {
    check_echo("echo-records", array(point()));
}

#[test]
fn lists_of_lists_come_back() {
    check_echo("echo-nested", array(array(integer(u32::MIN, u32::MAX))));
}

#[test]
fn tuples_come_back() {
    check_echo("echo-tuple", tuple([integer(u64::MIN, u64::MAX), any::<String>().prop_map(json).boxed()]));
}

#[test]
fn records_come_back() {
    check_echo("echo-record", shape());
}

#[test]
fn variants_come_back() {
    let pair = tuple([integer(u8::MIN, u8::MAX), any::<String>().prop_map(json).boxed()]);
    let figures = prop_oneof![
        Just(json("nothing")),
        tagged("circle", float64()),
        tagged("polygon", array(point())),
        tagged("detailed", shape()),
        tagged("pair", pair),
        tagged("maybe", nullable(integer(u64::MIN, u64::MAX))),
    ];
    check_echo("echo-variant", figures);
}

#[test]
fn enums_come_back() {
    check_echo("echo-enum", colour());
}

#[test]
fn flags_come_back_in_declared_order() {
    let names = [
        "read",
        "write",
        "append",
        "create",
        "truncate",
        "exclusive",
        "non-blocking",
        "direct",
        "close-on-exec",
    ];
    check_echo("echo-flags", proptest::sample::subsequence(names.to_vec(), 0..=names.len()).prop_map(json));
}

#[test]
fn options_come_back() {
    check_echo("echo-option", nullable(integer(u64::MIN, u64::MAX)));
}

#[test]
fn options_of_options_come_back() {
    let inner = nullable(integer(u64::MIN, u64::MAX));
    check_echo("echo-nested-option", nullable(tagged("some", inner)));
}

#[test]
fn results_come_back() {
    let number = || integer(u64::MIN, u64::MAX);
    let text = || any::<String>().prop_map(json).boxed();
    let nothing = || Just("null".to_owned()).boxed();
    let result = |ok, err| prop_oneof![tagged("ok", ok), tagged("err", err)];
    check_echo("echo-result", result(number(), text()));
    check_echo("echo-result-ok", result(number(), nothing()));
    check_echo("echo-result-err", result(nothing(), text()));
    check_echo("echo-result-neither", result(nothing(), nothing()));
}

/// The arguments of `echo-several`.
fn several() -> impl Strategy<Value = Vec<String>> {
    vec![
        integer(u64::MIN, u64::MAX),
        any::<String>().prop_map(json).boxed(),
        nullable(point()),
        array(colour()),
    ]
}

#[test]
fn several_arguments_in_an_array_come_back() {
    check_all("echo-several", several(), |arguments| {
        let array = format!("[{}]", arguments.join(","));
        (array.clone(), array)
    });
}

#[test]
fn several_arguments_by_name_come_back_in_the_functions_order() {
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    check_all("echo-several", (several(), order), |(arguments, order)| {
        let names = ["count", "name", "place", "colours"];
        let members: Vec<_> =
            order.iter().map(|&at| format!("\"{}\" : {}", names[at], arguments[at])).collect();
        (format!("{{{}}}", members.join(", ")), format!("[{}]", arguments.join(",")))
    });
}

fn point() -> BoxedStrategy<String> {
    record([("x", float64()), ("y", float64())])
}

fn colour() -> BoxedStrategy<String> {
    one_of(["red", "green", "dark-blue"])
}

fn shape() -> BoxedStrategy<String> {
    record([
        ("name", any::<String>().prop_map(json).boxed()),
        ("corners", array(point())),
        ("area", nullable(float64())),
        ("closed", any::<bool>().prop_map(json).boxed()),
    ])
}

/// What becomes of one input of a function of a guest.
#[track_caller]
fn check(guest: &str, function: &str, input: Inputs, expected: &str) {
    assert_eq!(item(guest, function, input), Passed::Ok(expected.to_owned()));
}

/// The same of one JSON text.
#[track_caller]
fn check_json(function: &str, text: &str, expected: &str) {
    check("tour.wasm", &format!("wasmpool:guests/tour#{function}"), jsonl(0, &[text]), expected);
}

#[test]
fn the_functions_of_the_tour_take_what_they_say() {
    check_json("square-item", r#"{"id":3,"value":3}"#, r#"{"id":3,"result":9}"#);
    check_json("add", "[2,-5]", "-3");
    check_json("power", r#"{"exp":3,"base":-2}"#, "-8");
    check_json("sum", r#"{"start":1,"end":5}"#, "10");
    check_json("merge-sum", "[10,5]", "15");
    check_json("sum-bytes", r#""AP8B""#, "256");
    check_json("divide", "[7,-2]", r#"{"ok":-3}"#);
}

#[test]
fn an_error_that_a_function_returns_is_its_value() {
    check_json("divide", "[7,0]", r#"{"err":"division by zero"}"#);
    let function = "wasmpool:tests/echo#may-fail";
    check("hostile.wasm", function, jsonl(1, &["3"]), r#"{"err":"3 is odd"}"#);
}

#[test]
fn a_file_of_any_bytes_is_a_list_of_them() {
    let contents = [[0, 0xff, b'\n', 0x80].as_slice()].into_iter().collect();
    let names = [b"f".as_slice()].into_iter().collect();
    let input = Inputs::Files { names, contents };
    check("hostile.wasm", "wasmpool:tests/echo#measure-bytes", input, "[4,393]");
}

#[test]
fn a_line_of_any_bytes_is_a_list_of_them() {
    let input = Inputs::Texts([[0xff, 0].as_slice()].into_iter().collect());
    check("hostile.wasm", "wasmpool:tests/echo#echo-bytes", input, "\"/wA=\"");
}

/// What becomes of texts that stand on the lines from 11 on and go to a function of `tour.wasm`.
#[track_caller]
fn check_lines(function: &str, texts: &[&str], expected: &[Passed]) {
    assert_eq!(run("tour.wasm", &format!("wasmpool:guests/tour#{function}"), jsonl(11, texts)), expected);
}

fn ok(json: impl Serialize) -> Passed {
    Passed::Ok(any::json(json))
}

fn input(error: &str) -> Passed {
    Passed::Input(error.to_owned())
}

#[test]
fn i12_an_argument_of_another_type_fails_alone_and_is_named() {
    let refused = input("item 1, parameter \"end\": expected u64, found \"abc\"");
    check_lines("sum", &["[1,3]", r#"[1,"abc"]"#, "[1,4]"], &[ok(3), refused, ok(6)]);
}

#[test]
fn i1_a_line_that_is_no_json_fails_alone_with_its_line_and_byte() {
    let refused = input("item 1, line 12, byte 4: no valid JSON: expected value");
    check_lines("sum", &["[1,3]", "[1,x]", "[1,4]"], &[ok(3), refused, ok(6)]);
}

#[test]
fn i9_a_million_levels_fail_alone() {
    let deep = format!("{{\"start\":1,\"end\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let refused = input("item 1, parameter \"end\": expected u64, found an array");
    check_lines("sum", &["[1,3]", &deep, "[1,4]"], &[ok(3), refused, ok(6)]);
}
