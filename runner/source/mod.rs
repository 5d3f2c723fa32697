//! Where items come from.
//!
//! A source is read by the feeder alone, a chunk at a time, as far ahead as the window allows. It fixes what
//! each item is; how many of them it puts into one chunk is the caller's choice and changes no item.

use crate::chunk::Inputs;
use crate::error::Error;
use crate::limits::Terms;
use crate::outcome::Completion;

mod arguments;
mod blocks;
mod files;
mod format;
mod items;
mod jsonl;
mod lines;
mod opened;
mod range;
mod reader;
mod stream;
#[cfg(test)]
mod tests;

pub use arguments::Arguments;
pub use blocks::{Blocks, MAX_BLOCK};
pub use files::{Files, NameEnd};
pub use items::Items;
pub use jsonl::Jsonl;
pub use lines::{LineEnd, Lines};
pub use range::{Range, TooManyItems};

/// The longest line and the longest file that is taken, in bytes: what one item may bring into a worker, and what the
/// host must be ready to hold beyond the window. Only a block may be longer, where that is asked for.
pub const MAX_LINE: usize = 16 << 20;

/// What a source hands out.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The inputs of some items.
    Inputs(Inputs),
    /// The inputs of some items with terms of their own.
    Calls(Inputs, Terms),
    /// One item that cannot be called with anything: its input is too long, or cannot be read.
    Refused(Refused),
    /// One item that has ended, somewhere else.
    Ended(Box<Completion>),
    /// No item, but something about the input that the user should know: one lower-case line.
    Remark(String),
    /// No item so far: there was much to pass over, and there may be more of it.
    Nothing,
}

/// An item that has failed before it ran.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file that it should have been read from, where it was one.
    pub file: Option<Box<[u8]>>,
    /// What was expected, what was found, and where.
    pub error: String,
}

/// How much that is no item a source passes over before it says so.
const MOST_GAPS: usize = 4096;

/// A stream of inputs, in item order.
pub trait Source: Send {
    /// What comes next; `None` at the end of the stream.
    ///
    /// Inputs are at least one and at most `max_items` (which is at least 1); fewer when it has gathered `max_bytes`
    /// of them, when something else comes next, or when it would have to wait for more.
    ///
    /// # Errors
    /// If the input cannot be read. Items handed out before stay valid; the source is not asked again.
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error>;

    /// How many items there are in all, where that is known before reading.
    fn total(&self) -> Option<u64>;
}
