//! What is done to the words of shared memory, and in which order: the part that a model checker can run.
//!
//! Any process may be killed between any two steps, and any may write what it likes.

pub(crate) mod copy;
pub(crate) mod event;
pub(crate) mod lock;
pub(crate) mod ring;
mod sync;
pub(crate) mod twin;
