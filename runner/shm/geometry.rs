//! What is where in the memory of each shared thing. All of it follows from what was declared, and nothing from the
//! memory itself.
//!
//! Memory of zeros is the beginning of everything: a lock that is free, numbers that are 0, a queue that is empty.

use std::io;

use super::declared::{Bounds, Number, Shape};

/// Guests map memory in pages of WebAssembly, and what is behind the end of a file cannot be touched.
pub(crate) const SEGMENT_PAGE: usize = 64 << 10;

/// The most bytes that one shared thing may have.
pub(crate) const MOST_BYTES: usize = 1 << 40;

const PAGE: usize = 4096;

/// What one processor writes is not to be in the way of another: the line beside it is fetched with a line.
pub(crate) const APART: usize = 128;

/// A message and its length, if the message is short.
pub(crate) const CELL: usize = 64;

/// A longer message than this is not in its cell.
pub(crate) const SHORT: usize = CELL - 8;

/// Where in the memory of a value the number is, behind its lock.
pub(crate) const VALUE_AT: usize = 8;

/// The same of an array: a word that says which of two copies counts, and the first copy.
pub(crate) const VERSION_AT: usize = 8;
pub(crate) const NUMBERS_AT: usize = APART;

/// The same of a pipe: which of its two ends are open, and the first of its two rings.
pub(crate) const ENDS_AT: [usize; 2] = [0, 4];
pub(crate) const RINGS_AT: usize = APART;

/// Where in a ring its parts are.
pub(crate) const PUT_AT: usize = 0;
pub(crate) const GET_AT: usize = APART;
pub(crate) const PLACE_AT: usize = 2 * APART;
pub(crate) const MESSAGE_AT: usize = 3 * APART;
pub(crate) const CELLS_AT: usize = 4 * APART;

/// Where in a side of a ring its words are, behind its lock.
pub(crate) const BEGUN_AT: usize = 8;
pub(crate) const POSITION_AT: usize = 16;

impl Shape {
    /// How long the file of such a thing is, in bytes: whole pages.
    ///
    /// # Errors
    /// If it is nothing, or more than 1 TiB.
    pub fn file_length(&self) -> io::Result<usize> {
        let (length, page) = match *self {
            Self::Segment { length, .. } => {
                (usize::try_from(length).ok().filter(|length| *length > 0), SEGMENT_PAGE)
            }
            Self::Value(_) | Self::Lock => (Some(PAGE), PAGE),
            Self::Array { number, length } => (array_length(number, length), PAGE),
            Self::Queue(bounds) => (ring_length(bounds), PAGE),
            Self::PipeEnd { bounds, .. } => (pipe_length(bounds), PAGE),
        };
        let length = length.and_then(|length| length.checked_next_multiple_of(page));
        length.filter(|length| *length <= MOST_BYTES).ok_or_else(|| {
            let message = "shared memory has at least one byte or message, and at most 1 TiB";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

/// How many bytes each of the two copies of an array has: whole words.
pub(crate) fn copy_length(number: Number, length: u32) -> Option<usize> {
    let bytes = usize::try_from(length).ok()?.checked_mul(number.size())?;
    bytes.checked_next_multiple_of(APART)
}

fn array_length(number: Number, length: u32) -> Option<usize> {
    copy_length(number, length)?.checked_mul(2)?.checked_add(NUMBERS_AT)
}

/// How far apart the places of long messages are.
pub(crate) fn stride(bounds: Bounds) -> Option<usize> {
    let bytes = usize::try_from(bounds.bytes).ok()?;
    if bytes <= SHORT {
        return Some(0);
    }
    // An odd number of lines, or all messages would begin in the same few places of the processor's caches.
    let lines = bytes.div_ceil(CELL) | 1;
    lines.checked_mul(CELL)
}

/// How many bytes a ring has.
pub(crate) fn ring_length(bounds: Bounds) -> Option<usize> {
    let messages = usize::try_from(bounds.messages).ok().filter(|messages| *messages > 0)?;
    let cells = messages.checked_mul(CELL)?;
    let long = messages.checked_mul(stride(bounds)?)?;
    CELLS_AT.checked_add(cells)?.checked_add(long)?.checked_next_multiple_of(APART)
}

fn pipe_length(bounds: Bounds) -> Option<usize> {
    ring_length(bounds)?.checked_mul(2)?.checked_add(RINGS_AT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: Shape, length: usize) {
        assert_eq!(shape.file_length().ok(), Some(length));
    }

    #[test]
    fn the_memory_of_a_segment_ends_with_a_page_of_webassembly() {
        check(Shape::Segment { length: 1, writable: true }, 64 << 10);
        check(Shape::Segment { length: 65_537, writable: false }, 128 << 10);
    }

    #[test]
    fn an_array_has_two_copies() {
        check(Shape::Array { number: Number::F64, length: 1024 }, 5 * 4096);
        check(Shape::Array { number: Number::U32, length: 0 }, 4096);
    }

    #[test]
    fn short_messages_take_a_line_each() {
        check(Shape::Queue(Bounds { messages: 56, bytes: 56 }), 4096);
        check(Shape::Queue(Bounds { messages: 57, bytes: 8 }), 2 * 4096);
    }

    #[track_caller]
    fn check_refused(shape: Shape) {
        assert_eq!(shape.file_length().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nothing_is_not_shared() {
        check_refused(Shape::Segment { length: 0, writable: true });
        check_refused(Shape::Queue(Bounds { messages: 0, bytes: 8 }));
    }

    #[test]
    fn what_is_longer_than_any_memory_is_refused() {
        check_refused(Shape::Segment { length: u64::MAX, writable: true });
        check_refused(Shape::Queue(Bounds { messages: u32::MAX, bytes: u32::MAX }));
        check_refused(Shape::PipeEnd { second: false, bounds: Bounds { messages: 1 << 24, bytes: 1 << 16 } });
    }
}
