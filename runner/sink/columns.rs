//! Which columns rows have, for people and for spreadsheets: what an item is known by, its value, what varies.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::SinkOptions;
use crate::chunk::Inputs;
use crate::guest::ValueType;
use crate::item::Input;
use crate::outcome::{Meta, Output};
use crate::record::{escaped, escaped_json, milliseconds};

/// What `--meta` adds, by the names that records use.
pub(super) const META: [&str; 6] = ["ms", "cpu_ms", "peak_memory", "attempts", "worker", "pid"];

/// What an item is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Its part of a range.
    Span,
    /// Its number of a range.
    Number,
    /// Its input as JSON, or as text.
    Input,
    /// The file it was read from.
    File,
    /// Its index.
    Index,
}

/// The columns of values.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// One for the whole value.
    Whole { is_number: bool },
    /// One for each field of a record.
    Fields(Vec<Field>),
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) is_number: bool,
}

/// A piece of a value, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    /// A string, without its quotes.
    Text(String),
    /// Anything else.
    Json(Cow<'a, str>),
}

impl Key {
    pub(super) fn of(options: &SinkOptions) -> Self {
        match &options.inputs {
            Some(Inputs::Spans { .. }) => Self::Span,
            Some(Inputs::Numbers { .. }) => Self::Number,
            Some(Inputs::Files { .. }) => Self::File,
            Some(Inputs::Texts(_) | Inputs::Arguments(_) | Inputs::Json { .. } | Inputs::Folds(_)) => {
                Self::Input
            }
            None if options.files => Self::File,
            None => Self::Index,
        }
    }
}

impl Values {
    /// The columns for a function that returns this.
    pub(super) fn of(result: Option<&ValueType>) -> Self {
        match result {
            Some(ValueType::Record(fields)) => Self::Fields(fields.iter().map(Field::of).collect()),
            Some(other) => Self::Whole { is_number: is_number(other) },
            None => Self::Whole { is_number: false },
        }
    }

    /// The names of the columns, and whether numbers stand in them.
    pub(super) fn columns(&self) -> Vec<(&str, bool)> {
        match self {
            Self::Whole { is_number } => vec![("value", *is_number)],
            Self::Fields(fields) => {
                fields.iter().map(|field| (field.name.as_str(), field.is_number)).collect()
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Whole { .. } => 1,
            Self::Fields(fields) => fields.len(),
        }
    }

    /// The value in its columns; none if it is not what the function's type says, which only a worker that lies
    /// sends.
    pub(super) fn cells<'a>(&self, value: &'a Output) -> Option<Vec<Cell<'a>>> {
        match self {
            Self::Whole { .. } => Some(vec![Cell::of(value.json())]),
            Self::Fields(fields) => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(value.json()).ok()?;
                let cell = |field: &Field| members.get(&field.name).map(|json| Cell::of(json.get()));
                fields.iter().map(cell).collect()
            }
        }
    }
}

impl Field {
    fn of((name, value): &(String, ValueType)) -> Self {
        Self { name: name.clone(), is_number: is_number(value) }
    }
}

impl<'a> Cell<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        // Most values are numbers, and an error of the parser is not for nothing.
        let text = json.trim_start().starts_with('"').then(|| serde_json::from_str(json).ok()).flatten();
        // A lone surrogate is well-formed JSON and yet no text; it stays in its quotes.
        text.map_or(Self::Json(Cow::Borrowed(json)), Self::Text)
    }

    /// As the guest or the user wrote it.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Owned(text),
            Self::Json(json) => json,
        }
    }

    /// On one line, and nothing in it that a terminal would obey.
    pub(super) fn into_line(self) -> String {
        match self {
            Self::Text(text) => escaped(&text).into_owned(),
            Self::Json(json) => escaped_json(&json).into_owned(),
        }
    }
}

/// What a column of inputs holds of an input.
pub(super) fn input_cell(input: Input<'_>) -> Cell<'_> {
    match input {
        Input::Span { start, end } => Cell::Text(format!("{start}..{end}")),
        Input::Number(number) => Cell::Text(number.to_string()),
        Input::Text(text) | Input::File { name: text, .. } => {
            Cell::Text(String::from_utf8_lossy(text).into_owned())
        }
        Input::Arguments(json) | Input::Json { text: json, .. } | Input::Fold(json) => {
            match String::from_utf8_lossy(json) {
                Cow::Borrowed(json) => Cell::of(json),
                Cow::Owned(no_json) => Cell::Json(Cow::Owned(no_json)),
            }
        }
    }
}

/// What the columns of [`META`] hold.
pub(super) fn meta_texts(meta: &Meta) -> [String; META.len()] {
    [
        milliseconds(meta.wall),
        milliseconds(meta.cpu),
        meta.peak_memory.to_string(),
        meta.attempts.to_string(),
        meta.worker.to_string(),
        meta.pid.to_string(),
    ]
}

fn is_number(value: &ValueType) -> bool {
    match value {
        ValueType::F32 | ValueType::F64 => true,
        ValueType::Option(value) => is_number(value),
        other => other.integer_bounds().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Output {
        Output::from_untrusted(json.as_bytes()).unwrap()
    }

    fn record() -> Values {
        let fields = vec![("n".to_owned(), ValueType::U8), ("word".to_owned(), ValueType::String)];
        Values::of(Some(&ValueType::Record(fields)))
    }

    #[test]
    fn a_record_has_a_column_for_each_field() {
        assert_eq!(record().columns(), [("n", true), ("word", false)]);
        let value = value(r#"{"n":1,"word":"a\"b"}"#);
        let expected = vec![Cell::Json("1".into()), Cell::Text("a\"b".to_owned())];
        assert_eq!(record().cells(&value), Some(expected));
    }

    #[test]
    fn any_other_value_has_one() {
        let list = ValueType::List(Box::new(ValueType::U8));
        assert_eq!(Values::of(Some(&list)).columns(), [("value", false)]);
        let maybe = ValueType::Option(Box::new(ValueType::F64));
        assert_eq!(Values::of(Some(&maybe)).columns(), [("value", true)]);
    }

    #[test]
    fn a_value_that_is_not_of_its_type_has_no_cells() {
        assert_eq!(record().cells(&value("[1]")), None);
        assert_eq!(record().cells(&value(r#"{"n":1}"#)), None);
    }

    #[test]
    fn a_string_that_is_no_text_stays_json() {
        assert_eq!(Cell::of(r#""\ud800""#), Cell::Json(r#""\ud800""#.into()));
    }

    #[test]
    fn control_characters_are_escaped_as_text_or_as_json() {
        assert_eq!(Cell::of(r#""tab\t\u001b[2J""#).into_line(), "tab\\t\\u{1b}[2J");
        assert_eq!(Cell::of("[\"\u{9b}\"]").into_line(), "[\"\\u009b\"]");
    }
}
