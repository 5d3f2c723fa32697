//! The host's side: a pool whose workers are fakes, and what came of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmpool::cache::Cache;
use wasmpool::error::Error;
use wasmpool::guest::{Description, Integers};
use wasmpool::item::ItemIndex;
use wasmpool::journal::Records;
use wasmpool::limits::{CodeOptions, GuestLimits, Isolation, Limits, Policy};
use wasmpool::outcome::{Completion, Outcome, Printed, Returns};
use wasmpool::pool::{self, Canceller, Job, Options, Pauser, Sharing};
use wasmpool::report::{Reporter, RunEvent, Summary};
use wasmpool::sandbox::SandboxMode;
use wasmpool::shm::Share;
use wasmpool::sink::{Accepted, InputEnd, Sink};
use wasmpool::source::{Range, Source};
use wasmpool::wire::msg::Serve;

use super::script::{Locked, Script};

/// When a run counts as hung; it is ended by this signal then.
const PATIENCE: Duration = Duration::from_secs(300);
const OUT_OF_PATIENCE: i32 = 14;

/// The most output an item may have here.
pub(crate) const MAX_OUTPUT: u32 = 4 << 20;

/// A program that becomes workers which follow a script, in a folder of its own.
pub(crate) struct Fake {
    stage: PathBuf,
    cache: Option<Cache>,
    sandbox: SandboxMode,
    sharing: Sharing,
}

/// How a run went.
pub(crate) struct Ran {
    pub(crate) result: Result<Summary, Error>,
    /// How each item ended.
    pub(crate) ends: BTreeMap<ItemIndex, Completion>,
    /// The items in the order in which they ended.
    pub(crate) order: Vec<ItemIndex>,
    pub(crate) heard: Heard,
    /// How many processes there were.
    pub(crate) processes: usize,
}

/// What a reporter was told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Why workers were replaced.
    pub(crate) replaced: Vec<String>,
    /// Why slots had no worker.
    pub(crate) missing: Vec<String>,
    /// What workers said.
    pub(crate) said: Vec<String>,
    /// What was taken back from workers that were gone.
    pub(crate) recovered: Vec<String>,
    /// What the user is to know.
    pub(crate) notes: Vec<String>,
    /// What the sandbox lacks.
    pub(crate) sandbox: Vec<String>,
    pub(crate) finished: Option<Summary>,
}

/// Keeps how items end. At the first, it waits until so many processes are there, and takes the program away.
struct Closing<'a> {
    ends: Ends,
    fake: &'a Fake,
    processes: usize,
}

/// Keeps how items end.
#[derive(Debug, Default)]
struct Ends {
    ends: BTreeMap<ItemIndex, Completion>,
    order: Vec<ItemIndex>,
}

/// Two workers, four items in a chunk, twenty seconds for each.
pub(crate) fn job(source: Box<dyn Source>) -> Job {
    Job {
        workers: 2,
        source,
        serve: Serve {
            exports: vec!["f".into()],
            meta: false,
            limits: GuestLimits { output: MAX_OUTPUT.into(), ..GuestLimits::default() },
            isolation: Isolation::Item,
            seed: None,
            integers: Integers::Signed,
            dirs: Vec::new(),
            env: Vec::new(),
            init: None,
            bound: Vec::new(),
            shared: Vec::new(),
        },
        returns: Returns::Value,
        printed: Printed::Recorded,
        limits: wall(Duration::from_secs(20)),
        policy: Policy::default(),
        chunk: Some(4),
        window_items: 64,
        window_bytes: 16 << 20,
        records: Records::default(),
    }
}

/// This much time for each item.
pub(crate) fn wall(limit: Duration) -> Limits {
    Limits { wall: Some(limit), cpu: None }
}

/// The numbers from 0 on, `count` of them.
pub(crate) fn numbers(count: u64) -> Box<dyn Source> {
    Box::new(Range::numbers(0, count.into()).unwrap())
}

impl Fake {
    pub(crate) fn new(script: Script) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stage = std::env::temp_dir().join(format!("wasmpool-fake-{}-{number}", std::process::id()));
        fs::create_dir(&stage).unwrap();
        // Links, because a program that has just been written cannot be started while a child of another thread still
        // has it open.
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_worker/worker.sh");
        symlink(starter, stage.join("worker")).unwrap();
        symlink(std::env::current_exe().unwrap(), stage.join("program")).unwrap();
        fs::write(stage.join("script"), serde_json::to_vec(&script).unwrap()).unwrap();
        if script.mute {
            fs::write(stage.join("mute"), "").unwrap();
        }
        if matches!(script.locked, Locked::Compiling | Locked::All) {
            fs::write(stage.join("bare"), "").unwrap();
        }
        // Fakes lock nothing, unless they are told to.
        Self { stage, cache: None, sandbox: SandboxMode::Off, sharing: Sharing::default() }
    }

    /// With layers of protection that have to hold.
    pub(crate) fn with_sandbox(mut self, sandbox: SandboxMode) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// With something that workers share.
    pub(crate) fn with_shared(mut self, name: &str, thing: &impl Share) -> Self {
        self.sharing = Sharing::of([(name.to_owned(), thing.shared())]).unwrap();
        self
    }

    /// With compiled guests kept in `cache`.
    pub(crate) fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// What the fake guest is said to offer.
    pub(crate) fn describe(&self) -> Result<Description, Error> {
        let worker = self.stage.join("worker");
        let cache = self.cache.as_ref();
        let mut heard = Heard::default();
        let description =
            pool::describe(Path::new("fake.wasm"), &guest(), Some(worker), self.sandbox, cache, &mut heard);
        self.check_none_left();
        description
    }

    /// Runs a job and keeps how its items end.
    pub(crate) fn run(&self, job: Job) -> Ran {
        let mut ends = Ends::default();
        let (result, heard) = self.run_into(job, &mut ends, Canceller::new());
        let Ends { ends, order } = ends;
        Ran { result, ends, order, heard, processes: self.pids().len() }
    }

    /// As [`Fake::run`], but from the first end on no further process can be started. There is no spare.
    pub(crate) fn run_with_those_it_has(&self, job: Job) -> Ran {
        // One more has compiled.
        let processes = job.workers + 1;
        let mut closing = Closing { ends: Ends::default(), fake: self, processes };
        let options = Options { spare: false, ..self.options(job.workers) };
        let mut heard = Heard::default();
        let (canceller, cancellation) = Canceller::new();
        let _impatient = impatient(canceller);
        let result = pool::open(Path::new("fake.wasm"), &guest(), options)
            .and_then(|opening| opening.run(job, &mut closing, &mut heard, cancellation));
        self.check_none_left();
        let Ends { ends, order } = closing.ends;
        Ran { result, ends, order, heard, processes: self.pids().len() }
    }

    /// Runs a job into a sink. When it is over, so are all its processes.
    pub(crate) fn run_into(
        &self,
        job: Job,
        sink: &mut dyn Sink,
        (canceller, cancellation): (Canceller, pool::Cancellation),
    ) -> (Result<Summary, Error>, Heard) {
        let mut heard = Heard::default();
        let _impatient = impatient(canceller);
        let result = pool::open(Path::new("fake.wasm"), &guest(), self.options(job.workers))
            .and_then(|opening| opening.run(job, sink, &mut heard, cancellation));
        self.check_none_left();
        if let Err(Error::Interrupted { signal: OUT_OF_PATIENCE }) = result {
            panic!("the run hangs; {heard:?}");
        }
        (result, heard)
    }

    /// Starts a pool of two that runs nothing.
    pub(crate) fn open_and_drop(&self) {
        drop(pool::open(Path::new("fake.wasm"), &guest(), self.options(2)).unwrap());
    }

    fn options(&self, workers: usize) -> Options {
        Options {
            workers,
            // Without one, it is certain which process is the first to serve.
            spare: workers > 1,
            worker_executable: Some(self.stage.join("worker")),
            compile_timeout: None,
            code: CodeOptions::default(),
            cache: self.cache.clone(),
            run_timeout: None,
            pauser: Pauser::default(),
            sandbox: self.sandbox,
            dirs: Vec::new(),
            sharing: self.sharing.clone(),
        }
    }

    /// When serving workers started, in the order in which they did.
    pub(crate) fn starts(&self) -> Vec<Duration> {
        let starts = fs::read_to_string(self.stage.join("starts")).unwrap_or_default();
        starts.lines().map(|start| Duration::from_nanos(start.parse().unwrap())).collect()
    }

    /// The processes that have been started.
    fn pids(&self) -> Vec<u32> {
        let pids = fs::read_to_string(self.stage.join("pids")).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Checks that every process has been waited for.
    #[track_caller]
    pub(crate) fn check_none_left(&self) {
        let left: Vec<_> = self.pids().into_iter().filter(|pid| is_child(*pid)).collect();
        assert!(left.is_empty(), "processes {left:?} are left");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // A folder that is left behind is no reason to fail.
        let _ = fs::remove_dir_all(&self.stage);
    }
}

/// Runs a test in a process of its own, where what is measured of the process is the test's alone. `name` is the
/// test's, from the top.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "WASMPOOL_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args([name, "--exact"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Processor time that this process, without its children, has used.
pub(crate) fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}

/// Fakes do not look at it.
fn guest() -> File {
    File::open("/dev/null").unwrap()
}

/// Whether there is such a child of this process, a zombie too.
fn is_child(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name before it, in parentheses, may have spaces.
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
    parent == Some(&std::process::id().to_string())
}

/// Ends a run that takes too long, unless the guard is dropped before.
fn impatient(canceller: Canceller) -> Sender<()> {
    let (guard, dropped) = channel();
    std::thread::spawn(move || {
        if dropped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            canceller.cancel(OUT_OF_PATIENCE);
        }
    });
    guard
}

impl Sink for Ends {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        let before = self.ends.insert(index, completion);
        assert_eq!(before, None, "item {index} ended twice");
        self.order.push(index);
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, _end: InputEnd) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Sink for Closing<'_> {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        let deadline = Instant::now() + PATIENCE;
        while self.fake.pids().len() < self.processes {
            assert!(Instant::now() < deadline, "they do not start");
        }
        // At the second item, it is gone.
        let _ = fs::remove_file(self.fake.stage.join("worker"));
        self.ends.accept(index, completion)
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        self.ends.input_ended(end)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.ends.flush()
    }
}

impl Reporter for Heard {
    fn report(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Started { .. }
            | RunEvent::Progress { .. }
            | RunEvent::WorkerReady { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::GuestPrinted { .. }
            | RunEvent::SharedInstance
            | RunEvent::InputRemark { .. } => {}
            RunEvent::NoSandbox => self.sandbox.push("off".to_owned()),
            RunEvent::LayerMissing { layer, why } => self.sandbox.push(format!("no {layer}: {why}")),
            RunEvent::SandboxHidden { why } => self.sandbox.push(format!("hidden: {why}")),
            RunEvent::Note { line } => self.notes.push(line.to_owned()),
            RunEvent::WorkerMissing { reason, .. } => self.missing.push(reason.to_owned()),
            RunEvent::WorkerReplaced { reason, .. } => self.replaced.push(reason.to_owned()),
            RunEvent::WorkerSaid { line, .. } => self.said.push(line.to_owned()),
            RunEvent::Recovered { name, what, .. } => self.recovered.push(format!("{name}: {what}")),
            RunEvent::Finished { summary } => self.finished = Some(summary.clone()),
        }
    }
}

impl Ran {
    /// The summary of a run that came to its end.
    #[track_caller]
    pub(crate) fn summary(&self) -> &Summary {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}; {:?}", self.heard))
    }

    /// The error that ended the run.
    #[track_caller]
    pub(crate) fn error(&self) -> &Error {
        self.result.as_ref().expect_err("the run should not have come to its end")
    }

    /// Checks that the items from 0 to the one before `total` and no others ended, and that they ended well, but for
    /// those in `bad`.
    #[track_caller]
    pub(crate) fn check_ok_but(&self, total: u64, bad: &[ItemIndex]) {
        self.summary();
        assert!(self.ends.keys().copied().eq(0..total), "{:?}", self.ends.keys());
        for (item, end) in self.ends.iter().filter(|(item, _)| !bad.contains(item)) {
            match &end.outcome {
                Outcome::Ok(output) => assert_eq!(output.json(), item.to_string()),
                outcome => panic!("item {item}: {outcome:?}"),
            }
        }
    }

    /// How an item ended, and at which attempt.
    #[track_caller]
    pub(crate) fn end(&self, item: ItemIndex) -> (&Outcome, u32) {
        let end = self.ends.get(&item).expect("the item ended");
        (&end.outcome, end.meta.attempts)
    }
}
