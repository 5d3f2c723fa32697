//! Rows for spreadsheets and data frames: RFC 4180, but for lines that end in `\n` alone.
//!
//! Every row has the same columns, so what only some items have is not here: what guests printed, the kind of a trap,
//! a backtrace. Records have it all.

use std::borrow::Cow;

use ::csv::WriterBuilder;

use super::SinkOptions;
use super::columns::{Key, META, Values, input_cell, meta_texts};
use super::row::reason;
use crate::item::Input;
use crate::outcome::{Completion, Outcome, Output};
use crate::record::{Record, Subject, escaped};

/// Writes items, or one merged value, as CSV.
#[derive(Debug)]
pub(super) struct Csv {
    key: Key,
    values: Values,
    meta: bool,
    terminal: bool,
    is_headed: bool,
}

type Fields<'a> = Vec<Cow<'a, [u8]>>;

impl Csv {
    pub(super) fn new(options: &SinkOptions) -> Self {
        Self {
            key: Key::of(options),
            values: Values::of(options.result.as_ref()),
            meta: options.meta,
            terminal: options.terminal,
            is_headed: false,
        }
    }

    /// Appends the row of an item, or of a merge that failed.
    pub(super) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.append_header(out);
        let Completion { outcome, meta, .. } = record.completion;
        let mut fields = self.subject(record);
        fields.push(text(outcome.status()));
        fields.extend(match outcome {
            Outcome::Ok(value) => self.cells(value),
            Outcome::Trap { .. }
            | Outcome::Exit { .. }
            | Outcome::Timeout { .. }
            | Outcome::Output { .. }
            | Outcome::Input { .. }
            | Outcome::Crash { .. }
            | Outcome::Protocol { .. }
            | Outcome::Cancelled => vec![text(""); self.values.count()],
        });
        fields.push(owned(error(record)));
        if self.meta {
            fields.extend(meta_texts(meta).map(owned));
        }
        self.append_line(&fields, out);
    }

    /// Appends a merged value.
    pub(super) fn append_merged(&mut self, items: u64, value: &Output, out: &mut Vec<u8>) {
        self.append_merged_header(out);
        let mut fields = vec![owned(items.to_string())];
        fields.extend(self.cells(value));
        self.append_line(&fields, out);
    }

    /// Appends the names of an item's columns, unless there are names already.
    pub(super) fn append_header(&mut self, out: &mut Vec<u8>) {
        if self.is_headed {
            return;
        }
        let inputs: &[&str] = match self.key {
            Key::Span => &["start", "end"],
            Key::Number | Key::Input => &["input"],
            Key::File => &["file"],
            Key::Index => &[],
        };
        let mut names = vec!["index"];
        names.extend(inputs);
        names.push("status");
        names.extend(self.value_names());
        names.push("error");
        names.extend(if self.meta { META.as_slice() } else { &[] });
        self.append_line(&names.into_iter().map(text).collect::<Fields<'_>>(), out);
        self.is_headed = true;
    }

    /// Appends the names of a merged value's columns, unless there are names already.
    pub(super) fn append_merged_header(&mut self, out: &mut Vec<u8>) {
        if self.is_headed {
            return;
        }
        let names = ["items"].into_iter().chain(self.value_names());
        self.append_line(&names.map(text).collect::<Fields<'_>>(), out);
        self.is_headed = true;
    }

    fn value_names(&self) -> impl Iterator<Item = &str> {
        self.values.columns().into_iter().map(|(name, _)| name)
    }

    /// The index and what else the item is known by.
    fn subject<'a>(&self, record: &Record<'a>) -> Fields<'a> {
        let (index, input) = match record.subject {
            Subject::Item { index, input } => (owned(index.to_string()), input),
            Subject::Merge { .. } => (text(""), None),
        };
        let mut fields = vec![index];
        match (self.key, input) {
            (Key::Index, _) => {}
            (Key::Span, Some(Input::Span { start, end })) => {
                fields.extend([owned(start.to_string()), owned(end.to_string())]);
            }
            (Key::Span, _) => fields.extend([text(""), text("")]),
            (Key::File, None) => fields.push(record.completion.file.as_deref().unwrap_or_default().into()),
            // To the byte: neither must be UTF-8.
            (Key::File, Some(Input::File { name: bytes, .. })) | (_, Some(Input::Text(bytes))) => {
                fields.push(bytes.into());
            }
            (Key::Number | Key::Input | Key::File, Some(input)) => {
                fields.push(into_bytes(input_cell(input).into_text()));
            }
            (Key::Number | Key::Input, None) => fields.push(text("")),
        }
        fields
    }

    /// A value in its columns; one that is not of its type stands in the first of them, as JSON.
    fn cells<'a>(&self, value: &'a Output) -> Fields<'a> {
        match self.values.cells(value) {
            Some(cells) => cells.into_iter().map(|cell| into_bytes(cell.into_text())).collect(),
            None => {
                let mut fields = vec![text(""); self.values.count()];
                if let Some(first) = fields.first_mut() {
                    *first = text(value.json());
                }
                fields
            }
        }
    }

    fn append_line(&self, fields: &[Cow<'_, [u8]>], out: &mut Vec<u8>) {
        let mut writer = WriterBuilder::new().buffer_capacity(256).from_writer(out);
        let written = match self.terminal {
            true => writer.write_record(fields.iter().map(|field| calm(field))),
            false => writer.write_record(fields),
        };
        let written = written.and_then(|()| Ok(writer.flush()?));
        written.expect("memory takes every write, and a writer of one row knows no other length");
    }
}

/// Why there is no value; nothing where there is one.
fn error(record: &Record<'_>) -> String {
    let reason = reason(&record.completion.outcome);
    match record.subject {
        Subject::Item { .. } => reason,
        Subject::Merge { first, end } => format!("merge of items {first}..{end}: {reason}"),
    }
}

/// What a terminal may see of a field.
fn calm(field: &[u8]) -> Vec<u8> {
    escaped(&String::from_utf8_lossy(field)).into_owned().into_bytes()
}

fn text(text: &str) -> Cow<'_, [u8]> {
    text.as_bytes().into()
}

fn owned(text: String) -> Cow<'static, [u8]> {
    text.into_bytes().into()
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    }
}
