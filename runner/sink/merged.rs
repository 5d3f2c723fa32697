//! Prints one value for all items, merged in the sandbox; if an item failed, the failed items instead.
//!
//! What is printed follows from the input alone: the failed items in input order if there are any, or else the
//! first merge that failed, lowest level first, or else the value, which the guest may have finished. No items have no
//! value, and nothing is printed.

use std::io::{self, Write};

use super::print::Printer;
use super::reorder::Reorder;
use super::tree::Tree;
use super::{Accepted, InputEnd, Sink};
use crate::chunk::{Chunk, Inputs, Packed, TooLong};
use crate::error::Error;
use crate::item::{FINISH, ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Outcome, Output};

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
    finish: Finish,
    is_told: bool,
}

/// Whether the guest has the last word about the merged value.
#[derive(Debug)]
pub(super) enum Finish {
    /// It is printed as it is.
    None,
    /// It has, once there is one.
    Wanted,
    /// It has been asked.
    Asked,
    /// This is it.
    Done(Completion),
}

impl<W: Write> Merged<W> {
    pub(super) fn new(printer: Printer<W>, finish: Finish) -> Self {
        Self {
            printer,
            waiting: Reorder::new(),
            waiting_bytes: 0,
            tree: Tree::default(),
            total: None,
            has_failed: false,
            finish,
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
            | Outcome::Memory { .. }
            | Outcome::Output { .. }
            | Outcome::Input { .. }
            | Outcome::Denied { .. }
            | Outcome::Crash { .. }
            | Outcome::Protocol { .. }
            | Outcome::Cancelled => {
                self.has_failed = true;
                self.tree.abandon();
                self.waiting_bytes += completion.held_bytes();
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
                self.waiting_bytes -= failure.held_bytes();
                self.printer.failed_item(index, &failure)?;
            }
            emitted += 1;
        }
        Ok(emitted)
    }

    /// Prints the value, or the failed merge, once nothing is outstanding; asks for the value to be finished before,
    /// where it is to be.
    fn tell_if_over(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(total) = self.total else { return Ok(None) };
        if self.is_told || self.waiting.next() < total || !self.tree.is_settled() {
            return Ok(None);
        }
        let told = match (self.tree.failure(), self.tree.result(), &self.finish) {
            (Some(failure), _, _) => {
                self.printer.failed_merge(failure.first, failure.end, &failure.completion)
            }
            (None, Some(value), Finish::Wanted) if !self.has_failed => {
                self.finish = Finish::Asked;
                return finishing(value).map(Some).map_err(too_long);
            }
            (None, Some(_), Finish::Asked) => return Ok(None),
            (None, Some(_), Finish::Done(completion)) => match completion.outcome.output() {
                Some(value) => self.printer.value(total, value),
                None => self.printer.failed_merge(0, total, completion),
            },
            (None, Some(value), Finish::None) if !self.has_failed => self.printer.value(total, value),
            (None, Some(_) | None, Finish::None | Finish::Wanted | Finish::Asked | Finish::Done(_)) => Ok(()),
        };
        self.is_told = true;
        told.and_then(|()| self.printer.end()).map(|()| None)
    }

    fn accepted(&self, emitted: u64, work: Vec<Chunk>) -> Accepted {
        Accepted { emitted, held_bytes: self.waiting_bytes + self.tree.held_bytes(), work }
    }
}

impl<W: Write> Sink for Merged<W> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        let (emitted, work) = if index & MERGE_BIT == 0 {
            self.item(index, completion)?
        } else if index == FINISH {
            assert!(matches!(self.finish, Finish::Asked), "what was not asked for has ended");
            self.finish = Finish::Done(completion);
            (0, None)
        } else {
            (0, self.tree.merged(index, completion).map_err(too_long)?)
        };
        let last = self.tell_if_over()?;
        Ok(self.accepted(emitted, work.into_iter().chain(last).collect()))
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        let total = end.total();
        self.total = Some(total);
        if end == (InputEnd::CutShort { total }) {
            // A value of a part would be taken for that of the whole.
            self.has_failed = true;
            self.tree.abandon();
        }
        let mut work = self.tree.input_ended(total).map_err(too_long)?;
        work.extend(self.tell_if_over()?);
        Ok(self.accepted(0, work))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush()
    }
}

/// The call that makes of the merged value what is printed.
fn finishing(value: &Output) -> Result<Chunk, TooLong> {
    let mut packed = Packed::default();
    packed.push(&[b"[", value.json().as_bytes(), b"]"].concat())?;
    Ok(Chunk::new(FINISH, Inputs::Folds(packed)))
}

fn too_long(error: TooLong) -> Error {
    Error::Output { name: "the merged value".to_owned(), source: io::Error::other(error) }
}
