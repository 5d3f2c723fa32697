//! Items as a table for people: what each is known by, then its value in columns, below a line of names.
//!
//! Rows are printed as they come, so a column is as wide as its name and whatever has stood in it so far. That
//! follows from the rows alone: the same rows are the same bytes. Guests write the text in a row, so none of it
//! reaches a terminal with its control characters.

use std::iter;

use unicode_width::UnicodeWidthStr;

use super::columns::{Cell, Key, META, Values, input_cell, meta_texts};
use super::row::{append_below, dotted, key_width, reason};
use super::{Shown, SinkOptions, Stages};
use crate::color::{self, Color};
use crate::outcome::{Outcome, Output};
use crate::record::{Record, Subject, escaped, escaped_json};

/// What is longer stands out of its column, and the rows below do not follow: a column must not become as wide as
/// the longest text that a guest thinks of.
const WIDEST: usize = 60;

/// Spaces between two columns.
const GAP: usize = 2;

/// Prints rows below each other.
#[derive(Debug)]
pub(super) struct Table {
    /// None where its place among the rows says which item it is.
    key: Option<Column>,
    values: Values,
    value_columns: Vec<Column>,
    meta_columns: Vec<Column>,
    color: Color,
    has_names: bool,
    /// Values stand alone and go into a pipe: texts as they are, but for what would end their line.
    is_filter: bool,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    is_number: bool,
    width: usize,
}

/// One line, as it grows. Nothing is padded behind its last text.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// Spaces before the next text.
    gap: usize,
}

impl Table {
    pub(super) fn new(options: &SinkOptions) -> Self {
        let values = Values::of(options.result.as_ref());
        let is_bare = is_bare(options, &values);
        let key = key_column(options);
        let value_columns = values.columns().into_iter();
        Self {
            value_columns: value_columns
                .map(|(name, number)| Column::new(name, number && !is_bare))
                .collect(),
            values,
            key: (!is_bare).then_some(key),
            meta_columns: META.iter().filter(|_| options.meta).map(|name| Column::new(name, true)).collect(),
            color: options.color,
            has_names: !is_bare,
            is_filter: is_bare && !options.terminal,
        }
    }

    /// Appends the row of an item, or of a merge that failed, and below it what the guest printed.
    pub(super) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut line = Line::default();
        if let Some(key) = &mut self.key {
            line.put_in(key, &key_text(record));
        }
        match &record.completion.outcome {
            Outcome::Ok(value) => self.put_value(value, &mut line),
            failure => self.put_failure(failure, stage(record), &mut line),
        }
        if record.meta {
            for (column, text) in self.meta_columns.iter_mut().zip(meta_texts(&record.completion.meta)) {
                line.put_in(column, &text);
            }
        }
        // The names stand above the first row as it has made their columns.
        if self.has_names {
            self.has_names = false;
            self.append_names(out);
        }
        line.append_to(out);
        append_below(record, out);
    }

    fn append_names(&self, out: &mut Vec<u8>) {
        let mut line = Line::default();
        for column in self.key.iter().chain(&self.value_columns).chain(&self.meta_columns) {
            line.put(&column.name, column.name.width(), column);
        }
        let names = self.color.paint(color::HEADER, &line.text);
        out.extend_from_slice(names.as_bytes());
        out.push(b'\n');
    }

    fn put_value(&mut self, value: &Output, line: &mut Line) {
        if self.is_filter
            && let Cell::Text(text) = Cell::of(value.json())
        {
            line.text = text.replace('\n', "\\n").replace('\r', "\\r");
            return;
        }
        let Some(cells) = self.values.cells(value) else {
            let json = escaped_json(value.json());
            return line.put(&json, json.width(), &across(&self.value_columns));
        };
        for (column, cell) in self.value_columns.iter_mut().zip(cells) {
            line.put_in(column, &cell.into_line());
        }
    }

    /// In the place of the value's columns.
    fn put_failure(&self, failure: &Outcome, stage: &str, line: &mut Line) {
        let reason = match stage {
            "" => format!(": {}", reason(failure)),
            stage => format!(" in {stage}: {}", reason(failure)),
        };
        let reason = escaped(&reason);
        let status = failure.status();
        let text = format!("{}{reason}", self.color.paint(color::FAILURE, status));
        let width = status.len() + reason.width();
        line.put(&text, width, &across(&self.value_columns));
    }
}

impl Column {
    fn new(name: &str, is_number: bool) -> Self {
        Self { name: escaped(name).into_owned(), is_number, width: escaped(name).width() }
    }
}

impl Line {
    /// Puts a text into a column, which makes room for it.
    fn put_in(&mut self, column: &mut Column, text: &str) {
        let width = text.width();
        column.width = column.width.max(width.min(WIDEST));
        self.put(text, width, column);
    }

    /// Puts a text that takes up `width` into a column.
    fn put(&mut self, text: &str, width: usize, column: &Column) {
        let room = column.width.saturating_sub(width);
        let (before, behind) = if column.is_number { (room, 0) } else { (0, room) };
        self.text.extend(iter::repeat_n(' ', self.gap + before));
        self.text.push_str(text);
        self.gap = behind + GAP;
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'\n');
    }
}

/// Whether rows are values alone: what comes out belongs to what went in, line for line, so that the run can stand
/// between two other programs.
fn is_bare(options: &SinkOptions, values: &Values) -> bool {
    let is_whole = matches!(values, Values::Whole { .. });
    is_whole
        && Key::of(options) == Key::Index
        && options.ordered
        && options.shown == Shown::Each
        && options.stages != Some(Stages::Parts)
        && !options.meta
}

fn key_column(options: &SinkOptions) -> Column {
    let (name, is_number) = match Key::of(options) {
        Key::Span => ("range", false),
        Key::Number => ("input", true),
        Key::Input => ("input", false),
        Key::File => ("file", false),
        Key::Index => ("index", true),
    };
    let mut column = Column::new(name, is_number);
    // The widest part of a range is known from the start.
    column.width = column.width.max(options.inputs.as_ref().map_or(0, key_width));
    column
}

fn key_text(record: &Record<'_>) -> String {
    let origin = record.completion.origin.as_deref();
    match origin.filter(|origin| !origin.part.is_empty()) {
        Some(origin) => format!("{}[{}]", item_text(record), dotted(origin)),
        None => item_text(record),
    }
}

/// The stage that the item ended in, where that is not the last.
fn stage<'a>(record: &Record<'a>) -> &'a str {
    record.completion.origin.as_deref().and_then(|origin| origin.stage.as_deref()).unwrap_or_default()
}

fn item_text(record: &Record<'_>) -> String {
    match (record.subject, &record.completion.file) {
        (Subject::Merge { first, end }, _) => format!("merge of items {first}..{end}"),
        (Subject::Item { input: Some(input), .. }, _) => input_cell(input).into_line(),
        (Subject::Item { input: None, .. }, Some(file)) => {
            Cell::Text(String::from_utf8_lossy(file).into_owned()).into_line()
        }
        (Subject::Item { index, input: None }, None) => index.to_string(),
    }
}

/// These columns as one.
fn across(columns: &[Column]) -> Column {
    let widths = columns.iter().map(|column| column.width + GAP).sum::<usize>();
    Column { width: widths.saturating_sub(GAP), ..Column::new("", false) }
}
