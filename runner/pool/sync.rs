//! The atomics that [`gate`](super::gate) is written with: `tests/model` puts a model checker's in their place.

pub(super) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
