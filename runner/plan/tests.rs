//! Plans against guests: what is bound, or the exact text of the refusal.

use proptest::prelude::*;

use super::*;
use crate::item::Input;
use crate::source::{LineEnd, Next};

mod inputs;
mod limits;

fn export(
    interface: Option<&str>,
    function: &str,
    params: &[(&str, ValueType)],
    result: ValueType,
) -> Export {
    Export {
        interface: interface.map(str::to_owned),
        function: function.to_owned(),
        params: params.iter().map(|(name, param)| ((*name).to_owned(), param.clone())).collect(),
        result: Some(result),
    }
}

fn guest(exports: Vec<Export>) -> Description {
    Description { kind: crate::guest::GuestKind::Component, exports, imports: Vec::new(), initial_memory: 0 }
}

fn primes() -> Description {
    use ValueType::U64;
    guest(vec![
        export(None, "count-primes", &[("start", U64), ("end", U64)], U64),
        export(None, "count-divisors", &[("n", U64)], U64),
        export(None, "merge-count-primes", &[("a", U64), ("b", U64)], U64),
    ])
}

fn text() -> Description {
    let analysis = ValueType::Record(vec![("word-count".to_owned(), ValueType::U64)]);
    guest(vec![export(Some("acme:text/stats@1.2.0"), "analyze", &[("text", ValueType::String)], analysis)])
}

/// A guest with one function of two integers of these types.
fn spans_of(start: ValueType, end: ValueType) -> Description {
    guest(vec![export(None, "f", &[("start", start), ("end", end)], ValueType::Bool)])
}

fn numbers_of(n: ValueType) -> Description {
    guest(vec![export(None, "f", &[("n", n)], ValueType::Bool)])
}

fn plan(export: Option<&str>, input: InputKind) -> Plan {
    Plan {
        guest: PathBuf::from("g.wasm"),
        export: export.map(str::to_owned),
        input,
        bindings: Vec::new(),
        init: None,
        integers: Integers::Signed,
        workers: NonZero::new(4).unwrap(),
        chunk: None,
        window: DEFAULT_WINDOW,
        ordered: true,
        merging: Merging::Auto,
        limits: Limits::default(),
        guest_limits: GuestLimits::default(),
        policy: Policy::default(),
        isolation: Isolation::Item,
        seed: None,
        sandbox: sandbox::SandboxMode::Auto,
        dirs: Vec::new(),
        env: Vec::new(),
        shares: Vec::new(),
        compile_timeout: None,
        run_timeout: None,
        format: Format::Auto,
        output: None,
        meta: false,
        progress: Progress::Auto,
        stats: false,
        kept: Kept::default(),
    }
}

fn range(start: i128, end: i128) -> InputKind {
    InputKind::Range { start, end, step: None }
}

fn steps(start: i128, end: i128, step: u64) -> InputKind {
    InputKind::Range { start, end, step: NonZero::new(step) }
}

fn lines() -> InputKind {
    InputKind::Lines { path: PathBuf::from("/dev/null"), ends: LineEnd::Lf }
}

fn items(texts: &[&str]) -> InputKind {
    InputKind::Items(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn arguments(texts: &[&str]) -> InputKind {
    InputKind::Arguments(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// The plan is bound to the export of this full name.
#[track_caller]
fn check_chooses(guest: &Description, name: Option<&str>, input: InputKind, expected: &str) {
    match plan(name, input).bind(guest) {
        Ok(bound) => assert_eq!(bound.export.full_name(), expected),
        Err(error) => panic!("{error}, hint: {:?}", error.hint()),
    }
}

/// The plan is refused with this exit code, message and hint.
#[track_caller]
fn check_refused(
    guest: &Description,
    name: Option<&str>,
    input: InputKind,
    (code, message, hint): (u8, &str, &str),
) {
    let error = plan(name, input).bind(guest).expect_err("the plan does not fit");
    assert_eq!(
        (error.exit_code().code(), error.to_string().as_str(), error.hint().unwrap_or_default()),
        (code, message, hint)
    );
}

/// The item at `index` as the two ends of a part of a range, `start..end`, or as a number.
fn shown(bound: &Bound, index: u64) -> Option<String> {
    match bound.inputs.as_ref()?.input(index)? {
        Input::Span { start, end } => Some(format!("{start}..{end}")),
        Input::Number(number) => Some(number.to_string()),
        Input::Text(_) | Input::File { .. } | Input::Arguments(_) | Input::Json { .. } | Input::Fold(_) => {
            None
        }
    }
}

#[track_caller]
fn check_item(guest: &Description, input: InputKind, index: u64, expected: Option<&str>) {
    let bound = plan(Some("f"), input).bind(guest).expect("the plan fits");
    assert_eq!(shown(&bound, index), expected.map(str::to_owned));
}

#[track_caller]
fn check_arguments(param: ValueType, text: &str, expected: &str) {
    let guest = guest(vec![export(None, "f", &[("x", param)], ValueType::Bool)]);
    let mut bound = plan(Some("f"), arguments(&[text])).bind(&guest).expect("the arguments fit");
    let Some(Next::Inputs(inputs)) = bound.source.next(1, 1).unwrap() else { panic!("one item") };
    assert_eq!(inputs.input(0), Some(Input::Arguments(expected.as_bytes())));
}

#[test]
fn an_export_is_found_by_any_ending_of_its_name() {
    let full = "acme:text/stats@1.2.0#analyze";
    for name in [
        full,
        "analyze",
        "stats#analyze",
        "stats@1.2.0#analyze",
        "text/stats#analyze",
        "acme:text/stats#analyze",
        "text/stats@1.2.0#analyze",
    ] {
        check_chooses(&text(), Some(name), lines(), full);
    }
}

#[test]
fn half_a_word_is_no_ending() {
    check_refused(
        &text(),
        Some("tats#analyze"),
        lines(),
        (
            3,
            "`g.wasm` has no export `tats#analyze`",
            "it exports `analyze(text: string) -> record { word-count: u64 }`",
        ),
    );
}

#[test]
fn m6_an_unknown_export_of_a_guest_with_one_is_answered_with_that_one() {
    let guest = guest(primes().exports[..1].to_vec());
    check_refused(
        &guest,
        Some("count"),
        range(1, 9),
        (3, "`g.wasm` has no export `count`", "it exports `count-primes(start: u64, end: u64) -> u64`"),
    );
}

#[test]
fn m6_an_unknown_export_is_answered_with_the_one_most_like_it_and_the_list() {
    check_refused(
        &primes(),
        Some("count-prime"),
        range(1, 9),
        (
            3,
            "`g.wasm` has no export `count-prime`",
            "did you mean `count-primes`? it exports `count-primes(start: u64, end: u64) -> u64`, \
             `count-divisors(n: u64) -> u64` and `merge-count-primes(a: u64, b: u64) -> u64`",
        ),
    );
}

#[test]
fn an_unknown_export_that_is_like_no_other_is_answered_with_a_short_list() {
    let exports = (0..11).map(|k| export(None, &format!("f{k}"), &[], ValueType::Bool)).collect();
    check_refused(
        &guest(exports),
        Some("zebra"),
        range(1, 9),
        (
            3,
            "`g.wasm` has no export `zebra`",
            "it exports `f0() -> bool`, `f1() -> bool`, `f2() -> bool`, `f3() -> bool`, `f4() -> bool`, \
             `f5() -> bool`, `f6() -> bool`, `f7() -> bool` and 3 more",
        ),
    );
}

#[test]
fn a_name_that_several_exports_end_with_is_refused_with_their_full_names() {
    let of = |interface| export(Some(interface), "f", &[("n", ValueType::U8)], ValueType::U8);
    let guest = guest(vec![of("a:b/c@1.0.0"), of("a:b/d")]);
    check_refused(
        &guest,
        Some("f"),
        range(1, 9),
        (2, "`f` names 2 exports of `g.wasm`", "write `a:b/c@1.0.0#f` or `a:b/d#f`"),
    );
    check_chooses(&guest, Some("c#f"), range(1, 9), "a:b/c@1.0.0#f");
}

#[test]
fn a_full_name_wins_over_the_ending_of_another() {
    let inside = export(Some("a:b/c"), "f", &[("n", ValueType::U8)], ValueType::U8);
    let outside = export(None, "f", &[("n", ValueType::U8)], ValueType::U8);
    check_chooses(&guest(vec![inside, outside]), Some("f"), range(1, 9), "f");
}

#[test]
fn an_empty_name_is_the_name_of_the_export_without_one() {
    let nameless = export(None, "", &[("n", ValueType::S32)], ValueType::S32);
    check_chooses(&guest(vec![primes().exports[0].clone(), nameless]), Some(""), range(1, 9), "");
}

#[test]
fn the_only_function_that_takes_the_input_need_not_be_named() {
    let mut exports = text().exports;
    exports.extend(primes().exports.into_iter().filter(|export| export.function != "count-divisors"));
    let guest = guest(exports);
    check_chooses(&guest, None, lines(), "acme:text/stats@1.2.0#analyze");
    check_chooses(&guest, None, range(1, 9), "count-primes");
}

#[test]
fn several_functions_that_take_the_input_are_listed() {
    let number = |name| export(None, name, &[("n", ValueType::U8)], ValueType::Bool);
    check_refused(
        &guest(vec![number("f"), number("g")]),
        None,
        range(1, 9),
        (
            2,
            "several functions of `g.wasm` take `--range`",
            "name one of them: `f(n: u8) -> bool` or `g(n: u8) -> bool`",
        ),
    );
}

#[test]
fn a_range_without_a_name_means_the_function_of_two_integers() {
    let bound = plan(None, range(1, 9)).bind(&primes()).unwrap();
    assert_eq!(bound.export.function, "count-primes");
}

#[test]
fn a_guest_without_a_function_for_the_input_is_refused() {
    check_refused(
        &text(),
        None,
        range(1, 9),
        (
            3,
            "`g.wasm` has no function for `--range`, which needs one or two integers",
            "it exports `analyze(text: string) -> record { word-count: u64 }`",
        ),
    );
}

#[test]
fn a_guest_without_functions_is_refused() {
    check_refused(&guest(Vec::new()), Some("f"), lines(), (3, "`g.wasm` exports no function", ""));
}

#[test]
fn a_function_of_other_types_is_refused_with_those_that_fit() {
    check_refused(
        &primes(),
        Some("count-primes"),
        lines(),
        (
            3,
            "`g.wasm` cannot be run like this: `--lines` needs one `string` or `list<u8>`, but the function is \
             `count-primes(start: u64, end: u64) -> u64`",
            "",
        ),
    );
    let guest = guest([text().exports, primes().exports].concat());
    check_refused(
        &guest,
        Some("count-primes"),
        lines(),
        (
            3,
            "`g.wasm` cannot be run like this: `--lines` needs one `string` or `list<u8>`, but the function is \
             `count-primes(start: u64, end: u64) -> u64`",
            "`--lines` fits `analyze(text: string) -> record { word-count: u64 }`",
        ),
    );
}

#[test]
fn a_result_that_cannot_be_passed_is_refused() {
    let stream = ValueType::Option(Box::new(ValueType::Other("stream<u8>".to_owned())));
    let guest = guest(vec![export(None, "f", &[("n", ValueType::U8)], stream)]);
    check_refused(
        &guest,
        Some("f"),
        range(1, 9),
        (
            3,
            "`g.wasm` cannot be run: `f(n: u8) -> option<stream<u8>>` returns `option<stream<u8>>`, \
             which cannot be passed",
            "",
        ),
    );
}

#[test]
fn a_range_over_two_integers_is_cut_into_at_most_a_thousand_parts() {
    let bound = plan(Some("count-primes"), range(1, 800_000)).bind(&primes()).unwrap();
    assert_eq!(bound.source.total(), Some(800));
    assert_eq!(shown(&bound, 799).as_deref(), Some("799001..800000"));
}

#[test]
fn a_range_over_one_integer_has_an_item_for_each_number() {
    let bound = plan(Some("count-divisors"), range(5_000_000, 5_000_008)).bind(&primes()).unwrap();
    assert_eq!(bound.source.total(), Some(8));
    assert_eq!(shown(&bound, 7).as_deref(), Some("5000007"));
}

#[test]
fn the_step_sets_how_many_numbers_an_item_has() {
    let guest = spans_of(ValueType::U64, ValueType::U64);
    check_item(&guest, steps(0, 25, 10), 2, Some("20..25"));
    check_item(&guest, steps(0, 25, 10), 3, None);
}

#[test]
fn a_step_for_single_numbers_is_refused() {
    check_refused(
        &primes(),
        Some("count-divisors"),
        steps(1, 9, 2),
        (
            2,
            "`--step` does not go with `count-divisors(n: u64) -> u64`: each number of the range is an item of its own",
            "leave `--step` out",
        ),
    );
}

proptest! {
    #[test]
    fn the_default_step_is_the_least_that_makes_at_most_a_thousand_parts(start in any::<i64>(), numbers in 1..=i128::from(u64::MAX)) {
        let parts = |step: u64| numbers.unsigned_abs().div_ceil(step.into());
        let step = default_step(start.into(), i128::from(start) + numbers).get();
        prop_assert!(parts(step) <= 1_000);
        let before = if step.to_string().starts_with('5') { step / 5 * 2 } else { step / 2 };
        prop_assert!(step == 1 || parts(before) > 1_000);
        prop_assert!(step.to_string().trim_end_matches('0').parse::<u64>().is_ok_and(|digit| [1, 2, 5].contains(&digit)));
    }
}

#[test]
fn i7_an_end_that_a_parameter_cannot_hold_is_refused() {
    check_refused(
        &spans_of(ValueType::U8, ValueType::U8),
        None,
        range(0, 256),
        (
            3,
            "`g.wasm` cannot take `--range 0..256`: 256 does not fit `end: u8` of `f(start: u8, end: u8) -> bool`",
            "`u8` holds 0 to 255",
        ),
    );
    check_refused(
        &numbers_of(ValueType::S8),
        None,
        range(-129, 0),
        (
            3,
            "`g.wasm` cannot take `--range -129..0`: -129 does not fit `n: s8` of `f(n: s8) -> bool`",
            "`s8` holds -128 to 127",
        ),
    );
}

#[test]
fn i7_an_end_inside_the_range_that_a_parameter_cannot_hold_is_refused() {
    let hint = "`u8` holds 0 to 255";
    check_refused(
        &spans_of(ValueType::S8, ValueType::U8),
        None,
        steps(-5, 5, 2),
        (
            3,
            "`g.wasm` cannot take `--range -5..5`: -3 does not fit `end: u8` of `f(start: s8, end: u8) -> bool`",
            hint,
        ),
    );
    check_refused(
        &spans_of(ValueType::U8, ValueType::U64),
        None,
        steps(0, 1000, 10),
        (
            3,
            "`g.wasm` cannot take `--range 0..1000`: 990 does not fit `start: u8` of `f(start: u8, end: u64) -> bool`",
            hint,
        ),
    );
}

#[test]
fn i7_the_largest_number_of_a_type_can_be_an_item() {
    check_item(&numbers_of(ValueType::U8), range(0, 256), 255, Some("255"));
    let last = i128::from(u64::MAX);
    check_item(&numbers_of(ValueType::U64), range(last, last + 1), 0, Some("18446744073709551615"));
    check_item(
        &spans_of(ValueType::U64, ValueType::U64),
        range(0, last),
        922,
        Some("18440000000000000000..18446744073709551615"),
    );
}

#[test]
fn i7_ends_far_outside_any_type_are_refused_without_overflow() {
    let end = format!(
        "`g.wasm` cannot take `--range {}..{}`: {} does not fit `start: u64` of `f(start: u64, end: u64) -> bool`",
        i128::MIN,
        i128::MAX,
        i128::MIN
    );
    check_refused(
        &spans_of(ValueType::U64, ValueType::U64),
        None,
        range(i128::MIN, i128::MAX),
        (3, &end, "`u64` holds 0 to 18446744073709551615"),
    );
}

#[test]
fn an_empty_range_is_no_error() {
    let bound = plan(Some("count-primes"), range(5, 5)).bind(&primes()).unwrap();
    assert_eq!(bound.source.total(), Some(0));
}

#[test]
fn more_items_than_indices_are_refused() {
    let end = i128::from(u64::MAX);
    check_refused(
        &spans_of(ValueType::U64, ValueType::U64),
        None,
        steps(0, end, 1),
        (2, "`--range 0..18446744073709551615` is more than 2^63 items", "take a larger `--step`"),
    );
    check_refused(
        &numbers_of(ValueType::U64),
        None,
        range(0, end),
        (2, "`--range 0..18446744073709551615` is more than 2^63 items", "cut the range into several runs"),
    );
}

#[test]
fn a_range_is_merged_where_the_guest_can() {
    let bound = plan(Some("count-primes"), range(1, 9)).bind(&primes()).unwrap();
    assert_eq!(bound.merge.unwrap().function, "merge-count-primes");
    assert_eq!(bound.serve.exports, ["count-primes", "merge-count-primes"]);
}

#[test]
fn nothing_is_merged_with_each() {
    let each = Plan { merging: Merging::Never, ..plan(Some("count-primes"), range(1, 9)) };
    let bound = each.bind(&primes()).unwrap();
    assert_eq!(bound.merge, None);
    assert_eq!(bound.serve.exports, ["count-primes"]);
}

#[test]
fn lines_are_not_merged() {
    let function = export(None, "f", &[("text", ValueType::String)], ValueType::U64);
    let merge = export(None, "merge-f", &[("a", ValueType::U64), ("b", ValueType::U64)], ValueType::U64);
    let bound = plan(Some("f"), lines()).bind(&guest(vec![function, merge])).unwrap();
    assert_eq!((bound.merge, bound.source.total()), (None, None));
}

#[test]
fn the_most_items_of_an_input_are_known_without_the_guest() {
    assert_eq!(range(0, 3).most_items(), Some(3));
    assert_eq!(steps(0, 25, 10).most_items(), Some(3));
    assert_eq!(lines().most_items(), None);
    assert_eq!(items(&["1", "2", "3"]).most_items(), Some(3));
    assert_eq!(arguments(&["1", "2"]).most_items(), Some(1));
}

#[test]
fn arguments_are_json_digit_by_digit() {
    check_arguments(ValueType::U64, "18446744073709551615", "[18446744073709551615]");
    check_arguments(ValueType::F64, "-1.50", "[-1.50]");
    check_arguments(ValueType::List(Box::new(ValueType::U8)), " [1, 2]", "[[1, 2]]");
}

#[test]
fn a_string_may_be_given_bare() {
    check_arguments(ValueType::String, "a \"b\"", r#"["a \"b\""]"#);
    check_arguments(ValueType::String, "42", r#"["42"]"#);
    check_arguments(ValueType::String, "", r#"[""]"#);
    check_arguments(ValueType::Char, "ö", r#"["ö"]"#);
}

#[test]
fn a_string_may_be_given_as_json() {
    check_arguments(ValueType::String, r#""a\nb""#, r#"["a\nb"]"#);
}

#[test]
fn a_call_with_too_few_arguments_is_refused() {
    check_refused(
        &primes(),
        Some("count-primes"),
        arguments(&["1"]),
        (
            3,
            "`g.wasm` cannot be called like this: `count-primes(start: u64, end: u64) -> u64` takes 2 arguments, \
             1 is given",
            "",
        ),
    );
}

#[test]
fn an_argument_that_is_no_json_is_refused() {
    check_refused(
        &primes(),
        Some("count-divisors"),
        arguments(&["many"]),
        (2, "`many` is no JSON value for `n: u64`", "write a number"),
    );
}

#[test]
fn a_missing_input_file_is_an_input_error() {
    check_refused(
        &text(),
        None,
        InputKind::Lines { path: PathBuf::from("/no/such/file"), ends: LineEnd::Lf },
        (4, "cannot read `/no/such/file`", ""),
    );
}
