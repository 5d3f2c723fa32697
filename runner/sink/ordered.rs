//! Prints every item in the order of the input.

use std::io::Write;

use super::print::Printer;
use super::reorder::Reorder;
use super::{Accepted, InputEnd, Sink};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;

/// Holds back what ends ahead of its turn.
#[derive(Debug)]
pub(super) struct Ordered<W> {
    printer: Printer<W>,
    waiting: Reorder<Completion>,
    held_bytes: u64,
    end: Option<InputEnd>,
}

impl<W: Write> Ordered<W> {
    pub(super) fn new(printer: Printer<W>) -> Self {
        Self { printer, waiting: Reorder::new(), held_bytes: 0, end: None }
    }

    fn end_if_over(&mut self) -> Result<(), Error> {
        if self.end == Some(InputEnd::Whole { total: self.waiting.next() }) {
            self.printer.end()
        } else {
            Ok(())
        }
    }
}

impl<W: Write> Sink for Ordered<W> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        self.held_bytes += completion.held_bytes();
        self.waiting.insert(index, completion);
        let mut emitted = 0;
        while let Some((index, completion)) = self.waiting.pop() {
            self.held_bytes -= completion.held_bytes();
            self.printer.item(index, &completion)?;
            emitted += 1;
        }
        self.end_if_over()?;
        Ok(Accepted { emitted, held_bytes: self.held_bytes, work: Vec::new() })
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        self.end = Some(end);
        self.end_if_over()?;
        Ok(Accepted { held_bytes: self.held_bytes, ..Accepted::default() })
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush()
    }
}
