//! `make bench`: whole runs of the binary, each beside its floor in the same minutes, alternately.
//!
//! Prints a table with medians and spreads, and writes the same as JSON to `bench.json` in the target folder's `tmp`.
//! It judges nothing: a figure is to be read with the machine it came from.

mod contest;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contest::{Contender, Contest};

const WASMPOOL: &str = env!("CARGO_BIN_EXE_wasmpool");

/// Numbers that the main job looks at: a second of work or so for two processors.
const NUMBERS: u32 = 20_000_000;

fn main() -> Result<()> {
    let contests = [
        Contest::new(
            "process start to first record, no cache, hostile.wasm",
            21,
            vec![
                Contender::new("a process that does nothing", nothing),
                Contender::new("wasmpool run", first_record),
            ],
        ),
        Contest::new(
            "primes below 20,000,000",
            5,
            vec![
                Contender::new("native, 2 threads", native_primes),
                Contender::new("wasmpool -j 2", || primes("2")),
                Contender::new("wasmpool -j 1", || primes("1")),
            ],
        ),
        Contest::new(
            "300,000 items of a few microseconds, a fresh instance each",
            5,
            vec![
                Contender::new("wasmpool -j 2", || divisors("2")).of_items(300_000),
                Contender::new("wasmpool -j 1", || divisors("1")).of_items(300_000),
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
