//! Prints every item as soon as it ends.

use std::io::Write;

use super::print::Printer;
use super::{Accepted, InputEnd, Sink};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;

/// Holds nothing back.
#[derive(Debug)]
pub(super) struct Completed<W> {
    printer: Printer<W>,
    printed: u64,
    end: Option<InputEnd>,
}

impl<W: Write> Completed<W> {
    pub(super) fn new(printer: Printer<W>) -> Self {
        Self { printer, printed: 0, end: None }
    }

    fn end_if_over(&mut self) -> Result<(), Error> {
        if self.end == Some(InputEnd::Whole { total: self.printed }) { self.printer.end() } else { Ok(()) }
    }
}

impl<W: Write> Sink for Completed<W> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        self.printer.item(index, &completion)?;
        self.printed += 1;
        self.end_if_over()?;
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        self.end = Some(end);
        self.end_if_over()?;
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush()
    }
}
