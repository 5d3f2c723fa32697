//! `wasmpool pipeline`: functions one behind the other, each with workers of its own.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::grants::{GrantArgs, Grants};
use super::input::{InputArgs, RunningArgs};
use super::limits::LimitArgs;
use super::policy::PolicyArgs;
use super::protection::ProtectionArgs;
use super::shares::Copies;
use super::{clash, exit, job, parse, signals};
use crate::chunk::Inputs;
use crate::error::{Error, ExitCode};
use crate::guest::Description;
use crate::pipeline::{self, DEFAULT_QUEUE, Line, Opened, Order, Stage, Work};
use crate::plan::{self, Before, Bound, InputKind, Kept, Made, Merging, Passage, Plan};
use crate::pool::{self, Cancellation, Pauser};
use crate::report::Progress;
use crate::sink::{self, Format, OutputFile, SinkOptions, Stages};

/// Run functions one behind the other, with a bounded queue between each two
///
/// What a function returns is what the next one is called with. Each has workers of its own, and all work at the same
/// time; where one is slower than the one before, that one waits. A list that the next function cannot take as a whole
/// is taken apart, and each element is an item: types alone decide that, before anything runs. Of a result the ok goes
/// on. Results come in input order; what failed has a record that says in which stage.
#[derive(Debug, Args)]
#[command(
    override_usage = "wasmpool pipeline [OPTIONS] GUEST#EXPORT GUEST#EXPORT... INPUT",
    after_help = "\
Examples:
  wasmpool pipeline tour.wasm#split primes.wasm#count-primes --item '[10000,510000,50]'
  wasmpool pipeline tour.wasm#split primes.wasm#count-primes --item '[1,800000,80]' --merge"
)]
pub(super) struct PipelineArgs {
    /// The stages in order: a guest's file and its function, such as primes.wasm#count-primes
    #[arg(value_name = "GUEST#EXPORT", required = true)]
    stages: Vec<String>,

    #[command(flatten)]
    input: InputArgs,

    /// How many workers each stage has, or for each stage how many, as in 1,4; auto is one per usable CPU
    #[arg(
        short = 'j',
        long,
        allow_negative_numbers = true,
        value_name = "N|N%|auto[,...]",
        default_value = "auto",
        help_heading = "Running"
    )]
    workers: String,
    /// How many items may wait between two stages
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = DEFAULT_QUEUE.to_string(),
        help_heading = "Running"
    )]
    queue: String,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    protection: ProtectionArgs,
    #[command(flatten)]
    policy: PolicyArgs,

    /// Hand on and print items as they end, not in input order
    #[arg(short, long, help_heading = "Output", conflicts_with = "merge")]
    unordered: bool,
    /// Print one merged value of the last stage, not every item
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
    /// Tell more at the end: times of each stage, workers, kinds of failure
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    stats: bool,

    #[command(flatten)]
    refused: RefusedArgs,
}

/// What is recorded of a run of one function, and not of several.
#[derive(Debug, Args)]
struct RefusedArgs {
    #[arg(long, hide = true)]
    journal: Option<PathBuf>,
    #[arg(long, hide = true)]
    resume: bool,
    #[arg(long, hide = true)]
    retry_failed: bool,
    #[arg(long, hide = true)]
    joblog: Option<PathBuf>,
}

/// What a pipeline will do, as far as the arguments tell.
struct Pipeline {
    /// What the user calls each stage, and what it will do. What is not of one stage is the same in all of them.
    stages: Vec<(Arc<str>, Plan)>,
    queue: NonZero<u64>,
}

/// A pipeline whose stages are known to fit.
struct Fitting {
    bound: Vec<Bound>,
    passages: Vec<Passage>,
    /// The inputs of the first stage, where records show them.
    inputs: Option<Inputs>,
}

impl PipelineArgs {
    /// Runs the pipeline to its end, or until a signal ends it.
    pub(super) fn execute(self, usable_cpus: NonZero<usize>) -> anyhow::Result<ExitCode> {
        let pipeline = self.pipeline(usable_cpus)?;
        let limit = pipeline.last().run_timeout;
        let (line, cancellations) = pipeline.line();
        let line = Arc::new(line);
        let pauser = Pauser::default();
        let (own_line, own_pauser) = (Arc::clone(&line), pauser.clone());
        signals::supervise(
            move || pipeline.run(&own_line, cancellations, &own_pauser),
            move |signal| line.cancel(signal),
            pauser,
            limit,
        )
    }

    fn pipeline(self, usable_cpus: NonZero<usize>) -> Result<Pipeline, Error> {
        self.refused.check()?;
        let names = self.stages.iter().map(|stage| named(stage)).collect::<Result<Vec<_>, _>>()?;
        if let [(guest, export)] = names.as_slice() {
            return Err(Error::usage(
                "a pipeline has two stages or more, and this is one",
                format!("`wasmpool run {guest} {export}` runs one function"),
            ));
        }
        let input = self.input.kind()?;
        let workers = workers(&self.workers, names.len(), usable_cpus)?;
        let queue = parse::count("--queue", &self.queue)?;
        let seed = self.limits.seed()?;
        let isolation = self.running.isolation(None, seed)?;
        let grants = self.grants.grants(seed)?;
        let policy = self.policy.policy(&grants)?;
        let Grants { dirs, env, shares } = grants;
        let plan = Plan {
            guest: PathBuf::new(),
            export: None,
            // What the stage before returns.
            input: InputKind::Items(Vec::new()),
            bindings: Vec::new(),
            init: None,
            integers: self.running.integers(),
            workers: NonZero::<usize>::MIN,
            chunk: self.running.chunk()?,
            window: self.running.window()?,
            ordered: !self.unordered,
            merging: Merging::Never,
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
            kept: Kept::default(),
        };
        let mut stages: Vec<_> = names
            .into_iter()
            .zip(workers)
            .map(|((guest, export), workers)| Plan {
                guest: guest.into(),
                export: Some(export.to_owned()),
                workers,
                ..plan.clone()
            })
            .collect();
        if let Some(first) = stages.first_mut() {
            first.workers = plan::at_most_one_per_item(first.workers, input.most_items());
            first.input = input;
        }
        if let Some(last) = stages.last_mut().filter(|_| self.merge) {
            last.merging = Merging::Always;
        }
        let labels = self.stages.iter().map(|stage| Arc::from(stage.as_str()));
        Ok(Pipeline { stages: labels.zip(stages).collect(), queue })
    }
}

impl RefusedArgs {
    fn check(&self) -> Result<(), Error> {
        let given = [
            ("--journal", self.journal.is_some()),
            ("--resume", self.resume),
            ("--retry-failed", self.retry_failed),
            ("--joblog", self.joblog.is_some()),
        ];
        let given = given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag));
        given.map_or(Ok(()), |flag| {
            Err(Error::usage(
                format!(
                    "`{flag}` is not for pipelines: what is recorded is how the items of one function end"
                ),
                "run stage by stage with `wasmpool run`, each with a journal of its own",
            ))
        })
    }
}

/// The guest and the function of a stage.
fn named(stage: &str) -> Result<(&str, &str), Error> {
    match stage.split_once('#') {
        Some((guest, export)) if !guest.is_empty() && !export.is_empty() => Ok((guest, export)),
        _ => {
            let guest = stage.trim_matches('#');
            Err(Error::usage(
                format!("the stage `{stage}` does not name a guest and a function"),
                format!("write `{}#EXPORT`", if guest.is_empty() { "GUEST" } else { guest }),
            ))
        }
    }
}

/// How many workers each of so many stages has.
fn workers(list: &str, stages: usize, usable_cpus: NonZero<usize>) -> Result<Vec<NonZero<usize>>, Error> {
    let numbers = list.split(',').map(|text| parse::workers(text.trim(), usable_cpus));
    match numbers.collect::<Result<Vec<_>, _>>()?.as_slice() {
        [each] => Ok(vec![*each; stages]),
        several if several.len() == stages => Ok(several.to_vec()),
        several => Err(Error::usage(
            format!("`--workers {list}` is for {} stages, and there are {stages}", several.len()),
            "write one number for all stages, or one for each",
        )),
    }
}

impl Pipeline {
    fn last(&self) -> &Plan {
        let (_, plan) = self.stages.last().expect("there are two stages or more");
        plan
    }

    fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.stages.iter().map(|(_, plan)| plan)
    }

    fn line(&self) -> (Line, Vec<Cancellation>) {
        let workers: Vec<_> = self.plans().map(|plan| plan.workers.get()).collect();
        let order = if self.last().ordered { Order::Input } else { Order::Made };
        Line::new(&workers, self.queue.get(), order)
    }

    fn run(
        &self,
        line: &Arc<Line>,
        cancellations: Vec<Cancellation>,
        pauser: &Pauser,
    ) -> Result<ExitCode, Error> {
        self.plans().try_for_each(clash::check)?;
        let rooms = self.plans().map(|plan| (plan.workers.get(), plan.dirs.len() + plan.shares.len()));
        let rooms: Vec<_> = rooms.collect();
        pool::check_room(&rooms)?;
        // The same memory for all stages.
        let copies = Copies::of(&self.last().shares)?;
        let stage = |(label, plan): &(Arc<str>, Plan)| {
            let options = job::options(plan, &copies, pauser.clone())?;
            Ok(Stage { label: Arc::clone(label), guest: plan.guest.clone(), options })
        };
        let stages = self.stages.iter().map(stage).collect::<Result<Vec<_>, Error>>()?;
        pipeline::open(&stages, |opened| self.run_opened(opened, copies, line, cancellations))
    }

    fn run_opened(
        &self,
        opened: Opened<'_>,
        mut copies: Copies,
        line: &Arc<Line>,
        cancellations: Vec<Cancellation>,
    ) -> Result<ExitCode, Error> {
        let Fitting { bound, passages, inputs } = self.bind(opened.descriptions(), line)?;
        // Before anything runs: what cannot be written need not be computed.
        let (mut file, stdout) = job::destination(self.last())?;
        copies.keep()?;
        let reporter = job::reporter(self.last());
        let (output, place) = job::output(&mut file, &stdout, reporter.as_ref())?;
        let options = self.sink_options(&bound, &passages, inputs, place);
        let mut sink = sink::for_run(options, output);
        let jobs = self.plans().zip(bound).map(|(plan, bound)| job::job(plan, bound));
        let mut jobs: Vec<_> = jobs.collect();
        jobs.iter_mut().take(1).for_each(|job| job.records.notes.extend(copies.note()));
        let work = Work { jobs, passages, printing: sink.as_mut(), reporter, cancellations };
        let ended = opened.run(line, work);
        drop(sink);
        // However the run has ended: what items did there is done.
        let written_back = copies.write_back();
        let summary = ended?;
        file.map_or(Ok(()), OutputFile::commit)?;
        written_back?;
        Ok(exit::code_of(&summary))
    }

    /// Checks each stage against what its guest exports and what the stage before returns, and opens the input.
    fn bind(&self, guests: &[Description], line: &Line) -> Result<Fitting, Error> {
        let mut bound: Vec<Bound> = Vec::new();
        let mut passages = Vec::new();
        let mut inputs = None;
        let mut total = None;
        for (stage, ((_, plan), guest)) in self.stages.iter().zip(guests).enumerate() {
            let Some(before) = bound.last() else {
                let first = plan.bind(guest)?;
                total = first.source.total();
                inputs.clone_from(&first.inputs);
                bound.push(Bound { source: line.first(first.source), ..first });
                continue;
            };
            let before = Before { label: &self.stages[stage - 1].0, export: &before.export };
            let (next, passage) = plan.bind_after(guest, before, |passage| {
                total = total.filter(|_| passage.made == Made::Item);
                line.following(stage, total)
            })?;
            bound.push(next);
            passages.push(passage);
        }
        Ok(Fitting { bound, passages, inputs })
    }

    fn sink_options(
        &self,
        bound: &[Bound],
        passages: &[Passage],
        inputs: Option<Inputs>,
        place: job::Place,
    ) -> SinkOptions {
        let last = bound.last().expect("there are two stages or more");
        let is_taken_apart = passages.iter().any(|passage| passage.made == Made::Items);
        let first = self.plans().next().map(|plan| &plan.input);
        SinkOptions {
            inputs,
            files: matches!(first, Some(InputKind::Files { .. })),
            stages: Some(if is_taken_apart { Stages::Parts } else { Stages::Whole }),
            ..job::sink_options(self.last(), last, place)
        }
    }
}
