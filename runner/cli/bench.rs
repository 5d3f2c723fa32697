//! `wasmpool bench`: the same job with one worker and with several.

use std::fs;
use std::io::{self, Write};
use std::num::NonZero;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::slice;

use clap::Args;

use super::bindings::BindingArgs;
use super::figures::{Figures, Format, Run};
use super::grants::{GrantArgs, Grants};
use super::input::{InputArgs, RunningArgs};
use super::job::{self, Place, Runs};
use super::limits::LimitArgs;
use super::protection::ProtectionArgs;
use super::shares::Copies;
use super::{exit, parse, surroundings};
use crate::error::{Error, ExitCode};
use crate::guest_file::GuestFile;
use crate::journal::Records;
use crate::limits::Policy;
use crate::plan::{self, InputKind, Kept, Merging, Plan};
use crate::pool;
use crate::report::{Progress, Reporter, RunEvent};
use crate::sink;

/// More runs than anybody waits for.
const MAX_RUNS: u64 = 1000;

/// Time a job with one worker and with several
///
/// The same job is run with one worker and with each of the other numbers, in turn, so that a slow minute of the
/// machine hits all of them. A time is the median of the runs, from the compiled guest to the last result. The
/// results are not printed, but compared: those of every run have to be the same.
#[derive(Debug, Args)]
#[command(
    override_usage = "wasmpool bench [OPTIONS] GUEST [EXPORT] INPUT",
    after_help = "\
Examples:
  wasmpool bench primes.wasm --range 1..800000
  wasmpool bench text.wasm analyze --lines notes.txt -j 1,2,4 --runs 5
  wasmpool bench primes.wasm --range 1..800000 --format json"
)]
pub(super) struct BenchArgs {
    /// The guest: a component, or a module
    guest: PathBuf,
    /// Its function; may be left out when only one fits
    export: Option<String>,

    #[command(flatten)]
    input: InputArgs,

    /// How many workers, such as 1,2,4; one worker is timed in any case
    #[arg(
        short = 'j',
        long,
        allow_negative_numbers = true,
        value_name = "LIST",
        default_value = "auto",
        help_heading = "Running"
    )]
    workers: String,
    /// How many times each is run
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value = "3",
        help_heading = "Running"
    )]
    runs: String,
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

    /// How the figures are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", help_heading = "Output")]
    format: Format,
}

/// What is timed.
struct Bench {
    /// The job; its number of workers is that of the run.
    plan: Plan,
    /// How many workers, rising from one.
    workers: Vec<NonZero<usize>>,
    /// How many times each.
    runs: u64,
    format: Format,
}

/// One run, and what is known from it about every other.
struct Ended {
    run: Run,
    export: String,
    is_merged: bool,
}

impl BenchArgs {
    pub(super) fn execute(self, usable_cpus: NonZero<usize>) -> anyhow::Result<ExitCode> {
        let bench = self.bench(usable_cpus)?;
        Runs::supervise(move |runs| bench.hold(runs))
    }

    fn bench(self, usable_cpus: NonZero<usize>) -> Result<Bench, Error> {
        let input = self.input.kind()?;
        refuse_if_read_once(&input)?;
        let workers = workers(&self.workers, usable_cpus, input.most_items())?;
        let seed = self.limits.seed()?;
        let init = self.bindings.init()?;
        let isolation = self.running.isolation(init.as_ref(), seed)?;
        let grants = self.grants.grants(seed)?;
        let policy = Policy { crash_retries: grants.crash_retries(), ..Policy::default() };
        let Grants { dirs, env, shares } = grants;
        let plan = Plan {
            guest: self.guest,
            export: self.export,
            input,
            bindings: self.bindings.bindings()?,
            init,
            integers: self.running.integers(),
            workers: NonZero::<usize>::MIN,
            chunk: self.running.chunk()?,
            window: self.running.window()?,
            ordered: true,
            merging: Merging::Auto,
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
            run_timeout: None,
            format: sink::Format::Jsonl,
            output: None,
            meta: false,
            progress: Progress::Bar,
            stats: false,
            kept: Kept::default(),
        };
        Ok(Bench { plan, workers, runs: runs(&self.runs)?, format: self.format })
    }
}

impl Bench {
    fn hold(self, runs: &Runs) -> Result<ExitCode, Error> {
        // Before anything runs: who cannot be told need not be measured for.
        let mut output = surroundings::standard_output()?;
        let guest = GuestFile::open(&self.plan.guest)?;
        let mut figures = Figures::new(&self.plan);
        for round in 1..=self.runs {
            for workers in &self.workers {
                let plan = Plan { workers: *workers, ..self.plan.clone() };
                let Ended { run, export, is_merged } = run(&plan, &guest, round, runs)?;
                figures.export = export;
                figures.is_merged = is_merged;
                figures.runs.push(run);
            }
        }
        let text = figures.print(self.format);
        output.write_all(text.as_bytes()).map_err(exit::cannot_write)?;
        Ok(if figures.is_good() { ExitCode::SUCCESS } else { ExitCode::ITEMS_FAILED })
    }
}

/// Runs the job once; its records are not kept.
fn run(plan: &Plan, guest: &GuestFile, round: u64, runs: &Runs) -> Result<Ended, Error> {
    let cancellation = runs.next()?;
    // Each run has what is in the files, and none leaves anything there: all are to have the same results.
    let copies = Copies::of(&plan.shares)?;
    let opening = pool::open(guest.name(), guest.memory(), job::options(plan, &copies, runs.pauser())?)?;
    let bound = plan.bind(opening.description())?;
    let (export, is_merged) = (bound.export.to_string(), bound.merge.is_some());
    let options = job::sink_options(plan, &bound, Place::file("the digest of the results"));
    let mut digest = Digest::default();
    let is_first = round == 1 && plan.workers == NonZero::<usize>::MIN;
    let mut reporter = NoSummary { inner: job::reporter(plan), is_first };
    let mut sink = sink::for_run(options, &mut digest);
    let records = Records { notes: copies.note().into_iter().collect(), ..Records::default() };
    let job = pool::Job { records, ..job::job(plan, bound) };
    let summary = opening.run(job, sink.as_mut(), &mut reporter, cancellation)?;
    drop(sink);
    let results = *digest.0.finalize().as_bytes();
    Ok(Ended { run: Run { workers: plan.workers.get(), round, summary, results }, export, is_merged })
}

/// Takes records, and keeps what tells them from others.
#[derive(Default)]
struct Digest(blake3::Hasher);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bar and the warnings of each run. The figures of all of them are one table.
struct NoSummary {
    inner: Box<dyn Reporter>,
    /// What is true of every run is said once.
    is_first: bool,
}

impl Reporter for NoSummary {
    fn report(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Started { .. }
            | RunEvent::Progress { .. }
            | RunEvent::WorkerReady { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::WorkerReplaced { .. }
            | RunEvent::WorkerMissing { .. }
            | RunEvent::WorkerSaid { .. }
            | RunEvent::Recovered { .. }
            | RunEvent::GuestPrinted { .. }
            | RunEvent::InputRemark { .. } => self.inner.report(event),
            RunEvent::SharedInstance
            | RunEvent::NoSandbox
            | RunEvent::LayerMissing { .. }
            | RunEvent::SandboxHidden { .. }
            | RunEvent::Note { .. }
                if self.is_first =>
            {
                self.inner.report(event)
            }
            RunEvent::SharedInstance
            | RunEvent::NoSandbox
            | RunEvent::LayerMissing { .. }
            | RunEvent::SandboxHidden { .. }
            | RunEvent::Note { .. }
            | RunEvent::Finished { .. } => {}
        }
    }
}

/// The numbers of workers in a list, and one, each of them once.
fn workers(
    list: &str,
    usable_cpus: NonZero<usize>,
    items: Option<u128>,
) -> Result<Vec<NonZero<usize>>, Error> {
    let mut workers = vec![NonZero::<usize>::MIN];
    for text in list.split(',') {
        workers.push(plan::at_most_one_per_item(parse::workers(text.trim(), usable_cpus)?, items));
    }
    workers.sort_unstable();
    workers.dedup();
    Ok(workers)
}

fn runs(text: &str) -> Result<u64, Error> {
    let runs = parse::count("--runs", text)?.get();
    if runs > MAX_RUNS {
        return Err(Error::usage(
            format!("`--runs {text}` is more than {MAX_RUNS}"),
            "a few are enough: the figure is the one in the middle",
        ));
    }
    Ok(runs)
}

/// Every run reads the input again.
fn refuse_if_read_once(input: &InputKind) -> Result<(), Error> {
    let paths = match input {
        InputKind::Lines { path, .. } | InputKind::Jsonl(path) | InputKind::Blocks { path, .. } => {
            slice::from_ref(path)
        }
        InputKind::Files { paths, .. } => paths,
        InputKind::Range { .. } | InputKind::Items(_) | InputKind::Arguments(_) => &[],
    };
    if paths.iter().any(|path| is_read_once(path)) {
        return Err(Error::usage(
            format!("`{input}` can be read only once, and every run reads it"),
            "write it to a file first",
        ));
    }
    Ok(())
}

fn is_read_once(path: &Path) -> bool {
    if path.as_os_str() == "-" {
        return true;
    }
    // A file that is not there is refused by who opens it.
    fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: BenchArgs,
    }

    /// The bench for `bench g.wasm` and these arguments, on a machine with 8 CPUs.
    fn bench(arguments: &str) -> Result<Bench, Error> {
        let arguments = ["bench", "g.wasm"].into_iter().chain(arguments.split_whitespace());
        let Only { args } = Only::try_parse_from(arguments).expect("arguments clap takes");
        args.bench(NonZero::new(8).expect("not zero"))
    }

    #[track_caller]
    fn check_workers(arguments: &str, expected: &[usize]) {
        let workers = bench(arguments).unwrap().workers;
        assert_eq!(workers.into_iter().map(NonZero::get).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_refused(arguments: &str, message: &str, hint: &str) {
        let error = bench(arguments).err().expect("it is refused");
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[test]
    fn one_worker_is_always_among_them() {
        check_workers("--range 0..99", &[1, 8]);
        check_workers("--range 0..99 -j 2,4", &[1, 2, 4]);
        check_workers("--range 0..99 -j 1", &[1]);
    }

    #[test]
    fn a_list_may_be_in_any_order_and_have_parts_of_the_cpus_in_it() {
        check_workers("--range 0..99 --workers 4,50%,2,auto", &[1, 2, 4, 8]);
    }

    #[test]
    fn there_are_never_more_workers_than_items() {
        check_workers("--range 0..3 -j 2,4,8", &[1, 2, 3]);
    }

    #[test]
    fn the_job_is_that_of_the_flags() {
        let Bench { plan, runs, .. } = bench("f --range 0..99 --timeout none --chunk 7 --window 5").unwrap();
        assert_eq!(plan.export.as_deref(), Some("f"));
        assert_eq!((plan.limits.wall, plan.chunk, plan.window.get()), (None, NonZero::new(7), 5));
        assert_eq!(runs, 3);
    }

    #[test]
    fn what_can_be_read_only_once_is_refused() {
        for path in ["-", "/dev/null"] {
            check_refused(
                &format!("--lines {path}"),
                &format!("`--lines {path}` can be read only once, and every run reads it"),
                "write it to a file first",
            );
        }
    }

    #[test]
    fn runs_are_counted_from_one_to_a_thousand() {
        check_refused("--range 0..9 --runs 0", "`--runs` takes a whole number from 1, not `0`", "");
        check_refused(
            "--range 0..9 --runs 1_001",
            "`--runs 1_001` is more than 1000",
            "a few are enough: the figure is the one in the middle",
        );
    }
}
