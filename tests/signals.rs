//! How a run ends at a signal, and that nothing is left of it. The harness looks for workers that are left behind.

use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Running, run};

/// A run whose workers are busy for ever, after its first record.
fn busy(code: i32, stderr: &str) -> Running {
    let mut running = run("hostile.wasm spin --range 0..4 -j 2 --chunk 1 --timeout none")
        // The other even number may have been in time.
        .stdout_is(|stdout| stdout.starts_with("{\"v\":1,\"index\":0,"))
        .stderr(stderr)
        .code(code)
        .start();
    running.line();
    running
}

#[track_caller]
fn check(signal: Signal, code: i32, stderr: &str) {
    let running = busy(code, stderr);
    let started = Instant::now();
    running.signal(signal);
    running.check();
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn h5_an_interrupt_ends_the_run_with_130() {
    check(Signal::INT, 130, "error: interrupted by SIGINT\n");
}

#[test]
fn h7_a_request_to_end_ends_the_run_with_143() {
    check(Signal::TERM, 143, "error: interrupted by SIGTERM\n");
}

#[test]
fn h7_a_closed_terminal_ends_the_run_with_129() {
    check(Signal::HUP, 129, "error: interrupted by SIGHUP\n");
}

#[test]
fn h5_a_run_that_waits_for_input_is_interrupted() {
    let mut running = run("hostile.wasm echo-string --lines -")
        .stdin_open()
        .stdout("{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":\"one\"}\n")
        .stderr("error: interrupted by SIGINT\n")
        .code(130)
        .start();
    running.write("one\n");
    running.line();
    running.signal(Signal::INT);
    running.check();
}

/// A run that cannot write any more, because nobody reads what it has written.
fn stuck() -> (Running, impl Sized) {
    let job = run("primes.wasm --range 0..1000000 --step 1 --each").code(130);
    let mut running = job.stderr_is(|_| true).start();
    let stdout = running.take_stdout();
    let written = || ioctl_fionread(&stdout).expect("it is a pipe");
    let deadline = Instant::now() + PATIENCE;
    // As long as it can, it writes all the time.
    let mut before = 0;
    while before == 0 || before != written() {
        assert!(Instant::now() < deadline, "it writes on and on");
        before = written();
        assert!(!running.ends_within(Duration::from_millis(200)), "it ends");
    }
    (running, stdout)
}

#[test]
fn h5_a_run_that_cannot_write_is_not_waited_for_long() {
    let (running, _stdout) = stuck();
    running.signal(Signal::INT);
    running.check();
}

#[test]
fn h6_a_second_signal_ends_the_run_at_once() {
    let (running, _stdout) = stuck();
    let started = Instant::now();
    running.signal(Signal::INT);
    // The first decides the exit code, so it has to have been taken before the second is sent.
    assert!(!running.ends_within(Duration::from_millis(100)), "it is waited for at first");
    running.signal(Signal::TERM);
    running.check();
    // The run would have been waited for so long.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn h8_a_host_that_is_killed_leaves_no_unfinished_output() {
    let running = run("hostile.wasm spin --range 0..4 -j 2 --chunk 1 --timeout none -o out").code(-9).start();
    running.worker_at_work();
    running.signal(Signal::KILL);
    assert!(running.ends_within(PATIENCE), "it survives");
    assert!(!folder_of(&running).iter().any(|name| name.starts_with(".wasmpool")));
    running.check();
}

fn folder_of(running: &Running) -> Vec<String> {
    let entries = std::fs::read_dir(running.path(".")).expect("it is there");
    entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn h8_no_worker_outlives_a_host_that_is_killed() {
    let running = busy(-9, "");
    let workers = running.workers();
    let stopped = workers.first().expect("workers are running");
    stopped.signal(Signal::STOP);
    running.signal(Signal::KILL);
    assert!(workers.iter().all(|worker| worker.is_gone_within(Duration::from_secs(1))));
    running.check();
}

#[test]
fn h8_no_sleeping_or_idle_worker_outlives_a_host_that_is_killed() {
    let mut running = run("hostile.wasm sleep-ms --item 0 --item 600000 -j 3 --timeout none")
        .stdout_is(|_| true)
        .code(-9)
        .start();
    running.line();
    let workers = running.workers();
    assert!(workers.len() > 1, "one that sleeps, and a spare");
    running.signal(Signal::KILL);
    assert!(workers.iter().all(|worker| worker.is_gone_within(Duration::from_secs(1))));
    running.check();
}

#[test]
fn h8_no_compile_worker_outlives_a_host_that_is_killed() {
    let running = run("primes.wasm --range 1..800000").code(-9).start();
    let worker = loop {
        match running.workers().pop() {
            Some(worker) => break worker,
            None => assert!(!running.ends_within(Duration::from_millis(1)), "it starts a worker first"),
        }
    };
    running.signal(Signal::KILL);
    assert!(worker.is_gone_within(Duration::from_secs(1)));
    running.check();
}
