//! From a plan to a run: the guest's file, the pool, the sink and the reporter, put together.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clash;
use super::exit::{self, Ending};
use super::shares::Copies;
use super::{journal, signals, surroundings};
use crate::cache::Cache;
use crate::color::Color;
use crate::error::{Error, ExitCode};
use crate::guest::{Description, ValueType};
use crate::guest_file::GuestFile;
use crate::journal::{Journal, Records};
use crate::outcome::{Printed, Returns};
use crate::plan::{self, Bound, InputKind, Plan, WINDOW_BYTES};
use crate::pool::{self, Cancellation, Canceller, Pauser};
use crate::report::{self, Progress, ReportOptions, Reporter};
use crate::sandbox::SandboxMode;
use crate::sink::{self, Format, OutputFile, Shown, SinkOptions};

/// Runs a plan to its end, or until a signal ends it.
pub(super) fn supervise(plan: Plan) -> anyhow::Result<ExitCode> {
    let (canceller, cancellation) = Canceller::new();
    let pauser = Pauser::default();
    let own = pauser.clone();
    let limit = plan.run_timeout;
    signals::supervise(
        move || run(&plan, cancellation, own),
        |signal| canceller.cancel(signal),
        pauser,
        limit,
    )
}

fn run(plan: &Plan, cancellation: Cancellation, pauser: Pauser) -> Result<ExitCode, Error> {
    clash::check(plan)?;
    let guest = GuestFile::open(&plan.guest)?;
    plan.kept.only.as_ref().map_or(Ok(()), |only| only.check_guest(&guest))?;
    let mut copies = Copies::of(&plan.shares)?;
    let opening = pool::open(guest.name(), guest.memory(), options(plan, &copies, pauser)?)?;
    let bound = plan.bind(opening.description())?;
    // Before anything runs, and before there is a journal: what cannot be written need not be computed.
    let (mut file, stdout) = destination(plan)?;
    if plan.kept.only.is_none() {
        copies.keep()?;
    }
    let mut journal = journal::open(plan, &bound, &guest, &copies)?;
    let mut notes = plan.kept.notes.clone();
    notes.extend(copies.note());
    notes.extend(journal.iter_mut().flat_map(Journal::take_notes));
    let journal_place = journal.as_ref().map(Journal::place);
    let joblog = journal::open_joblog(plan, &bound)?;
    let mut reporter = reporter(plan);
    let (output, place) = output(&mut file, &stdout, reporter.as_ref())?;
    let mut sink = sink::for_run(sink_options(plan, &bound, place), output);
    let job = pool::Job {
        records: Records { journal, joblog, only: plan.kept.only.clone(), notes },
        ..job(plan, bound)
    };
    let ended = opening.run(job, sink.as_mut(), reporter.as_mut(), cancellation);
    drop(sink);
    // However the run has ended: what items did there is done, as in a folder.
    let written_back = copies.write_back();
    let summary = ended?;
    file.map_or(Ok(()), OutputFile::commit)?;
    journal_place.map_or(Ok(()), |place| place.check())?;
    written_back?;
    Ok(exit::code_of(&summary))
}

/// Several runs of one command, one after another: a signal ends the one that is on, and none begins after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    current: Arc<Mutex<Current>>,
    pauser: Pauser,
}

#[derive(Debug, Default)]
struct Current {
    canceller: Option<Canceller>,
    signal: Option<i32>,
}

impl Runs {
    /// Does what has runs in it to its end, or until a signal ends it.
    pub(super) fn supervise(
        act: impl FnOnce(&Self) -> Result<ExitCode, Error> + Send + 'static,
    ) -> anyhow::Result<ExitCode> {
        let runs = Self::default();
        let canceller = runs.clone();
        let pauser = runs.pauser.clone();
        signals::supervise(move || act(&runs), move |signal| canceller.cancel(signal), pauser, None)
    }

    /// What ends the next run.
    ///
    /// # Errors
    /// If a signal has come.
    pub(super) fn next(&self) -> Result<Cancellation, Error> {
        let mut current = self.lock();
        if let Some(signal) = current.signal {
            return Err(Error::Interrupted { signal });
        }
        let (canceller, cancellation) = Canceller::new();
        current.canceller = Some(canceller);
        Ok(cancellation)
    }

    /// What stops the workers of all of them.
    pub(super) fn pauser(&self) -> Pauser {
        self.pauser.clone()
    }

    fn cancel(&self, signal: i32) {
        let mut current = self.lock();
        current.signal = Some(signal);
        if let Some(canceller) = &current.canceller {
            canceller.cancel(signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Whoever panicked had changed all of it or nothing.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how a run goes, on standard error.
pub(super) fn reporter(plan: &Plan) -> Box<dyn Reporter + Send> {
    report::for_run(ReportOptions {
        progress: plan.progress,
        stats: plan.stats,
        terminal: io::stderr().is_terminal(),
        color: color_of(&io::stderr()),
    })
}

/// Where results go.
pub(super) struct Place {
    /// What errors call it.
    name: Cow<'static, str>,
    terminal: bool,
    color: Color,
}

impl Place {
    /// No terminal, by this name.
    pub(super) fn file(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), terminal: false, color: Color::Off }
    }
}

/// The file that results go to, if they go to one; else they go to standard output, which is there.
pub(super) fn destination(plan: &Plan) -> Result<(Option<OutputFile>, io::Stdout), Error> {
    let file = plan.output.as_deref().map(OutputFile::create).transpose()?;
    let stdout = if file.is_none() { surroundings::standard_output()? } else { io::stdout() };
    Ok((file, stdout))
}

/// What results are written to, beside what the reporter draws.
pub(super) fn output<'w>(
    file: &'w mut Option<OutputFile>,
    stdout: &io::Stdout,
    reporter: &dyn Reporter,
) -> Result<(Box<dyn Write + 'w>, Place), Error> {
    Ok(match file {
        Some(file) => {
            let place = Place { terminal: file.is_terminal(), ..Place::file(file.name()) };
            (beside(reporter, Box::new(file), &place), place)
        }
        None => {
            let terminal = stdout.is_terminal();
            let place = Place { name: "standard output".into(), terminal, color: color_of(stdout) };
            (beside(reporter, Box::new(unbuffered(stdout)?), &place), place)
        }
    })
}

/// Standard output as the file that it is. The standard library's own takes one that cannot be written for one that
/// takes everything, and looks for ends of lines in what is whole lines anyway.
fn unbuffered(stdout: &io::Stdout) -> Result<File, Error> {
    stdout.as_fd().try_clone_to_owned().map(File::from).map_err(exit::cannot_write)
}

/// The output, with what the reporter draws on the same terminal out of its way.
fn beside<'w>(reporter: &dyn Reporter, output: Box<dyn Write + 'w>, place: &Place) -> Box<dyn Write + 'w> {
    if place.terminal { reporter.beside(output) } else { output }
}

/// What `--color` asks for, or else what the stream and the environment say.
fn color_of(stream: &impl anstream::stream::RawStream) -> Color {
    match anstream::AutoStream::choice(stream) {
        anstream::ColorChoice::Never => Color::Off,
        anstream::ColorChoice::Auto | anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => {
            Color::On
        }
    }
}

/// What a guest offers.
pub(super) fn describe(guest: &GuestFile, sandbox: SandboxMode) -> Result<Description, Error> {
    let cache = Cache::of_environment().ok();
    let mut reporter = report::for_run(ReportOptions {
        progress: Progress::None,
        stats: false,
        terminal: false,
        color: color_of(&io::stderr()),
    });
    pool::describe(guest.name(), guest.memory(), None, sandbox, cache.as_ref(), reporter.as_mut())
}

/// This process is a worker.
pub(super) fn worker(arguments: &[OsString]) -> Ending {
    let (code, talk) = crate::worker::main(arguments);
    Ending { code, talk }
}

/// The pool that a plan asks for.
pub(super) fn options(plan: &Plan, copies: &Copies, pauser: Pauser) -> Result<pool::Options, Error> {
    // A single call is over before anything could be replaced.
    let spare = !plan.input.is_one_call();
    let dirs = plan.dirs.iter().map(plan::folders::open).collect::<Result<_, _>>()?;
    Ok(pool::Options {
        workers: plan.workers.get(),
        spare,
        worker_executable: None,
        compile_timeout: plan.compile_timeout,
        code: plan.code(),
        cache: Cache::of_environment().ok(),
        run_timeout: plan.run_timeout,
        pauser,
        sandbox: plan.sandbox,
        dirs,
        sharing: copies.sharing()?,
    })
}

/// How the results of a plan are printed.
pub(super) fn sink_options(plan: &Plan, bound: &Bound, place: Place) -> SinkOptions {
    SinkOptions {
        shown: match (&bound.merge, &bound.finish) {
            (Some(_), Some(_)) => Shown::Finished,
            (Some(_), None) => Shown::Merged,
            (None, _) if is_plain_value(plan) => Shown::Merged,
            (None, _) => Shown::Each,
        },
        ordered: plan.ordered,
        format: plan.format,
        meta: plan.meta,
        terminal: place.terminal,
        color: place.color,
        output: place.name,
        result: bound.finish.as_ref().unwrap_or(&bound.export).result.clone(),
        files: matches!(plan.input, InputKind::Files { .. }),
        inputs: bound.inputs.clone(),
        stages: None,
    }
}

/// The value of a single call is printed like a merged one: plain, unless records are asked for.
fn is_plain_value(plan: &Plan) -> bool {
    plan.input.is_one_call() && matches!(plan.format, Format::Auto | Format::Text)
}

/// The job that a plan is.
pub(super) fn job(plan: &Plan, bound: Bound) -> pool::Job {
    let items = bound.source.total().map(u128::from);
    pool::Job {
        workers: plan::at_most_one_per_item(plan.workers, items).get(),
        source: bound.source,
        serve: bound.serve,
        returns: match bound.export.result {
            Some(ValueType::Result { .. }) => Returns::Result,
            Some(_) | None => Returns::Value,
        },
        printed: if is_plain_value(plan) { Printed::Told } else { Printed::Recorded },
        limits: plan.limits,
        policy: plan.policy,
        chunk: plan.chunk.map(std::num::NonZero::get),
        window_items: plan.window.get(),
        window_bytes: WINDOW_BYTES,
        records: Records::default(),
    }
}
