//! How a command ended: the exit code, and what is said about it on standard error.

use std::error::Error as _;
use std::fmt::Write;
use std::io;

use clap::builder::styling::{Style, Styles};
use clap::error::ErrorKind;

use super::{surroundings, usage};
use crate::error::{Error, ExitCode};
use crate::record::escaped;
use crate::report::Summary;

/// What `main` is to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Ending {
    /// The exit code of the process.
    pub code: ExitCode,
    /// What to write to standard error, with ANSI colours.
    pub talk: Option<String>,
}

impl From<ExitCode> for Ending {
    fn from(code: ExitCode) -> Self {
        Self { code, talk: None }
    }
}

impl From<anyhow::Result<ExitCode>> for Ending {
    fn from(result: anyhow::Result<ExitCode>) -> Self {
        match result.map_err(anyhow::Error::downcast::<Error>) {
            Ok(code) => code.into(),
            Err(Ok(error)) => Err(error).into(),
            // What the library has no error for: the system refuses the command line something.
            Err(Err(other)) => {
                let talk = labelled(Styles::styled().get_error(), "error", &format!("{other:#}"));
                Self { code: ExitCode::INTERNAL, talk: Some(talk) }
            }
        }
    }
}

impl From<Result<ExitCode, Error>> for Ending {
    fn from(result: Result<ExitCode, Error>) -> Self {
        match result {
            Ok(code) => code.into(),
            Err(error) => Self { code: error.exit_code(), talk: talk_of(&error) },
        }
    }
}

/// The exit code of a run that came to its end.
pub(super) fn code_of(summary: &Summary) -> ExitCode {
    let counts = summary.counts;
    match counts.failed + counts.cancelled + summary.failed_merges {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::ITEMS_FAILED,
    }
}

/// Ends with what clap answered instead of arguments: help that was asked for, or wrong usage.
pub(super) fn from_clap(answer: &clap::Error) -> Ending {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => surroundings::standard_output()
            .and_then(|_| answer.print().map_err(cannot_write))
            .map(|()| ExitCode::SUCCESS)
            .into(),
        _ => match usage::explain(answer) {
            Some((message, hint)) => Err(Error::usage(message, hint)).into(),
            None => Ending { code: ExitCode::USAGE, talk: Some(answer.render().ansi().to_string()) },
        },
    }
}

/// Standard output could not be written.
pub(super) fn cannot_write(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::Output { name: "standard output".to_owned(), source },
    }
}

/// An error with its causes, then what to do about it. Names of the guest's own making come up in it, so control
/// characters are escaped.
fn talk_of(error: &Error) -> Option<String> {
    if matches!(error, Error::OutputClosed) {
        // `wasmpool … | head` is no mistake of anybody's.
        return None;
    }
    let styles = Styles::styled();
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // Writing to a string cannot fail.
        let _ = write!(message, ": {source}");
        cause = source.source();
    }
    let mut talk = labelled(styles.get_error(), "error", &message);
    if let Some(hint) = error.hint() {
        talk.push('\n');
        talk.push_str(&labelled(styles.get_valid(), "hint", hint));
    }
    Some(talk)
}

fn labelled(style: &Style, label: &str, text: &str) -> String {
    format!("{style}{label}:{style:#} {}\n", escaped(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::Counts;

    /// What is said where there are no colours.
    #[track_caller]
    fn check(error: Error, expected: &str) {
        let ending = Ending::from(Err(error));
        let talk = ending.talk.expect("something is said");
        assert_eq!(anstream::adapter::strip_str(&talk).to_string(), expected);
    }

    #[test]
    fn an_error_is_followed_by_its_hint() {
        let hint = Some("it exports `count-primes(start: u64, end: u64) -> u64`".to_owned());
        check(
            Error::guest(Path::new("primes.wasm"), "has no export `count`", hint),
            "error: `primes.wasm` has no export `count`\n\
             \n\
             hint: it exports `count-primes(start: u64, end: u64) -> u64`\n",
        );
    }

    #[test]
    fn causes_follow_behind_colons() {
        let source = io::Error::other("the disk is gone");
        check(
            Error::Input { name: "`notes.txt`".to_owned(), hint: None, source },
            "error: cannot read `notes.txt`: the disk is gone\n",
        );
    }

    #[test]
    fn names_from_a_guest_do_not_control_the_terminal() {
        check(
            Error::guest(Path::new("g.wasm"), "has no export `\x1b[2J`", None),
            "error: `g.wasm` has no export `\\u{1b}[2J`\n",
        );
    }

    #[test]
    fn a_closed_output_is_a_code_and_no_talk() {
        let ending = Ending::from(Err(Error::OutputClosed));
        assert_eq!(ending, Ending { code: ExitCode::OUTPUT_CLOSED, talk: None });
    }

    #[test]
    fn a_run_with_a_failed_item_or_merge_ends_with_1() {
        let code = |failed, cancelled, failed_merges| {
            let counts = Counts { items: 9, ok: 9 - failed - cancelled, err: 0, failed, cancelled };
            code_of(&Summary { counts, failed_merges, ..Summary::default() }).code()
        };
        assert_eq!([code(0, 0, 0), code(1, 0, 0), code(0, 1, 0), code(0, 0, 1)], [0, 1, 1, 1]);
    }
}
