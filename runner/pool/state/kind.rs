//! What a chunk is for: items of the input, or merges.

use crate::chunk::{Chunk, Inputs};
use crate::item::FINISH;

/// The two kinds of chunks, which are answered in messages of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Kind {
    /// Items of the input.
    Items,
    Merges,
}

impl Kind {
    /// The kind of a chunk.
    pub(in crate::pool) fn of(chunk: &Chunk) -> Self {
        match chunk.inputs() {
            Inputs::Folds(_) => Self::Merges,
            Inputs::Spans { .. }
            | Inputs::Numbers { .. }
            | Inputs::Texts(_)
            | Inputs::Files { .. }
            | Inputs::Arguments(_)
            | Inputs::Json { .. } => Self::Items,
        }
    }
}

/// Which of the exports a worker was told at its start runs this chunk.
pub(super) fn export_of(chunk: &Chunk) -> u32 {
    match Kind::of(chunk) {
        Kind::Merges if chunk.first() == FINISH => 2,
        Kind::Merges => 1,
        Kind::Items => chunk.terms().export,
    }
}
