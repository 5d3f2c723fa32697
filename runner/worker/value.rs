//! JSON to component values and back, by the types of the guest's functions.
//!
//! This runs in the worker: the host never interprets a value. It refuses, with one line that says where, what was
//! expected and what was found, every text that is not exactly of its type; nothing is rounded, cut or guessed. Where a
//! text is no JSON at all, the line names the byte, counted from 1.
//!
//! | type | JSON |
//! |---|---|
//! | integers | a number without fraction and exponent, exact to 64 bits |
//! | `f32`, `f64` | a number, written shortest; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `char`, `string`, `bool` | a string of one character, a string, a boolean |
//! | `list<u8>` | a base64 string; when read, an array of numbers too |
//! | other lists, tuples | an array |
//! | records | an object with every field and no other, written in declared order |
//! | variants | `"case"`, or `{"case": payload}` |
//! | enums, flags | `"name"`, an array of names |
//! | `option<T>` | `null` or the value; an option of an option is `null` or `{"some": inner}` |
//! | results | `{"ok": value}` or `{"err": value}`, the value `null` where there is none |
//!
//! Handles to resources, streams, futures and maps have no JSON.

mod arguments;
mod problem;
mod read;
mod shape;
mod write;

#[cfg(test)]
mod tests;

use wasmtime::component::Val;

pub use self::shape::Shape;
pub use self::write::{write_bytes, write_json};
use crate::guest::ValueType;
use crate::item::Input;

/// Makes the arguments of one call: `vals` is cleared and gets one value for each of `params`.
///
/// # Errors
/// If the input does not fit the parameters; one line for the item's record.
pub fn arguments(params: &[(String, Shape)], input: Input<'_>, vals: &mut Vec<Val>) -> Result<(), String> {
    vals.clear();
    match input {
        Input::Span { start, end } => {
            let [first, second] = params else { return Err(wrong_count(params.len(), 2)) };
            vals.push(integer(first, start)?);
            vals.push(integer(second, end)?);
        }
        Input::Number(number) => {
            let [only] = params else { return Err(wrong_count(params.len(), 1)) };
            vals.push(integer(only, number)?);
        }
        Input::Text(bytes) | Input::File { content: bytes, .. } => {
            let [only] = params else { return Err(wrong_count(params.len(), 1)) };
            vals.push(text(only, bytes)?);
        }
        Input::Arguments(json) => arguments::array(params, json, vals)?,
        Input::Json { line, text } => arguments::any_form(params, text, line, vals)?,
        Input::Fold(_) => return Err("values to merge are no arguments".to_owned()),
    }
    Ok(())
}

/// Reads the value of one parameter that every call has.
///
/// # Errors
/// If it does not fit; one line.
pub fn bound(shape: &Shape, json: &str) -> Result<Val, String> {
    arguments::value(shape, json.as_bytes())
}

/// Holds JSON that somebody typed against a type, and writes it anew, as it is always written.
///
/// # Errors
/// If it does not fit; one line.
pub fn checked(ty: &ValueType, json: &str) -> Result<String, String> {
    let shape = Shape::of(ty).ok_or_else(|| cannot_be_passed(ty))?;
    written(&shape, &arguments::value(&shape, json.as_bytes())?)
}

/// Holds JSON that somebody typed against parameters: the value itself of a single one, an array or an object of any other
/// number. Writes an array of them all.
///
/// # Errors
/// If it does not fit; one line.
pub fn checked_arguments(params: &[(String, ValueType)], json: &str) -> Result<String, String> {
    let shape = |ty: &ValueType| Shape::of(ty).ok_or_else(|| cannot_be_passed(ty));
    let params: Vec<_> =
        params.iter().map(|(name, ty)| Ok((name.clone(), shape(ty)?))).collect::<Result<_, String>>()?;
    let mut vals = Vec::new();
    arguments(&params, Input::Json { line: 0, text: json.as_bytes() }, &mut vals)?;
    let written = params.iter().zip(&vals).map(|((_, shape), val)| written(shape, val));
    Ok(format!("[{}]", written.collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn written(shape: &Shape, val: &Val) -> Result<String, String> {
    let mut json = Vec::new();
    write_json(shape, val, &mut json)?;
    String::from_utf8(json).map_err(|error| error.to_string())
}

fn cannot_be_passed(ty: &ValueType) -> String {
    format!("`{ty}` cannot be passed")
}

/// Reads a JSON array of any length whose elements are all of one type.
///
/// # Errors
/// If it is anything else; one line for the item's record.
pub fn fold_values(shape: &Shape, json: &[u8]) -> Result<Vec<Val>, String> {
    arguments::values(shape, json)
}

fn wrong_count(expected: usize, found: usize) -> String {
    let plural = if expected == 1 { "" } else { "s" };
    format!("expected {expected} argument{plural}, found {found}")
}

fn integer((name, shape): &(String, Shape), number: i128) -> Result<Val, String> {
    let val = match shape {
        Shape::S8 => number.try_into().ok().map(Val::S8),
        Shape::U8 => number.try_into().ok().map(Val::U8),
        Shape::S16 => number.try_into().ok().map(Val::S16),
        Shape::U16 => number.try_into().ok().map(Val::U16),
        Shape::S32 => number.try_into().ok().map(Val::S32),
        Shape::U32 => number.try_into().ok().map(Val::U32),
        Shape::S64 => number.try_into().ok().map(Val::S64),
        Shape::U64 => number.try_into().ok().map(Val::U64),
        Shape::Bool
        | Shape::F32
        | Shape::F64
        | Shape::Char
        | Shape::String
        | Shape::Bytes
        | Shape::List(_)
        | Shape::Tuple(_)
        | Shape::Record(_)
        | Shape::Variant(_)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::Result { .. } => None,
    };
    val.ok_or_else(|| format!("parameter \"{name}\": expected {shape}, found {number}"))
}

/// A text for a `string`, and any bytes for a `list<u8>`.
fn text((name, shape): &(String, Shape), bytes: &[u8]) -> Result<Val, String> {
    match shape {
        Shape::String => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Val::String(text.to_owned())),
            Err(error) => {
                let at = error.valid_up_to();
                let found = format_args!("{:#04x} at byte {}", bytes[at], at + 1);
                Err(format!("parameter \"{name}\": expected UTF-8, found {found}"))
            }
        },
        Shape::Bytes => Ok(Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect())),
        Shape::Bool
        | Shape::S8
        | Shape::U8
        | Shape::S16
        | Shape::U16
        | Shape::S32
        | Shape::U32
        | Shape::S64
        | Shape::U64
        | Shape::F32
        | Shape::F64
        | Shape::Char
        | Shape::List(_)
        | Shape::Tuple(_)
        | Shape::Record(_)
        | Shape::Variant(_)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::Result { .. } => Err(format!("parameter \"{name}\": expected {shape}, found a text")),
    }
}
