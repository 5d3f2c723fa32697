//! The flags that say what is kept of a run beside its output, and what a journal holds of the command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::shares::Copies;
use crate::chunk::Inputs;
use crate::error::Error;
use crate::guest::Integers;
use crate::guest_file::GuestFile;
use crate::journal::{Invocation, Joblog, JoblogMode, Journal, Key, Mode};
use crate::limits::{GuestLimits, Isolation, Limits, Policy};
use crate::plan::{Bound, HostDir, InputKind, JournalFile, Kept, Plan, SharedFile};
use crate::sandbox::Access;
use crate::source::{LineEnd, NameEnd};
use crate::wire::msg::{BoundArgument, Init};

/// What is written down as items end.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct JournalArgs {
    /// Record how each item ends, to go on from if the run is cut short
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Go on with the journal: run only what is not in it
    #[arg(long, requires = "journal", hide_short_help = true)]
    resume: bool,
    /// Go on with the journal, and run the items again that failed
    #[arg(long, requires = "journal", conflicts_with = "at_most_once", hide_short_help = true)]
    retry_failed: bool,
    /// Write a line for each item that ends, in the columns of GNU parallel
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    joblog: Option<PathBuf>,
}

impl JournalArgs {
    /// What is to be kept.
    pub(super) fn kept(self) -> Kept {
        let mode = match (self.retry_failed, self.resume) {
            (true, _) => Mode::RetryFailed,
            (false, true) => Mode::Resume,
            (false, false) => Mode::New,
        };
        Kept {
            journal: self.journal.map(|path| JournalFile { path, mode }),
            joblog: self.joblog,
            ..Kept::default()
        }
    }
}

/// Opens the journal that a plan asks for.
pub(super) fn open(
    plan: &Plan,
    bound: &Bound,
    guest: &GuestFile,
    copies: &Copies,
) -> Result<Option<Journal>, Error> {
    let Some(JournalFile { path, mode }) = &plan.kept.journal else { return Ok(None) };
    // Who cannot say where it is cannot be started there again either.
    let folder = std::env::current_dir().unwrap_or_default();
    let command = Invocation::new(std::env::args_os().skip(1), folder);
    Journal::open(path, *mode, &key(plan, bound, guest, copies)?, &command).map(Some)
}

/// Opens the joblog that a plan asks for.
pub(super) fn open_joblog(plan: &Plan, bound: &Bound) -> Result<Option<Joblog>, Error> {
    let Some(path) = &plan.kept.joblog else { return Ok(None) };
    let mode = match plan.kept.journal.as_ref().map_or(Mode::New, |journal| journal.mode) {
        Mode::New => JoblogMode::New,
        Mode::Resume | Mode::RetryFailed => JoblogMode::Resume,
    };
    Joblog::open(path, mode, &plan.guest, &bound.export, bound.inputs.clone()).map(Some)
}

/// What a key calls the guest's digest.
pub(super) const GUEST: &str = "the BLAKE3 of the guest";

/// What makes this job the one it is: all that says what its items are and how they end.
fn key(plan: &Plan, bound: &Bound, guest: &GuestFile, copies: &Copies) -> Result<Key, Error> {
    // What is left out changes how items are run and shown, and not how they end.
    #[rustfmt::skip]
    let Plan {
        guest: _, export: _, input, bindings: _, init: _, integers, workers: _, chunk: _, window: _, ordered: _, merging: _, limits,
        guest_limits, policy, isolation, seed, sandbox: _, dirs, env, shares, compile_timeout: _, run_timeout: _, format: _,
        output: _, meta, progress: _, stats: _, kept: _,
    } = plan;
    let Limits { wall, cpu } = limits;
    let GuestLimits { memory, output, fuel } = guest_limits;
    let Policy { retries, crash_retries, at_most_once, fail_fast: _, max_items_per_worker: _ } = policy;
    let mut key = Key::default();
    key.add("the version of wasmpool", env!("CARGO_PKG_VERSION"));
    key.add(GUEST, guest.digest()?);
    key.add("the function", bound.export.full_name());
    key.add("the input", input);
    if let Some((name, detail)) = detail(input, bound) {
        key.add(name, detail);
    }
    key.add("`--bind`", listed(&bindings(bound)));
    key.add("`--init`", init(bound));
    key.add("`--unsigned`", yes(*integers == Integers::Unsigned));
    key.add("`--timeout`", time(*wall));
    key.add("`--cpu-time`", time(*cpu));
    key.add("`--memory`", memory);
    key.add("`--max-output`", output);
    key.add("`--fuel`", number(*fuel));
    key.add("`--retries`", retries);
    key.add("`--crash-retries`", crash_retries);
    key.add("`--at-most-once`", yes(*at_most_once));
    key.add(
        "`--isolation`",
        match isolation {
            Isolation::Item => "item",
            Isolation::Worker => "worker",
        },
    );
    key.add("`--deterministic`", number(*seed));
    key.add("`--meta`", yes(*meta));
    key.add("`--dir`", folders(dirs)?);
    key.add("`--env`", names(env));
    key.add_hidden("what `--env` gives", values(env));
    key.add("`--share`", shared(shares)?);
    for (name, digest) in copies.digests() {
        key.add(&digest_of(name), digest.to_hex());
    }
    Ok(key)
}

/// What a key calls the digest of a file that is shared by this name.
pub(super) fn digest_of(name: &str) -> String {
    format!("the BLAKE3 of `{name}`")
}

/// What else says how the input is cut into items.
fn detail(input: &InputKind, bound: &Bound) -> Option<(&'static str, String)> {
    match input {
        InputKind::Range { .. } => match &bound.inputs {
            Some(Inputs::Spans { step, .. }) => Some(("`--step`", step.to_string())),
            Some(_) | None => None,
        },
        InputKind::Lines { ends, .. } => Some(("`--crlf`", yes(*ends == LineEnd::Crlf).to_owned())),
        InputKind::Blocks { size, .. } => Some(("`--block-size`", size.to_string())),
        InputKind::Files { ends, .. } => Some(("`--null`", yes(*ends == NameEnd::Nul).to_owned())),
        InputKind::Jsonl(_) | InputKind::Items(_) | InputKind::Arguments(_) => None,
    }
}

/// The parameters that are bound, each with its value.
fn bindings(bound: &Bound) -> Vec<String> {
    let named = |BoundArgument { place, value }: &BoundArgument| {
        let param = usize::try_from(*place).ok().and_then(|place| bound.export.params.get(place));
        param.map(|(name, _)| format!("{name}={value}"))
    };
    bound.serve.bound.iter().filter_map(named).collect()
}

/// What instances run first, and with which arguments.
fn init(bound: &Bound) -> String {
    let init = bound.serve.init.as_ref().and_then(|Init { export, arguments }| {
        let export = bound.serve.exports.get(usize::try_from(*export).ok()?)?;
        Some(format!("{export}={arguments}"))
    });
    init.unwrap_or_else(|| "none".to_owned())
}

/// Each folder: where it is, what the guest calls it and what it may do there.
fn folders(dirs: &[HostDir]) -> Result<String, Error> {
    let texts = dirs.iter().map(|HostDir { host, guest, access }| {
        let place = place(host, || format!("the folder `{}`", host.display()))?;
        Ok(format!("{place:?} as {guest:?}, {}", access.name()))
    });
    Ok(listed(&texts.collect::<Result<Vec<_>, _>>()?))
}

/// Each file: its name, and where it is if guests write to it. What others have in them says more than their places.
fn shared(shares: &[SharedFile]) -> Result<String, Error> {
    let texts = shares.iter().map(|SharedFile { name, file, access, digest: _ }| match access {
        Access::Read => Ok(format!("{name:?}, {}", access.name())),
        Access::Write => {
            let place = place(file, || format!("`{}`", file.display()))?;
            Ok(format!("{place:?} as {name:?}, {}", access.name()))
        }
    });
    Ok(listed(&texts.collect::<Result<Vec<_>, _>>()?))
}

fn place(path: &Path, name: impl FnOnce() -> String) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Input { name: name(), hint: None, source })
}

fn names(env: &[(String, String)]) -> String {
    listed(&env.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
}

/// All of it, with what keeps names and values apart. They may be secrets.
fn values(env: &[(String, String)]) -> Vec<u8> {
    let texts = env.iter().flat_map(|(name, value)| [name, value]);
    texts.flat_map(|text| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()).collect()
}

fn listed(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join("; ") }
}

fn yes(is_given: bool) -> &'static str {
    if is_given { "yes" } else { "no" }
}

fn time(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"))
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}
