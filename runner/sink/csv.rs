//! Rows for spreadsheets and data frames: RFC 4180, but for lines that end in `\n` alone.
//!
//! Every row has the same columns, so what only some items have is not here: what guests printed, the kind of a trap,
//! a backtrace. Records have it all.

use std::borrow::Cow;

use csv_core::{WriteResult, Writer};

use super::columns::{Key, META, Values, input_cell, meta_texts};
use super::row::{dotted, reason};
use super::{SinkOptions, Stages};
use crate::item::Input;
use crate::outcome::{Completion, Outcome, Output};
use crate::record::{Record, Subject, escaped};

/// Names of columns that are not the guest's; a field of such a name is `value.` and the name.
const TAKEN: [&str; 10] =
    ["index", "part", "start", "end", "input", "file", "stage", "status", "items", "error"];

/// Writes items, or one merged value, as CSV.
#[derive(Debug)]
pub(super) struct Csv {
    key: Key,
    stages: Option<Stages>,
    values: Values,
    meta: bool,
    terminal: bool,
    is_headed: bool,
    writer: Writer,
}

type Fields<'a> = Vec<Cow<'a, [u8]>>;

impl Csv {
    pub(super) fn new(options: &SinkOptions) -> Self {
        Self {
            key: Key::of(options),
            stages: options.stages,
            values: Values::of(options.result.as_ref()),
            meta: options.meta,
            terminal: options.terminal,
            is_headed: false,
            writer: Writer::new(),
        }
    }

    /// Appends the row of an item, or of a merge that failed.
    pub(super) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.append_header(out);
        let Completion { outcome, meta, .. } = record.completion;
        let mut fields = self.subject(record);
        if self.stages.is_some() {
            let origin = record.completion.origin.as_deref();
            fields.push(text(origin.and_then(|origin| origin.stage.as_deref()).unwrap_or_default()));
        }
        fields.push(text(outcome.status()));
        fields.extend(match outcome {
            Outcome::Ok(value) => cells(&self.values, value),
            Outcome::Trap { .. }
            | Outcome::Exit { .. }
            | Outcome::Timeout { .. }
            | Outcome::Memory { .. }
            | Outcome::Output { .. }
            | Outcome::Input { .. }
            | Outcome::Denied { .. }
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
        fields.extend(cells(&self.values, value));
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
        let mut names = vec![text("index")];
        names.extend((self.stages == Some(Stages::Parts)).then(|| text("part")));
        names.extend(inputs.iter().copied().map(text));
        names.extend(self.stages.is_some().then(|| text("stage")));
        names.push(text("status"));
        names.extend(self.value_names());
        names.push(text("error"));
        names.extend(META.iter().filter(|_| self.meta).copied().map(text));
        self.append_line(&names, out);
        self.is_headed = true;
    }

    /// Appends the names of a merged value's columns, unless there are names already.
    pub(super) fn append_merged_header(&mut self, out: &mut Vec<u8>) {
        if self.is_headed {
            return;
        }
        let names: Fields<'_> = [text("items")].into_iter().chain(self.value_names()).collect();
        self.append_line(&names, out);
        self.is_headed = true;
    }

    fn value_names(&self) -> Fields<'static> {
        let column = |name: &str| {
            if TAKEN.contains(&name) || META.contains(&name) {
                format!("value.{name}")
            } else {
                name.to_owned()
            }
        };
        self.values.columns().into_iter().map(|(name, _)| owned(column(name))).collect()
    }

    /// The index and what else the item is known by.
    fn subject<'a>(&self, record: &Record<'a>) -> Fields<'a> {
        let (index, input) = match record.subject {
            Subject::Item { index, input } => (owned(index.to_string()), input),
            Subject::Merge { .. } => (text(""), None),
        };
        let mut fields = vec![index];
        if self.stages == Some(Stages::Parts) {
            fields.push(owned(record.completion.origin.as_deref().map(dotted).unwrap_or_default()));
        }
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

    fn append_line(&mut self, fields: &[Cow<'_, [u8]>], out: &mut Vec<u8>) {
        let Self { writer, terminal, .. } = self;
        let mut room = [0; 256];
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                append_written(&mut room, out, |room| writer.delimiter(room));
            }
            let field = if *terminal { Cow::Owned(calm(field)) } else { Cow::Borrowed(field.as_ref()) };
            let mut rest = field.as_ref();
            append_written(&mut room, out, |room| {
                let (result, read, written) = writer.field(rest, room);
                rest = &rest[read..];
                (result, written)
            });
        }
        append_written(&mut room, out, |room| writer.terminator(room));
    }
}

/// A value in its columns; one that is not of its type stands in the first of them, as JSON.
fn cells<'a>(values: &Values, value: &'a Output) -> Fields<'a> {
    match values.cells(value) {
        Some(cells) => cells.into_iter().map(|cell| into_bytes(cell.into_text())).collect(),
        None => {
            let mut fields = vec![text(""); values.count()];
            if let Some(first) = fields.first_mut() {
                *first = text(value.json());
            }
            fields
        }
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

/// Appends what `write` puts into the room it is given, until it has no more.
fn append_written(
    room: &mut [u8],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> (WriteResult, usize),
) {
    loop {
        let (result, written) = write(room);
        out.extend_from_slice(&room[..written]);
        match result {
            WriteResult::InputEmpty => return,
            WriteResult::OutputFull => {}
        }
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
