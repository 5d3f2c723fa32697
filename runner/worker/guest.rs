//! A loaded guest: a fresh instance for each call, or the worker's for all of them.

use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Store};

use super::engine::{Allocation, Backtraces, Purpose, with_memories};
use super::fixed::Chance;
use super::grants::Grants;
use super::limits::Limiter;
use super::load::{Code, load};
use super::memory::Memories;
use super::shared::{Hands, Herald, Shares};
use super::stdio::Capture;
use super::trap::{self, Failure};
use super::wasi::{Files, State};
use super::{Refusal, component, limits, module, validate};
use crate::item::{Input, ItemIndex};
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::{MemoryLimit, TrapKind};
use crate::report::counted;
use crate::shm::declared::{Holder, Shape};
use crate::wire::msg::{BoundArgument, CANNOT_BE_LOADED, CallEnd, Init, Report, Serve};

/// What a worker was started with for its guest.
#[derive(Debug)]
pub struct Given {
    /// What it shares, in the order of [`Serve::shared`].
    pub shared: Vec<OwnedFd>,
    /// Who the worker is to that.
    pub holder: Holder,
    /// Its folders, in the order of [`Serve::dirs`].
    pub dirs: Vec<OwnedFd>,
    /// Where results go out to the host; none: nobody hears what items say while they run.
    pub results: Option<Arc<File>>,
}

/// A guest whose exports can be called.
pub struct Guest {
    engine: Engine,
    program: Program,
    capture: Arc<Capture>,
    grants: Arc<Grants>,
    /// Where its items are heard while they run.
    results: Option<Arc<File>>,
    shares: Arc<Shares>,
    meta: bool,
    limits: GuestLimits,
    /// Bytes of memory that items may have, as far as that is less.
    memory: Option<u64>,
    seed: Option<u64>,
    isolation: Isolation,
    /// What a new instance runs first.
    init: Option<Init>,
    /// What an item has left for the next.
    kept: Option<Store<State>>,
}

enum Program {
    Component(component::Program),
    Module(module::Program),
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl Program {
    fn bind(&mut self, bound: &[BoundArgument]) -> Result<(), Refusal> {
        match self {
            Self::Component(program) => program.bind(bound),
            Self::Module(program) => program.bind(bound),
        }
    }

    fn call(
        &mut self,
        store: &mut Store<State>,
        export: usize,
        input: Input<'_>,
        value: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match self {
            Self::Component(program) => program.call(store, export, input, value),
            Self::Module(program) => program.call(store, export, input, value),
        }
    }

    /// Runs what a new instance runs first; what that returns is nobody's. `value` is empty, and is again.
    fn prepare(&mut self, store: &mut Store<State>, init: &Init, value: &mut Vec<u8>) -> Result<(), Stop> {
        let export = usize::try_from(init.export).expect("it is one of those that were found");
        let prepared = self.call(store, export, Input::Arguments(init.arguments.as_bytes()), value);
        value.clear();
        prepared.map_err(|stop| match stop {
            Stop::Input(error) => {
                Stop::Unprepared(format!("the initializer does not take its arguments: {error}"))
            }
            Stop::Output(error) => Stop::Unprepared(format!("the initializer returned no value: {error}")),
            stop @ (Stop::Runtime(..) | Stop::Broken(_) | Stop::Unprepared(_)) => stop,
        })
    }
}

/// How one call ended. Keeps its buffers from call to call.
#[derive(Debug, Default)]
pub struct CallRecord {
    end: End,
    /// The value's JSON text.
    value: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    wall: Duration,
    cpu: Duration,
    peak_memory: u64,
    backtrace: String,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Ok,
    Failed(Failure),
}

/// Why a call did not come to a value.
pub(super) enum Stop {
    /// The item does not fit the function.
    Input(String),
    /// What it returned is no value.
    Output(String),
    /// The runtime ended it, with a trap of this kind unless the error tells its own.
    Runtime(wasmtime::Error, TrapKind),
    /// An instance is not what its code said.
    Broken(&'static str),
    /// It could not be prepared.
    Unprepared(String),
}

/// What a call asked for and did not get.
struct Lacked {
    memory: Option<MemoryLimit>,
    /// As it is told.
    access: Option<String>,
}

impl Stop {
    /// An instance without the export that its component has.
    pub(super) const NO_EXPORT: Self = Self::Broken("the instance does not have the export");
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Runtime(error, TrapKind::HostCall)
    }
}

impl Guest {
    /// Maps compiled code and meets its imports. Runs no guest code, not even a start function.
    ///
    /// Opens files and maps memory that may be executed, and starts a thread if the guest imports anything: do it before the jail closes.
    /// `code` must not change while it is mapped. `given` is what the worker has of [`Serve`] in its descriptor table.
    ///
    /// # Errors
    /// If the code is not this build's, an import is not met, or an export is not there.
    pub fn load(code: &File, given: Given, serve: &Serve) -> Result<Self, Refusal> {
        let backtraces = if serve.meta { Backtraces::Capture } else { Backtraces::Omit };
        // Whether the code fits the pool is known when it has been tried.
        let options = CodeOptions {
            fuel: serve.limits.fuel.is_some(),
            deterministic: serve.seed.is_some(),
            segments: serve.shared.iter().any(|shared| matches!(shared.shape, Shape::Segment { .. })),
        };
        let memories = Memories::default();
        let map = |allocation| map(code, Purpose::Serve { allocation, backtraces }, options, &memories);
        let (engine, code) =
            map(Allocation::Pool).or_else(|_| map(Allocation::OnDemand)).map_err(|error| {
                Refusal::new(format!("{CANNOT_BE_LOADED}: {}", validate::one_line(&format!("{error:#}"))))
            })?;
        let files = if serve.dirs.is_empty() { Files::None } else { Files::Some };
        let mut program = match code {
            Code::Component(code) => {
                Program::Component(component::Program::new(&engine, &code, &serve.exports, files)?)
            }
            Code::Module(code) => {
                Program::Module(module::Program::new(&engine, &code, &serve.exports, serve.integers, files)?)
            }
        };
        program.bind(&serve.bound)?;
        Engine::tls_eager_initialize();
        // Asked for once, with a call that the jail does not have.
        rustix::param::page_size();
        let max_output = usize::try_from(serve.limits.output).unwrap_or(usize::MAX);
        Ok(Self {
            engine,
            program,
            capture: Arc::new(Capture::new(max_output)),
            grants: Arc::new(Grants::new(&serve.dirs, &given.dirs, &serve.env)?),
            results: given.results.clone(),
            shares: Arc::new(Shares::new(given, &serve.shared, memories)?),
            meta: serve.meta,
            limits: serve.limits,
            memory: None,
            seed: serve.seed,
            isolation: serve.isolation,
            init: serve.init.clone(),
            kept: None,
        })
    }

    /// Limits the memory of items to so many bytes, from now on, where that is less than what they may have anyway.
    pub fn limit_memory(&mut self, bytes: Option<u64>) {
        self.memory = bytes;
    }

    fn memory(&self) -> u64 {
        self.memory.map_or(self.limits.memory, |bytes| bytes.min(self.limits.memory))
    }

    /// Runs an item: calls the export at place `export` of [`Serve::exports`].
    ///
    /// # Panics
    /// If there is no such place.
    pub fn call(&mut self, item: ItemIndex, export: usize, input: Input<'_>, record: &mut CallRecord) {
        let chance = self.seed.map(|seed| Chance { seed, item, export });
        let is_new = self.kept.is_none();
        let mut store = self.store(item, chance);
        record.clear();
        let clocks = Clocks::start(self.meta);
        let init = self.init.as_ref().filter(|_| is_new);
        let called = match init {
            Some(init) => self.program.prepare(&mut store, init, &mut record.value),
            None => Ok(()),
        };
        let called = called.and_then(|()| self.program.call(&mut store, export, input, &mut record.value));
        (record.wall, record.cpu) = clocks.stop();
        record.peak_memory = if self.meta { store.data().limiter.peak_memory() } else { 0 };
        let lacked =
            Lacked { memory: store.data().limiter.refused(), access: store.data_mut().denied.take() };
        store.data_mut().hands.let_go();
        // What is not kept ends what the guest still holds before its output is taken.
        self.kept = Some(store).filter(|_| self.isolation == Isolation::Worker && leaves_whole(&called));
        record.end = match called {
            Ok(()) => End::Ok,
            Err(stop) => End::Failed(record.fail(stop, &lacked)),
        };
        self.take_output(record);
    }

    /// The store that the item before has left, or else a fresh one, for an item with these random numbers.
    fn store(&mut self, item: ItemIndex, chance: Option<Chance>) -> Store<State> {
        let mut store = self.kept.take().unwrap_or_else(|| self.fresh_store());
        store.data_mut().limiter.set_limit(self.memory());
        store.data_mut().restart(item, chance);
        if let Some(fuel) = self.limits.fuel {
            store.set_fuel(fuel).expect("the code counts fuel where there is a limit of it");
        }
        store
    }

    fn fresh_store(&self) -> Store<State> {
        let limiter = Limiter::new(self.memory());
        let hands = Hands::new(Arc::clone(&self.shares));
        let herald = Herald::new(self.results.clone());
        let state = State::new(Arc::clone(&self.capture), Arc::clone(&self.grants), limiter, hands, herald);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(limits::handed_over(&self.limits)).unwrap_or(usize::MAX));
        store
    }

    fn take_output(&self, record: &mut CallRecord) {
        let mut captured = self.capture.lock();
        std::mem::swap(&mut record.stdout, &mut captured.stdout);
        std::mem::swap(&mut record.stderr, &mut captured.stderr);
        captured.clear();
        let limit = self.capture.limit();
        let total = record.value.len() + record.stdout.len() + record.stderr.len();
        if matches!(record.end, End::Ok) && total > limit {
            let total = counted(total as u64, "byte");
            let error = format!("the value and what was printed take {total}; the limit is {limit}");
            record.end = End::Failed(Failure::Output { error });
        }
    }
}

/// Whether a call that ended like this has left an instance that can be called again. What went wrong outside of it
/// has.
fn leaves_whole(called: &Result<(), Stop>) -> bool {
    match called {
        Ok(()) | Err(Stop::Input(_) | Stop::Output(_)) => true,
        Err(Stop::Runtime(..) | Stop::Broken(_) | Stop::Unprepared(_)) => false,
    }
}

fn map(
    file: &File,
    purpose: Purpose,
    options: CodeOptions,
    memories: &Memories,
) -> wasmtime::Result<(Engine, Code)> {
    let engine = with_memories(purpose, options, memories)?;
    let code = load(&engine, file)?;
    Ok((engine, code))
}

impl CallRecord {
    /// What is told to the host.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report {
            end: match &self.end {
                End::Ok => CallEnd::Ok(&self.value),
                End::Failed(Failure::Trap { kind, error }) => CallEnd::Trap { kind: *kind, error },
                End::Failed(Failure::Memory { limit, error }) => CallEnd::Memory { limit: *limit, error },
                End::Failed(Failure::OutOfFuel) => CallEnd::OutOfFuel,
                End::Failed(Failure::Exit { code }) => CallEnd::Exit { code: *code },
                End::Failed(Failure::Output { error }) => CallEnd::Output { error },
                End::Failed(Failure::Input { error }) => CallEnd::Input { error },
                End::Failed(Failure::Denied { error }) => CallEnd::Denied { error },
            },
            stdout: &self.stdout,
            stderr: &self.stderr,
            wall_ns: nanoseconds(self.wall),
            cpu_ns: nanoseconds(self.cpu),
            peak_memory: self.peak_memory,
            backtrace: &self.backtrace,
        }
    }

    /// Keeps the buffers, unless an item has made them large.
    fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        for buffer in [&mut self.value, &mut self.stdout, &mut self.stderr] {
            buffer.clear();
            buffer.shrink_to(KEEP);
        }
        self.backtrace.clear();
    }

    fn fail(&mut self, stop: Stop, lacked: &Lacked) -> Failure {
        match stop {
            Stop::Input(error) => Failure::Input { error },
            Stop::Output(error) => Failure::Output { error },
            Stop::Broken(error) => Failure::Trap { kind: TrapKind::Other, error: error.to_owned() },
            Stop::Unprepared(error) => Failure::Trap { kind: TrapKind::HostCall, error },
            Stop::Runtime(error, kind) => {
                self.backtrace = trap::backtrace(&error);
                let failure = trap::failure(&error, kind).after_refusal(lacked.memory);
                failure.after_denial(lacked.access.as_deref())
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The clocks that time a call.
struct Clocks {
    wall: Instant,
    cpu: Option<Duration>,
}

impl Clocks {
    /// The thread's clock costs a system call, so only `with_cpu`.
    fn start(with_cpu: bool) -> Self {
        Self { cpu: with_cpu.then(thread_cpu), wall: Instant::now() }
    }

    fn stop(self) -> (Duration, Duration) {
        let wall = self.wall.elapsed();
        let cpu = self.cpu.map(|start| thread_cpu().saturating_sub(start));
        (wall, cpu.unwrap_or_default())
    }
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}
