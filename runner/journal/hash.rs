//! What an item's input was, in 16 bytes: enough to tell whether it still is.

use blake3::Hasher;

use crate::item::Input;
use crate::source::Refused;

/// The first 16 bytes of the BLAKE3 of an input.
pub type InputHash = [u8; 16];

/// Of an item that is called with this.
pub(crate) fn of_input(input: Input<'_>) -> InputHash {
    match input {
        Input::Span { start, end } => of(0, &[&start.to_le_bytes(), &end.to_le_bytes()]),
        Input::Number(number) => of(1, &[&number.to_le_bytes()]),
        Input::Text(text) => of(2, &[text]),
        Input::File { name, content } => of(3, &[name, content]),
        Input::Arguments(json) => of(4, &[json]),
        // The line it stands on is where it is, not what it is.
        Input::Json { text, line: _ } => of(5, &[text]),
        Input::Fold(values) => of(6, &[values]),
    }
}

/// Of an item that could not be had.
pub(crate) fn of_refused(Refused { file, error }: &Refused) -> InputHash {
    of(7, &[file.as_deref().unwrap_or_default(), error.as_bytes()])
}

fn of(kind: u8, parts: &[&[u8]]) -> InputHash {
    let mut hasher = Hasher::new();
    hasher.update(&[kind]);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hash = InputHash::default();
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}
