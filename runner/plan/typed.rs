//! What somebody typed, read as a worker reads it: so that it is refused before there is a worker, in the same words.
//!
//! The types come from a guest's description, which nests no deeper than any that is read. No byte of a guest or a worker
//! comes here.

use crate::guest::ValueType;
use crate::worker::value;

/// Holds JSON against a type, and writes it anew, as it is always written. If it does not fit: why, in one line.
pub(super) fn one(ty: &ValueType, json: &str) -> Result<String, String> {
    value::checked(ty, json)
}

/// Holds JSON against parameters: the value itself of a single one, an array or an object of any other number. Writes an
/// array of them all.
pub(super) fn all(params: &[(String, ValueType)], json: &str) -> Result<String, String> {
    value::checked_arguments(params, json)
}
