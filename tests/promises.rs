//! What breaks other pools, and must not break this one: a worker that is killed, an item whose time is up, a host that
//! is killed, a reader that is slow, a machine without memory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Chaos, PATIENCE, Running, Worker, bash, is_soak, run};

/// Takes some milliseconds for each number.
const STEADY: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 8_000_000))))
    (local.get 0))
  (func (export "merge-f") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))
"#;

fn record(index: u64) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"ok\",\"value\":{index}}}\n")
}

/// Kills a worker that is at work.
fn kill_one(running: &Running) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no worker is at work");
        if let Some(worker) = running.workers().iter().find(|worker| worker.computes_now()) {
            return worker.kill(Signal::KILL);
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
    kill_one(&running);
    running.check();
}

#[test]
fn h1_a_merge_of_100_items_ends_although_a_worker_is_killed() {
    let running = run("steady.wasm f --range 0..100 -j 2 --merge")
        .wat("steady.wasm", STEADY)
        .stdout("4950\n")
        .stderr_is(|stderr| stderr.ends_with("was killed by SIGKILL; replaced\n"))
        .start();
    kill_one(&running);
    running.check();
}

#[test]
fn g1_an_item_whose_time_is_up_does_not_go_on_in_secret() {
    let mut running = run("hostile.wasm spin --range 0..2 -j 1 --chunk 1 --timeout 1s")
        .stdout_is(|stdout| stdout.lines().count() == 2 && stdout.contains("\"status\":\"timeout\""))
        .stderr_is(|stderr| stderr.ends_with("its item used up its time; replaced\n"))
        .code(1)
        .start();
    running.line();
    let worker = running.workers().into_iter().find(Worker::computes_now).expect("the item runs");
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
(module (memory 32768)
  (func (export "f") (param i64)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x7fffffff)) (br 0))))
"#;
    check_stopped("g.wasm f --range 0..1 --timeout 100ms --memory 3GiB", filling);
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
    (if (i64.eqz (i64.and (local.get 0) (i64.const 1)))
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
    let deadline = Instant::now() + PATIENCE;
    let computing = loop {
        assert!(Instant::now() < deadline, "no worker is at work");
        let mut workers = running.workers().into_iter().filter(Worker::computes_now);
        if let (Some(one), Some(other)) = (workers.next(), workers.next()) {
            break [one, other];
        }
    };
    computing[0].signal(Signal::STOP);
    // Another takes its place, and is just starting when the host is killed.
    computing[1].signal(Signal::KILL);
    running
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

/// The kernel kills a worker whose guest needs more than the machine has, here a control group.
#[test]
#[expect(clippy::print_stderr, reason = "who runs the tests should know that one says nothing")]
fn h18_a_machine_without_memory_costs_the_item_and_not_the_host() {
    let Some(group) = control_group() else {
        return eprintln!("no control group can be made: nothing is tried");
    };
    let script = format!(
        "echo $$ > {group}/cgroup.procs; exec wasmpool run hostile.wasm touch-memory --item 4096 --item 700000000 \
         --item 8192 -j 1 --format text --progress none"
    );
    let job = bash(&script).stdout_is(|stdout| {
        let rows: Vec<_> = stdout.lines().collect();
        rows.len() == 4
            && rows[2].contains("crash")
            && rows[2].contains("SIGKILL")
            && rows[3].ends_with("8192")
    });
    job.stderr_is(|_| true).code(1).check();
    let _ = fs::remove_dir(&group);
}

/// A group of processes that may have 300 MB, if this test may make one.
fn control_group() -> Option<String> {
    let group = format!("/sys/fs/cgroup/memory/wasmpool-{}", std::process::id());
    Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists().then_some(())?;
    fs::create_dir(&group).ok()?;
    fs::write(format!("{group}/memory.limit_in_bytes"), "300000000").ok()?;
    Some(group)
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
