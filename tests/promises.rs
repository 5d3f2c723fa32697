//! What breaks other pools, and must not break this one: a worker that is killed, an item whose time is up, a host that
//! is killed, a reader that is slow.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Chaos, PATIENCE, Running, Worker, is_soak, run};

/// Takes some milliseconds for each number.
const STEADY: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 60_000_000))))
    (local.get 0))
  (func (export "merge-f") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))
"#;

fn record(index: u64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"ok\",\"value\":{index}}}\n")
}

/// A worker that is at work.
fn one_at_work(running: &Running) -> Worker {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no worker is at work");
        if let Some(worker) = running.workers().into_iter().find(Worker::has_computed) {
            return worker;
        }
    }
}

#[test]
fn h1_of_100_items_100_come_back_although_a_worker_is_killed() {
    let mut running = run("steady.wasm f --range 0..100 -j 2 --each")
        .wat("steady.wasm", STEADY)
        .stdout((0..100).map(record).collect::<String>())
        .stderr_is(|stderr| {
            stderr.lines().count() == 1 && stderr.ends_with("was killed by SIGKILL; replaced\n")
        })
        .start();
    running.line();
    one_at_work(&running).kill(Signal::KILL);
    running.check();
}

#[test]
fn h1_a_merge_of_100_items_ends_although_a_worker_is_killed() {
    let running = run("steady.wasm f --range 0..100 -j 2 --merge")
        .wat("steady.wasm", STEADY)
        .stdout("4950\n")
        .stderr_is(|stderr| stderr.ends_with("was killed by SIGKILL; replaced\n"))
        .start();
    one_at_work(&running).kill(Signal::KILL);
    running.check();
}

#[test]
fn g1_an_item_whose_time_is_up_does_not_go_on_in_secret() {
    let mut running = run("hostile.wasm spin --range 0..2 -j 1 --chunk 1 --timeout 2s")
        .stdout_is(|stdout| stdout.lines().count() == 2 && stdout.contains("\"status\":\"timeout\""))
        .stderr_is(|stderr| stderr.ends_with("its item used up its time; replaced\n"))
        .code(1)
        .start();
    running.line();
    let worker = one_at_work(&running);
    // The record of the item that is timed out.
    running.line();
    assert!(worker.is_gone_within(Duration::from_secs(1)), "its worker goes on");
    running.check();
}

/// How far past their limit items run, and how long the pool takes to be whole again.
#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn g1_items_are_stopped_at_their_limit_and_not_long_after() {
    const LIMIT: Duration = Duration::from_millis(100);
    let items = if is_soak() { 200 } else { 20 };
    let ended = run(&format!("hostile.wasm spin --range 0..{} -j 1 --chunk 1 --timeout 100ms", 2 * items))
        .stdout_is(move |stdout| stdout.matches("\"status\":\"timeout\"").count() == items as usize)
        .stderr_is(|_| true)
        .code(1)
        .check();
    let each = ended.took / items - LIMIT;
    println!("figure: G1 {items} items: {each:.1?} each beyond a limit of {LIMIT:?}, new worker included");
    assert!(each < Duration::from_secs(1), "{each:?}");
}

/// Who is killed.
#[derive(Clone, Copy)]
enum Victims {
    Worker,
    WorkerAndSpare,
}

/// From the kill of the only worker to the first result of its successor.
#[track_caller]
fn succession(running: &mut Running, victims: Victims) -> Duration {
    running.write("some words\n");
    let record: serde_json::Value = serde_json::from_str(&running.line()).expect("a record is JSON");
    let deadline = Instant::now() + PATIENCE;
    let workers = loop {
        let workers = running.workers();
        // The spare has been loaded, too.
        if workers.len() == 2 && !workers.iter().any(Worker::computes_now) {
            break workers;
        }
        assert!(Instant::now() < deadline, "there is no spare");
    };
    let is_victim = |worker: &&Worker| match victims {
        Victims::Worker => record["pid"] == worker.pid().as_raw_pid(),
        Victims::WorkerAndSpare => true,
    };
    let killed = Instant::now();
    workers.iter().filter(is_victim).for_each(|worker| worker.signal(Signal::KILL));
    running.write("some words\n");
    running.line();
    killed.elapsed()
}

/// The median, and what 99 of 100 do not exceed.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times[(times.len() * percent).div_ceil(100) - 1])
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn h1_a_worker_that_is_killed_has_a_successor_soon() {
    let rounds = if is_soak() { 300 } else { 15 };
    let mut running = run("text.wasm analyze --lines - -j 1 --meta")
        .stdin_open()
        .stdout_is(|_| true)
        .stderr_is(|_| true)
        .start();
    for (victims, whose) in
        [(Victims::Worker, "with a spare"), (Victims::WorkerAndSpare, "whose spare is killed too")]
    {
        let [median, most] = percentiles((0..rounds).map(|_| succession(&mut running, victims)).collect());
        println!(
            "figure: H1 from SIGKILL to the next worker's first result, {rounds} idle workers {whose}: \
             p50 {median:.1?}, p99 {most:.1?}"
        );
        assert!(median < Duration::from_secs(2), "{median:?}");
    }
    running.close_stdin();
    running.check();
}

#[test]
fn g2_an_item_that_calls_the_host_without_end_is_stopped() {
    let yielding = r#"
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "f") (param i64) (loop (drop (call $yield)) (br 0))))
"#;
    check_stopped("g.wasm f --range 0..1 --timeout 300ms", yielding);
}

/// One instruction, which nothing that looks between instructions could stop.
#[test]
fn g5_an_item_inside_one_long_instruction_is_stopped() {
    let filling = r#"
(module (memory 16000)
  (func (export "f") (param i64)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000000)) (br 0))))
"#;
    check_stopped("g.wasm f --range 0..1 --timeout 100ms", filling);
}

#[track_caller]
fn check_stopped(line: &str, guest: &str) {
    let ended = run(line)
        .wat("g.wasm", guest)
        .stdout_is(|stdout| stdout.contains("\"status\":\"timeout\",\"limit\":\"wall\""))
        .stderr_is(|stderr| stderr.ends_with("its item used up its time; replaced\n"))
        .code(1)
        .check();
    assert!(ended.took < PATIENCE / 4, "{:?}", ended.took);
}

#[test]
fn h8_four_workers_are_gone_with_their_host_whatever_they_are_doing() {
    let rounds = if is_soak() { 50 } else { 3 };
    for _ in 0..rounds {
        let running = four_at_work();
        let workers = running.workers();
        running.signal(Signal::KILL);
        let started = Instant::now();
        assert!(workers.iter().all(|worker| worker.is_gone_within(Duration::from_secs(1))));
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        running.check();
    }
}

/// A run whose workers compute, sleep, are stopped, and are just starting.
fn four_at_work() -> Running {
    let mixed = r#"
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "f") (param i64)
    (if (i64.eqz (local.get 0))
      (then (loop (br 0)))
      (else
        ;; A clock of its own, in an hour.
        (i32.store8 (i32.const 8) (i32.const 0))
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))))
"#;
    let running = run("g.wasm f --range 0..64 -j 4 --chunk 1 --timeout none")
        .wat("g.wasm", mixed)
        .stderr_is(|_| true)
        .code(-9)
        .start();
    // The four, and the spare.
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no worker is at work");
        let workers = running.workers();
        if workers.len() < 5 {
            continue;
        }
        if let Some(computing) = workers.iter().position(Worker::has_computed) {
            let mut others = workers.iter().enumerate().filter(|(place, _)| *place != computing);
            let mut other = || others.next().expect("there are four more").1;
            other().signal(Signal::STOP);
            // Another takes its place, and one more is just starting when the host is killed.
            other().kill(Signal::KILL);
            return running;
        }
    }
}

/// The most memory that a process has had so far, in KiB.
fn peak_kib(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn status_of(pid: impl std::fmt::Display) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

#[test]
fn h14_a_reader_that_does_not_read_costs_no_memory_and_no_item_its_time() {
    const ITEMS: u64 = 100_000;
    const MOST_KIB: u64 = 64 << 10;
    let mut running = run(&format!("hostile.wasm count-calls --range 0..{ITEMS} -j 2 --timeout 1s")).start();
    let stdout = running.take_stdout();
    // Longer than an item may take.
    assert!(!running.ends_within(Duration::from_secs(3)), "nobody reads, and it ends");
    let peak = peak_kib(&status_of(running.pid()));
    assert!(peak < MOST_KIB, "{peak} KiB");
    let ok = |line: &String| line.ends_with(",\"status\":\"ok\",\"value\":1}");
    let lines = BufReader::new(stdout).lines().map(|line| line.expect("records are text"));
    assert_eq!(lines.filter(ok).count() as u64, ITEMS);
    running.check();
}

/// The first item takes long, and the others return much at once.
#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn h15_results_that_wait_for_a_slow_first_item_take_bounded_memory() {
    const MOST_KIB: u64 = 192 << 10;
    let slow_first = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "f") (param i64) (local $i i64)
    (if (i64.eqz (local.get 0))
      (then
        (loop $again
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br_if $again (i64.lt_u (local.get $i) (i64.const 3_000_000_000)))))
      (else
        (memory.fill (i32.const 65536) (i32.const 120) (i32.const 1000000))
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 1000000))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))))
"#;
    let running =
        run("g.wasm f --range 0..600 -j 2").wat("g.wasm", slow_first).stdout_to("/dev/null").start();
    let mut peak = 0;
    running.check_while(Duration::from_millis(5), |pid| peak = peak.max(peak_kib(&status_of(pid))));
    println!("figure: H15 600 results of 1 MB behind a slow one: {} MiB in the host", peak >> 10);
    assert!((1..MOST_KIB).contains(&peak), "{peak} KiB");
}

/// Kills, again and again, the workers of runs of the real command.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are of interest to who asks for them")]
fn h1_ten_thousand_kills_lose_and_double_nothing() {
    let (kills, items) = if is_soak() { (10_000, 20_000) } else { (20, 2_000) };
    let job = || run(&format!("hostile.wasm busy --range 0..{items} -j 2"));
    let quiet = job().stdout_is(|_| true).patience(PATIENCE * 10).check();
    let (mut killed, mut runs, mut took) = (0, 0, Duration::ZERO);
    while killed < kills {
        let running = job().stdout(quiet.stdout.as_str()).stderr_is(|_| true).patience(PATIENCE * 20).start();
        let mut chaos = Chaos::among_workers_of(running.pid(), runs);
        let ended = running.check_while(Duration::from_millis(10), |_| chaos.strike());
        killed += chaos.kills;
        runs += 1;
        took += ended.took;
    }
    let slowdown = took.as_secs_f64() / f64::from(runs) / quiet.took.as_secs_f64();
    println!(
        "figure: H1 {killed} kills in {runs} runs of {items} items: lost 0, duplicated 0, {slowdown:.2} x as long"
    );
}
