//! Which inputs a function can take, by the types of its parameters alone.

use super::InputKind;
use crate::guest::{Description, Export, ValueType};

/// The function takes items of this kind, and what it returns can be read.
pub(super) fn takes(input: &InputKind, export: &Export) -> bool {
    export.result.as_ref().is_none_or(is_passable) && takes_params(input, export)
}

fn takes_params(input: &InputKind, export: &Export) -> bool {
    let mut params = export.params.iter().map(|(_, param)| param);
    match input {
        InputKind::Range { .. } => {
            (1..=2).contains(&export.params.len()) && params.all(|param| param.integer_bounds().is_some())
        }
        InputKind::Lines(_) => params.eq([&ValueType::String]),
        InputKind::Arguments(_) => params.all(is_passable),
    }
}

/// The flag that gives items of this kind, and what it needs.
pub(super) fn needs(input: &InputKind) -> (&'static str, &'static str) {
    match input {
        InputKind::Range { .. } => ("`--range`", "one or two integers"),
        InputKind::Lines(_) => ("`--lines`", "one string"),
        InputKind::Arguments(_) => ("a call", "types that can be passed"),
    }
}

/// Whether values of this type can cross between host and guest.
pub(crate) fn is_passable(value: &ValueType) -> bool {
    match value {
        ValueType::Other(_) => false,
        ValueType::List(element) | ValueType::Option(element) => is_passable(element),
        ValueType::Tuple(elements) => elements.iter().all(is_passable),
        ValueType::Record(fields) => fields.iter().all(|(_, field)| is_passable(field)),
        ValueType::Bool
        | ValueType::S8
        | ValueType::U8
        | ValueType::S16
        | ValueType::U16
        | ValueType::S32
        | ValueType::U32
        | ValueType::S64
        | ValueType::U64
        | ValueType::F32
        | ValueType::F64
        | ValueType::Char
        | ValueType::String => true,
    }
}

/// The function whose values `export` is there to merge, if it is.
pub(crate) fn merged_by<'a>(guest: &'a Description, export: &Export) -> Option<&'a Export> {
    guest.exports.iter().find(|merged| guest.merge_of(merged) == Some(export))
}
