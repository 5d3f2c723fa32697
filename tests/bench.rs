//! `make bench`: whole runs of the binary, each beside its floor in the same minutes, alternately.
//!
//! Prints a table with medians and spreads, and writes the same as JSON to `bench.json` in the target folder's `tmp`.
//! It judges nothing: a figure is to be read with the machine it came from.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const WASMPOOL: &str = env!("CARGO_BIN_EXE_wasmpool");

/// Numbers that the main job looks at: a second of work or so for two processors.
const NUMBERS: u32 = 20_000_000;

/// Runs something once and says how long that took.
type Run = fn() -> Result<Duration>;

/// One thing that is timed.
struct Contender {
    name: &'static str,
    run: Run,
    times: Vec<Duration>,
}

/// Things that are timed in turn; the first is what the others are compared with.
struct Contest {
    title: &'static str,
    runs: usize,
    contenders: Vec<Contender>,
}

fn main() -> Result<()> {
    let contests = [
        Contest::new(
            "process start to first record, no cache, hostile.wasm",
            21,
            [("a process that does nothing", nothing as Run), ("wasmpool run", first_record)],
        ),
        Contest::new(
            "primes below 20,000,000",
            5,
            [
                ("native, 2 threads", native_primes as Run),
                ("wasmpool -j 2", || primes("2")),
                ("wasmpool -j 1", || primes("1")),
            ],
        ),
        Contest::new(
            "300,000 items of a few microseconds, a fresh instance each",
            5,
            [("wasmpool -j 2", (|| divisors("2")) as Run), ("wasmpool -j 1", || divisors("1"))],
        ),
    ];
    let mut figures = Vec::new();
    for mut contest in contests {
        contest.hold()?;
        contest.print();
        figures.push(contest.to_json());
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&figures)?).context("the figures cannot be written")?;
    say(&format!("written to {}", path.display()));
    Ok(())
}

impl Contest {
    fn new<const N: usize>(title: &'static str, runs: usize, contenders: [(&'static str, Run); N]) -> Self {
        let contenders =
            contenders.into_iter().map(|(name, run)| Contender { name, run, times: Vec::new() }).collect();
        Self { title, runs, contenders }
    }

    /// Runs all in turn, so that a slow minute of the machine hits all of them; a first round is not counted.
    fn hold(&mut self) -> Result<()> {
        for round in 0..=self.runs {
            for contender in &mut self.contenders {
                let time = (contender.run)().with_context(|| contender.name)?;
                if round > 0 {
                    contender.times.push(time);
                }
            }
        }
        for contender in &mut self.contenders {
            contender.times.sort_unstable();
        }
        Ok(())
    }

    fn print(&self) {
        say(&format!("\n{} ({} runs)", self.title, self.runs));
        let floor = self.contenders[0].median().as_secs_f64();
        for contender in &self.contenders {
            let [least, median, most] = contender.spread().map(|time| time.as_secs_f64() * 1e3);
            let ratio = median / 1e3 / floor;
            say(&format!(
                "  {:<30} {median:>9.1} ms  ({least:.1} to {most:.1})  x{ratio:.2}",
                contender.name
            ));
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let contenders: Vec<_> = self
            .contenders
            .iter()
            .map(|contender| {
                let [least, median, most] = contender.spread().map(|time| time.as_secs_f64());
                serde_json::json!({
                    "name": contender.name, "least_s": least, "median_s": median, "most_s": most,
                })
            })
            .collect();
        serde_json::json!({ "title": self.title, "runs": self.runs, "contenders": contenders })
    }
}

impl Contender {
    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }

    fn spread(&self) -> [Duration; 3] {
        [self.times[0], self.median(), self.times[self.times.len() - 1]]
    }
}

fn nothing() -> Result<Duration> {
    let start = Instant::now();
    Command::new("/bin/true").status()?;
    Ok(start.elapsed())
}

/// Until the first byte of a result; the guest is compiled in that time.
fn first_record() -> Result<Duration> {
    let start = Instant::now();
    let mut process = Command::new(WASMPOOL)
        .args(["run", "guests/hostile.wasm", "echo-u64", "--range", "1..10", "--each"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut output = process.stdout.take().context("it has a standard output")?;
    output.read_exact(&mut [0])?;
    let time = start.elapsed();
    std::io::copy(&mut output, &mut std::io::sink())?;
    ensure!(process.wait()?.success(), "it fails: has `make guests` been run?");
    Ok(time)
}

fn native_primes() -> Result<Duration> {
    let start = Instant::now();
    let parts: u32 = 1_000;
    let next = std::sync::atomic::AtomicU32::new(0);
    let count_parts = || {
        let mut count = 0;
        loop {
            let part = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if part >= parts {
                return count;
            }
            let step = NUMBERS / parts;
            count += (part * step..(part + 1) * step).filter(|n| is_prime(*n)).count() as u64;
        }
    };
    let count: u64 = std::thread::scope(|scope| {
        let threads = [scope.spawn(count_parts), scope.spawn(count_parts)];
        threads.into_iter().map(|thread| thread.join().expect("counting does not panic")).sum()
    });
    ensure!(count == 1_270_607, "{count} primes");
    Ok(start.elapsed())
}

/// By the guest's algorithm.
fn is_prime(n: u32) -> bool {
    match n {
        0 | 1 => false,
        2 => true,
        n if n % 2 == 0 => false,
        n => (3..=n.isqrt()).step_by(2).all(|divisor| n % divisor != 0),
    }
}

fn primes(workers: &str) -> Result<Duration> {
    let range = format!("0..{NUMBERS}");
    let (time, output) = timed(&["run", "guests/primes.wasm", "--range", &range, "-j", workers])?;
    ensure!(output == b"1270607\n", "the wrong number of primes");
    Ok(time)
}

fn divisors(workers: &str) -> Result<Duration> {
    let arguments =
        ["run", "guests/primes.wasm", "count-divisors", "--range", "0..300000", "--each", "-j", workers];
    let (time, output) = timed(&arguments)?;
    ensure!(output.iter().filter(|byte| **byte == b'\n').count() == 300_000, "records are missing");
    Ok(time)
}

fn timed(arguments: &[&str]) -> Result<(Duration, Vec<u8>)> {
    let start = Instant::now();
    let output = Command::new(WASMPOOL).args(arguments).stderr(Stdio::null()).output()?;
    let time = start.elapsed();
    ensure!(output.status.success(), "it fails: has `make guests` been run?");
    Ok((time, output.stdout))
}

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn say(line: &str) {
    println!("{line}");
}
