//! Values of every type, as the JSON that a worker writes: shortest numbers, no spaces, members in declared order.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;

pub(super) fn json(value: impl Serialize) -> String {
    serde_json::to_string(&value).expect("numbers and strings have JSON")
}

/// Any number of a type, and its ends more often than by chance.
pub(super) fn integer<T>(least: T, greatest: T) -> BoxedStrategy<String>
where
    T: Serialize + Copy + Debug + 'static,
    RangeInclusive<T>: Strategy<Value = T>,
{
    prop_oneof![8 => least..=greatest, 1 => Just(least), 1 => Just(greatest)].prop_map(json).boxed()
}

pub(super) fn float32() -> BoxedStrategy<String> {
    let number = any::<u32>().prop_map(f32::from_bits);
    number
        .prop_map(|number| if number.is_finite() { json(number) } else { not_finite(number.into()) })
        .boxed()
}

pub(super) fn float64() -> BoxedStrategy<String> {
    let ends = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)];
    let number = prop_oneof![6 => any::<u64>().prop_map(f64::from_bits), 1 => ends];
    number.prop_map(|number| if number.is_finite() { json(number) } else { not_finite(number) }).boxed()
}

fn not_finite(number: f64) -> String {
    json(if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    })
}

pub(super) fn bytes() -> BoxedStrategy<String> {
    vec(any::<u8>(), 0..2000).prop_map(|bytes| json(STANDARD.encode(bytes))).boxed()
}

pub(super) fn array(element: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    vec(element, 0..6).prop_map(|elements| format!("[{}]", elements.join(","))).boxed()
}

pub(super) fn tuple<const N: usize>(elements: [BoxedStrategy<String>; N]) -> BoxedStrategy<String> {
    Vec::from(elements).prop_map(|elements| format!("[{}]", elements.join(","))).boxed()
}

pub(super) fn record<const N: usize>(fields: [(&str, BoxedStrategy<String>); N]) -> BoxedStrategy<String> {
    let (names, values): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).unzip();
    let object = move |values: Vec<String>| {
        let members: Vec<_> =
            names.iter().zip(values).map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    values.prop_map(object).boxed()
}

pub(super) fn tagged(tag: &'static str, payload: BoxedStrategy<String>) -> BoxedStrategy<String> {
    record([(tag, payload)])
}

pub(super) fn nullable(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop_oneof![1 => Just("null".to_owned()), 3 => value].boxed()
}

pub(super) fn one_of<const N: usize>(names: [&'static str; N]) -> BoxedStrategy<String> {
    proptest::sample::select(names.to_vec()).prop_map(json).boxed()
}
