//! Arguments that were typed, as the JSON that the function's types ask for.

use std::path::Path;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::guest::{Export, ValueType};

/// Makes a JSON array of `texts`, one for each parameter of `export`.
///
/// Each is taken as JSON, with its numbers digit by digit; for a string or a character bare text will do.
pub(super) fn to_json(guest: &Path, export: &Export, texts: &[String]) -> Result<String, Error> {
    if texts.len() != export.params.len() {
        return Err(wrong_count(guest, export, texts.len()));
    }
    let arguments: Result<Vec<_>, _> =
        export.params.iter().zip(texts).map(|((name, param), text)| one(name, param, text)).collect();
    Ok(format!("[{}]", arguments?.join(",")))
}

/// Makes JSON of each text given with `--item`: the value itself for a function of one parameter; for any other an
/// array or an object of them all. What is in it is checked when it is called with.
pub(super) fn items(export: &Export, texts: &[String]) -> Result<Vec<String>, Error> {
    let item = |text: &String| match export.params.as_slice() {
        [(name, param)] => one(name, param, text),
        _ => serde_json::from_str::<&RawValue>(text)
            .map(|json| on_one_line(json.get()))
            .map_err(|_| no_row(export, text)),
    };
    texts.iter().map(item).collect()
}

/// Makes JSON of the text for one parameter.
pub(super) fn one(name: &str, param: &ValueType, text: &str) -> Result<String, Error> {
    argument(param, text).ok_or_else(|| no_json(name, param, text))
}

/// Between two tokens of JSON any white space will do; inside a string there is none of this kind.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r', '\t'], " ")
}

fn no_row(export: &Export, text: &str) -> Error {
    let names: Vec<_> = export.params.iter().map(|(name, _)| name.as_str()).collect();
    Error::usage(
        format!("`{text}` is no JSON for `{export}`"),
        format!("write an array '[{}]', or an object with these members", names.join(", ")),
    )
}

fn argument(param: &ValueType, text: &str) -> Option<String> {
    let json = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
    let bare_text_will_do = matches!(param, ValueType::String | ValueType::Char);
    match json {
        Some(json) if !bare_text_will_do || json.starts_with('"') => Some(on_one_line(json)),
        _ if bare_text_will_do => Some(serde_json::Value::from(text).to_string()),
        _ => None,
    }
}

fn wrong_count(guest: &Path, export: &Export, given: usize) -> Error {
    let needed = export.params.len();
    let plural = if needed == 1 { "" } else { "s" };
    let verb = if given == 1 { "is" } else { "are" };
    let message = format!(
        "cannot be called like this: `{export}` takes {needed} argument{plural}, {given} {verb} given"
    );
    Error::guest(guest, message, None)
}

fn no_json(name: &str, param: &ValueType, text: &str) -> Error {
    let message = format!("`{text}` is no JSON value for `{name}: {param}`");
    Error::Usage { message, hint: example(param).map(|example| format!("write {example}")) }
}

fn example(param: &ValueType) -> Option<&'static str> {
    match param {
        ValueType::Bool => Some("`true` or `false`"),
        ValueType::S8
        | ValueType::U8
        | ValueType::S16
        | ValueType::U16
        | ValueType::S32
        | ValueType::U32
        | ValueType::S64
        | ValueType::U64
        | ValueType::F32
        | ValueType::F64 => Some("a number"),
        _ if param.is_bytes() => Some("base64 in quotes, or a JSON array of numbers"),
        ValueType::List(_) | ValueType::Tuple(_) => Some("a JSON array, such as '[1, 2]'"),
        ValueType::Record(_) => Some("a JSON object, such as '{\"name\": 1}'"),
        ValueType::Option(_) => Some("a JSON value, or `null` for none; a string goes in quotes: '\"text\"'"),
        ValueType::Enum(_) => Some("the name of a case, in quotes: '\"name\"'"),
        ValueType::Flags(_) => Some("a JSON array of names, such as '[\"name\"]'"),
        ValueType::Variant(_) => Some("a case, such as '\"name\"' or '{\"name\": 1}'"),
        ValueType::Result { .. } => Some("`{\"ok\": …}` or `{\"err\": …}`"),
        ValueType::Char | ValueType::String | ValueType::Other(_) => None,
    }
}
