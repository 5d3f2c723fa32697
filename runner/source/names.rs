//! What a record prints as the `input` of its item.

use crate::chunk::Inputs;
use crate::item::{Input, ItemIndex};

/// Gives each item's `input` as JSON, where the item can be named by its numbers.
///
/// It is computed from the index alone, so that nothing is kept for an item between its start and its end.
#[derive(Clone, Debug, Default)]
pub struct InputNames {
    whole: Option<Inputs>,
}

impl InputNames {
    /// The names of the items of a whole range.
    pub(super) fn of(whole: Inputs) -> Self {
        Self { whole: Some(whole) }
    }

    /// The item's input as JSON: `[start,end]` for a part of a range, `n` for a number; none for an item that is
    /// known by its index alone, such as a line.
    #[must_use]
    pub fn json(&self, index: ItemIndex) -> Option<String> {
        match self.whole.as_ref()?.input(index)? {
            Input::Span { start, end } => Some(format!("[{start},{end}]")),
            Input::Number(number) => Some(number.to_string()),
            Input::Text(_) | Input::Arguments(_) | Input::Fold(_) => None,
        }
    }
}
