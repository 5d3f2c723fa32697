//! A first guest: one function over one text.

/// The text, louder.
#[wasmpool_guest::task]
fn shout(text: &str) -> String {
    text.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::shout;

    #[test]
    fn a_text_gets_louder() {
        assert_eq!(shout("grüße, world"), "GRÜSSE, WORLD");
    }
}
