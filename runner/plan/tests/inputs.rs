//! What each kind of input is for: which function it chooses, whether values are merged, what its items are.

use super::*;
use crate::source::NameEnd;

fn blocks() -> InputKind {
    InputKind::Blocks { path: PathBuf::from("/dev/null"), size: NonZero::new(1 << 20).unwrap() }
}

fn files() -> InputKind {
    InputKind::Files { paths: vec![PathBuf::from("/dev/null")], ends: NameEnd::Line }
}

fn jsonl() -> InputKind {
    InputKind::Jsonl(PathBuf::from("/dev/null"))
}

/// A guest like `text.wasm`: one function for many texts, one for pieces of one.
fn mergeable_text() -> Description {
    use ValueType::{String, U64};
    guest(vec![
        export(None, "analyze", &[("text", String)], U64),
        export(None, "tally", &[("text", String)], U64),
        export(None, "merge-tally", &[("a", U64), ("b", U64)], U64),
    ])
}

#[test]
fn pieces_of_one_thing_are_for_the_function_whose_values_can_be_merged() {
    let bound = plan(None, blocks()).bind(&mergeable_text()).unwrap();
    assert_eq!(bound.serve.exports, ["tally", "merge-tally"]);
}

#[test]
fn many_things_are_for_the_function_whose_values_are_not_merged() {
    for input in [lines(), files()] {
        let bound = plan(None, input).bind(&mergeable_text()).unwrap();
        assert_eq!(bound.serve.exports, ["analyze"]);
    }
}

#[test]
fn how_values_are_printed_chooses_no_function_but_where_nothing_else_would_do() {
    let merged = Plan { merging: Merging::Always, ..plan(None, lines()) };
    assert_eq!(merged.bind(&mergeable_text()).unwrap().serve.exports, ["tally", "merge-tally"]);
    let each = Plan { merging: Merging::Never, ..plan(None, blocks()) };
    assert_eq!(each.bind(&mergeable_text()).unwrap().serve.exports, ["tally"]);
}

#[test]
fn functions_of_a_range_are_told_apart_by_name_even_if_only_one_is_merged() {
    use ValueType::U64;
    let two = [("start", U64), ("end", U64)];
    let guest = guest(vec![
        export(None, "sum", &two, U64),
        export(None, "merge-sum", &[("a", U64), ("b", U64)], U64),
        export(None, "wipe", &two, U64),
    ]);
    for merging in [Merging::Auto, Merging::Never] {
        let error = Plan { merging, ..plan(None, range(0, 9)) }.bind(&guest).unwrap_err();
        assert_eq!(error.to_string(), "several functions of `g.wasm` take `--range`");
    }
    let merged = Plan { merging: Merging::Always, ..plan(None, range(0, 9)) };
    assert_eq!(merged.bind(&guest).unwrap().export.function, "sum");
}

#[test]
fn a_merge_that_is_asked_for_and_not_there_is_refused() {
    let merged = Plan { merging: Merging::Always, ..plan(Some("analyze"), lines()) };
    let error = merged.bind(&mergeable_text()).unwrap_err();
    assert_eq!(error.exit_code().code(), 3);
    assert_eq!(error.to_string(), "`g.wasm` has nothing that merges the values of `analyze`");
    assert_eq!(
        error.hint().unwrap(),
        "`--merge` needs `merge-analyze(a: u64, b: u64) -> u64` beside `analyze`"
    );
}

#[test]
fn texts_may_be_taken_as_bytes() {
    let bytes = ValueType::List(Box::new(ValueType::U8));
    let guest = guest(vec![export(None, "f", &[("data", bytes)], ValueType::Bool)]);
    for input in [lines(), blocks(), files()] {
        check_chooses(&guest, None, input, "f");
    }
}

#[test]
fn json_is_for_a_function_of_any_values() {
    check_chooses(&primes(), Some("count-primes"), jsonl(), "count-primes");
    let variant = ValueType::Variant(vec![("a".to_owned(), Some(ValueType::U8)), ("b".to_owned(), None)]);
    let both = ValueType::Result { ok: Some(Box::new(variant)), err: None };
    check_chooses(&guest(vec![export(None, "f", &[("x", both)], ValueType::Bool)]), None, jsonl(), "f");
}

#[track_caller]
fn check_items(params: &[(&str, ValueType)], texts: &[&str], expected: &[&str]) {
    let guest = guest(vec![export(None, "f", params, ValueType::Bool)]);
    let bound = plan(None, items(texts)).bind(&guest).expect("the items fit");
    let inputs = bound.inputs.expect("items are shown");
    let found: Vec<_> = (0..inputs.count()).filter_map(|position| inputs.input(position)).collect();
    let expected: Vec<_> =
        expected.iter().map(|json| Input::Json { line: 0, text: json.as_bytes() }).collect();
    assert_eq!(found, expected);
}

#[test]
fn items_are_the_json_of_what_to_call_with() {
    use ValueType::{String, U64};
    check_items(&[("n", U64)], &["1", "2"], &["1", "2"]);
    check_items(&[("a", U64), ("b", U64)], &["[1,\r\n\t2]"], &["[1,   2]"]);
    check_items(&[("a", U64), ("b", U64)], &["[1,2]", r#"{"b":1,"a":2}"#], &["[1,2]", r#"{"b":1,"a":2}"#]);
    check_items(&[("text", String)], &["--bare", "\"json\""], &["\"--bare\"", "\"json\""]);
}

#[test]
fn an_item_that_is_no_json_is_refused_before_anything_runs() {
    check_refused(
        &primes(),
        Some("count-primes"),
        items(&["[1,2]", "one"]),
        (
            2,
            "`one` is no JSON for `count-primes(start: u64, end: u64) -> u64`",
            "write an array '[start, end]', or an object with these members",
        ),
    );
    check_refused(
        &primes(),
        Some("count-divisors"),
        items(&["many"]),
        (2, "`many` is no JSON value for `n: u64`", "write a number"),
    );
}

fn module_of(value: &ValueType) -> Description {
    let exports = vec![export(None, "f", &[("p0", value.clone()), ("p1", value.clone())], value.clone())];
    Description { kind: GuestKind::Module, exports, imports: Vec::new(), initial_memory: 0 }
}

#[test]
fn the_integers_of_a_plain_module_may_be_read_without_a_sign() {
    let plan = |integers| Plan { integers, ..plan(None, range(0, i128::from(u64::MAX))) };
    let module = module_of(&ValueType::S64);
    assert_eq!(plan(Integers::Signed).bind(&module).unwrap_err().exit_code().code(), 3);
    let bound = plan(Integers::Unsigned).bind(&module).unwrap();
    assert_eq!(bound.export.to_string(), "f(p0: u64, p1: u64) -> u64");
    assert_eq!(bound.serve.integers, Integers::Unsigned);
}

#[test]
fn the_integers_of_a_component_have_their_own_signs() {
    let unsigned = Plan { integers: Integers::Unsigned, ..plan(Some("count-divisors"), range(0, 9)) };
    let error = unsigned.bind(&primes()).unwrap_err();
    assert_eq!(error.exit_code().code(), 2);
    assert_eq!(error.to_string(), "`--unsigned` does not go with `g.wasm`: it is a component");
}
