//! `wasmpool run`: a function over many inputs.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;

use super::bindings::BindingArgs;
use super::grants::{GrantArgs, Grants};
use super::input::{InputArgs, RunningArgs};
use super::journal::JournalArgs;
use super::limits::LimitArgs;
use super::parse;
use super::policy::PolicyArgs;
use super::protection::ProtectionArgs;
use crate::error::Error;
use crate::plan::{self, Merging, Plan};
use crate::report::Progress;
use crate::sink::Format;

/// Run a function over many inputs
///
/// One item of the input is one call, in an instance of its own. Results come in input order. For a range and for
/// blocks, a function that has a `merge-` function beside it gives one merged value.
#[derive(Debug, Args)]
#[command(
    override_usage = "wasmpool run [OPTIONS] GUEST [EXPORT] INPUT",
    after_help = "\
Examples:
  wasmpool run primes.wasm --range 1..800000
  wasmpool run text.wasm --blocks notes.txt
  wasmpool run text.wasm analyze --lines notes.txt > records.jsonl"
)]
pub(super) struct RunArgs {
    /// The guest: a component, or a module
    guest: PathBuf,
    /// Its function; may be left out when only one fits
    export: Option<String>,

    #[command(flatten)]
    input: InputArgs,

    /// How many workers; auto is one per usable CPU
    #[arg(
        short = 'j',
        long,
        allow_negative_numbers = true,
        value_name = "N|N%|auto",
        default_value = "auto",
        help_heading = "Running"
    )]
    workers: String,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    bindings: BindingArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    protection: ProtectionArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    journal: JournalArgs,

    /// Print items as they end, not in input order
    #[arg(short, long, help_heading = "Output")]
    unordered: bool,
    /// Print every item, not one merged value
    #[arg(long, help_heading = "Output", conflicts_with = "merge")]
    each: bool,
    /// Print one merged value, not every item
    #[arg(long, help_heading = "Output")]
    merge: bool,
    /// How results are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "auto", help_heading = "Output")]
    format: Format,
    /// Write to a file, which is whole or not there at all
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Add what varies: times, memory, attempts, worker
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    meta: bool,
    /// How progress is shown, on standard error
    #[arg(
        long,
        value_name = "STYLE",
        value_enum,
        default_value = "auto",
        help_heading = "Output",
        hide_short_help = true
    )]
    progress: Progress,
    /// Tell more at the end: times, workers, kinds of failure
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    stats: bool,
}

impl RunArgs {
    /// What these arguments mean on a machine with so many usable CPUs.
    pub(super) fn plan(self, usable_cpus: NonZero<usize>) -> Result<Plan, Error> {
        let merging = merging(self.each, self.merge);
        let input = self.input.kind()?;
        let workers = parse::workers(&self.workers, usable_cpus)?;
        let seed = self.limits.seed()?;
        let init = self.bindings.init()?;
        let isolation = self.running.isolation(init.as_ref(), seed)?;
        let grants = self.grants.grants(seed)?;
        let policy = self.policy.policy(&grants)?;
        let Grants { dirs, env, shares } = grants;
        Ok(Plan {
            guest: self.guest,
            export: self.export,
            workers: plan::at_most_one_per_item(workers, input.most_items()),
            input,
            bindings: self.bindings.bindings()?,
            init,
            integers: self.running.integers(),
            chunk: self.running.chunk()?,
            window: self.running.window()?,
            ordered: !self.unordered,
            merging,
            limits: self.limits.limits()?,
            guest_limits: self.limits.guest_limits()?,
            policy,
            isolation,
            seed,
            sandbox: self.protection.mode(),
            dirs,
            env,
            shares,
            compile_timeout: self.limits.compile_timeout()?,
            run_timeout: self.policy.run_timeout()?,
            format: self.format,
            output: self.output.filter(|path| path != Path::new("-")),
            meta: self.meta,
            progress: self.progress,
            stats: self.stats,
            kept: self.journal.kept(),
        })
    }
}

fn merging(each: bool, merge: bool) -> Merging {
    match (each, merge) {
        (true, _) => Merging::Never,
        (false, true) => Merging::Always,
        (false, false) => Merging::Auto,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::guest::Integers;
    use crate::journal::Mode;
    use crate::limits::{GuestLimits, Isolation, Limits, Policy};
    use crate::plan::{Binding, HostDir, InitCall, InputKind, JournalFile, Kept, SharedFile};
    use crate::sandbox::{self, Access};

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

    #[test]
    fn every_default_is_filled_in() {
        let expected = Plan {
            guest: "g.wasm".into(),
            export: None,
            input: InputKind::Range { start: 0, end: 99, step: None },
            bindings: Vec::new(),
            init: None,
            integers: Integers::Signed,
            workers: NonZero::new(8).unwrap(),
            chunk: None,
            window: NonZero::new(16_384).unwrap(),
            ordered: true,
            merging: Merging::Auto,
            limits: Limits { wall: Some(Duration::from_secs(60)), cpu: None },
            guest_limits: GuestLimits { memory: 1 << 30, output: 16 << 20, fuel: None },
            policy: Policy::default(),
            isolation: Isolation::Item,
            seed: None,
            sandbox: sandbox::SandboxMode::Auto,
            dirs: Vec::new(),
            env: Vec::new(),
            shares: Vec::new(),
            compile_timeout: Some(Duration::from_secs(300)),
            run_timeout: None,
            format: Format::Auto,
            output: None,
            meta: false,
            progress: Progress::Auto,
            stats: false,
            kept: Kept::default(),
        };
        assert_eq!(plan("--range 0..99").unwrap(), expected);
    }

    #[test]
    fn each_flag_changes_its_own_part_of_the_plan() {
        check("count-primes", |plan| plan.export = Some("count-primes".into()));
        let journal = |mode| Some(JournalFile { path: "j".into(), mode });
        check("--journal j", |plan| plan.kept.journal = journal(Mode::New));
        check("--journal j --resume", |plan| plan.kept.journal = journal(Mode::Resume));
        check("--journal j --retry-failed", |plan| plan.kept.journal = journal(Mode::RetryFailed));
        check("--joblog l", |plan| plan.kept.joblog = Some("l".into()));
        check("--workers 3", |plan| plan.workers = NonZero::new(3).unwrap());
        check("-j50%", |plan| plan.workers = NonZero::new(4).unwrap());
        check("--timeout 1m30s", |plan| plan.limits.wall = Some(Duration::from_secs(90)));
        check("--timeout none", |plan| plan.limits.wall = None);
        check("--cpu-time 2s", |plan| plan.limits.cpu = Some(Duration::from_secs(2)));
        check("--memory 64MiB", |plan| plan.guest_limits.memory = 64 << 20);
        check("--max-output 1KiB", |plan| plan.guest_limits.output = 1 << 10);
        check("--fuel 1_000", |plan| plan.guest_limits.fuel = Some(1000));
        check("--compile-timeout none", |plan| plan.compile_timeout = None);
        check("--run-timeout 10m", |plan| plan.run_timeout = Some(Duration::from_secs(600)));
        check("--retries 2", |plan| plan.policy.retries = 2);
        check("--crash-retries 0", |plan| plan.policy.crash_retries = 0);
        check("--at-most-once", |plan| {
            plan.policy.at_most_once = true;
            plan.policy.crash_retries = 0;
        });
        check("--dir data:rw", |plan| {
            plan.dirs = vec![HostDir { host: "data".into(), guest: "data".into(), access: Access::Write }];
            plan.policy.crash_retries = 0;
        });
        check("--dir data::in", |plan| {
            plan.dirs = vec![HostDir { host: "data".into(), guest: "in".into(), access: Access::Read }];
        });
        check("--share t=table:rw", |plan| {
            plan.shares = vec![SharedFile {
                name: "t".into(),
                file: "table".into(),
                access: Access::Write,
                digest: None,
            }];
        });
        check("--bind exp=2", |plan| {
            plan.bindings = vec![Binding { parameter: "exp".into(), value: "2".into() }];
        });
        check("--init load=7", |plan| {
            plan.init = Some(InitCall { export: "load".into(), arguments: Some("7".into()) });
            plan.isolation = Isolation::Worker;
        });
        check("--env A=1", |plan| plan.env = vec![("A".into(), "1".into())]);
        check("--fail-fast", |plan| plan.policy.fail_fast = NonZero::new(1));
        check("--fail-fast=9", |plan| plan.policy.fail_fast = NonZero::new(9));
        check("--max-items-per-worker 5", |plan| plan.policy.max_items_per_worker = NonZero::new(5));
        check("--isolation worker", |plan| plan.isolation = Isolation::Worker);
        check("--sandbox strict", |plan| plan.sandbox = sandbox::SandboxMode::Strict);
        check("--chunk 7", |plan| plan.chunk = NonZero::new(7));
        check("--window 5", |plan| plan.window = NonZero::new(5).unwrap());
        check("--unordered", |plan| plan.ordered = false);
        check("-u", |plan| plan.ordered = false);
        check("--each", |plan| plan.merging = Merging::Never);
        check("--merge", |plan| plan.merging = Merging::Always);
        check("--unsigned", |plan| plan.integers = Integers::Unsigned);
        check("-o out.jsonl", |plan| plan.output = Some("out.jsonl".into()));
        check("-o -", |_| {});
        check("--stats", |plan| plan.stats = true);
        check("--format jsonl", |plan| plan.format = Format::Jsonl);
        check("--meta", |plan| plan.meta = true);
        check("--progress plain", |plan| plan.progress = Progress::Plain);
    }

    #[test]
    fn crashes_in_a_folder_that_is_written_to_are_forgiven_if_that_is_asked_for() {
        let plan = plan("--range 0..99 --dir data:rw --crash-retries 1").unwrap();
        assert_eq!(plan.policy.crash_retries, 1);
    }

    #[test]
    fn a_deterministic_run_is_limited_by_fuel() {
        let deterministic = |fuel, seed| {
            move |plan: &mut Plan| {
                plan.guest_limits.fuel = Some(fuel);
                plan.seed = Some(seed);
            }
        };
        check("--deterministic", deterministic(10_000_000_000, 0));
        check("--deterministic=7 --fuel 50", deterministic(50, 7));
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
