//! `make bench`, the part about sharing: guests that use one memory, and one queue, beside native threads and Python.
//!
//! Prints a table as the other part does. It judges nothing.

#![expect(unsafe_code, reason = "maps a file without wasmpool, as a native program would")]

mod contest;

use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contest::{Contender, Contest};
use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};
use wasmpool::limits::Isolation;
use wasmpool::{Pool, PoolBuilder, Queue, SharedMemory, Value};

/// Bytes of the segment: 1 GB.
const SEGMENT: usize = 1_000_000_000;

/// Messages that go through a queue, in guests and in Python, and how many it holds.
const MESSAGES: u32 = 2_000_000;
const FEW_MESSAGES: u32 = 200_000;
const CAPACITY: usize = 1_000;

/// How often a number is incremented.
const INCREMENTS: u32 = 2_000_000;

type Told<T> = Result<T, String>;

fn main() -> Result<()> {
    let segment = filled()?;
    let expected = sum(segment.as_slice()?);
    let mapped = segment.clone();
    let mut file = File::from(rustix::fs::memfd_create("words", MemfdFlags::CLOEXEC)?);
    file.write_all(segment.as_slice()?)?;
    let pool = open(builder("sharing.wasm").workers(4).share("words", &segment))?;
    let kept = builder("sharing.wasm").workers(4).isolation(Isolation::Worker).share("words", &segment);
    let kept = open(kept)?;
    // What is kept is all there before anything is timed: each worker has had each part.
    for _ in 0..20 {
        sum_in_guests(&kept, expected)?;
    }
    sum_in_guests(&pool, expected)?;
    say(&format!(
        "memory of 8 workers and this process: {} MB",
        (memory(&pool)? + memory_of(kept.pids())?) / 1_000_000
    ));
    let contests = [
        Contest::new(
            "a segment of 1 GB, summed as 64-bit words",
            5,
            vec![
                Contender::new("native, 4 threads, mapped before", move || sum_natively(&mapped, expected)),
                Contender::new("wasmpool, 4 workers, kept instances", move || sum_in_guests(&kept, expected)),
                Contender::new("native, 4 threads, each maps it anew", move || sum_mapped(&file, expected)),
                Contender::new("wasmpool, 4 workers, fresh instances", move || {
                    sum_in_guests(&pool, expected)
                }),
            ],
        ),
        Contest::new(
            "numbers through a queue of 1,000, one producer and one consumer",
            3,
            vec![
                Contender::new("Python, multiprocessing.Queue", in_python).of_items(FEW_MESSAGES),
                Contender::new("wasmpool, guests in two workers", in_guests).of_items(MESSAGES),
            ],
        ),
        Contest::new(
            "increments of one shared number",
            3,
            vec![
                Contender::new("one worker", || increments(1)).of_items(INCREMENTS),
                Contender::new("two workers", || increments(2)).of_items(INCREMENTS),
            ],
        ),
    ];
    let mut figures = Vec::new();
    for mut contest in contests {
        contest.hold()?;
        say(&contest.to_string());
        figures.push(contest.to_json());
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-sharing.json");
    fs::write(&path, serde_json::to_vec_pretty(&figures)?).context("the figures cannot be written")?;
    say(&format!("\nwritten to {}", path.display()));
    Ok(())
}

fn builder(guest: &str) -> PoolBuilder {
    Pool::builder(Path::new("guests").join(guest)).worker_exe(env!("CARGO_BIN_EXE_wasmpool"))
}

fn open(builder: PoolBuilder) -> Result<Pool> {
    builder.build().context("run `make guests` first")
}

/// 1 GB of numbers, which nobody can change any more.
fn filled() -> Result<SharedMemory> {
    let mut memory = SharedMemory::create(SEGMENT)?;
    for (word, place) in (0_u64..).zip(memory.as_mut_slice()?.as_chunks_mut::<8>().0) {
        *place = (word * 0x9e37_79b9).to_le_bytes();
    }
    Ok(memory.seal()?)
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// What four threads add up to, each with the part of that number.
fn in_threads(expected: u64, part: impl Fn(usize) -> u64 + Sync) -> Result<Duration> {
    let start = Instant::now();
    let part = &part;
    let total = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4).map(|number| scope.spawn(move || part(number))).collect();
        parts.into_iter().map(|part| part.join().expect("a sum does not panic")).fold(0, u64::wrapping_add)
    });
    let took = start.elapsed();
    ensure!(total == expected, "another sum");
    Ok(took)
}

fn part_of(bytes: &[u8], number: usize) -> &[u8] {
    &bytes[number * (SEGMENT / 4)..][..SEGMENT / 4]
}

fn sum_natively(memory: &SharedMemory, expected: u64) -> Result<Duration> {
    let bytes = memory.as_slice()?;
    in_threads(expected, |number| sum(part_of(bytes, number)))
}

/// With what a guest in a fresh instance has to do, too: all of the file is mapped, and a part of it read.
fn sum_mapped(file: &File, expected: u64) -> Result<Duration> {
    in_threads(expected, |number| {
        let (access, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
        // SAFETY: the kernel chooses the place, so no memory that is in use is replaced.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), SEGMENT, access, flags, file, 0) };
        let start = start.expect("there is room");
        // SAFETY: so many bytes are mapped, and nobody writes to the file any more.
        let sum = sum(part_of(unsafe { std::slice::from_raw_parts(start.cast(), SEGMENT) }, number));
        // SAFETY: just these bytes were mapped, and nothing refers to them any more.
        unsafe { rustix::mm::munmap(start, SEGMENT) }.expect("it is mapped");
        sum
    })
}

fn sum_in_guests(pool: &Pool, expected: u64) -> Result<Duration> {
    let start = Instant::now();
    let parts: Vec<Told<u64>> = pool.starmap("sum-words", (0..4_u64).map(|part| ("words", part, 4_u64)))?;
    let total = parts.into_iter().collect::<Told<Vec<_>>>().map_err(anyhow::Error::msg)?;
    ensure!(total.into_iter().fold(0, u64::wrapping_add) == expected, "another sum");
    Ok(start.elapsed())
}

/// Bytes of memory that the workers of a pool and this process have together, what they share counted once.
fn memory(pool: &Pool) -> Result<u64> {
    Ok(memory_of(pool.pids())? + memory_of([std::process::id()])?)
}

fn memory_of(processes: impl IntoIterator<Item = u32>) -> Result<u64> {
    let mut bytes = 0;
    for process in processes {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel tells")?;
        bytes += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    }
    Ok(bytes)
}

/// From the first message to the last.
fn in_python() -> Result<Duration> {
    let output = Command::new("python3")
        .args(["tests/peers/messages.py", &FEW_MESSAGES.to_string(), &CAPACITY.to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let (total, seconds) = text.trim().split_once(' ').context("it fails")?;
    ensure!(total.parse() == Ok(sum_below(FEW_MESSAGES)), "another sum: {total}");
    Ok(Duration::from_secs_f64(seconds.parse()?))
}

fn in_guests() -> Result<Duration> {
    let queue = Queue::<u64>::bounded(CAPACITY)?;
    let pool = open(builder("sharing.wasm").workers(2).share("queue", &queue))?;
    // Both workers are ready.
    ensure!(pool.map::<Vec<(u64, u64)>, u64>("prime-tasks", [0, 0])?.len() == 2, "two calls");
    let start = Instant::now();
    let producer = pool.submit::<Told<u64>>("put-numbers", ("queue", u64::from(MESSAGES)))?;
    let consumer = pool.submit::<Told<(u64, u64)>>("consume-all", ("queue",))?;
    let (count, total) = consumer.result()?.map_err(anyhow::Error::msg)?;
    let took = start.elapsed();
    producer.result()?.map_err(anyhow::Error::msg)?;
    ensure!(count == u64::from(MESSAGES) && total == sum_below(MESSAGES), "{count} messages");
    Ok(took)
}

fn sum_below(count: u32) -> u64 {
    u64::from(count) * u64::from(count - 1) / 2
}

fn increments(workers: u32) -> Result<Duration> {
    let counter = Value::<i64>::new(0)?;
    let pool = open(builder("sharing.wasm").workers(workers as usize).share("counter", &counter))?;
    ensure!(pool.map::<Vec<(u64, u64)>, u64>("prime-tasks", [0, 0])?.len() == 2, "two calls");
    let times = u64::from(INCREMENTS / workers);
    let start = Instant::now();
    let calls = (0..workers).map(|_| ("counter", times));
    let all: Vec<Told<i64>> = pool.starmap("increment", calls)?;
    let took = start.elapsed();
    ensure!(all.iter().all(Result::is_ok) && counter.get() == i64::from(INCREMENTS), "some are lost");
    Ok(took)
}

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn say(line: &str) {
    println!("{line}");
}
