//! Runs that are stopped and go on, as with Ctrl-Z and `fg`: no item is the worse for it.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::harness::{PATIENCE, Running, Wasmpool, Worker, bash, run, wait_until_stopped};

/// Each call takes a few tenths of a second.
const SLOW: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 500_000_000))))
    (local.get 0)))
"#;

/// Longer than an item may take.
const STOPPED: Duration = Duration::from_secs(4);

fn ok(items: u64) -> String {
    (0..items)
        .map(|item| {
            format!("{{\"v\":1,\"index\":{item},\"input\":{item},\"status\":\"ok\",\"value\":{item}}}\n")
        })
        .collect()
}

/// Eight items that take a while, none of them as long as three seconds.
fn slow() -> Wasmpool {
    run("slow.wasm f --range 0..8 -j 2 --timeout 3s").wat("slow.wasm", SLOW).stdout(ok(8))
}

/// As [`slow`], after its first record.
fn at_work() -> Running {
    let mut running = slow().start();
    running.line();
    running
}

/// A run whose second item takes for ever, after the first.
fn spinning(milliseconds: u32) -> Running {
    let mut running = run(&format!("hostile.wasm spin --range 0..2 -j 1 --timeout {milliseconds}ms"))
        .stdout(format!(
            "{}{{\"v\":1,\"index\":1,\"input\":1,\"status\":\"timeout\",\"limit\":\"wall\",\"after_ms\":{milliseconds}}}\n",
            ok(1),
        ))
        .stderr_is(|stderr| stderr.contains("used up its time"))
        .code(1)
        .start();
    running.line();
    running
}

#[test]
fn h4_a_run_that_is_stopped_and_goes_on_times_nothing_out() {
    let running = at_work();
    let workers = running.workers();
    running.signal(Signal::TSTP);
    wait_until_stopped(running.pid(), true);
    workers.iter().for_each(|worker| worker.wait_until_stopped(true));
    assert!(!running.ends_within(STOPPED), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h4_a_run_may_be_stopped_again_and_again() {
    let running = at_work();
    for _ in 0..3 {
        running.signal(Signal::TSTP);
        wait_until_stopped(running.pid(), true);
        assert!(!running.ends_within(Duration::from_millis(1500)), "it is stopped");
        running.signal(Signal::CONT);
        wait_until_stopped(running.pid(), false);
    }
    running.check();
}

#[test]
fn h4_an_item_that_takes_too_long_does_so_after_a_stop_too() {
    let running = spinning(2000);
    running.signal(Signal::TSTP);
    wait_until_stopped(running.pid(), true);
    assert!(!running.ends_within(STOPPED), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h4_what_ends_while_the_host_alone_is_stopped_counts() {
    let running = at_work();
    running.signal(Signal::STOP);
    assert!(!running.ends_within(STOPPED), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h4_many_items_that_end_while_the_host_alone_is_stopped_count() {
    let mut running = run("hostile.wasm busy --range 0..2500 -j 2 --timeout 2s")
        .stdout_is(move |stdout| stdout.lines().count() == 2500 && !stdout.contains("timeout"))
        .start();
    running.line();
    running.signal(Signal::STOP);
    assert!(!running.ends_within(STOPPED), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h4_an_item_that_takes_too_long_while_the_host_is_stopped_is_ended_when_it_goes_on() {
    let running = spinning(1000);
    running.signal(Signal::STOP);
    assert!(!running.ends_within(Duration::from_secs(2)), "it is stopped");
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h4_a_stopped_run_can_be_ended() {
    let mut running = slow().stdout_is(|_| true).stderr("error: interrupted by SIGTERM\n").code(143).start();
    running.line();
    running.signal(Signal::TSTP);
    wait_until_stopped(running.pid(), true);
    running.signal(Signal::TERM);
    running.signal(Signal::CONT);
    running.check();
}

#[test]
fn h8_no_stopped_worker_outlives_a_stopped_host_that_is_killed() {
    let mut running = slow().stdout_is(|_| true).code(-9).start();
    running.line();
    let workers = running.workers();
    running.signal(Signal::TSTP);
    wait_until_stopped(running.pid(), true);
    workers.iter().for_each(|worker| worker.wait_until_stopped(true));
    running.signal(Signal::KILL);
    assert!(workers.iter().all(|worker| worker.is_gone_within(Duration::from_secs(1))));
    running.check();
}

#[test]
fn h4_a_stop_that_is_ignored_from_the_start_stays_so() {
    let mut running =
        bash("trap '' TSTP; exec wasmpool run slow.wasm f --range 0..8 -j 2 --progress none --timeout 3s")
            .wat("slow.wasm", SLOW)
            .stdout(ok(8))
            .start();
    running.line();
    running.signal(Signal::TSTP);
    running.check();
}

/// What a person does at a terminal, with a shell that has jobs.
#[test]
fn h4_ctrl_z_and_fg_in_a_shell_change_nothing_about_the_output() {
    const RUN: &str = "wasmpool run slow.wasm f --range 0..8 -j 2 --progress none --timeout 3s";
    let mut running = bash("exec script -qec 'bash --norc --noprofile -i' /dev/null")
        .wat("slow.wasm", SLOW)
        .stdin_open()
        .stdout_is(|stdout| stdout.contains("Stopped") && stdout.contains("code=0"))
        .start();
    running.write(&format!("sh -c 'echo $$ > pid; exec {RUN}' > out 2> err\n"));
    let host = wait_for(&running, "pid").parse().ok().and_then(Pid::from_raw).expect("a shell has a number");
    wait_for(&running, "out");
    let workers = Worker::all_of(host);
    running.write("\x1a");
    wait_until_stopped(host, true);
    workers.iter().for_each(|worker| worker.wait_until_stopped(true));
    assert!(!running.ends_within(STOPPED), "it is stopped");
    running.write("fg\n");
    wait_until_stopped(host, false);
    running.write("echo code=$?; exit\n");
    assert!(running.ends_within(PATIENCE), "the shell does not end");
    let read = |name| fs::read_to_string(running.path(name)).expect("it has run");
    assert_eq!((read("out"), read("err")), (ok(8), String::new()));
    running.check();
}

/// The first line of a file that is to come.
#[track_caller]
fn wait_for(running: &Running, name: &str) -> String {
    let path = running.path(name);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return line.to_owned();
        }
        let is_over = running.ends_within(Duration::from_millis(5));
        assert!(!is_over && Instant::now() < deadline, "there is no `{name}`");
    }
}
