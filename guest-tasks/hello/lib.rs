//! A first guest: one function over one text.

/// The text, louder.
#[wasmpool_guest::task]
fn shout(text: &str) -> String {
    text.to_uppercase()
}
