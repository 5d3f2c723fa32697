//! How chunks find drivers: queues with stealing, sleep without lost wake-ups, a window that holds the source back,
//! and the size of chunks.
//!
//! The only module that names `crossbeam_deque`. It starts no thread and knows no worker: a driver brings its own way
//! to be woken ([`Wake`]), because it sleeps in a poll over its worker's pipes. README.md in this folder argues the
//! protocol; `tests/model` explores its interleavings.

mod park;
mod queue;
mod sync;
#[cfg(test)]
mod tests;
mod tuner;
mod window;

pub use park::Wake;
pub use queue::{LocalQueue, Next, Origin, Scheduler, Split};
pub use tuner::ChunkSize;
pub use window::{Closed, Window};

use crate::chunk::Chunk;

impl Split for Chunk {
    fn first(&self) -> u64 {
        Chunk::first(self)
    }

    fn len(&self) -> u64 {
        Chunk::len(self)
    }

    fn split_half(&mut self) -> Option<Self> {
        let half = Chunk::len(self).div_ceil(2);
        self.split_off(half)
    }
}
