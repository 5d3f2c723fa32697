//! Rust types for the types of WIT: what arguments are written from, and what results are read into.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::guest::ValueType;

/// The name of the type that stands for any.
const ANY: &str = "any";

/// A Rust type whose values are those of a type of WIT.
///
/// | WIT | Rust |
/// |---|---|
/// | `bool`, `char`, `string` | `bool`, `char`, `String` |
/// | `u8` … `s64`, `f32`, `f64` | `u8` … `i64`, `f32`, `f64` |
/// | `list<T>`, `option<T>`, `tuple<…>` | `Vec<T>`, `Option<T>`, tuples of up to 8 |
/// | `result<T, E>` | `Result<T, E>`, with `()` where there is no payload |
/// | a record, an enum, a variant | a type of your own, made by [`wit_type!`](crate::wit_type) |
/// | any | [`serde_json::Value`], as [RECORDS.md](https://docs.rs/crate/wasmpool/latest/source/RECORDS.md) has values |
///
/// What a function takes and returns is compared with these types before anything runs.
///
/// ```
/// use wasmpool::{ValueType, WitType};
///
/// wasmpool::wit_type! {
///     struct Point {
///         x: f64,
///         y: f64,
///     }
/// }
///
/// assert_eq!(Point::wit_type().to_string(), "record { x: f64, y: f64 }");
/// assert_eq!(Vec::<u8>::wit_type(), ValueType::List(Box::new(ValueType::U8)));
/// ```
pub trait WitType: Sized {
    /// The type in WIT; [`any`] where that is seen when a value is there.
    fn wit_type() -> ValueType;

    /// Appends the value as JSON, as records have it.
    fn write_json(&self, out: &mut Vec<u8>);

    /// Reads a value from its JSON.
    ///
    /// # Errors
    /// If it is no value of this type.
    fn read_json(json: &RawValue) -> Result<Self, Mismatch>;

    /// The type as the payload of a `result`; none if there is nothing to be carried.
    #[doc(hidden)]
    fn payload_type() -> Option<ValueType> {
        Some(Self::wit_type())
    }

    /// Appends a list of them.
    #[doc(hidden)]
    fn write_list(values: &[Self], out: &mut Vec<u8>) {
        write_array(values.iter().map(|value| |out: &mut Vec<u8>| value.write_json(out)), out);
    }

    /// Reads a list of them.
    #[doc(hidden)]
    fn read_list(json: &RawValue) -> Result<Vec<Self>, Mismatch> {
        elements(json, "an array")?.into_iter().enumerate().map(read_at).collect()
    }
}

/// A value that is not of the type that was expected.
///
/// ```
/// let mismatch = wasmpool::Mismatch {
///     place: ".lines[3]".to_owned(),
///     expected: "u64".to_owned(),
///     found: "\"three\"".to_owned(),
/// };
/// println!("{mismatch}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// Where in the value, such as `.lines[3]`; empty for the whole.
    pub place: String,
    /// The type, as WIT writes it, or the kind of JSON.
    pub expected: String,
    /// The beginning of what was there instead.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, expected, found } = self;
        write!(f, "expected {expected}, found {found}")?;
        if place.is_empty() { Ok(()) } else { write!(f, " at `{place}`") }
    }
}

impl Mismatch {
    /// This JSON is no value of that type.
    ///
    /// ```
    /// use wasmpool::Mismatch;
    ///
    /// let json = serde_json::value::to_raw_value("three")?;
    /// let mismatch = Mismatch::new("u64", &json);
    /// assert_eq!(mismatch.to_string(), "expected u64, found \"three\"");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn new(expected: impl fmt::Display, found: &RawValue) -> Self {
        const SHOWN: usize = 60;
        let text = found.get();
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        Self { place: String::new(), expected: expected.to_string(), found: format!("{shown}{more}") }
    }

    /// The same, found inside of something else: in its field `.name` or its element `[3]`.
    ///
    /// ```
    /// use wasmpool::Mismatch;
    ///
    /// let json = serde_json::value::to_raw_value("three")?;
    /// let mismatch = Mismatch::new("u64", &json).inside("[3]").inside(".lines");
    /// assert_eq!(mismatch.place, ".lines[3]");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn inside(self, step: &str) -> Self {
        Self { place: format!("{step}{}", self.place), ..self }
    }
}

/// The type that any value fits.
///
/// ```
/// use wasmpool::WitType;
///
/// assert_eq!(serde_json::Value::wit_type(), wasmpool::any());
/// ```
#[must_use]
pub fn any() -> ValueType {
    ValueType::Other(ANY.to_owned())
}

/// Whether values of the type `given` can be taken for values of the type `declared`.
pub(super) fn fits(declared: &ValueType, given: &ValueType) -> bool {
    use ValueType::{List, Option, Other, Record, Result, Tuple, Variant};
    let same = |one: &[ValueType], other: &[ValueType]| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| fits(one, other))
    };
    let payload =
        |one: std::option::Option<&ValueType>, other: std::option::Option<&ValueType>| match (one, other) {
            (Some(one), Some(other)) => fits(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
    match (declared, given) {
        (_, Other(name)) if name == ANY => true,
        (List(one), List(other)) | (Option(one), Option(other)) => fits(one, other),
        (Tuple(one), Tuple(other)) => same(one, other),
        (Record(one), Record(other)) => {
            let pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs.into_iter().all(|(one, other)| one.0 == other.0 && fits(&one.1, &other.1))
        }
        (Variant(one), Variant(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs.all(|(one, other)| one.0 == other.0 && payload(one.1.as_ref(), other.1.as_ref()))
        }
        (Result { ok: one, err: one_err }, Result { ok: other, err: other_err }) => {
            payload(one.as_deref(), other.as_deref()) && payload(one_err.as_deref(), other_err.as_deref())
        }
        (one, other) => one == other,
    }
}

/// Appends a JSON array of what these write.
pub(super) fn write_array<W: FnOnce(&mut Vec<u8>)>(values: impl Iterator<Item = W>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, write) in values.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(out);
    }
    out.push(b']');
}

/// Appends an object of one entry: a case and its payload.
#[doc(hidden)]
pub fn write_case(name: &str, payload: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'{');
    write_plain(name, out);
    out.push(b':');
    payload(out);
    out.push(b'}');
}

/// Appends what JSON has a notation for.
#[doc(hidden)]
pub fn write_plain<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a Vec takes every byte, and numbers and texts have JSON");
}

/// The elements of an array.
fn elements(json: &RawValue, expected: impl fmt::Display) -> Result<Vec<&RawValue>, Mismatch> {
    serde_json::from_str(json.get()).map_err(|_| Mismatch::new(expected, json))
}

fn read_at<T: WitType>((position, json): (usize, &RawValue)) -> Result<T, Mismatch> {
    T::read_json(json).map_err(|mismatch| mismatch.inside(&format!("[{position}]")))
}

/// The members of an object.
#[doc(hidden)]
pub fn members<'a>(
    json: &'a RawValue,
    expected: impl fmt::Display,
) -> Result<HashMap<Cow<'a, str>, &'a RawValue>, Mismatch> {
    serde_json::from_str(json.get()).map_err(|_| Mismatch::new(expected, json))
}

/// The one member of an object that stands for a case and its payload; of a text, the case alone.
#[doc(hidden)]
pub fn case<'a>(
    json: &'a RawValue,
    expected: impl fmt::Display,
) -> Result<(Cow<'a, str>, Option<&'a RawValue>), Mismatch> {
    if let Ok(name) = serde_json::from_str::<String>(json.get()) {
        return Ok((name.into(), None));
    }
    let mut members = members(json, &expected)?.into_iter();
    match (members.next(), members.next()) {
        (Some((name, payload)), None) => Ok((name, Some(payload))),
        _ => Err(Mismatch::new(expected, json)),
    }
}

macro_rules! plain {
    ($($rust:ty => $wit:ident,)*) => {$(
        impl WitType for $rust {
            fn wit_type() -> ValueType {
                ValueType::$wit
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                write_plain(self, out);
            }

            fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
                serde_json::from_str(json.get()).map_err(|_| Mismatch::new(Self::wit_type(), json))
            }
        }
    )*};
}

plain! {
    bool => Bool,
    i8 => S8,
    i16 => S16,
    u16 => U16,
    i32 => S32,
    u32 => U32,
    i64 => S64,
    u64 => U64,
    char => Char,
    String => String,
}

/// A `list<u8>` is base64 in JSON.
impl WitType for u8 {
    fn wit_type() -> ValueType {
        ValueType::U8
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        write_plain(self, out);
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(json.get()).map_err(|_| Mismatch::new("u8", json))
    }

    fn write_list(values: &[Self], out: &mut Vec<u8>) {
        write_plain(&STANDARD.encode(values), out);
    }

    fn read_list(json: &RawValue) -> Result<Vec<Self>, Mismatch> {
        let mismatch = || Mismatch::new("base64", json);
        let text: Cow<'_, str> = serde_json::from_str(json.get()).map_err(|_| mismatch())?;
        STANDARD.decode(text.as_bytes()).map_err(|_| mismatch())
    }
}

macro_rules! float {
    ($($rust:ident => $wit:ident,)*) => {$(
        /// What is no number in JSON is a text there: `"NaN"`, `"Infinity"`, `"-Infinity"`.
        impl WitType for $rust {
            fn wit_type() -> ValueType {
                ValueType::$wit
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                match self {
                    value if value.is_finite() => write_plain(value, out),
                    value if value.is_nan() => write_plain("NaN", out),
                    value if *value > 0.0 => write_plain("Infinity", out),
                    _ => write_plain("-Infinity", out),
                }
            }

            fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
                match json.get() {
                    "\"NaN\"" => Ok($rust::NAN),
                    "\"Infinity\"" => Ok($rust::INFINITY),
                    "\"-Infinity\"" => Ok($rust::NEG_INFINITY),
                    // The text itself: nothing is rounded twice.
                    number => number.parse().map_err(|_| Mismatch::new(Self::wit_type(), json)),
                }
            }
        }
    )*};
}

float! {
    f32 => F32,
    f64 => F64,
}

/// Any value, as its JSON.
impl WitType for serde_json::Value {
    fn wit_type() -> ValueType {
        any()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        write_plain(self, out);
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        serde_json::from_str(json.get()).map_err(|_| Mismatch::new("JSON", json))
    }
}

/// What a function returns that returns nothing; and no payload.
impl WitType for () {
    fn wit_type() -> ValueType {
        ValueType::Tuple(Vec::new())
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        if json.get() == "null" { Ok(()) } else { Err(Mismatch::new("nothing", json)) }
    }

    fn payload_type() -> Option<ValueType> {
        None
    }
}

impl<T: WitType> WitType for Vec<T> {
    fn wit_type() -> ValueType {
        ValueType::List(Box::new(T::wit_type()))
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        T::write_list(self, out);
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        T::read_list(json)
    }
}

/// `some(none)` is told from `none` by a tag.
impl<T: WitType> WitType for Option<T> {
    fn wit_type() -> ValueType {
        ValueType::Option(Box::new(T::wit_type()))
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            None => out.extend_from_slice(b"null"),
            Some(value) if is_option::<T>() => write_case("some", |out| value.write_json(out), out),
            Some(value) => value.write_json(out),
        }
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        if json.get() == "null" {
            return Ok(None);
        }
        if !is_option::<T>() {
            return T::read_json(json).map(Some);
        }
        match case(json, Self::wit_type())? {
            (name, Some(payload)) if name == "some" => T::read_json(payload).map(Some),
            _ => Err(Mismatch::new(Self::wit_type(), json)),
        }
    }
}

fn is_option<T: WitType>() -> bool {
    matches!(T::wit_type(), ValueType::Option(_))
}

impl<T: WitType, E: WitType> WitType for Result<T, E> {
    fn wit_type() -> ValueType {
        ValueType::Result { ok: T::payload_type().map(Box::new), err: E::payload_type().map(Box::new) }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Ok(value) => write_case("ok", |out| value.write_json(out), out),
            Err(error) => write_case("err", |out| error.write_json(out), out),
        }
    }

    fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
        match case(json, Self::wit_type())? {
            (name, Some(payload)) if name == "ok" => {
                T::read_json(payload).map(Ok).map_err(|mismatch| mismatch.inside(".ok"))
            }
            (name, Some(payload)) if name == "err" => {
                E::read_json(payload).map(Err).map_err(|mismatch| mismatch.inside(".err"))
            }
            _ => Err(Mismatch::new(Self::wit_type(), json)),
        }
    }
}

macro_rules! tuple {
    ($($count:literal: $($name:ident $place:tt),+;)*) => {$(
        impl<$($name: WitType),+> WitType for ($($name,)+) {
            fn wit_type() -> ValueType {
                ValueType::Tuple(vec![$($name::wit_type()),+])
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                out.push(b'[');
                $(
                    if $place > 0 {
                        out.push(b',');
                    }
                    self.$place.write_json(out);
                )+
                out.push(b']');
            }

            fn read_json(json: &RawValue) -> Result<Self, Mismatch> {
                let elements = elements(json, Self::wit_type())?;
                let found: [&RawValue; $count] =
                    elements.try_into().map_err(|_| Mismatch::new(Self::wit_type(), json))?;
                Ok(($(read_at::<$name>(($place, found[$place]))?,)+))
            }
        }
    )*};
}

tuple! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// A name of Rust as WIT has it: `word_count` and `WordCount` are `word-count`.
#[doc(hidden)]
#[must_use]
pub fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (position, letter) in name.trim_start_matches("r#").char_indices() {
        match letter {
            '_' => kebab.push('-'),
            letter if letter.is_ascii_uppercase() => {
                if position > 0 && !kebab.ends_with('-') {
                    kebab.push('-');
                }
                kebab.push(letter.to_ascii_lowercase());
            }
            letter => kebab.push(letter),
        }
    }
    kebab
}

#[cfg(test)]
mod tests;
