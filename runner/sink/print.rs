//! Writes results in the format that was asked for, and tells why it could not.

use std::borrow::Cow;
use std::io::{self, Write};

use super::columns::Cell;
use super::csv::Csv;
use super::table::Table;
use super::{Format, Shown, SinkOptions};
use crate::chunk::Inputs;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::{Completion, Outcome, Output};
use crate::record::{self, Record, Subject, escaped_json};

/// How many bytes are gathered before they are written unasked.
const BATCH: usize = 64 * 1024;

/// Renders what sinks let through, gathers it and writes it.
#[derive(Debug)]
pub(super) struct Printer<W> {
    output: W,
    /// What is not written yet.
    pending: Vec<u8>,
    /// The output's name in errors.
    name: Cow<'static, str>,
    items: Layout,
    /// A merged value is printed as text, however items are.
    plain_value: bool,
    meta: bool,
    shown: Shown,
    terminal: bool,
    inputs: Option<Inputs>,
}

#[derive(Debug)]
enum Layout {
    Table(Table),
    /// A record on each line.
    Lines,
    /// The same records, in one JSON array.
    Array {
        is_empty: bool,
    },
    Csv(Csv),
}

impl<W: Write> Printer<W> {
    pub(super) fn new(options: SinkOptions, output: W) -> Self {
        let items = match options.format {
            Format::Auto if options.terminal => Layout::Table(Table::new(&options)),
            Format::Text => Layout::Table(Table::new(&options)),
            Format::Auto | Format::Jsonl => Layout::Lines,
            Format::Json => Layout::Array { is_empty: true },
            Format::Csv => Layout::Csv(Csv::new(&options)),
        };
        let SinkOptions { shown, format, meta, terminal, inputs, output: name, .. } = options;
        Self {
            output,
            pending: Vec::with_capacity(2 * BATCH),
            name,
            items,
            plain_value: matches!(format, Format::Auto | Format::Text),
            meta,
            shown,
            terminal,
            inputs,
        }
    }

    /// Prints the end of an item of the input.
    pub(super) fn item(&mut self, index: ItemIndex, completion: &Completion) -> Result<(), Error> {
        let index = completion.origin.as_ref().map_or(index, |origin| origin.index);
        let input = self.inputs.as_ref().and_then(|inputs| inputs.input(index));
        let record = Record { subject: Subject::Item { index, input }, completion, meta: self.meta };
        let is_table = matches!(self.items, Layout::Table(_));
        // Thousands of rows that say nothing would push those that do off the screen.
        if !(is_table && completion.outcome == Outcome::Cancelled) {
            self.items.append(&record, self.terminal, &mut self.pending);
        }
        self.write_if_full()
    }

    /// Prints why an item has no value to be merged. That the run ended before it could is told once for all of them.
    pub(super) fn failed_item(&mut self, index: ItemIndex, completion: &Completion) -> Result<(), Error> {
        if completion.outcome == Outcome::Cancelled { Ok(()) } else { self.item(index, completion) }
    }

    /// Prints why the values of the items from `first` to before `end` could not be merged.
    pub(super) fn failed_merge(
        &mut self,
        first: ItemIndex,
        end: ItemIndex,
        completion: &Completion,
    ) -> Result<(), Error> {
        let record = Record { subject: Subject::Merge { first, end }, completion, meta: self.meta };
        self.items.append(&record, self.terminal, &mut self.pending);
        self.write_if_full()
    }

    /// Prints the merged value of all items.
    pub(super) fn value(&mut self, items: u64, value: &Output) -> Result<(), Error> {
        if self.plain_value {
            append_plain(value, self.terminal, &mut self.pending);
        } else {
            self.items.append_merged(items, value, self.terminal, &mut self.pending);
        }
        self.write_if_full()
    }

    /// Completes what has been printed: there is no more to come.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.items.append_end(self.shown, &mut self.pending);
        self.write_if_full()
    }

    /// Writes everything that has been printed.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.write()?;
        self.output.flush().map_err(|source| self.error(source))
    }

    fn write_if_full(&mut self) -> Result<(), Error> {
        if self.pending.len() < BATCH { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), Error> {
        let whole = self.whole();
        if whole == 0 {
            return Ok(());
        }
        let written = self.output.write_all(&self.pending[..whole]);
        self.pending.drain(..whole);
        // One long record must not hold its memory for the rest of the run.
        self.pending.shrink_to(2 * BATCH);
        written.map_err(|source| self.error(source))
    }

    /// How much of what is pending can be written. A terminal is given whole lines: progress may be drawn below.
    fn whole(&self) -> usize {
        match self.terminal {
            true => memchr::memrchr(b'\n', &self.pending).map_or(0, |end| end + 1),
            false => self.pending.len(),
        }
    }

    fn error(&self, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::Output { name: self.name.clone().into_owned(), source },
        }
    }
}

impl Layout {
    fn append(&mut self, record: &Record<'_>, terminal: bool, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.append(record, out),
            Self::Csv(csv) => csv.append(record, out),
            Self::Lines | Self::Array { .. } => {
                self.append_object(terminal, out, |out| record.append_object(out));
            }
        }
    }

    fn append_merged(&mut self, items: u64, value: &Output, terminal: bool, out: &mut Vec<u8>) {
        match self {
            Self::Table(_) => append_plain(value, terminal, out),
            Self::Csv(csv) => csv.append_merged(items, value, out),
            Self::Lines | Self::Array { .. } => {
                self.append_object(terminal, out, |out| record::append_merged(items, value, out));
            }
        }
    }

    /// Appends a JSON object, and what goes around it.
    fn append_object(&mut self, terminal: bool, out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
        if let Self::Array { is_empty } = self {
            out.extend_from_slice(if *is_empty { b"[\n" } else { b",\n" });
            *is_empty = false;
        }
        let start = out.len();
        append(out);
        if terminal {
            calm(out, start);
        }
        if matches!(self, Self::Lines) {
            out.push(b'\n');
        }
    }

    fn append_end(&mut self, shown: Shown, out: &mut Vec<u8>) {
        match self {
            Self::Table(_) | Self::Lines => {}
            Self::Array { is_empty } => out.extend_from_slice(if *is_empty { b"[\n]\n" } else { b"\n]\n" }),
            Self::Csv(csv) => match shown {
                Shown::Each => csv.append_header(out),
                Shown::Merged | Shown::Finished => csv.append_merged_header(out),
            },
        }
    }
}

/// Into a pipe goes what the guest returned, to the byte.
fn append_plain(value: &Output, terminal: bool, out: &mut Vec<u8>) {
    let cell = Cell::of(value.json());
    match (terminal, cell) {
        (false, Cell::Text(text)) => out.extend_from_slice(text.as_bytes()),
        (_, cell) => out.extend_from_slice(cell.into_line().as_bytes()),
    }
    out.push(b'\n');
}

/// Takes the control characters that JSON allows out of the object from `start` on.
fn calm(out: &mut Vec<u8>, start: usize) {
    let object = String::from_utf8_lossy(&out[start..]);
    let calm = escaped_json(&object).into_owned();
    out.truncate(start);
    out.extend_from_slice(calm.as_bytes());
}
