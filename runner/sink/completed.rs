//! Prints every item as soon as it ends.

use std::io::Write;

use super::print::Printer;
use super::{Accepted, Sink};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;

/// Holds nothing back.
#[derive(Debug)]
pub(super) struct Completed<W> {
    printer: Printer<W>,
}

impl<W: Write> Completed<W> {
    pub(super) fn new(printer: Printer<W>) -> Self {
        Self { printer }
    }
}

impl<W: Write> Sink for Completed<W> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        self.printer.item(index, &completion)?;
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, _total: u64) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush()
    }
}
