//! Machines and parents that allow little: few open files, no more processes, no `/proc`, nowhere to write, signals
//! that are ignored.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Lack, PATIENCE, Running, Wasmpool, bash, run, wasmpool};

/// Each call takes a few tenths of a second.
const SLOW: &str = r#"
(module
  (func (export "f") (param i64) (result i64) (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 500_000_000))))
    (local.get 0)))
"#;

fn ok(items: u64) -> String {
    (0..items)
        .map(|item| {
            format!("{{\"v\":1,\"index\":{item},\"input\":{item},\"status\":\"ok\",\"value\":{item}}}\n")
        })
        .collect()
}

const PRIMES: &str = "wasmpool run primes.wasm --range 0..100000 --progress none";

#[test]
fn h16_too_few_open_files_are_told_before_anything_starts() {
    bash(&format!("ulimit -n 32; exec {PRIMES} -j 64"))
        .stderr_is(|stderr| {
            // How many are open from the start is the shell's affair.
            let parts = [
                "error: 64 workers may need 8",
                " open files, and this process may have 32\n\nhint: `ulimit -n 8",
            ];
            stderr.starts_with(parts[0]) && stderr.contains(parts[1]) && stderr.ends_with("` allows them\n")
        })
        .code(2)
        .check();
}

#[test]
fn h16_what_is_proposed_for_few_open_files_works() {
    // How many fit depends on how many files are open from the start.
    let proposed = format!("{PRIMES} -j 64 2>&1 | grep -o 'j [0-9]*. fits' | grep -o '[0-9]*'");
    bash(&format!("ulimit -n 100; workers=$({proposed}) && exec {PRIMES} -j $workers"))
        .stdout("9592\n")
        .check();
}

#[test]
fn h16_a_low_limit_that_this_process_may_raise_is_raised() {
    bash(&format!("ulimit -Sn 32; exec {PRIMES} -j 8")).stdout("9592\n").check();
}

/// Allows the host no new process. It is no superuser, who may have as many as he likes.
fn forbid_processes(host: &Running) {
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=1:1"])
        .arg(format!("--pid={}", host.pid()))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "who is the same user may do that");
}

/// Kills the oldest worker.
fn kill_one(host: &Running) {
    let workers = host.workers();
    let worker = workers.first().expect("there are workers");
    worker.kill(Signal::KILL);
}

fn starved(items: u32) -> Option<Running> {
    let job =
        run(&format!("slow.wasm f --range 0..{items} -j 2 --chunk 1")).wat("slow.wasm", SLOW).by_nobody()?;
    let mut running = job.stderr_is(|_| true).stdout_is(|_| true).any_code().start();
    running.line();
    let deadline = Instant::now() + PATIENCE;
    // The spare is started when the first worker is ready.
    while running.workers().len() < 3 {
        assert!(
            Instant::now() < deadline && !running.ends_within(Duration::from_millis(5)),
            "there is no spare"
        );
    }
    forbid_processes(&running);
    Some(running)
}

#[test]
fn h17_a_pool_that_can_start_no_worker_goes_on_with_those_it_has() {
    let Some(running) = starved(30) else { return };
    // The first is replaced by the spare, the second by none.
    kill_one(&running);
    kill_one(&running);
    let ended = running.check();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ok(30).as_str()), "{ended}");
    let missing = " cannot be started: Resource temporarily unavailable (os error 11); the others go on";
    assert_eq!(ended.stderr.matches(missing).count(), 1, "{ended}");
}

#[test]
fn h17_a_pool_without_any_worker_breaks() {
    let Some(running) = starved(1000) else { return };
    while let Some(worker) = running.workers().first() {
        worker.kill(Signal::KILL);
    }
    let ended = running.check();
    assert_eq!(ended.code, 6, "{ended}");
    assert!(
        ended.stderr.contains("error: the pool broke: a worker cannot be started: Resource temp"),
        "{ended}"
    );
}

#[test]
fn h25_signals_that_the_parent_ignores_change_nothing() {
    // Bash passes on what it ignores; a worker that dies has to be told from one that does not.
    bash("trap '' CHLD PIPE HUP TTOU; exec wasmpool run hostile.wasm spin --range 0..3 -j 2 --timeout 300ms --progress none")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":0,\"status\":\"ok\",\"value\":0}\n\
             {\"v\":1,\"index\":1,\"input\":1,\"status\":\"timeout\",\"limit\":\"wall\",\"after_ms\":300}\n\
             {\"v\":1,\"index\":2,\"input\":2,\"status\":\"ok\",\"value\":2}\n",
        )
        .stderr_is(|stderr| stderr.lines().count() == 1 && stderr.contains("used up its time; replaced"))
        .code(1)
        .check();
}

#[test]
fn h25_a_worker_that_is_killed_is_told_as_such_although_the_parent_ignores_the_ends_of_children() {
    let script = "trap '' CHLD; exec wasmpool run slow.wasm f --range 0..6 -j 1 --chunk 1 --progress none";
    let mut running = bash(script)
        .wat("slow.wasm", SLOW)
        .stdout(ok(6))
        .stderr_is(|stderr| stderr.contains(" was killed by SIGKILL; replaced"))
        .start();
    running.line();
    // It, or the spare.
    running.workers().iter().for_each(|worker| worker.signal(Signal::KILL));
    running.check();
}

#[test]
fn h25_under_nohup_a_closed_terminal_ends_nothing() {
    let mut running = bash("exec nohup wasmpool run slow.wasm f --range 0..4 -j 2 --progress none")
        .wat("slow.wasm", SLOW)
        .stdout(ok(4))
        .stderr_is(|stderr| stderr.is_empty() || stderr.starts_with("nohup: "))
        .start();
    running.line();
    running.signal(Signal::HUP);
    running.check();
}

const RAISE: &str = "hint: a process or thread takes one of `ulimit -u`, and memory of `ulimit -v` and `ulimit -d`: raise \
                     what is low\n";

#[test]
fn h18_too_few_addresses_are_no_guests_fault() {
    bash(&format!("ulimit -v 500000; exec {PRIMES}")).refused(
        6,
        "error: the pool broke: a worker needs 5120 MiB of address space, and this process may have 488\n\n\
         hint: `ulimit -v 5242880` allows it; what is not used takes no memory\n",
    );
}

#[test]
fn h18_a_guest_that_needs_more_addresses_than_others_is_told_so() {
    const MEMORIES: &str = r#"
(module (memory 1) (memory 1) (memory 1)
  (func (export "f") (param i64) (result i64) (local.get 0)))
"#;
    bash("ulimit -v 6000000; exec wasmpool run memories.wasm f --range 0..1 --progress none")
        .wat("memories.wasm", MEMORIES)
        .stdout_is(|stdout| stdout.contains(r#""status":"memory","limit":"process""#))
        .code(1)
        .check();
}

#[test]
fn h18_too_little_memory_for_a_thread_is_told_with_what_to_raise() {
    bash(&format!("ulimit -d 1000; exec {PRIMES}")).refused(
        6,
        &format!(
            "error: the pool broke: signals cannot be watched for: Resource temporarily unavailable (os error \
             11)\n\n{RAISE}"
        ),
    );
}

#[test]
fn h12_files_that_may_not_grow_are_no_guests_fault() {
    let hint = "hint: memory that processes share counts as a file: `ulimit -f unlimited` allows it\n";
    for command in [PRIMES, "wasmpool inspect primes.wasm"] {
        let why =
            "error: the pool broke: `primes.wasm` cannot be copied into memory: File too large (os error 27)";
        bash(&format!("ulimit -f 0; exec {command}")).refused(6, &format!("{why}\n\n{hint}"));
    }
    let why = "error: the pool broke: a worker cannot be started: File too large (os error 27)";
    bash("ulimit -f 0; exec wasmpool doctor").refused(6, &format!("{why}\n\n{hint}"));
}

/// Nothing runs, and this is said.
#[track_caller]
fn check_forbidden(lack: Lack, why: &str, hint: &str) {
    for job in [run("primes.wasm --range 0..10"), wasmpool("inspect primes.wasm")] {
        let (why, hint) = (why.to_owned(), hint.to_owned());
        job.lacking(lack)
            .stderr_is(move |stderr| stderr.contains(&why) && stderr.contains(&hint))
            .code(6)
            .check();
    }
}

#[test]
fn h22_a_system_that_does_not_signal_by_descriptor_is_refused() {
    check_forbidden(
        Lack::PidfdSignals,
        "error: the pool broke: the compile worker cannot be started: the system refuses `pidfd_send_signal`",
        "hint: Linux has it since 5.1",
    );
}

#[test]
fn h22_a_system_without_memory_to_be_shared_is_refused() {
    let why = "`primes.wasm` cannot be copied into memory: Operation not permitted (os error 1)";
    check_forbidden(Lack::Memfd, why, "hint: `memfd_create`, which a container's seccomp profile may refuse");
}

#[test]
fn h22_a_system_that_sets_no_limits_is_refused() {
    let why = "error: the pool broke: the compile worker exited with code 70 before it was ready (cannot ";
    check_forbidden(Lack::Prlimit, why, "");
}

/// Runs it where it may change what is mounted; nothing where this test may not.
pub(crate) fn with_mounts(changes: &str, script: &str) -> Option<Wasmpool> {
    rustix::process::geteuid().is_root().then(|| {
        let script = format!("{changes} && exec {script}");
        bash(&format!("unshare --mount true || exit 99; exec unshare --mount bash -c '{script}'"))
    })
}

#[test]
fn h21_without_proc_what_is_missing_is_said() {
    let Some(job) = with_mounts("umount --lazy /proc", PRIMES) else { return };
    job.refused(
        6,
        "error: the pool broke: the compile worker cannot be started: `/proc` is not mounted\n\n\
         hint: workers are started, and load their code, through `/proc/self`: `mount -t proc proc /proc`\n",
    );
}

#[test]
fn h21_nothing_is_written_anywhere_and_no_home_is_needed() {
    let read_only = "mount -o bind,ro /tmp /tmp; mount -t tmpfs -o ro none /dev/shm; unset HOME TMPDIR";
    let Some(job) = with_mounts(read_only, &format!("env -u HOME {PRIMES}")) else { return };
    job.stdout("9592\n").check();
}

#[test]
fn h9_no_worker_outlives_a_host_that_aborts() {
    for signal in [Signal::ABORT, Signal::SEGV] {
        let mut running = run("hostile.wasm spin --range 0..4 -j 2 --chunk 1 --timeout none")
            .stdout_is(|_| true)
            .stderr_is(|_| true)
            .any_code()
            .start();
        running.line();
        let workers = running.workers();
        while !running.ends_within(Duration::from_millis(20)) {
            running.signal(signal);
        }
        assert!(workers.iter().all(|worker| worker.is_gone_within(Duration::from_secs(1))));
        running.check();
    }
}
