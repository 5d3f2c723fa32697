//! Where items come from.
//!
//! A source is read by the feeder alone, a chunk at a time, as far ahead as the window allows. It fixes what
//! each item is; how many of them it puts into one chunk is the caller's choice and changes no item.

use crate::chunk::Inputs;
use crate::error::Error;

mod arguments;
mod lines;
mod range;

pub use arguments::Arguments;
pub use lines::{Lines, MAX_LINE};
pub use range::{Range, TooManyItems};

/// A stream of inputs, in item order.
pub trait Source: Send {
    /// The next inputs: at least one and at most `max_items` (which is at least 1); fewer when it has gathered
    /// `max_bytes` of them, or when it would have to wait for more; `None` at the end of the stream.
    ///
    /// # Errors
    /// If the input cannot be read. Items handed out before stay valid; the source is not asked again.
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Inputs>, Error>;

    /// How many items there are in all, where that is known before reading.
    fn total(&self) -> Option<u64>;
}
