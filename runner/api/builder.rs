//! How a pool is set up, and its start.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Pool;
use super::arguments::{Arguments, Parameters};
use super::settings::{Initializer, Settings};
use crate::cache::Cache;
use crate::error::Error;
use crate::limits::{DETERMINISTIC_FUEL, Isolation};
use crate::plan::HostDir;
use crate::plan::folders::without_slashes;
use crate::pool::Sharing;
use crate::sandbox::{Access, SandboxMode};
use crate::shm::{Share, Shared};

/// The name of the environment variable that says which program workers run.
const WORKER: &str = "WASMPOOL_WORKER";

/// Sets up a [`Pool`]. Every limit has a default that is finite.
///
/// ```no_run
/// use std::time::Duration;
///
/// let pool = wasmpool::Pool::builder("primes.wasm")
///     .workers(4)
///     .timeout(Duration::from_secs(10))
///     .memory(64 << 20)
///     .retries(1)
///     .build()?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PoolBuilder {
    guests: Vec<PathBuf>,
    shared: Vec<(String, Shared)>,
    settings: Settings,
}

impl PoolBuilder {
    pub(super) fn new(guest: &Path) -> Self {
        Self { guests: vec![guest.to_owned()], shared: Vec::new(), settings: Settings::default() }
    }

    /// A further guest, with workers of its own. Its functions are found by their names as those of the first; where
    /// both have one of a name, `text.wasm#analyze` says which.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").guest("text.wasm").build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn guest(mut self, path: impl AsRef<Path>) -> Self {
        self.guests.push(path.as_ref().to_owned());
        self
    }

    /// How many worker processes each guest has, at least 1: one for each usable CPU by default. All of them start with the
    /// pool, which cannot know how many calls there will be: ask for no more than there are calls at a time.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").workers(4).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = NonZero::new(workers).unwrap_or(NonZero::<usize>::MIN);
        self
    }

    /// Wall time that each call may take, 60 s by default. Then its worker is killed, whatever it does.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let pool = wasmpool::Pool::builder("primes.wasm").timeout(Duration::from_secs(10)).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.wall = limit.into();
        self
    }

    /// CPU time that each call may take; as much as fits into its wall time by default.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let pool = wasmpool::Pool::builder("primes.wasm").cpu_time(Duration::from_secs(10)).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn cpu_time(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.cpu = limit.into();
        self
    }

    /// Bytes of linear memory and tables that each instance may have, 1 GiB by default.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").memory(64 << 20).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn memory(mut self, bytes: u64) -> Self {
        self.settings.guest_limits.memory = bytes;
        self
    }

    /// Bytes that the value of a call and what it prints may have together, 16 MiB by default.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").max_output(1 << 20).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn max_output(mut self, bytes: u64) -> Self {
        self.settings.guest_limits.output = bytes;
        self
    }

    /// Units of fuel, about one for each instruction, that each call may use. Counting slows tight loops down, and is off
    /// by default.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").fuel(1_000_000_000).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn fuel(mut self, units: u64) -> Self {
        self.settings.guest_limits.fuel = Some(units);
        self
    }

    /// How often a call that fails by itself is made again, 0 by default.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").retries(2).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn retries(mut self, times: u32) -> Self {
        self.settings.policy.retries = times;
        self
    }

    /// How often a call that took its worker with it is made again: 1 by default, 0 where it may have written to a
    /// [`dir`](Self::dir).
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").crash_retries(0).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn crash_retries(mut self, times: u32) -> Self {
        self.settings.crash_retries = Some(times);
        self
    }

    /// No call is started twice, whatever becomes of it and of its worker.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").at_most_once().build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn at_most_once(mut self) -> Self {
        self.settings.policy.at_most_once = true;
        self
    }

    /// A worker is replaced by a fresh process when it has run so many calls; never by default.
    ///
    /// ```no_run
    /// let thousand = std::num::NonZero::new(1_000).expect("it is not 0");
    /// let pool = wasmpool::Pool::builder("primes.wasm").max_items_per_worker(thousand).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn max_items_per_worker(mut self, calls: NonZero<u64>) -> Self {
        self.settings.policy.max_items_per_worker = Some(calls);
        self
    }

    /// How far apart calls are kept: each in a fresh instance by default.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").isolation(wasmpool::Isolation::Worker).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.settings.isolation = isolation;
        self
    }

    /// A function that each instance runs before its first call. Instances are reused from then on
    /// ([`Isolation::Worker`]), or there would be nothing to prepare: what a call leaves in memory the next one finds,
    /// which is said on standard error. If it fails, so does the call that it was run for, and the next one tries again.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("model.wasm").initializer("load", ("data/weights",)).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn initializer(mut self, export: &str, arguments: impl Arguments) -> Self {
        let mut json = Vec::new();
        let mut parameters = Parameters::new(&mut json, &[]);
        arguments.give(&mut parameters);
        parameters.end();
        let arguments = String::from_utf8(json).expect("JSON is text");
        self.settings.initializer = Some(Initializer { export: export.to_owned(), arguments });
        self.settings.isolation = Isolation::Worker;
        self
    }

    /// Guests see random numbers and clocks that are made of this and of which call it is, and count fuel: a run gives
    /// the same bits each time.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").deterministic(42).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self.settings.guest_limits.fuel.get_or_insert(DETERMINISTIC_FUEL);
        self
    }

    /// A folder that guests may read, or also write to, and how they call it. It is opened when the pool starts, and stays
    /// the same one whatever becomes of its name.
    ///
    /// ```no_run
    /// use wasmpool::{Access, Pool};
    ///
    /// let pool = Pool::builder("files.wasm").dir("/srv/data", "data", Access::Read).build()?;
    /// let lines = pool.submit::<u64>("count-lines", ("data/notes.txt",))?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn dir(mut self, host: impl AsRef<Path>, guest: &str, access: Access) -> Self {
        let (host, guest) = (host.as_ref().to_owned(), without_slashes(guest).to_owned());
        self.settings.dirs.push(HostDir { host, guest, access });
        self
    }

    /// A variable of the environment of guests, which is empty otherwise.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").env("LANG", "C").build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.settings.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shares something with all guests of the pool, which open it by this name. It may be shared with several pools.
    ///
    /// Guests that share anything but memory may wait for each other. So each worker is sent one call at a time, and
    /// calls that wait for each other need as many [`workers`](PoolBuilder::workers) as there are of them.
    ///
    /// What guests write to together makes one group of them that trust each other: one that breaks out of its sandbox can
    /// put anything there. No guest and no pool is harmed by what it finds there otherwise.
    ///
    /// ```no_run
    /// use wasmpool::{Pool, Queue};
    ///
    /// let queue = Queue::<u64>::bounded(20)?;
    /// let pool = Pool::builder("guest.wasm").share("queue", &queue).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn share(mut self, name: &str, thing: &impl Share) -> Self {
        self.shared.push((name.to_owned(), thing.shared()));
        self
    }

    /// Which layers of protection have to hold.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").sandbox(wasmpool::SandboxMode::Strict).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn sandbox(mut self, mode: SandboxMode) -> Self {
        self.settings.sandbox = mode;
        self
    }

    /// Where compiled guests are kept: what the environment says by default; `None` for nowhere.
    ///
    /// ```no_run
    /// use wasmpool::Pool;
    /// use wasmpool::Cache;
    ///
    /// let pool = Pool::builder("primes.wasm").cache(Cache::at("/var/cache/primes")).build()?;
    /// let other = Pool::builder("primes.wasm").cache(None).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn cache(mut self, cache: impl Into<Option<Cache>>) -> Self {
        self.settings.cache = cache.into();
        self
    }

    /// How long a guest may take to compile, 5 minutes by default.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let pool = wasmpool::Pool::builder("primes.wasm").compile_timeout(Duration::from_secs(20)).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn compile_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.compile_timeout = limit.into();
        self
    }

    /// The program that workers run: one that calls [`worker::init`](crate::worker::init) first, such as `wasmpool` itself
    /// of the same version. By default what `WASMPOOL_WORKER` names, or else this program.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").worker_exe("/usr/bin/wasmpool").build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn worker_exe(mut self, program: impl AsRef<Path>) -> Self {
        self.settings.worker_executable = Some(program.as_ref().to_owned());
        self
    }

    /// Starts the workers, and returns when it is known what the guests offer; they may still be compiled then.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a guest cannot be used, a folder cannot be given, processes cannot be started, two shared things have one name, or this program cannot become a worker since it has not
    /// called [`worker::init`](crate::worker::init).
    pub fn build(mut self) -> Result<Pool, Error> {
        let settings = &mut self.settings;
        if settings.worker_executable.is_none() {
            settings.worker_executable = std::env::var_os(WORKER).map(PathBuf::from);
        }
        if settings.worker_executable.is_none() && !crate::pool::starts_this_program() {
            return Err(Error::usage(
                "this program cannot become a worker: it has not called `wasmpool::worker::init()`",
                "call that first in `main`, or name a program that does: `worker_exe`, `WASMPOOL_WORKER`",
            ));
        }
        settings.check()?;
        settings.sharing = Sharing::of(std::mem::take(&mut self.shared))?;
        Pool::open(&self.guests, &self.settings)
    }
}
