use super::*;
use crate::worker::value;

#[track_caller]
fn check_arguments(params: &[(&str, Shape)], input: Input<'_>, expected: Result<Vec<Val>, &str>) {
    let mut vals = vec![Val::Bool(true)];
    let result = value::arguments(&fields(params), input, &mut vals).map(|()| vals);
    assert_eq!(result, expected.map_err(str::to_owned));
}

#[test]
fn a_span_is_two_integers_of_the_parameters_types() {
    let params = [("start", Shape::U64), ("end", Shape::S32)];
    check_arguments(&params, Input::Span { start: 1, end: 2 }, Ok(vec![Val::U64(1), Val::S32(2)]));
}

#[test]
fn a_number_outside_the_parameters_type_is_refused() {
    check_arguments(&[("n", Shape::U64)], Input::Number(-1), Err("parameter \"n\": expected u64, found -1"));
}

#[test]
fn a_text_is_one_string() {
    check_arguments(
        &[("t", Shape::String)],
        Input::Text("hé".as_bytes()),
        Ok(vec![Val::String("hé".to_owned())]),
    );
}

#[test]
fn a_text_that_is_not_utf8_is_refused_with_the_place() {
    check_arguments(
        &[("t", Shape::String)],
        Input::Text(b"ab\xff"),
        Err("parameter \"t\": expected UTF-8, found 0xff at byte 3"),
    );
}

#[test]
fn arguments_that_are_not_utf8_are_refused_with_the_place() {
    check_arguments(
        &[("t", Shape::String)],
        Input::Arguments(b"[\"\xff\"]"),
        Err("byte 3: expected UTF-8, found 0xff"),
    );
}

#[test]
fn a_wrong_number_of_arguments_is_refused() {
    let params = [("a", Shape::U8), ("b", Shape::U8)];
    check_arguments(&params, Input::Arguments(b"[1]"), Err("expected 2 arguments, found 1"));
    check_arguments(&params, Input::Arguments(b"[1,2,3,4]"), Err("expected 2 arguments, found 4"));
    check_arguments(&params, Input::Number(1), Err("expected 2 arguments, found 1"));
}

#[test]
fn a_function_without_parameters_takes_an_empty_array() {
    check_arguments(&[], Input::Arguments(b"[]"), Ok(Vec::new()));
}

#[test]
fn text_behind_the_arguments_is_refused() {
    let line = "byte 5: no valid JSON: trailing characters";
    check_arguments(&[("a", Shape::U8)], Input::Arguments(b"[1] 2"), Err(line));
}

#[test]
fn values_to_fold_may_be_any_number() {
    assert_eq!(fold_values(&Shape::U8, b"[]"), Ok(Vec::new()));
    assert_eq!(fold_values(&Shape::U8, b"[1,2]"), Ok(vec![Val::U8(1), Val::U8(2)]));
    assert_eq!(fold_values(&Shape::U8, b"[1,-2]"), Err("value 1: expected u8, found -2".to_owned()));
}

#[test]
fn a_text_for_bytes_is_its_bytes_whatever_they_are() {
    let expected = Val::List([b'a', 0, 0xff].map(Val::U8).to_vec());
    check_arguments(&[("data", Shape::Bytes)], Input::Text(b"a\0\xff"), Ok(vec![expected.clone()]));
    let file = Input::File { name: b"f", content: b"a\0\xff" };
    check_arguments(&[("data", Shape::Bytes)], file, Ok(vec![expected]));
}

#[test]
fn a_text_is_no_character() {
    let line = "parameter \"c\": expected char, found a text";
    check_arguments(&[("c", Shape::Char)], Input::Text(b"a"), Err(line));
}

fn json(text: &str) -> Input<'_> {
    Input::Json { line: 0, text: text.as_bytes() }
}

/// The line for a text that stands on line 18 of its file and goes to a function of these parameters.
#[track_caller]
fn check_refused_json(params: &[(&str, Shape)], text: &[u8], line: &str) {
    check_arguments(params, Input::Json { line: 18, text }, Err(line));
}

fn ends() -> [(&'static str, Shape); 2] {
    [("start", Shape::U64), ("end", Shape::U64)]
}

#[test]
fn json_for_one_parameter_is_its_value() {
    check_arguments(&[("n", Shape::U8)], json(" 7 "), Ok(vec![Val::U8(7)]));
    check_arguments(&[("n", list(Shape::S8))], json("[7]"), Ok(vec![Val::List(vec![Val::S8(7)])]));
}

#[test]
fn json_for_one_parameter_is_no_array_of_one() {
    check_refused_json(&[("n", Shape::U8)], b"[7]", "parameter \"n\": expected u8, found an array");
}

#[test]
fn json_for_several_parameters_is_an_array() {
    check_arguments(&ends(), json(" [1, 2]"), Ok(vec![Val::U64(1), Val::U64(2)]));
}

#[test]
fn json_for_several_parameters_may_name_them_in_any_order() {
    check_arguments(&ends(), json("{\"end\": 2, \"start\": 1}"), Ok(vec![Val::U64(1), Val::U64(2)]));
}

#[test]
fn json_for_no_parameter_is_an_empty_array_or_object() {
    check_arguments(&[], json("[]"), Ok(Vec::new()));
    check_arguments(&[], json("{}"), Ok(Vec::new()));
    check_refused_json(&[], b"null", "expected `[]` or `{}`, found null");
    check_refused_json(&[], b"[1]", "expected 0 arguments, found 1");
}

#[test]
fn an_argument_of_another_type_is_named() {
    let line = "parameter \"end\": expected u64, found \"abc\"";
    check_refused_json(&ends(), br#"[1,"abc"]"#, line);
    check_refused_json(&ends(), br#"{"end":"abc","start":1}"#, line);
}

#[test]
fn a_mismatch_inside_an_argument_says_where() {
    let params = [("p", point()), ("n", Shape::U8)];
    let line = "parameter \"p\".y[1]: expected u64, found true";
    check_refused_json(&params, br#"{"n":1,"p":{"x":1,"y":[2,true]}}"#, line);
}

#[test]
fn a_parameter_that_is_not_there_is_refused() {
    check_refused_json(&ends(), br#"{"start":1,"stop":2}"#, "there is no parameter \"stop\"");
}

#[test]
fn a_missing_parameter_is_refused() {
    check_refused_json(&ends(), br#"{"end":1}"#, "parameter \"start\" is missing");
}

#[test]
fn i9_a_parameter_given_twice_is_refused() {
    let line = "parameter \"start\" is given twice";
    check_refused_json(&ends(), br#"{"start":1,"start":1,"end":2}"#, line);
}

#[test]
fn a_single_value_for_several_parameters_is_refused() {
    let line = "expected an array of 2 arguments, or an object of them by name, found 3";
    check_refused_json(&ends(), b"3", line);
}

#[test]
fn a_syntax_error_names_the_line_and_the_byte() {
    check_refused_json(&ends(), b"[1,]", "line 18, byte 4: no valid JSON: trailing comma");
    check_refused_json(&ends(), b"[1,x]", "line 18, byte 4: no valid JSON: expected value");
    check_refused_json(&ends(), b"x", "line 18, byte 1: no valid JSON: expected value");
    check_refused_json(&ends(), b"[1 2]", "line 18, byte 4: no valid JSON: expected `,` or `]`");
    check_refused_json(&[("n", Shape::U8)], b"1 2", "line 18, byte 3: no valid JSON: trailing characters");
}

#[test]
fn bytes_are_counted_from_the_start_of_the_text() {
    check_refused_json(&ends(), b"[1,\n\nx]", "line 18, byte 6: no valid JSON: expected value");
    check_refused_json(
        &[("s", Shape::String)],
        "\"é\" x".as_bytes(),
        "line 18, byte 6: no valid JSON: trailing characters",
    );
}

#[test]
fn json_that_ends_too_early_names_the_byte_that_is_missing() {
    check_refused_json(&ends(), b"", "line 18, byte 1: no valid JSON: the text ends inside a value");
    check_refused_json(&ends(), b"[1,2", "line 18, byte 5: no valid JSON: the text ends inside a list");
    check_refused_json(
        &ends(),
        b"{\"end\"",
        "line 18, byte 7: no valid JSON: the text ends inside an object",
    );
    check_refused_json(
        &[("s", Shape::String)],
        b"\"a",
        "line 18, byte 3: no valid JSON: the text ends inside a string",
    );
}

#[test]
fn a_syntax_error_in_no_file_names_the_byte_alone() {
    check_arguments(&ends(), json("[1,x]"), Err("byte 4: no valid JSON: expected value"));
}

#[test]
fn json_that_is_not_utf8_names_the_line_and_the_byte() {
    check_refused_json(&[("s", Shape::String)], b"\"a\xff\"", "line 18, byte 3: expected UTF-8, found 0xff");
}

#[test]
fn i9_a_million_levels_are_refused() {
    let open = "[".repeat(1_000_000);
    let closed = open.clone() + &"]".repeat(1_000_000);
    let text = [("s", list(Shape::String))];
    for levels in [&open, &closed] {
        let line = "parameter \"s\"[0]: expected string, found an array";
        check_refused_json(&text, levels.as_bytes(), line);
    }
    let number = [("n", list(Shape::U64))];
    check_refused_json(&number, closed.as_bytes(), "parameter \"n\"[0]: expected u64, found an array");
    let line = "line 18, byte 1000001: no valid JSON: the text ends inside a list";
    check_refused_json(&number, open.as_bytes(), line);
}

#[test]
fn i9_a_million_levels_behind_the_last_argument_are_counted_as_one() {
    let text = format!("[1,2,{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
    check_refused_json(&ends(), text.as_bytes(), "expected 2 arguments, found 3");
}

#[test]
fn i9_a_hundred_thousand_names_are_refused_at_the_first_that_is_none() {
    let members: Vec<_> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!("{{{}}}", members.join(","));
    check_refused_json(&ends(), text.as_bytes(), "there is no parameter \"k0\"");
    check_refused_json(&[("p", point())], text.as_bytes(), "parameter \"p\": there is no field \"k0\"");
}

#[test]
fn i9_a_number_beyond_every_float_is_refused() {
    check_refused_json(&[("x", Shape::F64)], b"1e999", "parameter \"x\": expected f64, found 1e999");
    check_refused_json(&[("n", Shape::U64)], b"1e999", "parameter \"n\": expected u64, found 1e999");
    check_refused_json(
        &[("s", Shape::String)],
        b"1e999",
        "line 18, byte 5: no valid JSON: number out of range",
    );
}

#[test]
fn i9_half_of_a_surrogate_pair_is_refused() {
    let line = "line 18, byte 8: no valid JSON: unexpected end of hex escape";
    check_refused_json(&[("s", Shape::String)], br#""\ud800 ""#, line);
    check_refused_json(
        &[("c", Shape::Char)],
        br#""\ud800""#,
        "parameter \"c\": expected char, found \"\\ud800\"",
    );
    let line = "line 18, byte 7: no valid JSON: lone leading surrogate in hex escape";
    check_refused_json(&[("s", Shape::String)], br#""\udc00 ""#, line);
}

proptest! {
    #[test]
    fn arguments_in_an_array_and_by_name_in_any_order_are_the_same(
        (params, vals) in named(any_shape()).prop_flat_map(|params| {
            let vals = params.iter().map(|(_, shape)| any_val(shape)).collect::<Vec<_>>();
            (Just(params), vals)
        }),
        keys in proptest::collection::vec(any::<u64>(), 5),
    ) {
        prop_assume!(params.len() != 1);
        let texts: Vec<_> = params.iter().zip(&vals).map(|((_, shape), val)| written(shape, val)).collect();
        let mut members: Vec<_> = params
            .iter()
            .zip(&texts)
            .zip(keys)
            .map(|(((name, _), text), key)| (key, format!("\"{name}\": {text}")))
            .collect();
        members.sort();
        let members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
        for text in [format!("[{}]", texts.join(",")), format!("{{{}}}", members.join(","))] {
            let mut read = Vec::new();
            let result = value::arguments(&params, json(&text), &mut read);
            prop_assert_eq!(result, Ok(()), "{}", text);
            prop_assert_eq!(&read, &vals, "{}", text);
        }
    }

    #[test]
    fn no_json_makes_reading_panic_or_takes_more_than_a_line_to_refuse(
        params in named(any_shape()),
        text in "[\\[\\]{}\",:a-c0-9ntf\\\\ue .\n-]{0,40}",
        line in 0..2_u64,
    ) {
        if let Err(line) = value::arguments(&params, Input::Json { line, text: text.as_bytes() }, &mut Vec::new()) {
            prop_assert!(!line.contains(char::is_control), "{}", line);
            prop_assert!(!line.contains(" column "), "{}", line);
        }
    }
}
