//! Memory that two processes see.
//!
//! What a worker writes is hostile: the host copies it, within bounds, before it looks at it.

mod array;
pub mod declared;
mod futex;
mod geometry;
mod lock;
mod map;
mod memory;
mod message;
mod number;
mod object;
mod pipe;
mod protocol;
mod queue;
pub mod raw;
pub mod reservation;
pub mod segment;
pub mod shared;
mod value;

pub use self::array::Array;
pub use self::declared::Holder;
pub use self::lock::{Lock, LockGuard};
pub use self::map::SharedMap;
pub use self::memory::SharedMemory;
pub use self::message::{Malformed, Message};
pub use self::number::Numeric;
pub use self::pipe::{Pipe, PipeEnd};
pub use self::queue::{Messages, NoMessage, Queue};
pub use self::raw::{GetError, PutError, TimedOut};
pub use self::shared::{Share, Shared};
pub use self::value::Value;
