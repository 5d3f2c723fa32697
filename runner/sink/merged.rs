//! Prints one value for all items, merged in the sandbox; if an item failed, the failed items instead.
//!
//! What is printed follows from the input alone: the failed items in input order if there are any, or else the
//! first merge that failed, lowest level first, or else the value. No items have no value, and nothing is printed.

use std::io::{self, Write};

use super::print::Printer;
use super::reorder::Reorder;
use super::tree::Tree;
use super::{Accepted, Sink, held_by};
use crate::chunk::{Chunk, TooLong};
use crate::error::Error;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Outcome};

/// Feeds values to the tree, and prints at the end.
#[derive(Debug)]
pub(super) struct Merged<W> {
    printer: Printer<W>,
    /// The failed ones among the items that ended ahead of others; nothing in the place of the `ok` ones.
    waiting: Reorder<Option<Completion>>,
    /// Bytes of the failed ones.
    waiting_bytes: u64,
    tree: Tree,
    total: Option<u64>,
    has_failed: bool,
    is_told: bool,
}

impl<W: Write> Merged<W> {
    pub(super) fn new(printer: Printer<W>) -> Self {
        Self {
            printer,
            waiting: Reorder::new(),
            waiting_bytes: 0,
            tree: Tree::default(),
            total: None,
            has_failed: false,
            is_told: false,
        }
    }

    /// Takes the end of an item of the input: what it freed, and a merge it made possible.
    fn item(&mut self, index: ItemIndex, completion: Completion) -> Result<(u64, Option<Chunk>), Error> {
        let (failure, work) = match completion.outcome {
            Outcome::Ok(value) if !self.has_failed => {
                (None, self.tree.insert(index, value).map_err(too_long)?)
            }
            Outcome::Ok(_) => (None, None),
            Outcome::Trap { .. }
            | Outcome::Exit { .. }
            | Outcome::Timeout { .. }
            | Outcome::Output { .. }
            | Outcome::Input { .. }
            | Outcome::Crash { .. }
            | Outcome::Protocol { .. }
            | Outcome::Cancelled => {
                self.has_failed = true;
                self.tree.abandon();
                self.waiting_bytes += held_by(&completion);
                (Some(completion), None)
            }
        };
        self.waiting.insert(index, failure);
        Ok((self.emit()?, work))
    }

    fn emit(&mut self) -> Result<u64, Error> {
        let mut emitted = 0;
        while let Some((index, failure)) = self.waiting.pop() {
            if let Some(failure) = failure {
                self.waiting_bytes -= held_by(&failure);
                self.printer.item(index, &failure)?;
            }
            emitted += 1;
        }
        Ok(emitted)
    }

    /// Prints the value, or the failed merge, once nothing is outstanding.
    fn tell_if_over(&mut self) -> Result<(), Error> {
        let Some(total) = self.total else { return Ok(()) };
        if self.is_told || self.waiting.next() < total || !self.tree.is_settled() {
            return Ok(());
        }
        self.is_told = true;
        match (self.tree.failure(), self.tree.result()) {
            (Some(failure), _) => {
                self.printer.failed_merge(failure.first, failure.end, &failure.completion)?;
            }
            (None, Some(value)) if !self.has_failed => self.printer.value(total, value)?,
            (None, _) => {}
        }
        self.printer.end()
    }

    fn accepted(&self, emitted: u64, work: Vec<Chunk>) -> Accepted {
        Accepted { emitted, held_bytes: self.waiting_bytes + self.tree.held_bytes(), work }
    }
}

impl<W: Write> Sink for Merged<W> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        let (emitted, work) = if index & MERGE_BIT == 0 {
            self.item(index, completion)?
        } else {
            (0, self.tree.merged(index, completion).map_err(too_long)?)
        };
        self.tell_if_over()?;
        Ok(self.accepted(emitted, work.into_iter().collect()))
    }

    fn input_ended(&mut self, total: u64) -> Result<Accepted, Error> {
        self.total = Some(total);
        let work = self.tree.input_ended(total).map_err(too_long)?;
        self.tell_if_over()?;
        Ok(self.accepted(0, work))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush()
    }
}

fn too_long(error: TooLong) -> Error {
    Error::Output { name: "the merged value".to_owned(), source: io::Error::other(error) }
}
