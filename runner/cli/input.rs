//! The flags that commands over many inputs share: where items come from, and how they are run.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse;
use crate::error::Error;
use crate::guest::Integers;
use crate::limits::Isolation;
use crate::plan::{self, InitCall, InputKind};
use crate::source::{LineEnd, NameEnd};

/// A megabyte of lines is some milliseconds of work: enough to outweigh the way to a worker.
const BLOCK_SIZE: NonZero<usize> = NonZero::new(1 << 20).expect("not zero");

const INPUT_HINT: &str =
    "add `--range A..B`, `--lines FILE`, `--jsonl FILE`, `--blocks FILE`, `--files PATH` or `--item VALUE`";

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
    /// Lines of JSON: a value each, or an array or object of all parameters
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// A file in pieces, cut at ends of lines, for values that are merged
    #[arg(long, value_name = "FILE")]
    blocks: Option<PathBuf>,
    /// The content of each file; a folder is all files in it, - is a list of names
    #[arg(long, value_name = "PATH", num_args = 1..)]
    files: Vec<PathBuf>,
    /// One item, as JSON; bare text will do for a string; may be repeated
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    item: Vec<String>,
    /// How long a block is at most, unless a single line is longer [default: 1MiB]
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", hide_short_help = true)]
    block_size: Option<String>,
    /// Lines end with CR LF: both are taken off
    #[arg(long, hide_short_help = true)]
    crlf: bool,
    /// The names that --files reads from standard input end with NUL, as from find -print0
    #[arg(short = '0', long, hide_short_help = true)]
    null: bool,
}

/// How items are run, but for the number of workers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct RunningArgs {
    /// How many items travel together
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N|auto",
        default_value = "auto",
        hide_short_help = true
    )]
    chunk: String,
    /// How many items may be read and not yet printed
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = plan::DEFAULT_WINDOW.to_string(),
        hide_short_help = true
    )]
    window: String,
    /// The integers of a plain module have no sign
    #[arg(long, hide_short_help = true)]
    unsigned: bool,
    /// What items share: nothing, or their worker's instance [default: item, or worker where instances are prepared]
    #[arg(long, value_name = "WHAT", value_enum, hide_short_help = true)]
    isolation: Option<Between>,
}

/// Between what there is a wall.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Between {
    /// Items: each has a fresh instance
    Item,
    /// Workers: the items of one share its instance, which is faster and keeps what they leave in memory
    Worker,
}

impl InputArgs {
    /// The one kind of input that is given.
    pub(super) fn kind(self) -> Result<InputKind, Error> {
        let given = self.given();
        let flag = match given.as_slice() {
            [] => return Err(Error::usage("no input is given", INPUT_HINT)),
            [only] => *only,
            [one, other, ..] => {
                return Err(Error::usage(
                    format!("two kinds of input are given, `{one}` and `{other}`"),
                    "take one of them",
                ));
            }
        };
        self.check_belongs(flag)?;
        self.only()
    }

    /// The kinds of input that are given.
    fn given(&self) -> Vec<&'static str> {
        let kinds = [
            ("--range", self.range.is_some()),
            ("--lines", self.lines.is_some()),
            ("--jsonl", self.jsonl.is_some()),
            ("--blocks", self.blocks.is_some()),
            ("--files", !self.files.is_empty()),
            ("--item", !self.item.is_empty()),
        ];
        kinds.into_iter().filter_map(|(flag, is_given)| is_given.then_some(flag)).collect()
    }

    /// Refuses what says more about another kind of input than `flag`.
    fn check_belongs(&self, flag: &str) -> Result<(), Error> {
        let details = [
            ("--step", self.step.is_some(), "--range"),
            ("--block-size", self.block_size.is_some(), "--blocks"),
            ("--crlf", self.crlf, "--lines"),
            ("--null", self.null, "--files"),
        ];
        let stray = details.into_iter().find(|(_, is_given, owner)| *is_given && *owner != flag);
        stray.map_or(Ok(()), |(detail, _, owner)| {
            Err(Error::usage(
                format!("`{detail}` goes with `{owner}` alone"),
                format!("leave `{detail}` out"),
            ))
        })
    }

    /// What the flags mean, of which one is given.
    fn only(self) -> Result<InputKind, Error> {
        if let Some(range) = &self.range {
            let (start, end) = parse::range(range)?;
            let step = self.step.map(|step| parse::count("--step", &step)).transpose()?;
            return Ok(InputKind::Range { start, end, step });
        }
        if let Some(path) = self.lines {
            return Ok(InputKind::Lines { path, ends: if self.crlf { LineEnd::Crlf } else { LineEnd::Lf } });
        }
        if let Some(path) = self.jsonl {
            return Ok(InputKind::Jsonl(path));
        }
        if let Some(path) = self.blocks {
            let size = self.block_size.map_or(Ok(BLOCK_SIZE), |size| parse::block_size(&size))?;
            return Ok(InputKind::Blocks { path, size });
        }
        if !self.files.is_empty() {
            let ends = if self.null { NameEnd::Nul } else { NameEnd::Line };
            return Ok(InputKind::Files { paths: self.files, ends });
        }
        Ok(InputKind::Items(self.item))
    }
}

impl RunningArgs {
    /// How many items travel together; nothing: found out while running.
    pub(super) fn chunk(&self) -> Result<Option<NonZero<u64>>, Error> {
        parse::count_or_auto("--chunk", &self.chunk)
    }

    /// How many items may be admitted and not yet emitted.
    pub(super) fn window(&self) -> Result<NonZero<u64>, Error> {
        parse::count("--window", &self.window)
    }

    /// How far apart items are kept, in instances that are prepared like this, in a run whose random numbers come from
    /// this seed.
    pub(super) fn isolation(&self, init: Option<&InitCall>, seed: Option<u64>) -> Result<Isolation, Error> {
        let (isolation, flag) = match (self.isolation, init) {
            (Some(Between::Item), Some(_)) => {
                return Err(Error::usage(
                    "`--init` does not go with `--isolation item`: an instance that is prepared is kept",
                    "leave `--isolation` out",
                ));
            }
            (Some(Between::Item) | None, None) => (Isolation::Item, ""),
            (None, Some(_)) => (Isolation::Worker, "--init"),
            (Some(Between::Worker), _) => (Isolation::Worker, "--isolation worker"),
        };
        match (seed, isolation) {
            (Some(_), Isolation::Worker) => Err(Error::usage(
                format!(
                    "`--deterministic` does not go with `{flag}`: what an item finds would depend on its worker"
                ),
                "leave one of them out",
            )),
            (None, _) | (_, Isolation::Item) => Ok(isolation),
        }
    }

    /// How a plain module's integers are read.
    pub(super) fn integers(&self) -> Integers {
        integers(self.unsigned)
    }
}

/// What `--unsigned` means.
pub(super) fn integers(unsigned: bool) -> Integers {
    if unsigned { Integers::Unsigned } else { Integers::Signed }
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
        let lines = |path: &str, ends| InputKind::Lines { path: path.into(), ends };
        check("--lines notes.txt", &lines("notes.txt", LineEnd::Lf));
        check("--lines -", &lines("-", LineEnd::Lf));
        check("--lines - --crlf", &lines("-", LineEnd::Crlf));
    }

    #[test]
    fn lines_of_json_come_from_a_file_or_standard_input() {
        check("--jsonl items.jsonl", &InputKind::Jsonl("items.jsonl".into()));
        check("--jsonl -", &InputKind::Jsonl("-".into()));
    }

    #[test]
    fn blocks_have_a_megabyte_unless_told_otherwise() {
        let blocks = |size| InputKind::Blocks { path: "f".into(), size: NonZero::new(size).unwrap() };
        check("--blocks f", &blocks(1 << 20));
        check("--blocks f --block-size 64KiB", &blocks(64 << 10));
    }

    #[test]
    fn files_are_any_number_of_paths() {
        let files =
            |paths: &[&str], ends| InputKind::Files { paths: paths.iter().map(Into::into).collect(), ends };
        check("--files a b --files c", &files(&["a", "b", "c"], NameEnd::Line));
        check("--files - -0", &files(&["-"], NameEnd::Nul));
    }

    #[test]
    fn items_are_kept_as_typed_even_if_they_look_like_flags() {
        let items = |texts: &[&str]| InputKind::Items(texts.iter().map(|text| (*text).to_owned()).collect());
        check("--item [1,2] --item --step --item -- --item -5", &items(&["[1,2]", "--step", "--", "-5"]));
    }

    #[test]
    fn there_is_exactly_one_kind_of_input() {
        check_refused("", "no input is given", INPUT_HINT);
        check_refused(
            "--range 1..2 --lines f",
            "two kinds of input are given, `--range` and `--lines`",
            "take one of them",
        );
        check_refused(
            "--item 1 --files f",
            "two kinds of input are given, `--files` and `--item`",
            "take one of them",
        );
    }

    #[test]
    fn a_flag_for_another_kind_of_input_is_refused() {
        for (arguments, flag, owner) in [
            ("--lines f --step 2", "--step", "--range"),
            ("--lines f --block-size 1", "--block-size", "--blocks"),
            ("--jsonl f --crlf", "--crlf", "--lines"),
            ("--lines f --null", "--null", "--files"),
        ] {
            check_refused(
                arguments,
                &format!("`{flag}` goes with `{owner}` alone"),
                &format!("leave `{flag}` out"),
            );
        }
    }
}
