//! Which protocol and which build is spoken, and whether two of them can work together.

use super::msg::Hello;

/// The version of what messages mean; any change of it makes host and worker strangers.
pub const PROTOCOL: u16 = 1;

/// The version of wasmpool that this is.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Why host and worker cannot work together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// They speak different protocols.
    #[error("the other side speaks protocol {theirs}, this one {PROTOCOL}")]
    Protocol {
        /// What the other side speaks.
        theirs: u16,
    },
    /// They speak the same protocol but come from different builds.
    #[error("the other side is wasmpool {theirs}, this one {BUILD}")]
    Build {
        /// What the other side says it is: its first characters, escaped.
        theirs: String,
    },
}

/// What this build says first.
#[must_use]
pub fn hello() -> Hello<'static> {
    Hello { protocol: PROTOCOL, build: BUILD }
}

/// Checks what the other side said first.
///
/// # Errors
/// If it is not of this very build.
pub fn check(hello: &Hello<'_>) -> Result<(), Mismatch> {
    if hello.protocol != PROTOCOL {
        return Err(Mismatch::Protocol { theirs: hello.protocol });
    }
    if hello.build != BUILD {
        let theirs = hello.build.chars().take(32).flat_map(char::escape_default).collect();
        return Err(Mismatch::Build { theirs });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_works_with_itself() {
        assert_eq!(check(&hello()), Ok(()));
    }

    #[test]
    fn another_protocol_is_refused_whatever_the_build_says() {
        let theirs = PROTOCOL + 1;
        assert_eq!(check(&Hello { protocol: theirs, build: BUILD }), Err(Mismatch::Protocol { theirs }));
    }

    #[test]
    fn another_build_is_named_without_control_characters_and_in_few_words() {
        let build = format!("9\u{1b}{}", "x".repeat(99));
        let mismatch = check(&Hello { protocol: PROTOCOL, build: &build }).unwrap_err();
        let theirs = format!("9\\u{{1b}}{}", "x".repeat(30));
        assert_eq!(mismatch, Mismatch::Build { theirs });
    }
}
