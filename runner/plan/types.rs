//! Which inputs a function can take, by the types of its parameters alone.

use super::InputKind;
use crate::guest::{Export, ValueType};

/// What a function of texts takes.
const TEXT: &str = "one `string` or `list<u8>`";

/// The function takes items of this kind, and what it returns can be read.
pub(super) fn takes(input: &InputKind, export: &Export) -> bool {
    export.result.as_ref().is_none_or(ValueType::is_passable) && takes_params(input, export)
}

fn takes_params(input: &InputKind, export: &Export) -> bool {
    let mut params = export.params.iter().map(|(_, param)| param);
    match input {
        InputKind::Range { .. } => {
            (1..=2).contains(&export.params.len()) && params.all(|param| param.integer_bounds().is_some())
        }
        InputKind::Lines { .. } | InputKind::Blocks { .. } | InputKind::Files { .. } => {
            export.params.len() == 1 && params.all(|param| *param == ValueType::String || param.is_bytes())
        }
        InputKind::Jsonl(_) | InputKind::Items(_) | InputKind::Arguments(_) => {
            params.all(ValueType::is_passable)
        }
    }
}

/// The flag that gives items of this kind, and what it needs.
pub(super) fn needs(input: &InputKind) -> (&'static str, &'static str) {
    match input {
        InputKind::Range { .. } => ("`--range`", "one or two integers"),
        InputKind::Lines { .. } => ("`--lines`", TEXT),
        InputKind::Jsonl(_) => ("`--jsonl`", "types that can be passed"),
        InputKind::Blocks { .. } => ("`--blocks`", TEXT),
        InputKind::Files { .. } => ("`--files`", TEXT),
        InputKind::Items(_) => ("`--item`", "types that can be passed"),
        InputKind::Arguments(_) => ("a call", "types that can be passed"),
    }
}
