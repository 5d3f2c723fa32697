//! `wasmpool run`: a function over many inputs.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;

use super::parse;
use crate::error::Error;
use crate::plan::{self, InputKind, Plan};
use crate::report::Progress;
use crate::sink::Format;

/// Run a function over many inputs
///
/// One item of the input is one call, in an instance of its own. Results come in input order. For a range, a
/// function that has a `merge-` function beside it gives one merged value.
#[derive(Debug, Args)]
#[command(override_usage = "wasmpool run [OPTIONS] GUEST [EXPORT] --range A..B\n       \
                            wasmpool run [OPTIONS] GUEST [EXPORT] --lines FILE")]
pub(super) struct RunArgs {
    /// The guest: a component, or a module
    guest: PathBuf,
    /// Its function; may be left out when only one fits
    export: Option<String>,

    /// Integers from A to before B; A..=B includes B
    #[arg(long, value_name = "A..B", allow_hyphen_values = true, help_heading = "Input")]
    range: Option<String>,
    /// Numbers per item [default: for at most 1,000 items]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Input")]
    step: Option<String>,
    /// The lines of a file; - is standard input
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    lines: Option<PathBuf>,

    /// How many workers; auto is one per usable CPU
    #[arg(short = 'j', long, value_name = "N|N%|auto", default_value = "auto", help_heading = "Running")]
    workers: String,
    /// Wall time per item, such as 500ms or 1m30s, or none
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = "Running")]
    timeout: String,
    /// How many items travel together
    #[arg(long, value_name = "N|auto", default_value = "auto", help_heading = "Running")]
    chunk: String,
    /// How many items may be read and not yet printed
    #[arg(long, value_name = "N", default_value_t = plan::DEFAULT_WINDOW.to_string(), help_heading = "Running")]
    window: String,

    /// Print items as they end, not in input order
    #[arg(short, long, help_heading = "Output")]
    unordered: bool,
    /// Print every item, not one merged value
    #[arg(long, help_heading = "Output")]
    each: bool,
    /// How results are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "auto", help_heading = "Output")]
    format: Format,
    /// Add what varies: times, memory, attempts, worker
    #[arg(long, help_heading = "Output")]
    meta: bool,
    /// How progress is shown, on standard error
    #[arg(long, value_name = "STYLE", value_enum, default_value = "auto", help_heading = "Output")]
    progress: Progress,
}

impl RunArgs {
    /// What these arguments mean on a machine with so many usable CPUs.
    pub(super) fn plan(self, usable_cpus: NonZero<usize>) -> Result<Plan, Error> {
        let input = input(self.range.as_deref(), self.step.as_deref(), self.lines)?;
        let workers = parse::workers(&self.workers, usable_cpus)?;
        Ok(Plan {
            guest: self.guest,
            export: self.export,
            workers: plan::at_most_one_per_item(workers, input.most_items()),
            input,
            chunk: parse::count_or_auto("--chunk", &self.chunk)?,
            window: parse::count("--window", &self.window)?,
            ordered: !self.unordered,
            each: self.each,
            timeout: parse::timeout(&self.timeout)?,
            format: self.format,
            meta: self.meta,
            progress: self.progress,
        })
    }
}

fn input(range: Option<&str>, step: Option<&str>, lines: Option<PathBuf>) -> Result<InputKind, Error> {
    match (range, step, lines) {
        (Some(range), step, None) => {
            let (start, end) = parse::range(range)?;
            let step = step.map(|step| parse::count("--step", step)).transpose()?;
            Ok(InputKind::Range { start, end, step })
        }
        (None, None, Some(lines)) => Ok(InputKind::Lines(lines)),
        (None, None, None) => Err(Error::usage("no input is given", "add `--range A..B` or `--lines FILE`")),
        (Some(_), _, Some(_)) => {
            Err(Error::usage("two kinds of input are given", "take either `--range` or `--lines`"))
        }
        (None, Some(_), _) => {
            Err(Error::usage("`--step` goes with `--range` alone", "leave it out, or add `--range A..B`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: RunArgs,
    }

    /// The plan for `run g.wasm` and these arguments, on a machine with 8 CPUs.
    fn plan(arguments: &str) -> Result<Plan, Error> {
        let arguments = ["run", "g.wasm"].into_iter().chain(arguments.split_whitespace());
        let Only { args } = Only::try_parse_from(arguments).expect("arguments clap takes");
        args.plan(NonZero::new(8).unwrap())
    }

    /// The plan differs from that of `--range 0..99` in what `change` does to it, and in nothing else.
    #[track_caller]
    fn check(arguments: &str, change: impl FnOnce(&mut Plan)) {
        let mut expected = plan("--range 0..99").unwrap();
        change(&mut expected);
        assert_eq!(plan(&format!("--range 0..99 {arguments}")).unwrap(), expected);
    }

    #[track_caller]
    fn check_input(arguments: &str, expected: &InputKind) {
        assert_eq!(plan(arguments).unwrap().input, *expected);
    }

    #[track_caller]
    fn check_refused(arguments: &str, message: &str, hint: &str) {
        let error = plan(arguments).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[test]
    fn every_default_is_filled_in() {
        let expected = Plan {
            guest: "g.wasm".into(),
            export: None,
            input: InputKind::Range { start: 0, end: 99, step: None },
            workers: NonZero::new(8).unwrap(),
            chunk: None,
            window: NonZero::new(16_384).unwrap(),
            ordered: true,
            each: false,
            timeout: Some(Duration::from_secs(60)),
            format: Format::Auto,
            meta: false,
            progress: Progress::Auto,
        };
        assert_eq!(plan("--range 0..99").unwrap(), expected);
    }

    #[test]
    fn each_flag_changes_its_own_part_of_the_plan() {
        check("count-primes", |plan| plan.export = Some("count-primes".into()));
        check("--workers 3", |plan| plan.workers = NonZero::new(3).unwrap());
        check("-j50%", |plan| plan.workers = NonZero::new(4).unwrap());
        check("--timeout 1m30s", |plan| plan.timeout = Some(Duration::from_secs(90)));
        check("--timeout none", |plan| plan.timeout = None);
        check("--chunk 7", |plan| plan.chunk = NonZero::new(7));
        check("--window 5", |plan| plan.window = NonZero::new(5).unwrap());
        check("--unordered", |plan| plan.ordered = false);
        check("-u", |plan| plan.ordered = false);
        check("--each", |plan| plan.each = true);
        check("--format jsonl", |plan| plan.format = Format::Jsonl);
        check("--meta", |plan| plan.meta = true);
        check("--progress plain", |plan| plan.progress = Progress::Plain);
    }

    #[test]
    fn a_range_may_start_below_zero() {
        let expected = InputKind::Range { start: -5, end: 5, step: None };
        check_input("--range=-5..5", &expected);
        check_input("--range -5..5", &expected);
    }

    #[test]
    fn a_step_belongs_to_the_range() {
        check_input(
            "--range 1..800_000 --step 10_000",
            &InputKind::Range { start: 1, end: 800_000, step: NonZero::new(10_000) },
        );
    }

    #[test]
    fn lines_come_from_a_file_or_standard_input() {
        check_input("--lines notes.txt", &InputKind::Lines("notes.txt".into()));
        check_input("--lines -", &InputKind::Lines("-".into()));
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

    #[test]
    fn there_are_never_more_workers_than_items() {
        let workers = |arguments| plan(arguments).unwrap().workers.get();
        assert_eq!(workers("--range 0..3"), 3);
        assert_eq!(workers("--range 0..25 --step 10 -j 5"), 3);
        assert_eq!(workers("--range 5..5"), 1);
        assert_eq!(workers("--lines f -j 99"), 99);
    }
}
