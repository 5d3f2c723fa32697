//! What is wrong with JSON that is no value of its type, in one line that says where.
//!
//! A place in the text is a byte, counted from 1. The first byte behind the end is the place of what is missing there.

use std::cell::RefCell;
use std::fmt;

use serde::de::Error;

use crate::record::escaped_json;

/// How many characters of a wrong value an error shows.
const SHOWN: usize = 40;

/// How many bytes of the names that would do an error lists.
const LISTED: usize = 200;

/// What went wrong, and where. Filled only on the way out of a failure, so that success pays nothing for it.
#[derive(Default)]
pub(super) struct Trace {
    problem: RefCell<Option<String>>,
    /// From the inside out.
    path: RefCell<Vec<Step>>,
}

/// A step from a value to one inside it.
pub(super) enum Step {
    /// To an element.
    Index(usize),
    /// To a field, or a case's payload.
    Name(String),
    /// To a whole argument, by its name in an error.
    Argument(String),
}

impl Trace {
    /// Makes the error that stands for `problem`.
    pub(super) fn fail<E: Error>(&self, problem: String) -> E {
        *self.problem.borrow_mut() = Some(problem);
        E::custom("")
    }

    pub(super) fn mismatch<E: Error>(&self, expected: impl fmt::Display, found: impl fmt::Display) -> E {
        self.fail(format!("expected {expected}, found {found}"))
    }

    /// Notes the way to where an error is from.
    pub(super) fn inside<T, E>(&self, result: Result<T, E>, step: impl FnOnce() -> Step) -> Result<T, E> {
        if result.is_err() {
            self.path.borrow_mut().push(step());
        }
        result
    }

    /// The line for an error of reading `text`, which stands on a line of a file, or on none if that is 0.
    pub(super) fn describe(&self, error: &serde_json::Error, text: &str, line: u64) -> String {
        let Some(problem) = self.problem.take() else { return syntax(error, text, line) };
        let mut described = String::new();
        for step in self.path.take().into_iter().rev() {
            match step {
                Step::Index(index) => described.push_str(&format!("[{index}]")),
                Step::Name(name) => described.push_str(&format!(".{name}")),
                Step::Argument(name) => described.push_str(&name),
            }
        }
        if !described.is_empty() {
            described.push_str(": ");
        }
        described.push_str(&problem);
        described
    }
}

/// What is wrong with bytes that are no UTF-8.
pub(super) fn not_utf8(error: std::str::Utf8Error, bytes: &[u8], line: u64) -> String {
    let offset = error.valid_up_to();
    format!("{}: expected UTF-8, found {:#04x}", Place { line, byte: offset + 1 }, bytes[offset])
}

/// What is wrong with a text that is no JSON.
fn syntax(error: &serde_json::Error, text: &str, line: u64) -> String {
    // A place is told as a line of the text and a byte of that.
    let full = error.to_string();
    let cause = full.split(" at line ").next().unwrap_or_default();
    if error.is_eof() {
        let place = Place { line, byte: text.len() + 1 };
        let inside = cause.strip_prefix("EOF while parsing ").unwrap_or("a value");
        return format!("{place}: no valid JSON: the text ends inside {inside}");
    }
    let lines_before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let byte = lines_before.map(str::len).sum::<usize>() + error.column();
    format!("{}: no valid JSON: {cause}", Place { line, byte: byte.max(1) })
}

/// A place in an item's text.
struct Place {
    /// The line of its file; 0 if it comes from no file.
    line: u64,
    /// The byte in the text, from 1.
    byte: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "byte {}", self.byte)
    }
}

/// Says that a name is none of those that would do.
pub(super) fn unknown<'c>(found: &str, names: impl Iterator<Item = &'c str>) -> String {
    let mut expected = String::new();
    for name in names {
        let separator = if expected.is_empty() { "one of " } else { ", " };
        expected.push_str(separator);
        if expected.len() > LISTED {
            expected.push('…');
            break;
        }
        expected.push_str(&Quoted(name).to_string());
    }
    format!("expected {expected}, found {}", Quoted(found))
}

/// A wrong value's JSON as an error shows it: short, and on one line.
pub(super) struct Found<'a>(pub(super) &'a str);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_bytes().first() {
            Some(b'[') => f.write_str("an array"),
            Some(b'{') => f.write_str("an object"),
            _ => shortened(self.0, f),
        }
    }
}

/// A wrong string as an error shows it: as JSON, and short.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only what can be shown is escaped: the string may be long.
        let shown = self.0.char_indices().nth(SHOWN + 1).map_or(self.0, |(end, _)| &self.0[..end]);
        shortened(&serde_json::to_string(shown).map_err(|_| fmt::Error)?, f)
    }
}

fn shortened(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => write!(f, "{}…", escaped_json(&text[..end])),
        None => f.write_str(&escaped_json(text)),
    }
}
