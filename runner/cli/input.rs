//! The flags that commands over many inputs share: where items come from, and how they are run.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::parse;
use crate::error::Error;
use crate::plan::{self, InputKind};

/// Where items come from: exactly one kind of input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputArgs {
    /// Integers from A to before B; A..=B includes B
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    range: Option<String>,
    /// Numbers per item [default: for at most 1,000 items]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    step: Option<String>,
    /// The lines of a file; - is standard input
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
}

/// How items are run, but for the number of workers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct RunningArgs {
    /// Wall time per item, such as 500ms or 1m30s, or none
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: String,
    /// How many items travel together
    #[arg(long, value_name = "N|auto", default_value = "auto", hide_short_help = true)]
    chunk: String,
    /// How many items may be read and not yet printed
    #[arg(long, value_name = "N", default_value_t = plan::DEFAULT_WINDOW.to_string(), hide_short_help = true)]
    window: String,
}

impl InputArgs {
    /// The one kind of input that is given.
    pub(super) fn kind(self) -> Result<InputKind, Error> {
        match (self.range, self.step, self.lines) {
            (Some(range), step, None) => {
                let (start, end) = parse::range(&range)?;
                let step = step.map(|step| parse::count("--step", &step)).transpose()?;
                Ok(InputKind::Range { start, end, step })
            }
            (None, None, Some(lines)) => Ok(InputKind::Lines(lines)),
            (None, None, None) => {
                Err(Error::usage("no input is given", "add `--range A..B` or `--lines FILE`"))
            }
            (Some(_), _, Some(_)) => {
                Err(Error::usage("two kinds of input are given", "take either `--range` or `--lines`"))
            }
            (None, Some(_), _) => {
                Err(Error::usage("`--step` goes with `--range` alone", "leave it out, or add `--range A..B`"))
            }
        }
    }
}

impl RunningArgs {
    /// How long one item may run; nothing: as long as it takes.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Error> {
        parse::timeout(&self.timeout)
    }

    /// How many items travel together; nothing: found out while running.
    pub(super) fn chunk(&self) -> Result<Option<NonZero<u64>>, Error> {
        parse::count_or_auto("--chunk", &self.chunk)
    }

    /// How many items may be admitted and not yet emitted.
    pub(super) fn window(&self) -> Result<NonZero<u64>, Error> {
        parse::count("--window", &self.window)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        input: InputArgs,
    }

    fn kind(arguments: &str) -> Result<InputKind, Error> {
        let arguments = ["run"].into_iter().chain(arguments.split_whitespace());
        Only::try_parse_from(arguments).expect("arguments clap takes").input.kind()
    }

    #[track_caller]
    fn check(arguments: &str, expected: &InputKind) {
        assert_eq!(kind(arguments).unwrap(), *expected);
    }

    #[track_caller]
    fn check_refused(arguments: &str, message: &str, hint: &str) {
        let error = kind(arguments).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[test]
    fn a_range_may_start_below_zero() {
        let expected = InputKind::Range { start: -5, end: 5, step: None };
        check("--range=-5..5", &expected);
        check("--range -5..5", &expected);
    }

    #[test]
    fn a_step_belongs_to_the_range() {
        check(
            "--range 1..800_000 --step 10_000",
            &InputKind::Range { start: 1, end: 800_000, step: NonZero::new(10_000) },
        );
    }

    #[test]
    fn lines_come_from_a_file_or_standard_input() {
        check("--lines notes.txt", &InputKind::Lines("notes.txt".into()));
        check("--lines -", &InputKind::Lines("-".into()));
    }

    #[test]
    fn there_is_exactly_one_kind_of_input() {
        check_refused("", "no input is given", "add `--range A..B` or `--lines FILE`");
        check_refused(
            "--range 1..2 --lines f",
            "two kinds of input are given",
            "take either `--range` or `--lines`",
        );
    }

    #[test]
    fn a_step_without_a_range_is_refused() {
        check_refused(
            "--lines f --step 2",
            "`--step` goes with `--range` alone",
            "leave it out, or add `--range A..B`",
        );
    }
}
