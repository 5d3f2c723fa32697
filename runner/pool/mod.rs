//! The pool: worker processes, the drivers that keep them busy, and the dispatcher that owns a run.
//!
//! [`open`] takes a guest and starts two things at once: a compile worker, which tells what the guest offers long
//! before it has compiled it, and the workers that will run the code. [`Opening::run`] then runs a [`Job`].

mod cancelled;
mod clock;
mod compile;
mod dispatcher;
mod driver;
mod estate;
mod feeder;
mod gate;
// Not a part of it: `tests/model` compiles that file with locks that work in models only.
#[cfg(test)]
#[path = "gate/tests.rs"]
mod gate_tests;
mod histogram;
mod link;
mod names;
mod probe;
mod process;
mod room;
mod roster;
mod run_state;
mod session;
mod spawn;
mod state;
mod supply;
mod sync;
mod table;
mod talk;
mod tally;
mod unfinished;
mod verify;
mod wake;

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use self::cancelled::Cancelled;
use self::clock::Clock;
use self::compile::Wanted;
use self::dispatcher::{Dispatcher, Event};
use self::driver::Driver;
use self::estate::Estate;
use self::feeder::Feeder;
use self::gate::Gate;
use self::names::Names;
use self::run_state::RunState;
use self::spawn::{Launcher, Spawner};
use self::state::{Nanos, Retry, Rules};
use self::supply::Supply;
use self::table::Table;
use self::tally::Tally;
use self::unfinished::Unfinished;
use self::wake::WakeFd;
use crate::cache::Cache;
use crate::chunk::Chunk;
use crate::error::Error;
use crate::guest::Description;
use crate::item::ItemIndex;
use crate::journal::{Journal, Ledger, Records, StartLog};
use crate::limits::{CodeOptions, DEFAULT_COMPILE, Isolation, Limits, Policy};
use crate::outcome::{Completion, Printed, Returns};
use crate::report::{Reporter, RunEvent, Summary};
use crate::sandbox::SandboxMode;
use crate::scheduler::{ChunkSize, LocalQueue, Scheduler, Wake, Window};
use crate::sink::Sink;
use crate::source::Source;
use crate::wire::msg::{Load, Serve};

pub(crate) use self::compile::MAX_CODE;
pub use self::estate::Sharing;
pub use self::probe::{Protection, probe};
pub(crate) use self::room::check_all as check_room;
pub use self::roster::Pauser;
pub use self::spawn::{Folder, WORKER_ARGUMENT};
pub(crate) use self::spawn::{may_start_this_program, starts_this_program};
pub use self::verify::Evidence;

/// How a pool is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many workers are started ahead, while the guest is compiled.
    pub workers: usize,
    /// Whether a further worker stands by, so that one that dies is replaced at once.
    pub spare: bool,
    /// The program that becomes a worker when it is called with [`WORKER_ARGUMENT`]; this program itself by default.
    pub worker_executable: Option<PathBuf>,
    /// How long the guest may take to compile; none: as long as it takes.
    pub compile_timeout: Option<Duration>,
    /// What the guest is compiled with.
    pub code: CodeOptions,
    /// Where compiled guests are kept; none: every pool compiles its guest.
    pub cache: Option<Cache>,
    /// How long everything may take, from the opening on; none: as long as it takes.
    pub run_timeout: Option<Duration>,
    /// What stops the workers and the clock, and lets them go on.
    pub pauser: Pauser,
    /// Which layers of protection have to hold.
    pub sandbox: SandboxMode,
    /// The folders of the guest, in the order of [`Serve::dirs`].
    pub dirs: Vec<Folder>,
    /// What workers share, with each other and with this process.
    pub sharing: Sharing,
}

/// A guest that is being compiled while its workers start, or has been compiled before.
#[derive(Debug)]
pub struct Opening<'a> {
    name: &'a Path,
    options: Options,
    estate: Arc<Estate>,
    supply: Supply<'a>,
    spawner: Spawner,
    description: Description,
    started: Instant,
    deadline: Option<Deadline>,
    cpu_before: Duration,
}

/// What to run.
pub struct Job {
    /// How many workers run side by side, at least 1.
    pub workers: usize,
    /// Where the items come from.
    pub source: Box<dyn Source>,
    /// How the workers serve them.
    pub serve: Serve,
    /// What the values of items can tell.
    pub returns: Returns,
    /// What becomes of what the guest prints.
    pub printed: Printed,
    /// How long each item may take.
    pub limits: Limits,
    /// What becomes of items that fail and of workers that have worked.
    pub policy: Policy,
    /// How many items travel together; tuned while running by default.
    pub chunk: Option<u64>,
    /// How many items may be admitted and not yet emitted.
    pub window_items: u64,
    /// How many bytes they may have.
    pub window_bytes: u64,
    /// What is recorded of it, and what of earlier records it goes on with.
    pub records: Records,
}

/// Ends a run from any thread.
#[derive(Clone, Debug)]
pub struct Canceller(Sender<Event>);

/// The other end of a [`Canceller`], to be given to [`Opening::run`].
#[derive(Debug)]
pub struct Cancellation {
    sender: Sender<Event>,
    events: Receiver<Event>,
}

/// When a run has to be over, and how long it was given.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Nanos,
    limit: Duration,
}

impl Deadline {
    fn error(self) -> Error {
        Error::Deadline { limit: self.limit }
    }
}

/// What the threads of a run share.
struct Shared {
    scheduler: Arc<Scheduler<Chunk>>,
    chunk_size: ChunkSize,
    clock: Arc<Clock>,
    rules: Rules,
    gate: Gate,
    workers: usize,
    sandbox: SandboxMode,
    /// Where starts are noted, if no item may be started twice.
    starts: Option<StartLog>,
    /// Slots that have a worker.
    staffed: AtomicUsize,
    /// Items to be run again that belong to slots without a worker.
    left_over: Mutex<VecDeque<Retry>>,
    /// Items that are not wanted any more.
    cancelled: Cancelled,
    admitted: AtomicU64,
    names: Names,
    /// Everything has been emitted.
    over: AtomicBool,
    /// Nothing more is sent to workers; what they have may end.
    draining: AtomicBool,
    /// The run ends at once, whatever is left of it.
    stopping: AtomicBool,
}

impl Canceller {
    /// A way to end a run, and its other end.
    #[must_use]
    pub fn new() -> (Self, Cancellation) {
        let (sender, events) = channel();
        (Self(sender.clone()), Cancellation { sender, events })
    }

    /// Ends the run with [`Error::Interrupted`]: its workers are killed, and what can be printed is printed.
    pub fn cancel(&self, signal: i32) {
        // A run that is over cannot be ended.
        let _ = self.0.send(Event::Cancel { signal });
    }

    /// Ends these items as [`Cancelled`](crate::outcome::Outcome::Cancelled), those that run at once, unless they have
    /// ended: `count` from `first` on. The others go on.
    pub fn cancel_items(&self, first: ItemIndex, count: u64) {
        // What is over has no items that run.
        let _ = self.0.send(Event::CancelItems { first, count });
    }
}

/// Tells what a guest offers, without compiling it.
///
/// `name` is the guest's name in messages, `wasm` a sealed memfd with its bytes. If the guest is in `cache`, no process
/// is started.
///
/// # Errors
/// If the guest cannot be used, or the compile worker cannot be started.
pub fn describe(
    name: &Path,
    wasm: &File,
    worker_executable: Option<PathBuf>,
    sandbox: SandboxMode,
    cache: Option<&Cache>,
    reporter: &mut dyn Reporter,
) -> Result<Description, Error> {
    if sandbox == SandboxMode::Off {
        reporter.report(RunEvent::NoSandbox);
    }
    let wanted =
        Wanted { describe_only: true, code: CodeOptions::default(), limit: Some(DEFAULT_COMPILE), run: None };
    let pauser = Pauser::default();
    let launcher =
        Launcher::new(worker_executable, Arc::clone(pauser.roster()), sandbox, Vec::new(), Arc::default());
    let description = supply::describe(launcher, &pauser, name, wasm, wanted, cache)?;
    pauser.roster().check_none_left()?;
    Ok(description)
}

/// Starts to compile a guest, unless it is in the cache, and to start its workers; returns when it is known what the
/// guest offers.
///
/// `name` is the guest's name in messages, `wasm` a sealed memfd with its bytes. The calling thread has to live as
/// long as the guest is compiled.
///
/// # Errors
/// If the guest cannot be used, or processes cannot be started.
pub fn open<'a>(name: &'a Path, wasm: &File, options: Options) -> Result<Opening<'a>, Error> {
    let started = Instant::now();
    let cpu_before = cpu_time();
    room::check(options.workers, options.dirs.len() + options.sharing.len())?;
    let estate = Arc::new(Estate::new(options.sharing.clone()));
    let launcher = Launcher::new(
        options.worker_executable.clone(),
        Arc::clone(options.pauser.roster()),
        options.sandbox,
        options.dirs.clone(),
        Arc::clone(&estate),
    );
    let Options { compile_timeout: limit, run_timeout, .. } = options;
    let code = CodeOptions { segments: options.sharing.has_segments(), ..options.code };
    let deadline = run_timeout.map(|limit| Deadline { at: options.pauser.clock().now().after(limit), limit });
    let wanted = Wanted { describe_only: false, code, limit, run: deadline };
    let mut supply = Supply::start(launcher.clone(), &options, name, wasm, wanted)?;
    let code = supply.code().map_err(cannot_start)?;
    let spawner = Spawner::start(launcher, code).map_err(cannot_start)?;
    spawner.prepare(options.workers);
    let description = supply.description()?;
    Ok(Opening { name, options, estate, supply, spawner, description, started, deadline, cpu_before })
}

impl Opening<'_> {
    /// What the guest offers.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Runs a job to its end.
    ///
    /// Items that fail are counted in the summary and told to the sink. An error that ends the run early is
    /// returned, after the reporter has been told the summary so far.
    ///
    /// # Errors
    /// If the guest cannot be used after all, the input cannot be read, the output cannot be written, workers
    /// cannot be started, or the run was cancelled.
    pub fn run(
        mut self,
        mut job: Job,
        sink: &mut dyn Sink,
        reporter: &mut dyn Reporter,
        cancellation: Cancellation,
    ) -> Result<Summary, Error> {
        let workers = job.workers;
        for line in job.records.notes.iter().chain(&self.supply.take_notes()) {
            reporter.report(RunEvent::Note { line });
        }
        reporter.report(RunEvent::Started { workers, items: job.source.total() });
        if job.serve.isolation == Isolation::Worker {
            reporter.report(RunEvent::SharedInstance);
        }
        if self.options.sandbox == SandboxMode::Off {
            reporter.report(RunEvent::NoSandbox);
        }
        self.supply.finish()?;
        let start_up = self.started.elapsed();
        job.serve.shared = self.options.sharing.declared();
        self.estate.tell(cancellation.sender.clone());
        self.spawner.load(Load::Serve(job.serve.clone()));
        self.supply.keep(&self.description);

        let (wakes, queues, shared) = share(&job, workers, &self.options).map_err(cannot_start)?;
        let window = Arc::new(Window::new(job.window_items, job.window_bytes));
        let crew = Crew {
            drivers: start_drivers(&self.spawner, &shared, wakes, queues, &cancellation.sender)?,
            shared: Arc::clone(&shared),
            window: Arc::clone(&window),
        };
        let Records { journal, joblog, only, notes: _ } = job.records;
        let ledger = Ledger::new(journal.as_ref(), joblog);
        let events = cancellation.sender;
        let watched = Watched::new(&events);
        let feeder = Feeder::new(job.source, Arc::clone(&window), Arc::clone(&shared), events)
            .with(journal, only.clone());
        // Not waited for: it may be reading an input that never comes.
        std::thread::Builder::new()
            .name("feeder".into())
            .spawn(move || watched.run(|| feeder.run()))
            .map_err(cannot_start)?;

        let mut dispatcher = Dispatcher {
            events: cancellation.events,
            shared: Arc::clone(&shared),
            window,
            guest: self.name,
            sink,
            reporter,
            state: RunState::new(job.returns),
            table: Table::starting_at(only.map_or(0, |only| only.item)),
            fail_fast: job.policy.fail_fast,
            deadline: self.deadline,
            stop: None,
            left: 0,
            admitted: None,
            printed: job.printed,
            missing_layers: BTreeSet::new(),
            hidden_told: false,
            tally: Tally::new(workers),
            ledger,
            held_bytes: 0,
            unfinished: Unfinished::default(),
            spare: self.options.spare.then(|| self.spawner.hatch()),
        };
        let ended = dispatcher.run();
        let closed = dispatcher.ledger.close();
        let ended = ended.and(closed);
        let wall = self.started.elapsed();
        let Dispatcher { state, tally, admitted, .. } = dispatcher;
        let admitted = admitted.unwrap_or_else(|| shared.admitted.load(Ordering::Acquire));
        crew.end(if ended.is_ok() { Parting::Asked } else { Parting::Killed });
        drop(self.spawner);
        let ended = ended.and_then(|()| self.options.pauser.roster().check_none_left());
        if let Some(line) = self.supply.kept() {
            reporter.report(RunEvent::Note { line: &line });
        }

        let summary = Summary {
            counts: state.counts(admitted),
            failed_merges: state.failed_merges,
            attempts: state.attempts,
            wall,
            cpu: cpu_time().saturating_sub(self.cpu_before),
            busy: state.busy,
            start_up,
            workers,
            steals: shared.scheduler.steals(),
            replaced: state.replaced,
            stats: tally.into_stats(),
        };
        reporter.report(RunEvent::Finished { summary: &summary });
        ended.map(|()| summary).map_err(|error| self.supply.judge(error))
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("serve", &self.serve).finish_non_exhaustive()
    }
}

impl Shared {
    fn left_over(&self) -> MutexGuard<'_, VecDeque<Retry>> {
        // Whoever panicked had changed all of it or nothing.
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts results at the gate, which the dispatcher is to take: how many bytes.
    fn count(&self, items: &[(ItemIndex, Completion)]) -> u64 {
        let bytes = items.iter().map(|(_, completion)| completion.held_bytes()).sum();
        self.gate.add(bytes);
        bytes
    }

    /// Tells the dispatcher how items ended, and the gate how many bytes it is to take, which are returned.
    fn tell_ends(&self, events: &Sender<Event>, items: Vec<(ItemIndex, Completion)>) -> u64 {
        let bytes = self.count(&items);
        // A dispatcher that is gone has seen all it needed.
        let _ = events.send(Event::Ended { items, bytes });
        bytes
    }

    /// Whether there is nothing left to do.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether workers get nothing more.
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the run ends at once, whatever is left of it.
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// The threads of a run. Dropping it stops and joins them, whatever happened.
struct Crew {
    drivers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    window: Arc<Window>,
}

/// How workers end that are not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// They are asked to, and given a moment.
    Asked,
    /// At once, whatever they do.
    Killed,
}

impl Crew {
    /// Ends the drivers, and with them their workers.
    fn end(mut self, parting: Parting) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.stopping.store(parting == Parting::Killed, Ordering::Release);
        let panicked = self.join();
        assert!(!panicked, "a driver panicked");
    }

    fn join(&mut self) -> bool {
        self.window.close();
        self.shared.scheduler.close();
        let mut panicked = false;
        for driver in self.drivers.drain(..) {
            panicked |= driver.join().is_err();
        }
        panicked
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.join();
    }
}

/// Tells the dispatcher if the thread it lives on panics: the run would wait for ever.
struct Watched(Sender<Event>);

impl Watched {
    fn new(events: &Sender<Event>) -> Self {
        Self(events.clone())
    }

    fn run(self, body: impl FnOnce()) {
        body();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A dispatcher that is gone finds out when it joins.
            let _ = self.0.send(Event::Panicked);
        }
    }
}

type Parts = (Vec<Arc<WakeFd>>, Vec<LocalQueue<Chunk>>, Arc<Shared>);

fn share(job: &Job, workers: usize, options: &Options) -> io::Result<Parts> {
    let wakes = (0..workers).map(|_| WakeFd::new().map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
    let wakers = wakes.iter().map(|wake| Arc::clone(wake) as Arc<dyn Wake>).collect();
    let (scheduler, queues) = Scheduler::new(wakers);
    let shared = Shared {
        scheduler,
        chunk_size: match job.chunk {
            _ if options.sharing.may_wait() => ChunkSize::single(),
            Some(items) => ChunkSize::fixed(items),
            None => ChunkSize::tuned(job.window_items, workers),
        },
        clock: Arc::clone(options.pauser.clock()),
        rules: Rules { limits: job.limits, guest: job.serve.limits, policy: job.policy },
        gate: Gate::new(job.window_bytes),
        workers,
        sandbox: options.sandbox,
        starts: job.records.journal.as_ref().filter(|_| job.policy.at_most_once).map(Journal::start_log),
        staffed: AtomicUsize::new(0),
        left_over: Mutex::default(),
        cancelled: Cancelled::default(),
        admitted: AtomicU64::new(0),
        names: Names::default(),
        over: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
    };
    Ok((wakes, queues, Arc::new(shared)))
}

fn start_drivers(
    spawner: &Spawner,
    shared: &Arc<Shared>,
    wakes: Vec<Arc<WakeFd>>,
    queues: Vec<LocalQueue<Chunk>>,
    events: &Sender<Event>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let mut drivers = Vec::new();
    for (slot, (wake, queue)) in (0..).zip(wakes.into_iter().zip(queues)) {
        let driver = Driver {
            slot,
            queue,
            wake,
            hatch: spawner.hatch(),
            events: events.clone(),
            shared: Arc::clone(shared),
            suspect: None,
            again: VecDeque::new(),
            dying: Vec::new(),
            is_missing: false,
        };
        let thread = std::thread::Builder::new()
            .name(format!("driver {slot}"))
            .spawn(move || Watched::new(&driver.events.clone()).run(|| driver.run()))
            .map_err(cannot_start)?;
        drivers.push(thread);
    }
    Ok(drivers)
}

/// Workers cannot be started, for this reason.
pub(crate) fn cannot_start(error: io::Error) -> Error {
    Launcher::error("workers", &error)
}

/// CPU time of this process and of its children that have been waited for, so far.
fn cpu_time() -> Duration {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .flat_map(|usage| [usage.user_time(), usage.system_time()])
        .map(|time| {
            let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
            Duration::from_micros(micros.unsigned_abs())
        })
        .sum()
}
