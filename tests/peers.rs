//! `make peers`: wasmpool beside what else could do the same jobs, in turn, in the same minutes.
//!
//! The peers are Python's `ProcessPoolExecutor`, and `xargs` and GNU parallel with a `wasmtime` for each item. One
//! that is not installed is named and left out. It judges nothing: a figure is to be read with the machine it came
//! from. Two processes at a time everywhere.

mod contest;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contest::{Contender, Contest};
use rustix::process::{Pid, Signal, kill_process};
use wasi_preview1_component_adapter_provider as adapter;
use wasmpool::Pool;
use wasmpool::cache::Cache;
use wit_component::ComponentEncoder;

const RUNS: usize = 5;

/// Small items, for what starts no process for each.
const MANY: u32 = 2_000;

/// Small items, for what does: the figure is how many a second, and nobody should wait for 2,000 of them.
const FEW: u32 = 200;

/// Small calls, for programs that make them themselves.
const CALLS: u32 = 10_000;

/// Who does the jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Wasmpool,
    Executor,
    Xargs,
    Parallel,
}

/// What is to be done.
#[derive(Clone, Copy)]
enum Job {
    Primes,
    Divisors,
    Crash,
    Endless,
}

/// How one job ended.
struct Ended {
    results: usize,
    code: String,
    took: Duration,
    /// The last line with anything in it on standard error.
    says: String,
}

fn main() -> Result<()> {
    let present: Vec<_> = Peer::ALL.into_iter().filter(|peer| peer.is_present()).collect();
    encode("primes.wasm")?;
    encode("hostile.wasm")?;

    let timed = |title: &str, job: Job| -> Result<serde_json::Value> {
        let contender = |peer: &Peer| {
            let peer = *peer;
            Contender::new(peer.name(), move || peer.time(job)).of_items(peer.items(job))
        };
        let mut contest = Contest::new(title, RUNS, present.iter().map(contender).collect());
        contest.hold()?;
        say(&contest.to_string());
        Ok(contest.to_json())
    };
    let primes = timed("primes below 800,000 in 8 ranges, whole process", Job::Primes)?;
    let small = format!("{MANY} small calls ({FEW} where each is a process), whole process");
    let figures = [primes, timed(&small, Job::Divisors)?, calls(&present)?];

    say(&format!("\nof 100 items, results after one busy worker was killed in the middle ({RUNS} runs)"));
    for peer in &present {
        let ended = (0..RUNS).map(|_| peer.crash()).collect::<Result<Vec<_>>>()?;
        let mut results: Vec<_> = ended.iter().map(|ended| ended.results).collect();
        results.sort_unstable();
        let [least, median, most] = [results[0], results[RUNS / 2], results[RUNS - 1]];
        say(&format!("  {:<34} {median:>9}     ({least} to {most})", peer.name()));
        say(&format!("      {}", ended[0]));
    }
    say("\nan item that ends and one that never does, with a limit of 1 s");
    for peer in &present {
        say(&format!("  {:<34} {}", peer.name(), peer.run(Job::Endless)?));
    }
    for peer in Peer::ALL.into_iter().filter(|peer| !peer.is_present()) {
        say(&format!("\nabsent: {}, which needs {}", peer.name(), peer.needs().join(" and ")));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers.json");
    fs::write(&path, serde_json::to_vec_pretty(&figures)?).context("the times cannot be written")?;
    say(&format!("\ntimes written to {}", path.display()));
    Ok(())
}

/// Small calls that a program makes, through the library and in Python: with the start of the pool and its end.
fn calls(present: &[Peer]) -> Result<serde_json::Value> {
    let mut contenders = vec![
        Contender::new("wasmpool, Pool::submit, 2 workers", submitted),
        Contender::new("wasmpool, Pool::map, 2 workers", mapped),
    ];
    if present.contains(&Peer::Executor) {
        contenders.push(Contender::new("ProcessPoolExecutor(2), submit", || python("submit")));
        contenders.push(Contender::new("ProcessPoolExecutor(2), map by 100", || python("divisors")));
    }
    let contenders = contenders.into_iter().map(|contender| contender.of_items(CALLS)).collect();
    let mut contest = Contest::new(&format!("{CALLS} small calls that a program makes"), RUNS, contenders);
    contest.hold()?;
    say(&contest.to_string());
    Ok(contest.to_json())
}

fn pool() -> Result<Pool> {
    let pool = Pool::builder("guests/primes.wasm").workers(2).worker_exe(env!("CARGO_BIN_EXE_wasmpool"));
    Ok(pool.cache(Cache::at(cache())).build()?)
}

fn submitted() -> Result<Duration> {
    let start = Instant::now();
    let pool = pool()?;
    let calls = (0..u64::from(CALLS)).map(|n| pool.submit::<u64>("count-divisors", (n,)));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let values = calls.iter().map(|call| call.result()).collect::<Result<Vec<_>, _>>()?;
    drop(pool);
    ensure!(values[6] == 4, "the wrong number of divisors");
    Ok(start.elapsed())
}

fn mapped() -> Result<Duration> {
    let start = Instant::now();
    let values: Vec<u64> = pool()?.map("count-divisors", 0..u64::from(CALLS))?;
    ensure!(values[6] == 4, "the wrong number of divisors");
    Ok(start.elapsed())
}

fn python(job: &str) -> Result<Duration> {
    let start = Instant::now();
    let count = CALLS.to_string();
    let output = Command::new("python3").args(["tests/peers/pool.py", job, &count]).output()?;
    let took = start.elapsed();
    let values = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    ensure!(values == CALLS as usize, "{values} values: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

impl Peer {
    const ALL: [Self; 4] = [Self::Wasmpool, Self::Executor, Self::Xargs, Self::Parallel];

    fn name(self) -> &'static str {
        match self {
            Self::Wasmpool => "wasmpool run -j 2",
            Self::Executor => "Python, ProcessPoolExecutor(2)",
            Self::Xargs => "xargs -P2 wasmtime run",
            Self::Parallel => "parallel -j2 wasmtime run",
        }
    }

    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Wasmpool => &[],
            Self::Executor => &["python3"],
            Self::Xargs => &["xargs", "wasmtime"],
            Self::Parallel => &["parallel", "wasmtime"],
        }
    }

    fn is_present(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.needs().iter().all(|tool| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
    }

    /// How the names of the processes start that run items, where it has others without children.
    fn computes(self) -> &'static str {
        match self {
            Self::Wasmpool => "",
            Self::Executor => "python",
            Self::Xargs | Self::Parallel => "wasmtime",
        }
    }

    fn starts_a_process_for_each(self) -> bool {
        matches!(self, Self::Xargs | Self::Parallel)
    }

    /// How many items are told as a rate; 1 where the time is the figure.
    fn items(self, job: Job) -> u32 {
        match job {
            Job::Divisors if self.starts_a_process_for_each() => FEW,
            Job::Divisors => MANY,
            Job::Primes | Job::Crash | Job::Endless => 1,
        }
    }

    /// How many results a job has when nothing goes wrong.
    fn results(self, job: Job) -> usize {
        match job {
            Job::Primes => 8,
            Job::Divisors if self.starts_a_process_for_each() => FEW as usize,
            Job::Divisors => MANY as usize,
            Job::Crash => 100,
            Job::Endless => 1,
        }
    }

    fn command(self, job: Job) -> Command {
        match self {
            Self::Wasmpool => wasmpool(job),
            Self::Executor => executor(job),
            Self::Xargs | Self::Parallel => self.wasmtimes(job),
        }
    }

    /// One `wasmtime` for each call.
    fn wasmtimes(self, job: Job) -> Command {
        let divisors = || (0..FEW).map(|n| format!("count-divisors({n})")).collect();
        let (guest, limit, calls) = match job {
            Job::Primes => ("primes.wasm", "", primes_below(800_000)),
            Job::Divisors => ("primes.wasm", "", divisors()),
            Job::Crash => ("primes.wasm", "", primes_below(10_000_000)),
            Job::Endless => {
                ("hostile.wasm", "-W timeout=1s", vec!["spin(0)".to_owned(), "spin(1)".to_owned()])
            }
        };
        let each =
            format!("wasmtime run {limit} --invoke {{}} {}", quoted(&component(guest).to_string_lossy()));
        let all = match self {
            Self::Parallel => format!("parallel --will-cite -j2 {}", quoted(&each)),
            Self::Wasmpool | Self::Executor | Self::Xargs => format!("xargs -P2 -I{{}} {each}"),
        };
        let calls: Vec<_> = calls.iter().map(|call| quoted(call)).collect();
        let mut command = Command::new("bash");
        command.args(["-c", &format!("printf '%s\\n' {} | {all}", calls.join(" "))]);
        command
    }

    fn time(self, job: Job) -> Result<Duration> {
        let ended = self.run(job)?;
        let expected = self.results(job);
        ensure!(ended.results == expected, "{} results instead of {expected}: {ended}", ended.results);
        Ok(ended.took)
    }

    fn run(self, job: Job) -> Result<Ended> {
        self.run_with(job, |_, _| ())
    }

    /// Kills a process that is computing when a fifth of the results are there.
    fn crash(self) -> Result<Ended> {
        let mut is_killed = false;
        let ended = self.run_with(Job::Crash, |root, results| {
            if results >= 20 && !is_killed {
                is_killed = kill_one_below(root, self.computes());
            }
        })?;
        ensure!(is_killed, "nothing could be killed");
        Ok(ended)
    }

    /// Runs a job, for 10 seconds at most where it may never end; tells `act` how many results there are so far.
    fn run_with(self, job: Job, mut act: impl FnMut(&Child, usize)) -> Result<Ended> {
        let inner = self.command(job);
        let limit = if matches!(job, Job::Endless) { "10" } else { "60" };
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", limit]).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let start = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("it has a standard error")?;
        let last = std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()).last()
        });
        let mut results = 0;
        for line in BufReader::new(child.stdout.take().context("it has a standard output")?).lines() {
            if is_result(&line?) {
                results += 1;
                act(&child, results);
            }
        }
        let status = child.wait()?;
        let took = start.elapsed();
        let says = last.join().ok().flatten().unwrap_or_default();
        let code = match status.code() {
            Some(124 | 137) => "none: stopped from outside".to_owned(),
            Some(code) => code.to_string(),
            None => status.to_string(),
        };
        Ok(Ended { results, code, took, says })
    }
}

/// A value, or the record of an item that has one.
fn is_result(line: &str) -> bool {
    line.parse::<u64>().is_ok() || line.contains(r#""status":"ok""#)
}

fn wasmpool(job: Job) -> Command {
    let line = match job {
        Job::Primes => "primes.wasm --range 0..800000 --step 100000 --each",
        Job::Divisors => "primes.wasm count-divisors --range 0..2000 --each",
        Job::Crash => "primes.wasm --range 0..10000000 --step 100000 --each --unordered",
        Job::Endless => "hostile.wasm spin --range 0..2 --timeout 1s",
    };
    let mut words = line.split(' ');
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmpool"));
    command.env("WASMPOOL_CACHE", cache());
    let guest = words.next().unwrap_or_default();
    command.args(["run", "-j", "2", "--progress", "none", "--format", "jsonl"]);
    command.arg(Path::new("guests").join(guest)).args(words);
    command
}

/// Where compiled guests are kept: as the others have theirs, and no user's.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-cache")
}

fn executor(job: Job) -> Command {
    let mut command = Command::new("python3");
    command.arg("tests/peers/pool.py");
    match job {
        Job::Primes => command.arg("primes"),
        Job::Divisors => command.arg("divisors").arg(MANY.to_string()),
        Job::Crash => command.arg("crash"),
        Job::Endless => command.arg("endless"),
    };
    command
}

/// Calls for a hundred thousand numbers each.
fn primes_below(end: u32) -> Vec<String> {
    (0..end).step_by(100_000).map(|start| format!("count-primes({start}, {})", start + 100_000)).collect()
}

/// As one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where a guest is as a component: `wasmtime` takes nothing else.
fn component(guest: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(guest)
}

fn encode(guest: &str) -> Result<()> {
    let module = fs::read(Path::new("guests").join(guest)).context("run `make guests` first")?;
    let bytes = ComponentEncoder::default()
        .module(&module)?
        .adapter(
            adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?
        .encode()?;
    fs::write(component(guest), bytes).context("the component cannot be written")
}

/// Kills the process without children that has used the most CPU time, of all with such a name that come from `root`.
fn kill_one_below(root: &Child, name: &str) -> bool {
    let processes = processes();
    let mut family = vec![root.id()];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    let is_leaf = |pid: u32| processes.iter().all(|process| process.parent != pid);
    let leaves = processes.iter().filter(|process| {
        process.name.starts_with(name) && family.contains(&process.pid) && is_leaf(process.pid)
    });
    let victim =
        leaves.max_by_key(|process| process.ticks).and_then(|process| i32::try_from(process.pid).ok());
    victim.and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// A process, as the system shows it.
struct Process {
    pid: u32,
    name: String,
    parent: u32,
    /// The CPU time it has used.
    ticks: u64,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (start, rest) = stat.rsplit_once(") ")?;
        let name = start.split_once(" (")?.1.to_owned();
        // Behind the name, which may have anything in it: state, parent, …; the times are the 14th field and the next.
        let fields: Vec<_> = rest.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Process { pid, name, parent: fields.get(1)?.parse().ok()?, ticks })
    })
    .collect()
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { results, code, took, says } = self;
        write!(f, "results {results}, exit code {code}, {:.1} s, says: {says}", took.as_secs_f64())
    }
}

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn say(line: &str) {
    println!("{line}");
}
