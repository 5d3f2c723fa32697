use serde_json::value::RawValue;

use super::*;
use crate::wit_type;

wit_type! {
    /// What a text is made of.
    #[derive(Clone, Debug, PartialEq)]
    struct Analysis {
        word_count: u64,
        r#type: Option<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Color {
        Red,
        DarkBlue,
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Shape {
        Nothing,
        Circle(f64),
        Polygon(Vec<(f64, f64)>),
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[track_caller]
fn check<T: WitType + PartialEq + fmt::Debug>(value: T, wit: &str, json: &str) {
    let mut out = Vec::new();
    value.write_json(&mut out);
    assert_eq!((T::wit_type().to_string().as_str(), str::from_utf8(&out).unwrap()), (wit, json));
    assert_eq!(T::read_json(&raw(json)), Ok(value));
}

#[track_caller]
fn check_refused<T: WitType + fmt::Debug>(json: &str, error: &str) {
    assert_eq!(T::read_json(&raw(json)).unwrap_err().to_string(), error);
}

#[test]
fn values_are_written_and_read_as_records_have_them() {
    check(true, "bool", "true");
    check(u64::MAX, "u64", "18446744073709551615");
    check(-128_i8, "s8", "-128");
    check('é', "char", "\"é\"");
    check("a\"b".to_owned(), "string", "\"a\\\"b\"");
    check(vec![1_u32, 2], "list<u32>", "[1,2]");
    check(vec![0_u8, 255], "list<u8>", "\"AP8=\"");
    check((1_u8, "x".to_owned()), "tuple<u8, string>", "[1,\"x\"]");
    check(f64::NEG_INFINITY, "f64", "\"-Infinity\"");
    check(0.1_f32, "f32", "0.1");
    assert!(f64::read_json(&raw("\"NaN\"")).unwrap().is_nan());
}

#[test]
fn an_option_in_an_option_keeps_what_it_is() {
    check(None::<u8>, "option<u8>", "null");
    check(Some(3_u8), "option<u8>", "3");
    check(Some(None::<u8>), "option<option<u8>>", "{\"some\":null}");
    check(None::<Option<u8>>, "option<option<u8>>", "null");
}

#[test]
fn a_result_carries_what_it_declares() {
    check(Ok::<u8, String>(1), "result<u8, string>", "{\"ok\":1}");
    check(Err::<(), String>("no".to_owned()), "result<_, string>", "{\"err\":\"no\"}");
    check(Ok::<(), ()>(()), "result", "{\"ok\":null}");
}

#[test]
fn types_of_ones_own_are_records_enums_and_variants() {
    let analysis = Analysis { word_count: 9, r#type: None };
    check(analysis, "record { word-count: u64, type: option<string> }", r#"{"word-count":9,"type":null}"#);
    check(Color::DarkBlue, "enum { red, dark-blue }", "\"dark-blue\"");
    check(Color::Red, "enum { red, dark-blue }", "\"red\"");
    let shape = "variant { nothing, circle(f64), polygon(list<tuple<f64, f64>>) }";
    check(Shape::Nothing, shape, "\"nothing\"");
    check(Shape::Circle(0.5), shape, "{\"circle\":0.5}");
    check(Shape::Polygon(vec![(0.0, 1.5)]), shape, "{\"polygon\":[[0.0,1.5]]}");
}

#[test]
fn what_does_not_fit_says_where_and_what_it_is() {
    check_refused::<u8>("256", "expected u8, found 256");
    check_refused::<Vec<u16>>("[1,\"x\"]", "expected u16, found \"x\" at `[1]`");
    check_refused::<Analysis>(r#"{"word-count":-1,"type":null}"#, "expected u64, found -1 at `.word-count`");
    check_refused::<Analysis>(
        r#"{"type":null}"#,
        "expected record { word-count: u64, type: option<string> }, found {\"type\":null}",
    );
    check_refused::<Color>("\"green\"", "expected enum { red, dark-blue }, found \"green\"");
    check_refused::<(u8, u8)>("[1]", "expected tuple<u8, u8>, found [1]");
}

#[test]
fn types_are_compared_part_by_part() {
    let fit = |declared: ValueType, given: ValueType| fits(&declared, &given);
    assert!(fit(Vec::<u8>::wit_type(), Vec::<u8>::wit_type()));
    assert!(!fit(Vec::<u8>::wit_type(), Vec::<u16>::wit_type()));
    assert!(fit(Analysis::wit_type(), serde_json::Value::wit_type()));
    assert!(fit(Vec::<Analysis>::wit_type(), Vec::<serde_json::Value>::wit_type()));
    assert!(fit(Result::<u8, String>::wit_type(), Result::<u8, serde_json::Value>::wit_type()));
    assert!(!fit(Result::<u8, String>::wit_type(), Result::<(), String>::wit_type()));
    assert!(!fit(Analysis::wit_type(), Color::wit_type()));
    assert!(!fit(<(u8,)>::wit_type(), <(u8, u8)>::wit_type()));
}
