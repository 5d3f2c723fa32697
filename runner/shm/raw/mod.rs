//! What is shared, mapped and without a type: numbers are bits, messages are bytes. The host uses it through the
//! types of the library, a worker through what guests import.
//!
//! Everything is done in the name of a [`Holder`](super::Holder). Waits end at `until`, or not at all where there is
//! none.

mod array;
mod lock;
mod pipe;
mod queue;
mod value;

#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;
use std::{fmt, io};

pub use self::array::RawArray;
pub use self::lock::RawLock;
pub use self::pipe::{RawPipeEnd, Taken};
pub use self::queue::RawQueue;
pub use self::value::RawValue;
use super::declared::Shape;
use super::map::SharedMap;
use super::protocol::lock::Lock;
pub use super::protocol::lock::{Held, TimedOut};
pub use super::protocol::ring::{GetError, PutError};

/// What was done about something shared after a process that held it had died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It held the lock, which is free again. Whoever has it next is told.
    Lock,
    /// It had locked the number, which is as it was, or as it was to be.
    Value,
    /// It had locked the numbers, all of which are as they were, or as they were to be.
    Array,
    /// It was putting a message into the queue, or taking one out.
    Queue {
        /// How many messages are gone with it: not put, or taken and not handed on.
        lost: u32,
    },
    /// It had the end of the pipe, which is closed now.
    PipeEnd {
        /// How many messages are gone with it.
        lost: u32,
    },
}

/// To be read after `a worker is gone`.
impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock => f.write_str("while it held the lock, which is free again"),
            Self::Value => {
                f.write_str("while it had the number locked, which is free again and not half changed")
            }
            Self::Array => {
                f.write_str("while it had the numbers locked, which are free again and not half changed")
            }
            Self::Queue { lost } => write!(f, "while it put a message or took one, {}", Lost(*lost)),
            Self::PipeEnd { lost: 0 } => f.write_str("while it had this end, which is closed now"),
            Self::PipeEnd { lost } => {
                write!(f, "while it had this end, which is closed now, and sent or received, {}", Lost(*lost))
            }
        }
    }
}

/// How many messages are gone.
struct Lost(u32);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("which is not lost"),
            1 => f.write_str("which is lost"),
            lost => write!(f, "and {lost} messages are lost"),
        }
    }
}

/// Maps the file of something shared.
fn map(fd: BorrowedFd<'_>, shape: Shape) -> io::Result<SharedMap> {
    SharedMap::new(fd, shape.file_length()?)
}

/// The lock that begins at byte `at`.
fn lock_at(map: &SharedMap, at: usize) -> Lock<'_> {
    Lock { word: map.word(at), taken_back: map.word(at + 4) }
}
