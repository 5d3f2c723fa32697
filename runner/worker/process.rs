//! The worker process from its first instruction: its arguments, its phases, its end.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::compile::Prepared;
use super::guest::{CallRecord, Given, Guest};
use super::main_loop::{self, Engine, Loader};
use super::{Refusal, compile, limits};
use crate::clock::monotonic_ns;
use crate::error::ExitCode;
use crate::guest::Description;
use crate::guest_file;
use crate::item::{Input, ItemIndex};
use crate::limits::{CodeOptions, GuestLimits};
use crate::sandbox::{self, Configured, Descriptors, Enforced, Profile, SetupError, Start, fds};
use crate::shm::declared::Shape;
use crate::shm::segment::{Segment, SegmentMap};
use crate::wire::msg::{Allowance, Refusal as About, Report, Serve};

/// Why a worker ended early. Nobody but the host reads it, in the worker's standard error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("a worker is started by its host")]
    Arguments,
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("cannot map the segment: {0}")]
    Segment(#[source] io::Error),
    #[error(transparent)]
    Conversation(#[from] main_loop::Failure),
}

/// Is a worker until the host wants no more; `arguments` are those of the process, its name first.
///
/// Returns the exit code, and what to write to standard error.
#[must_use]
pub fn main(arguments: &[OsString]) -> (ExitCode, Option<String>) {
    match serve(arguments) {
        Ok(_) => (ExitCode::SUCCESS, None),
        Err(failure) => (ExitCode::INTERNAL, Some(format!("{failure}\n"))),
    }
}

fn serve(arguments: &[OsString]) -> Result<main_loop::End, Failure> {
    let start = arguments.get(2..).and_then(Start::parse).ok_or(Failure::Arguments)?;
    let (configured, descriptors) = sandbox::configure(&start)?;
    let Descriptors { requests, results, guest, segment, shared, dirs, .. } = descriptors;
    let segment = SegmentMap::new(segment.as_fd()).map_err(Failure::Segment)?;
    let results = Arc::new(results);
    let loader = Process {
        configured,
        profile: start.profile,
        guest,
        given: Given { shared, holder: start.holder, dirs, results: Some(Arc::clone(&results)) },
    };
    Ok(main_loop::run(requests, results, Segment::new(segment), monotonic_ns, loader)?)
}

/// A worker that has not been told what to be.
struct Process {
    configured: Configured,
    profile: Profile,
    guest: File,
    given: Given,
}

/// A locked worker with a guest.
struct Serving {
    guest: Guest,
    record: CallRecord,
}

impl Loader for Process {
    type Prepared = Prepared;
    type Engine = Serving;

    fn describe(self, code: CodeOptions) -> Result<(Description, Prepared), Refusal> {
        let Self { configured, profile, guest, given: _ } = self;
        let Profile::Compile(threads) = profile else {
            return Err(Refusal::new("cannot be compiled by a worker that serves".to_owned()));
        };
        // The bytes are hostile, so they are parsed behind the lock.
        let load = || {
            compile::start_threads(threads)?;
            read(&guest)
        };
        // The host has given this process its limits: nobody knows them before the guest has been read.
        let (bytes, _enforced) = configured.load(load)?.lock(None).map_err(cannot_be_locked)?;
        compile::describe(&bytes, code)
    }

    fn compile(prepared: Prepared) -> Result<Vec<u8>, Refusal> {
        compile::compile(prepared)
    }

    fn load(self, serve: &Serve) -> Result<(Serving, Enforced), Refusal> {
        let Self { configured, guest, given, .. } = self;
        fds::check_sealed(&guest).map_err(cannot_be_read)?;
        // No instance is made ahead of the first item: its start function is the guest's code, and belongs to items and
        // their limits.
        let loaded = configured.load(|| Guest::load(&guest, given, serve))?;
        let allowance = serve.limits.memory.saturating_add(limits::overhead(&serve.limits));
        // A segment that nobody can write to counts as memory of each that maps it.
        let allowance = allowance.saturating_add(segments(serve));
        let (guest, enforced) = loaded.lock(Some(allowance)).map_err(cannot_be_locked)?;
        Ok((Serving { guest, record: CallRecord::default() }, enforced))
    }

    fn probe(self) -> Result<Enforced, Refusal> {
        let loaded = self.configured.load(|| Ok(()))?;
        // As a worker that serves a guest with the usual limits.
        let usual = GuestLimits::default();
        let allowance = usual.memory.saturating_add(limits::overhead(&usual));
        let ((), enforced) = loaded.lock_as_far_as_possible(Some(allowance)).map_err(cannot_be_locked)?;
        Ok(enforced)
    }
}

impl Engine for Serving {
    fn allow(&mut self, Allowance { memory }: Allowance) {
        self.guest.limit_memory(memory);
    }

    fn call(&mut self, item: ItemIndex, export: usize, input: Input<'_>) -> Report<'_> {
        self.guest.call(item, export, input, &mut self.record);
        self.record.report()
    }
}

/// How long all segments together are, in bytes.
fn segments(serve: &Serve) -> u64 {
    let lengths = serve.shared.iter().map(|shared| match shared.shape {
        Shape::Segment { length, .. } => length,
        Shape::Value(_) | Shape::Array { .. } | Shape::Lock | Shape::Queue(_) | Shape::PipeEnd { .. } => 0,
    });
    lengths.fold(0, u64::saturating_add)
}

/// The guest's bytes. Read by place: the host, and workers on the same guest, share the file's position.
fn read(guest: &File) -> Result<Vec<u8>, Refusal> {
    fds::check_sealed(guest).map_err(cannot_be_read)?;
    let length = guest.metadata().map_err(cannot_be_read)?.len();
    if length > guest_file::MAX_LEN {
        return Err(cannot_be_read(format_args!("{length} bytes, which the host should have refused")));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(cannot_be_read)?];
    guest.read_exact_at(&mut bytes, 0).map_err(cannot_be_read)?;
    Ok(bytes)
}

fn cannot_be_locked(error: SetupError) -> Refusal {
    match error {
        SetupError::Unprotected(_) => {
            Refusal { about: About::Protection, message: error.to_string(), hint: None }
        }
        SetupError::Orphan | SetupError::System { .. } | SetupError::Descriptor(_) => {
            Refusal::machine(format!("a worker cannot lock itself in: {error}"), None)
        }
    }
}

fn cannot_be_read(error: impl Display) -> Refusal {
    Refusal::new(format!("cannot be read by a worker: {error}"))
}
