//! Where completions go: the only code, beside the command line's own, that writes standard output.
//!
//! # Contract
//! The dispatcher calls [`Sink::accept`] exactly once for every item of the input and for every item the sink asked
//! for itself, in the order in which they end; then, once the source has ended, [`Sink::input_ended`]. The run is
//! over when nothing is outstanding any more. A sink may block: that is the back-pressure.
//!
//! What a sink has printed reaches the output when it has gathered a batch, and at [`Sink::flush`]. A sink that is
//! dropped without a last flush loses the rest.

mod columns;
mod completed;
mod csv;
mod file;
mod merged;
mod ordered;
mod print;
mod reorder;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;
use std::io::Write;

use crate::chunk::{Chunk, Inputs};
use crate::color::Color;
use crate::error::Error;
use crate::guest::ValueType;
use crate::item::ItemIndex;
use crate::outcome::Completion;

pub use self::file::OutputFile;
pub(crate) use self::reorder::Reorder;

/// Takes the ends of items and makes output of them.
pub trait Sink {
    /// Takes the end of one item.
    ///
    /// # Errors
    /// If output cannot be written; the run is over then.
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error>;

    /// Takes note of the end of the input. Called once, maybe before all items ended.
    ///
    /// # Errors
    /// As [`Sink::accept`].
    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error>;

    /// Hands on what is buffered. Called when the dispatcher has nothing else to do, and at the end.
    ///
    /// # Errors
    /// As [`Sink::accept`].
    fn flush(&mut self) -> Result<(), Error>;
}

/// How many items the input has, and why there are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEnd {
    /// That is all of it.
    Whole {
        /// How many items it has.
        total: u64,
    },
    /// The rest cannot be read: what comes out is not the output for the input, and must not look like it.
    CutShort {
        /// How many items were read.
        total: u64,
    },
}

impl InputEnd {
    /// How many items there are.
    #[must_use]
    pub fn total(self) -> u64 {
        match self {
            Self::Whole { total } | Self::CutShort { total } => total,
        }
    }
}

/// What taking a completion led to.
#[derive(Debug, Default)]
pub struct Accepted {
    /// How many items of the input are done with for good: their place in the window is free.
    pub emitted: u64,
    /// Bytes of results the sink holds back by now, for the window to count. Merged values are held until their
    /// neighbours come, so a window that is full of them must let an item in when none is outstanding.
    pub held_bytes: u64,
    /// Work the sink wants done in the sandbox: merges. Their ends come back through [`Sink::accept`].
    pub work: Vec<Chunk>,
}

/// How items and merged values are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A merged value plain; items as text on a terminal and as JSONL elsewhere.
    #[default]
    Auto,
    /// For people: a table, or only values for lines in input order.
    Text,
    /// For programs: one JSON object on each line.
    Jsonl,
    /// The same objects in one JSON array.
    Json,
    /// For spreadsheets: a line of names, then a row for each item.
    Csv,
}

/// What is printed of the items of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Each of them.
    Each,
    /// The one value that theirs were merged into; of a single item, its own.
    Merged,
    /// What the guest makes of that value.
    Finished,
}

/// What a run prints.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// What of all the items.
    pub shown: Shown,
    /// Items in input order, instead of as they end.
    pub ordered: bool,
    /// How.
    pub format: Format,
    /// What varies from run to run, too.
    pub meta: bool,
    /// The output is a terminal, which guests must not control.
    pub terminal: bool,
    /// Whether it takes colours.
    pub color: Color,
    /// What errors call the output: `standard output`, or a file's name in backticks.
    pub output: Cow<'static, str>,
    /// What the function returns: a record has a column for each field.
    pub result: Option<ValueType>,
    /// Each item is a file, and is known by its name.
    pub files: bool,
    /// The inputs of the whole job where items show theirs: for ranges and single items, not for lines.
    pub inputs: Option<Inputs>,
    /// What else items are known by in a run of several stages; none: there is one.
    pub stages: Option<Stages>,
}

/// What the items of a run of several stages are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    /// Each of one item of the input, and none of the same.
    Whole,
    /// Each of one item of the input, which others may be made of, too: lists are taken apart on the way.
    Parts,
}

/// The sink of a run that prints to `output`.
#[must_use]
pub fn for_run<'w, W: Write + 'w>(options: SinkOptions, output: W) -> Box<dyn Sink + 'w> {
    let SinkOptions { shown, ordered, .. } = options;
    let printer = print::Printer::new(options, output);
    match shown {
        Shown::Merged => Box::new(merged::Merged::new(printer, merged::Finish::None)),
        Shown::Finished => Box::new(merged::Merged::new(printer, merged::Finish::Wanted)),
        Shown::Each if ordered => Box::new(ordered::Ordered::new(printer)),
        Shown::Each => Box::new(completed::Completed::new(printer)),
    }
}
