//! Where completions go: the only code, beside the command line's own, that writes standard output.
//!
//! # Contract
//! The dispatcher calls [`Sink::accept`] exactly once for every item of the input and for every item the sink asked
//! for itself, in the order in which they end; then, once the source has ended, [`Sink::input_ended`]. The run is
//! over when nothing is outstanding any more. A sink may block: that is the back-pressure.

use crate::chunk::Chunk;
use crate::error::Error;
use crate::item::ItemIndex;
use crate::outcome::Completion;

/// Takes the ends of items and makes output of them.
pub trait Sink {
    /// Takes the end of one item.
    ///
    /// # Errors
    /// If output cannot be written; the run is over then.
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error>;

    /// Takes note that the input has `total` items and no more. Called once, maybe before they all ended.
    ///
    /// # Errors
    /// As [`Sink::accept`].
    fn input_ended(&mut self, total: u64) -> Result<Accepted, Error>;

    /// Hands on what is buffered. Called when the dispatcher has nothing else to do, and at the end.
    ///
    /// # Errors
    /// As [`Sink::accept`].
    fn flush(&mut self) -> Result<(), Error>;
}

/// What taking a completion led to.
#[derive(Debug, Default)]
pub struct Accepted {
    /// How many items of the input are done with for good: their place in the window is free.
    pub emitted: u64,
    /// Work the sink wants done in the sandbox: merges. Their ends come back through [`Sink::accept`].
    pub work: Vec<Chunk>,
}
