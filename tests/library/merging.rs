//! Values of a pool's calls that become one.

use wasmpool::{CallError, wit_type};

use super::{MODULE, Written, pool};

wit_type! {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Analysis {
        pub word_count: u64,
        pub unique_words: u64,
        pub avg_word_length: f64,
    }
}

/// `f` is the number; its values are merged by `10 * a + b`, which is the order they come in, as far as it goes.
const DIGITS: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (if (i64.eqz (local.get 0)) (then (unreachable))) (local.get 0))
  (func (export "merge-f") (param i64 i64) (result i64)
    (if (i64.eq (local.get 0) (i64.const 7)) (then (unreachable)))
    (i64.add (i64.mul (local.get 0) (i64.const 10)) (local.get 1))))
"#;

#[test]
fn counts_of_ranges_become_one_whatever_their_number() {
    let pool = pool("primes.wasm");
    let count = pool.function("count-primes").expect("it is there");
    for parts in [1_u64, 7, 8, 9, 64, 65, 1000] {
        let step = 100_000_u64.div_ceil(parts);
        let ranges = (0..parts).map(|part| (part * step, ((part + 1) * step).min(100_000)));
        assert_eq!(count.merge::<u64, _>(ranges).expect("they are counted"), Some(9592), "{parts} parts");
    }
}

#[test]
fn a_merged_value_has_a_last_word_said_about_it() {
    let texts = ["the quick brown fox", "jumps over", "the lazy dog"];
    let pool = pool("text.wasm");
    let tally = pool.function("tally").expect("it is there");
    let analysis = tally.merge::<Analysis, _>(texts.map(|text| (text,)));
    let expected = Analysis { word_count: 9, unique_words: 8, avg_word_length: 35.0 / 9.0 };
    assert_eq!(analysis.expect("they are analyzed"), Some(expected));
}

#[test]
fn values_are_merged_in_the_order_of_the_arguments() {
    let guest = Written::new(DIGITS);
    let pool = guest.pool();
    let digits = pool.function("f").expect("it is there");
    assert_eq!(digits.merge::<i64, _>((1..=6_i64).map(|n| (n,))).expect("they are merged"), Some(123_456));
    assert_eq!(digits.merge::<i64, _>([(5_i64,)]).expect("there is nothing to merge"), Some(5));
    assert_eq!(digits.merge::<i64, (i64,)>([]).expect("there is nothing"), None);
}

#[test]
fn the_first_call_that_fails_is_told_and_a_merge_that_does() {
    let guest = Written::new(DIGITS);
    let pool = guest.pool();
    let digits = pool.function("f").expect("it is there");
    for items in [[1_i64, 0, 3], [7, 8, 9]] {
        let error = digits.merge::<i64, _>(items.map(|n| (n,))).expect_err("one of them traps");
        assert_eq!(error.failure().expect("it failed itself").outcome.status(), "trap");
    }
}

#[test]
fn a_function_without_a_merge_is_refused() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let error = pool.function("count").expect("it is there").merge::<i64, _>([(1_i64,)]);
    let Err(CallError::Pool(error)) = error else { panic!("nothing merges its values") };
    assert!(error.to_string().ends_with("has nothing that merges the values of `count`"), "{error}");
    assert_eq!(error.hint(), Some("that takes `merge-count(a: s64, b: s64) -> s64` beside `count`"));
}

#[test]
fn the_type_of_the_finished_value_is_held_against_the_one_asked_for() {
    let pool = pool("text.wasm");
    let tally = pool.function("tally").expect("it is there");
    assert!(tally.merge::<u64, _>([("a text",)]).is_err_and(|error| matches!(error, CallError::Pool(_))));
}
