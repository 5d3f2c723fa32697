//! A group: the workers of one guest, and the thread that runs what they are given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::calls::{CallSink, CallSource, Calls, Pending};
use super::settings::Settings;
use crate::color::Color;
use crate::error::Error;
use crate::guest::{Description, Export, ValueType};
use crate::guest_file::GuestFile;
use crate::journal::Records;
use crate::outcome::{Printed, Returns};
use crate::plan::{DEFAULT_WINDOW, WINDOW_BYTES};
use crate::pool::{self, Cancellation, Canceller};
use crate::report::{self, Progress, ReportOptions, Reporter, RunEvent};
use crate::wire::msg::Serve;

/// The processes that were ready last, by worker slot.
type Pids = Mutex<BTreeMap<u32, u32>>;

/// The workers of one guest.
pub(super) struct Group {
    name: PathBuf,
    description: Description,
    calls: Arc<Calls>,
    memory: u64,
    pids: Arc<Pids>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Group {
    /// Starts the workers of a guest; returns when it is known what it offers.
    pub(super) fn open(guest: &Path, settings: &Settings) -> Result<Self, Error> {
        let (canceller, cancellation) = Canceller::new();
        let calls = Arc::new(Calls::new(canceller));
        let (described, description) = channel();
        let pids = Arc::<Pids>::default();
        let run = Run {
            guest: guest.to_owned(),
            settings: settings.clone(),
            calls: Arc::clone(&calls),
            pids: Arc::clone(&pids),
            described: Some(described),
        };
        let thread = thread::Builder::new()
            .name("pool".into())
            .spawn(move || run.run(cancellation))
            .map_err(pool::cannot_start)?;
        let description = description.recv().unwrap_or_else(|_| panic!("the thread of the pool panicked"))?;
        let memory = settings.guest_limits.memory;
        let thread = Mutex::new(Some(thread));
        Ok(Self { name: guest.to_owned(), description, calls, memory, pids, thread })
    }

    /// The guest's name.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// What the guest offers.
    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// Bytes of memory that a call may have at most.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// The processes of its workers that were ready last.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    pub(super) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Which function this is, for its workers.
    pub(super) fn place(&self, export: &Export) -> Option<u32> {
        let place = callable(&self.description).position(|callable| callable == export)?;
        u32::try_from(place).ok()
    }

    /// Waits for the end of everything, once no more calls are taken.
    pub(super) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A callback may have the last of a pool, and runs in this very thread, which ends by itself.
        let thread = thread.filter(|joined| joined.thread().id() != thread::current().id());
        if let Some(thread) = thread
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the thread of the pool panicked");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.calls.close(Pending::Run);
        self.join();
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The exports that can be called with values, in order.
fn callable(description: &Description) -> impl Iterator<Item = &Export> {
    let is_callable = |export: &&Export| {
        let mut types = export.params.iter().map(|(_, param)| param).chain(&export.result);
        types.all(ValueType::is_passable)
    };
    description.exports.iter().filter(is_callable)
}

/// What the thread of a group does.
struct Run {
    guest: PathBuf,
    settings: Settings,
    calls: Arc<Calls>,
    pids: Arc<Pids>,
    /// Who waits for what the guest offers, until that is told.
    described: Option<Sender<Result<Description, Error>>>,
}

impl Run {
    fn run(mut self, cancellation: Cancellation) {
        // Also if this thread panics.
        let over = Over(Arc::clone(&self.calls));
        let ended = self.serve(cancellation);
        std::mem::forget(over);
        let Self { calls, described, .. } = self;
        match (ended, described) {
            (Ok(()) | Err(Error::Interrupted { .. }), _) => calls.over(None),
            (Err(error), None) => calls.over(Some(Arc::new(error))),
            (Err(error), Some(described)) => {
                calls.over(None);
                // Whoever opens the pool waits for it, unless he is gone.
                let _ = described.send(Err(error));
            }
        }
    }

    fn serve(&mut self, cancellation: Cancellation) -> Result<(), Error> {
        let guest = GuestFile::open(&self.guest)?;
        let opening = pool::open(guest.name(), guest.memory(), self.settings.options())?;
        let description = opening.description().clone();
        let serve = self.settings.serve(&description, guest.name(), callable(&description))?;
        if let Some(described) = self.described.take() {
            // Nobody waits any more if this cannot be sent.
            let _ = described.send(Ok(description));
        }
        let job = job(&self.settings, serve, &self.calls);
        let mut sink = CallSink(Arc::clone(&self.calls));
        opening.run(job, &mut sink, &mut Told::new(Arc::clone(&self.pids)), cancellation).map(|_| ())
    }
}

/// What a group runs: calls, until there are no more.
fn job(settings: &Settings, serve: Serve, calls: &Arc<Calls>) -> pool::Job {
    pool::Job {
        workers: settings.workers.get(),
        source: Box::new(CallSource(Arc::clone(calls))),
        serve,
        returns: Returns::Value,
        printed: Printed::Recorded,
        limits: settings.limits,
        policy: settings.policy,
        chunk: None,
        window_items: DEFAULT_WINDOW.get(),
        window_bytes: WINDOW_BYTES,
        records: Records::default(),
    }
}

/// Ends all calls if the thread panics.
struct Over(Arc<Calls>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over(None);
    }
}

/// Says on standard error what nobody must miss. What becomes of single calls those hear who made them.
struct Told {
    lines: Box<dyn Reporter>,
    pids: Arc<Pids>,
}

impl Told {
    fn new(pids: Arc<Pids>) -> Self {
        let options =
            ReportOptions { progress: Progress::None, stats: false, terminal: false, color: Color::Off };
        Self { lines: report::for_run(options), pids }
    }
}

impl Reporter for Told {
    fn report(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::WorkerReady { worker, pid } => {
                self.pids.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, pid);
            }
            RunEvent::WorkerMissing { .. }
            | RunEvent::WorkerSaid { .. }
            | RunEvent::Recovered { .. }
            | RunEvent::SharedInstance
            | RunEvent::NoSandbox
            | RunEvent::LayerMissing { .. }
            | RunEvent::SandboxHidden { .. }
            | RunEvent::Note { .. } => self.lines.report(event),
            RunEvent::Started { .. }
            | RunEvent::Progress { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::WorkerReplaced { .. }
            | RunEvent::GuestPrinted { .. }
            | RunEvent::InputRemark { .. }
            | RunEvent::Finished { .. } => {}
        }
    }
}
