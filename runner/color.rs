//! Colours on streams that take them. They only underline what the text says anyway.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Whether a stream takes colours: what was asked for, what the stream is and `NO_COLOR` have been weighed by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Text only.
    #[default]
    Off,
    /// Text with ANSI escape sequences.
    On,
}

/// Above columns.
pub(crate) const HEADER: Style = Style::new().bold();

/// The status of an item that failed.
pub(crate) const FAILURE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// The word before a warning.
pub(crate) const WARNING: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

impl Color {
    /// The text as it is to be written.
    pub(crate) fn paint(self, style: Style, text: &str) -> Cow<'_, str> {
        match self {
            Self::Off => Cow::Borrowed(text),
            Self::On => Cow::Owned(format!("{style}{text}{style:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_adds_nothing_but_escape_sequences() {
        assert_eq!(Color::Off.paint(FAILURE, "trap"), "trap");
        assert_eq!(Color::On.paint(FAILURE, "trap"), "\u{1b}[31mtrap\u{1b}[0m");
    }
}
