mod arguments;

use proptest::prelude::*;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Val};
use wasmtime::{Config, Engine};

use super::{Shape, fold_values, write_json};
use crate::item::Input;

fn one(shape: Shape) -> Vec<(String, Shape)> {
    vec![("p".to_owned(), shape)]
}

fn read(shape: &Shape, json: &str) -> Result<Val, String> {
    let mut vals = Vec::new();
    let row = format!("[{json}]");
    super::arguments(&one(shape.clone()), Input::Arguments(row.as_bytes()), &mut vals)?;
    Ok(vals.pop().expect("one argument for one parameter"))
}

fn written(shape: &Shape, val: &Val) -> String {
    let mut out = Vec::new();
    write_json(shape, val, &mut out).expect("a value of its shape has JSON");
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// `json` is read as `val`, and `val` is written as `json`.
#[track_caller]
fn check(shape: Shape, json: &str, val: Val) {
    assert_eq!(read(&shape, json), Ok(val.clone()));
    assert_eq!(written(&shape, &val), json);
}

#[track_caller]
fn check_refused(shape: Shape, json: &str, line: &str) {
    assert_eq!(read(&shape, json), Err(line.to_owned()));
}

fn list(element: Shape) -> Shape {
    Shape::List(Box::new(element))
}

fn option(value: Shape) -> Shape {
    Shape::Option(Box::new(value))
}

fn some(val: Val) -> Val {
    Val::Option(Some(Box::new(val)))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn fields<T: Clone>(fields: &[(&str, T)]) -> Vec<(String, T)> {
    fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect()
}

fn point() -> Shape {
    Shape::Record(fields(&[("x", Shape::S32), ("y", list(Shape::U64))]))
}

fn event() -> Shape {
    Shape::Variant(fields(&[("tick", None), ("key", Some(Shape::Char))]))
}

fn outcome(ok: Option<Shape>, err: Option<Shape>) -> Shape {
    Shape::Result { ok: ok.map(Box::new), err: err.map(Box::new) }
}

#[test]
fn the_largest_u64_is_exact() {
    check(Shape::U64, "18446744073709551615", Val::U64(u64::MAX));
}

#[test]
fn the_smallest_s64_is_exact() {
    check(Shape::S64, "-9223372036854775808", Val::S64(i64::MIN));
}

#[test]
fn an_integer_out_of_range_is_quoted_exactly() {
    check_refused(
        Shape::U64,
        "18446744073709551616",
        "parameter \"p\": expected u64, found 18446744073709551616",
    );
}

#[test]
fn a_float_is_no_integer() {
    check_refused(Shape::U32, "3.0", "parameter \"p\": expected u32, found 3.0");
}

#[test]
fn a_string_is_no_integer() {
    check_refused(Shape::U64, r#""abc""#, "parameter \"p\": expected u64, found \"abc\"");
}

#[test]
fn a_long_wrong_value_is_shortened() {
    let line = format!("parameter \"p\": expected bool, found \"{}…", "é".repeat(39));
    check_refused(Shape::Bool, &format!("\"{}\"", "é".repeat(1000)), &line);
}

#[test]
fn a_wrong_value_of_many_lines_is_named_by_its_kind() {
    check_refused(Shape::U8, "[\n1]", "parameter \"p\": expected u8, found an array");
}

#[test]
fn a_whole_float_keeps_its_point() {
    check(Shape::F64, "1.0", Val::Float64(1.0));
}

#[test]
fn an_integer_is_read_as_a_float() {
    assert_eq!(read(&Shape::F64, "7"), Ok(Val::Float64(7.0)));
}

#[test]
fn an_f32_is_written_as_short_as_an_f32_allows() {
    check(Shape::F32, "0.1", Val::Float32(0.1));
}

#[test]
fn floats_without_json_are_strings() {
    check(Shape::F64, r#""NaN""#, Val::Float64(f64::NAN));
    check(Shape::F64, r#""Infinity""#, Val::Float64(f64::INFINITY));
    check(Shape::F32, r#""-Infinity""#, Val::Float32(f32::NEG_INFINITY));
}

#[test]
fn a_number_beyond_a_float_is_refused() {
    check_refused(Shape::F32, "1e39", "parameter \"p\": expected f32, found 1e39");
}

#[test]
fn a_char_is_one_character() {
    check(Shape::Char, r#""é""#, Val::Char('é'));
    check_refused(Shape::Char, r#""ab""#, "parameter \"p\": expected char, found \"ab\"");
}

#[test]
fn control_characters_are_escaped() {
    check(Shape::String, r#""a\n\u0000\"""#, Val::String("a\n\0\"".to_owned()));
}

#[test]
fn bytes_are_base64() {
    check(Shape::Bytes, r#""AP8Q""#, Val::List(vec![Val::U8(0), Val::U8(255), Val::U8(16)]));
}

#[test]
fn no_bytes_are_an_empty_string() {
    check(Shape::Bytes, r#""""#, Val::List(Vec::new()));
}

#[test]
fn bytes_are_also_read_from_an_array() {
    assert_eq!(read(&Shape::Bytes, "[1,2]"), Ok(Val::List(vec![Val::U8(1), Val::U8(2)])));
    check_refused(Shape::Bytes, "[1,256]", "parameter \"p\"[1]: expected u8, found 256");
}

#[test]
fn a_string_that_is_no_base64_is_no_bytes() {
    check_refused(Shape::Bytes, r#""A""#, "parameter \"p\": expected base64, found \"A\"");
}

#[test]
fn fields_are_read_in_any_order_and_written_as_declared() {
    let val = Val::Record(fields(&[("x", Val::S32(-1)), ("y", Val::List(vec![Val::U64(2)]))]));
    assert_eq!(read(&point(), r#"{ "y": [2], "x": -1 }"#), Ok(val.clone()));
    check(point(), r#"{"x":-1,"y":[2]}"#, val);
}

#[test]
fn an_unknown_field_is_refused() {
    check_refused(point(), r#"{"x":1,"z":2}"#, "parameter \"p\": there is no field \"z\"");
}

#[test]
fn a_missing_field_is_refused() {
    check_refused(point(), r#"{"x":1}"#, "parameter \"p\": field \"y\" is missing");
}

#[test]
fn a_field_given_twice_is_refused() {
    check_refused(point(), r#"{"x":1,"x":1}"#, "parameter \"p\": field \"x\" is given twice");
}

#[test]
fn an_error_says_where_inside_a_value() {
    let line = "parameter \"p\"[1].y[0]: expected u64, found null";
    check_refused(list(point()), r#"[{"x":1,"y":[]},{"x":1,"y":[null]}]"#, line);
}

#[test]
fn a_tuple_has_exactly_its_elements() {
    let pair = || Shape::Tuple(vec![Shape::Bool, Shape::U8]);
    check(pair(), "[true,1]", Val::Tuple(vec![Val::Bool(true), Val::U8(1)]));
    check_refused(pair(), "[true]", "parameter \"p\": expected 2 elements, found 1");
    check_refused(pair(), "[true,1,1]", "parameter \"p\": expected 2 elements, found more");
}

#[test]
fn a_case_is_its_name() {
    check(event(), r#""tick""#, Val::Variant("tick".to_owned(), None));
}

#[test]
fn a_case_with_a_payload_is_an_object() {
    check(event(), r#"{"key":"q"}"#, Val::Variant("key".to_owned(), Some(Box::new(Val::Char('q')))));
    check_refused(event(), r#"{"key":"qq"}"#, "parameter \"p\".key: expected char, found \"qq\"");
}

#[test]
fn a_case_without_its_payload_is_refused() {
    check_refused(event(), r#""key""#, "parameter \"p\": case \"key\" needs a payload: {\"key\": …}");
}

#[test]
fn an_unknown_case_is_refused_with_those_there_are() {
    let line = "parameter \"p\": expected one of \"tick\", \"key\", found \"up\"";
    check_refused(event(), r#""up""#, line);
    check_refused(event(), r#"{"up":1}"#, line);
}

#[test]
fn a_variant_is_one_case_alone() {
    let line = "parameter \"p\": expected variant, found an object of more than one case";
    check_refused(event(), r#"{"key":"q","tick":null}"#, line);
    check_refused(event(), "{}", "parameter \"p\": expected variant, found an empty object");
}

#[test]
fn an_enum_is_a_name() {
    let colours = || Shape::Enum(names(&["red", "blue"]));
    check(colours(), r#""blue""#, Val::Enum("blue".to_owned()));
    check_refused(
        colours(),
        r#""gray""#,
        "parameter \"p\": expected one of \"red\", \"blue\", found \"gray\"",
    );
}

#[test]
fn what_a_terminal_would_obey_is_shown_escaped() {
    let refused = "parameter \"p\": expected one of \"red\", found \"\\u007f\"";
    check_refused(Shape::Enum(names(&["red"])), "\"\u{7f}\"", refused);
    check_refused(Shape::S32, "\"\u{7f}\"", "parameter \"p\": expected s32, found \"\\u007f\"");
}

#[test]
fn flags_are_an_array_of_names() {
    let modes = || Shape::Flags(names(&["read", "write"]));
    check(modes(), r#"["write"]"#, Val::Flags(names(&["write"])));
    check_refused(modes(), r#"["read","read"]"#, "parameter \"p\": flag \"read\" is given twice");
}

#[test]
fn an_option_is_null_or_the_value() {
    check(option(Shape::U8), "null", Val::Option(None));
    check(option(Shape::U8), "3", some(Val::U8(3)));
}

#[test]
fn an_option_of_an_option_keeps_its_levels_apart() {
    let nested = || option(option(Shape::U8));
    check(nested(), "null", Val::Option(None));
    check(nested(), r#"{"some":null}"#, some(Val::Option(None)));
    check(nested(), r#"{"some":3}"#, some(some(Val::U8(3))));
    check_refused(nested(), "3", "parameter \"p\": expected option<option<u8>>, found 3");
}

#[test]
fn a_result_is_ok_or_err() {
    let parsed = || outcome(Some(Shape::U8), Some(Shape::String));
    check(parsed(), r#"{"ok":1}"#, Val::Result(Ok(Some(Box::new(Val::U8(1))))));
    check(parsed(), r#"{"err":"no"}"#, Val::Result(Err(Some(Box::new(Val::String("no".to_owned()))))));
}

#[test]
fn a_result_without_a_value_is_null_inside() {
    check(outcome(None, None), r#"{"ok":null}"#, Val::Result(Ok(None)));
    check_refused(outcome(None, None), r#"{"ok":1}"#, "parameter \"p\".ok: expected null, found 1");
}

#[test]
fn a_value_of_another_shape_is_not_written() {
    let line = "expected u8, found a value of another type".to_owned();
    assert_eq!(write_json(&Shape::U8, &Val::U16(1), &mut Vec::new()), Err(line));
}

/// The shape of the one parameter of the function `f` of a component with this type section.
fn shape_of(types: &str, param: &str) -> Result<Shape, String> {
    let text = format!(
        r#"(component
            {types}
            (import "f" (func (param "p" {param}))))"#
    );
    let mut config = Config::new();
    config.wasm_component_model(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let ty = component.component_type();
    let Some(ComponentItem::ComponentFunc(function)) = ty.get_import(&engine, "f").map(|import| import.ty)
    else {
        panic!("`f` is a function")
    };
    Shape::new(&function.params().next().unwrap().1)
}

#[track_caller]
fn check_shape(types: &str, param: &str, shape: Shape) {
    assert_eq!(shape_of(types, param), Ok(shape));
}

#[test]
fn the_runtimes_types_become_shapes() {
    check_shape("", "(list u8)", Shape::Bytes);
    check_shape("", "(list (list u8))", list(Shape::Bytes));
    check_shape("", "(tuple f32 char)", Shape::Tuple(vec![Shape::F32, Shape::Char]));
    check_shape("", "(option (option string))", option(option(Shape::String)));
    check_shape("", "(result (error u8))", outcome(None, Some(Shape::U8)));
}

#[test]
fn the_runtimes_named_types_become_shapes() {
    let named = |ty: &str| format!(r#"(type $t' {ty}) (import "t" (type $t (eq $t')))"#);
    check_shape(&named(r#"(record (field "x" s32) (field "y" (list u64)))"#), "$t", point());
    check_shape(&named(r#"(variant (case "tick") (case "key" char))"#), "$t", event());
    check_shape(&named(r#"(enum "red" "blue")"#), "$t", Shape::Enum(names(&["red", "blue"])));
    check_shape(&named(r#"(flags "read")"#), "$t", Shape::Flags(names(&["read"])));
}

#[test]
fn a_handle_has_no_shape() {
    let refused = shape_of(r#"(import "r" (type $r (sub resource)))"#, "(list (own $r))");
    assert_eq!(refused, Err("handles to resources cannot be passed as JSON".to_owned()));
}

#[test]
fn a_value_of_the_deepest_type_the_runtime_takes_can_be_read() {
    let types: String = (1..=98).map(|at| format!("(type $t{at} (list $t{}))", at - 1)).collect();
    let deepest = shape_of(&format!("(type $t0 (list string)){types}"), "$t98").unwrap();
    let json = format!("{}\"in\"{}", "[".repeat(99), "]".repeat(99));
    assert_eq!(read(&deepest, &json).map(|val| written(&deepest, &val)), Ok(json));
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,5}"
}

fn distinct_names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set(name(), 1..5).prop_map(|names| names.into_iter().collect())
}

fn named(shape: impl Strategy<Value = Shape>) -> impl Strategy<Value = Vec<(String, Shape)>> {
    (distinct_names(), proptest::collection::vec(shape, 5))
        .prop_map(|(names, shapes)| names.into_iter().zip(shapes).collect())
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![
            Shape::Bool,
            Shape::S8,
            Shape::U8,
            Shape::S16,
            Shape::U16,
            Shape::S32,
            Shape::U32,
            Shape::S64,
            Shape::U64,
            Shape::F32,
            Shape::F64,
            Shape::Char,
            Shape::String,
            Shape::Bytes,
        ]),
        distinct_names().prop_map(Shape::Enum),
        distinct_names().prop_map(Shape::Flags),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let maybe = || proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_filter("bytes are a shape of their own", |s| *s != Shape::U8).prop_map(list),
            inner.clone().prop_map(option),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            named(inner.clone()).prop_map(Shape::Record),
            (named(inner.clone()), any::<u8>()).prop_map(|(cases, with)| {
                let bare = |(at, (name, shape))| (name, (with >> at & 1 == 1).then_some(shape));
                Shape::Variant(cases.into_iter().enumerate().map(bare).collect())
            }),
            (maybe(), maybe()).prop_map(|(ok, err)| outcome(ok, err)),
        ]
    })
}

fn payload(shape: Option<&Shape>) -> BoxedStrategy<Option<Box<Val>>> {
    match shape {
        Some(shape) => any_val(shape).prop_map(|val| Some(Box::new(val))).boxed(),
        None => Just(None).boxed(),
    }
}

fn any_val(shape: &Shape) -> BoxedStrategy<Val> {
    use proptest::collection::vec;
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Shape::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Shape::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Shape::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Shape::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Shape::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Shape::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Shape::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Shape::F32 => any::<u32>().prop_map(|bits| Val::Float32(f32::from_bits(bits))).boxed(),
        Shape::F64 => any::<u64>().prop_map(|bits| Val::Float64(f64::from_bits(bits))).boxed(),
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => vec(any::<u8>().prop_map(Val::U8), 0..2000).prop_map(Val::List).boxed(),
        Shape::List(element) => vec(any_val(element), 0..4).prop_map(Val::List).boxed(),
        Shape::Tuple(shapes) => shapes.iter().map(any_val).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Shape::Record(fields) => {
            let vals = fields.iter().map(|(name, shape)| (Just(name.clone()), any_val(shape)));
            vals.collect::<Vec<_>>().prop_map(Val::Record).boxed()
        }
        Shape::Variant(cases) => proptest::sample::select(cases.clone())
            .prop_flat_map(|(name, shape)| {
                payload(shape.as_ref()).prop_map(move |val| Val::Variant(name.clone(), val))
            })
            .boxed(),
        Shape::Enum(names) => proptest::sample::select(names.clone()).prop_map(Val::Enum).boxed(),
        Shape::Flags(names) => {
            proptest::sample::subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed()
        }
        Shape::Option(value) => prop_oneof![Just(Val::Option(None)), any_val(value).prop_map(some)].boxed(),
        Shape::Result { ok, err } => prop_oneof![
            payload(ok.as_deref()).prop_map(|val| Val::Result(Ok(val))),
            payload(err.as_deref()).prop_map(|val| Val::Result(Err(val))),
        ]
        .boxed(),
    }
}

proptest! {
    #[test]
    fn every_value_survives_being_written_and_read(
        (shape, val) in any_shape().prop_flat_map(|shape| {
            let val = any_val(&shape);
            (Just(shape), val)
        })
    ) {
        let json = written(&shape, &val);
        prop_assert!(json.bytes().all(|byte| byte >= 0x20), "{}", json);
        prop_assert_eq!(read(&shape, &json), Ok(val), "{}", json);
    }

    #[test]
    fn no_bytes_make_reading_panic(shape in any_shape(), json in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut vals = Vec::new();
        let _refused = super::arguments(&one(shape), Input::Arguments(&json), &mut vals);
    }

    #[test]
    fn a_value_of_one_shape_read_as_another_is_refused_in_one_line(
        val in any_shape().prop_flat_map(|shape| any_val(&shape).prop_map(move |val| written(&shape, &val))),
        other in any_shape(),
    ) {
        if let Err(line) = read(&other, &val) {
            prop_assert!(line.starts_with("parameter \"p\""), "{}", line);
            prop_assert!(!line.contains(char::is_control), "{}", line);
        }
    }
}
