//! Writes results, as records or as rows, and tells why it could not.

use std::io::{self, Write};

use super::row::{Key, Row, key_width, unquoted, value_text};
use super::{Format, SinkOptions};
use crate::chunk::Inputs;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::{Completion, Output};
use crate::record::{self, Record, Subject, escaped_json};

/// How many bytes are gathered before they are written unasked.
const BATCH: usize = 64 * 1024;

/// Renders what sinks let through, gathers it and writes it.
#[derive(Debug)]
pub(super) struct Printer<W> {
    output: W,
    /// Whole lines that are not written yet.
    pending: Vec<u8>,
    style: Style,
}

#[derive(Debug)]
struct Style {
    items: Layout,
    value: Layout,
    column: Column,
    meta: bool,
    terminal: bool,
    inputs: Option<Inputs>,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Records,
}

/// What the rows of items start with.
#[derive(Clone, Copy, Debug)]
enum Column {
    None,
    Index,
    Input { width: usize },
}

impl<W: Write> Printer<W> {
    pub(super) fn new(options: SinkOptions, output: W) -> Self {
        Self { output, pending: Vec::with_capacity(2 * BATCH), style: Style::new(options) }
    }

    /// Prints the end of an item of the input.
    pub(super) fn item(&mut self, index: ItemIndex, completion: &Completion) -> Result<(), Error> {
        let Self { pending, style, .. } = self;
        let input = style.inputs.as_ref().and_then(|inputs| inputs.input(index));
        match style.items {
            Layout::Records => {
                let subject = Subject::Item { index, input };
                style.append_record(&Record { subject, completion, meta: style.meta }, pending);
            }
            Layout::Rows => {
                let key = match (style.column, input) {
                    (Column::None, _) => Key::Place,
                    (Column::Input { width }, Some(input)) => Key::Input { input, width },
                    (Column::Index | Column::Input { .. }, _) => Key::Index(index),
                };
                Row { key, completion, meta: style.meta }.append_to(pending);
            }
        }
        self.write_if_full()
    }

    /// Prints why the values of the items from `first` to before `end` could not be merged.
    pub(super) fn failed_merge(
        &mut self,
        first: ItemIndex,
        end: ItemIndex,
        completion: &Completion,
    ) -> Result<(), Error> {
        let Self { pending, style, .. } = self;
        let meta = style.meta;
        match style.items {
            Layout::Records => {
                let subject = Subject::Merge { first, end };
                style.append_record(&Record { subject, completion, meta }, pending);
            }
            Layout::Rows => Row { key: Key::Merge { first, end }, completion, meta }.append_to(pending),
        }
        self.write_if_full()
    }

    /// Prints the merged value of all items.
    pub(super) fn value(&mut self, items: u64, value: &Output) -> Result<(), Error> {
        let Self { pending, style, .. } = self;
        match style.value {
            Layout::Records => {
                let start = pending.len();
                record::append_merged(items, value, pending);
                style.calm(pending, start);
            }
            Layout::Rows => {
                let text = match unquoted(value) {
                    // Into a pipe goes what the guest returned, to the byte.
                    Some(text) if !style.terminal => text,
                    Some(_) | None => value_text(value),
                };
                pending.extend_from_slice(text.as_bytes());
                pending.push(b'\n');
            }
        }
        self.write_if_full()
    }

    /// Writes everything that has been printed.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.write()?;
        self.output.flush().map_err(output_error)
    }

    fn write_if_full(&mut self) -> Result<(), Error> {
        if self.pending.len() < BATCH { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.output.write_all(&self.pending);
        self.pending.clear();
        // One long record must not hold its memory for the rest of the run.
        self.pending.shrink_to(2 * BATCH);
        written.map_err(output_error)
    }
}

impl Style {
    fn new(options: SinkOptions) -> Self {
        let SinkOptions { merged, ordered, format, meta, terminal, inputs } = options;
        let (items, value) = match format {
            Format::Auto if terminal => (Layout::Rows, Layout::Rows),
            Format::Auto => (Layout::Records, Layout::Rows),
            Format::Text => (Layout::Rows, Layout::Rows),
            Format::Jsonl => (Layout::Records, Layout::Records),
        };
        let column = match &inputs {
            Some(inputs) => Column::Input { width: key_width(inputs) },
            None if merged || !ordered => Column::Index,
            None => Column::None,
        };
        Self { items, value, column, meta, terminal, inputs }
    }

    fn append_record(&self, record: &Record<'_>, pending: &mut Vec<u8>) {
        let start = pending.len();
        record.append_to(pending);
        self.calm(pending, start);
    }

    /// Takes the control characters that JSON allows out of the line from `start` on, if a terminal would see them.
    fn calm(&self, pending: &mut Vec<u8>, start: usize) {
        if !self.terminal {
            return;
        }
        let line = String::from_utf8_lossy(&pending[start..pending.len() - 1]);
        let calm = escaped_json(&line).into_owned();
        pending.truncate(start);
        pending.extend_from_slice(calm.as_bytes());
        pending.push(b'\n');
    }
}

fn output_error(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::Output { name: "standard output".to_owned(), source },
    }
}
