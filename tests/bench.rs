//! `make bench`: whole runs of the binary, each beside its floor in the same minutes, alternately.
//!
//! Prints a table with medians and spreads, and writes the same as JSON to `bench.json` in the target folder's `tmp`.
//! It judges nothing: a figure is to be read with the machine it came from.

mod contest;

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contest::{Contender, Contest};
use wasmpool::Pool;
use wasmpool::cache::Cache;

const WASMPOOL: &str = env!("CARGO_BIN_EXE_wasmpool");

/// Numbers that the main job looks at: a second of work or so for two processors.
const NUMBERS: u32 = 20_000_000;

const TEXT: &str = "text.txt";

const SUMS: &str = "sums.jsonl";

/// Where the guests of these runs are kept.
const CACHE: &str = "bench-cache";

fn main() -> Result<()> {
    let text = text(50_000_000);
    std::fs::write(scratch(TEXT), &text)?;
    std::fs::write(scratch(SUMS), sums(1_000_000))?;
    // Compiled before anything is timed.
    first_record(&scratch(CACHE), "auto")?;
    let contests = [
        Contest::new(
            "process start to first record, hostile.wasm",
            21,
            vec![
                Contender::new("a process that does nothing", nothing),
                Contender::new("wasmpool run, guest in the cache", || first_record(&scratch(CACHE), "auto")),
                Contender::new("the same with --sandbox off", || first_record(&scratch(CACHE), "off")),
                Contender::new("wasmpool run, guest compiled on the way", || {
                    first_record(Path::new("off"), "auto")
                }),
            ],
        ),
        Contest::new(
            "primes below 20,000,000",
            5,
            vec![
                Contender::new("native, 2 threads", native_primes),
                Contender::new("wasmpool -j 2", || primes("2", "auto")),
                Contender::new("the same with --sandbox off", || primes("2", "off")),
                Contender::new("wasmpool -j 1", || primes("1", "auto")),
            ],
        ),
        Contest::new(
            "300,000 items of a few microseconds, a fresh instance each",
            5,
            vec![
                Contender::new("wasmpool -j 2", || divisors("2", "auto")).of_items(300_000),
                Contender::new("wasmpool -j 1", || divisors("1", "auto")).of_items(300_000),
                Contender::new("the library, 2 workers: `Pool::map`", || mapped(2)).of_items(300_000),
                Contender::new("the library, 1 worker: `Pool::map`", || mapped(1)).of_items(300_000),
                Contender::new("the same with --sandbox off", || divisors("1", "off")).of_items(300_000),
            ],
        ),
        Contest::new(
            "words of a text of 50 MB: how many, how many different ones, how long",
            5,
            vec![
                Contender::new("native, 2 threads", move || native_words(&text)),
                Contender::new("wasmpool -j 2 --blocks", || words("2")),
                Contender::new("wasmpool -j 1 --blocks", || words("1")),
            ],
        ),
        Contest::new(
            "1,000,000 lines of JSON, a fresh instance each",
            3,
            vec![
                Contender::new("wasmpool -j 2", || additions("2")).of_items(1_000_000),
                Contender::new("wasmpool -j 1", || additions("1")).of_items(1_000_000),
            ],
        ),
    ];
    let mut figures = Vec::new();
    for mut contest in contests {
        contest.hold()?;
        say(&contest.to_string());
        figures.push(contest.to_json());
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&figures)?).context("the figures cannot be written")?;
    say(&format!("written to {}", path.display()));
    Ok(())
}

fn nothing() -> Result<Duration> {
    let start = Instant::now();
    Command::new("/bin/true").status()?;
    Ok(start.elapsed())
}

/// Until the first byte of a result, with guests kept in `cache`.
fn first_record(cache: &Path, sandbox: &str) -> Result<Duration> {
    let start = Instant::now();
    let mut process = Command::new(WASMPOOL)
        .env("WASMPOOL_CACHE", cache)
        .args(["run", "guests/hostile.wasm", "echo-u64", "--range", "1..10", "--each", "--sandbox", sandbox])
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

fn primes(workers: &str, sandbox: &str) -> Result<Duration> {
    let range = format!("0..{NUMBERS}");
    let arguments = ["run", "guests/primes.wasm", "--range", &range, "-j", workers, "--sandbox", sandbox];
    let (time, output) = timed(&arguments)?;
    ensure!(output == b"1270607\n", "the wrong number of primes");
    Ok(time)
}

fn divisors(workers: &str, sandbox: &str) -> Result<Duration> {
    let range = ["run", "guests/primes.wasm", "count-divisors", "--range", "0..300000", "--each"];
    let (time, output) = timed(&[&range[..], &["-j", workers, "--sandbox", sandbox]].concat())?;
    ensure!(output.iter().filter(|byte| **byte == b'\n').count() == 300_000, "records are missing");
    Ok(time)
}

/// From the pool's start to its end.
fn mapped(workers: usize) -> Result<Duration> {
    let cache = Cache::at(scratch(CACHE));
    let start = Instant::now();
    let pool =
        Pool::builder("guests/primes.wasm").workers(workers).worker_exe(WASMPOOL).cache(cache).build()?;
    let divisors: Vec<u64> = pool.map("count-divisors", 0..300_000_u64)?;
    drop(pool);
    ensure!(divisors.len() == 300_000 && divisors[6] == 4, "values are missing");
    Ok(start.elapsed())
}

/// Lines of words, the frequent ones among 20,000 far more often than the rare.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    let mut state = 42_u64;
    let mut random = move || {
        // The multiplier and the increment are Knuth's, for MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    while text.len() < bytes {
        for _ in 0..random() % 27 + 4 {
            let word = random() % (random() % 20_000 + 1);
            text.push_str(&format!("word{word} "));
        }
        text.push('\n');
    }
    text
}

/// The same analysis, by the same algorithm, of each half on a thread; as the guest prints it.
fn native_words(text: &str) -> Result<Duration> {
    let start = Instant::now();
    let middle = text.len() / 2;
    let cut = middle + text[middle..].find('\n').context("a line ends in the second half")?;
    let (left, right) = text.split_at(cut);
    let lower = std::thread::scope(|scope| {
        let halves = [left, right].map(|half| scope.spawn(|| half.to_lowercase()));
        halves.map(|half| half.join().expect("lowering does not panic"))
    });
    let [one, other] = std::thread::scope(|scope| {
        let halves = lower.each_ref().map(|half| scope.spawn(|| tally(half)));
        halves.map(|half| half.join().expect("counting does not panic"))
    });
    let (words, letters) = (one.0 + other.0, one.2 + other.2);
    let unique = one.1.union(&other.1).count();
    let time = start.elapsed();
    let average = letters as f64 / words as f64;
    let expected =
        format!("{{\"word-count\":{words},\"unique-words\":{unique},\"avg-word-length\":{average:?}}}\n");
    std::fs::write(scratch("words.json"), expected)?;
    Ok(time)
}

fn tally(lower: &str) -> (u64, HashSet<&str>, u64) {
    let (mut words, mut unique, mut letters) = (0, HashSet::new(), 0);
    for word in lower.split_whitespace() {
        words += 1;
        letters += word.chars().count() as u64;
        unique.insert(word);
    }
    (words, unique, letters)
}

fn words(workers: &str) -> Result<Duration> {
    let file = scratch(TEXT);
    let (time, output) =
        timed(&["run", "guests/text.wasm", "--blocks", &file.to_string_lossy(), "-j", workers])?;
    ensure!(output == std::fs::read(scratch("words.json"))?, "the counts are wrong");
    Ok(time)
}

fn sums(lines: u32) -> String {
    (0..lines).map(|n| format!("[{n},1]\n")).collect()
}

fn additions(workers: &str) -> Result<Duration> {
    let file = scratch(SUMS);
    let (time, output) =
        timed(&["run", "guests/tour.wasm", "add", "--jsonl", &file.to_string_lossy(), "-j", workers])?;
    ensure!(output.iter().filter(|byte| **byte == b'\n').count() == 1_000_000, "records are missing");
    Ok(time)
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn timed(arguments: &[&str]) -> Result<(Duration, Vec<u8>)> {
    let start = Instant::now();
    let output = Command::new(WASMPOOL)
        .env("WASMPOOL_CACHE", scratch(CACHE))
        .args(arguments)
        .stderr(Stdio::null())
        .output()?;
    let time = start.elapsed();
    ensure!(output.status.success(), "it fails: has `make guests` been run?");
    Ok((time, output.stdout))
}

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn say(line: &str) {
    println!("{line}");
}
