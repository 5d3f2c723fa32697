//! `--sandbox` and `wasmpool doctor`: what holds around workers on machines of every kind, and what is said where it
//! does not.

use std::fs;

use rustix::process::{Signal, geteuid};

use crate::harness::{Lack, Running, Wasmpool, Worker, bash, run, wasmpool};

const PRIMES: &str = "primes.wasm --range 0..100000";

const NO_LANDLOCK: &str = "Landlock does not hold: the kernel does not have it, or it is switched off";
const NO_MDWE: &str = "MDWE does not hold: the kernel does not have it: it takes Linux 6.3";

const HINT: &str = "hint: `wasmpool doctor` tells what this machine has; `--sandbox off` runs guests that you trust \
                    without";

const OFF: &str =
    "warning: the sandbox around workers is off: a guest that breaks out of WebAssembly has your rights\n";

/// The same by who runs these tests and, if that is root, by nobody.
fn by_each(job: impl Fn() -> Wasmpool) -> Vec<Wasmpool> {
    [Some(job()), job().by_nobody()].into_iter().flatten().collect()
}

/// Whether this machine has every layer, so that what is missing in a test is what the test takes away.
fn has_every_layer() -> bool {
    by_each(|| wasmpool("doctor --sandbox strict").stdout_is(|_| true).any_code())
        .into_iter()
        .all(|doctor| doctor.check().code == 0)
}

/// `auto` runs and names it, `strict` does not run, `off` runs without a sandbox.
#[track_caller]
fn check_missing(lack: Lack, layer: &str, missing: &str) {
    if !has_every_layer() {
        return;
    }
    let why = missing.strip_prefix(&format!("{layer} does not hold: ")).expect("it is about the layer");
    let without = |mode: &str| by_each(|| run(PRIMES).args(mode).lacking(lack));
    for job in without("") {
        job.stdout("9592\n").stderr(format!("warning: the sandbox lacks {layer}: {why}\n")).check();
    }
    for job in without("--sandbox strict") {
        job.refused(5, &format!("error: a worker is not locked in: {missing}\n\n{HINT}\n"));
    }
    for job in without("--sandbox off") {
        job.stdout("9592\n").stderr(OFF).check();
    }
    for (mode, code) in [("auto", 0), ("strict", 5)] {
        let line = format!("it does not hold: {why}");
        for doctor in by_each(|| wasmpool("doctor").args(&format!("--sandbox {mode}")).lacking(lack)) {
            let line = line.clone();
            doctor.stdout_is(move |text| text.matches(&line).count() == 1).code(code).check();
        }
    }
}

#[test]
fn h22_without_landlock_a_run_says_so() {
    check_missing(Lack::Landlock, "Landlock", NO_LANDLOCK);
}

/// Nothing else keeps a worker in its folders.
#[test]
fn h22_without_landlock_no_folder_is_given_unless_it_is_asked_for() {
    let with_folder = |mode: &str| {
        by_each(|| {
            run("files.wasm count-lines --item data/x")
                .args(mode)
                .file("data/x", "one\ntwo\n")
                .lacking(Lack::Landlock)
        })
    };
    let why = NO_LANDLOCK.strip_prefix("Landlock does not hold").expect("it is about the layer");
    for (mode, whose) in [
        ("--dir data", ", and `--dir` needs it"),
        ("--dir data:rw --sandbox auto", ", and `--dir` needs it"),
        ("--dir data --sandbox strict", ""),
    ] {
        for job in with_folder(mode) {
            let message = format!("error: a worker is not locked in: Landlock does not hold{whose}{why}");
            job.refused(5, &format!("{message}\n\n{HINT}\n"));
        }
    }
    for job in with_folder("--dir data --sandbox off") {
        job.stdout_is(|stdout| stdout.contains("\"value\":2")).stderr(OFF).check();
    }
    for doctor in by_each(|| wasmpool("doctor").lacking(Lack::Landlock)) {
        doctor.stdout_is(move |text| text.contains(&format!("{why}, and `--dir` needs it\n")[2..])).check();
    }
}

#[test]
fn h22_without_mdwe_a_run_says_so() {
    check_missing(Lack::Mdwe, "MDWE", NO_MDWE);
}

#[test]
fn h22_each_layer_that_is_missing_is_named() {
    if !has_every_layer() {
        return;
    }
    for job in by_each(|| run(PRIMES).args("-j 2").lacking(Lack::Landlock).lacking(Lack::Mdwe)) {
        job.stdout("9592\n")
            .stderr_is(|stderr| {
                let lines: Vec<_> = stderr.lines().collect();
                let lack = "warning: the sandbox lacks ";
                lines.len() == 2
                    && lines[0].starts_with(&format!("{lack}Landlock: "))
                    && lines[1].starts_with(&format!("{lack}MDWE: "))
            })
            .check();
    }
}

#[test]
fn h22_without_seccomp_nothing_runs_unless_it_is_asked_for() {
    let missing = |stderr: &str| {
        stderr.starts_with("error: a worker is not locked in: seccomp does not hold: ")
            && stderr.contains(HINT)
    };
    for mode in ["auto", "strict"] {
        for job in by_each(|| run(PRIMES).args(&format!("--sandbox {mode}")).lacking(Lack::Seccomp)) {
            job.stderr_is(missing).code(5).check();
        }
        for doctor in by_each(|| wasmpool("doctor").args(&format!("--sandbox {mode}")).lacking(Lack::Seccomp))
        {
            // The others are told all the same.
            let told = |text: &str| {
                text.contains("\nseccomp             no     ")
                    && text.contains(", and it is required\n")
                    && text.contains("\nrlimits             seen   ")
            };
            doctor.stdout_is(told).code(5).check();
        }
    }
    for job in by_each(|| run(PRIMES).args("--sandbox off").lacking(Lack::Seccomp)) {
        job.stdout("9592\n").stderr(OFF).check();
    }
}

#[test]
fn h22_every_command_that_starts_workers_needs_what_is_required() {
    for line in [
        "call primes.wasm count-primes 0 100",
        "inspect primes.wasm",
        "bench primes.wasm --range 0..100 -j 1 --runs 1",
    ] {
        let refused =
            |stderr: &str| stderr.contains("error: a worker is not locked in: seccomp does not hold: ");
        wasmpool(line).lacking(Lack::Seccomp).stderr_is(refused).code(5).check();
        wasmpool(line)
            .args("--sandbox off")
            .lacking(Lack::Seccomp)
            .stdout_is(|stdout| !stdout.is_empty())
            .stderr_is(|stderr| stderr.matches("the sandbox around workers is off").count() == 1)
            .check();
    }
}

#[test]
fn h22_what_docker_allows_is_enough_for_every_layer() {
    if !has_every_layer() {
        return;
    }
    for mode in ["auto", "strict"] {
        for job in by_each(|| run(PRIMES).args(&format!("--sandbox {mode}")).lacking(Lack::Docker)) {
            job.stdout("9592\n").check();
        }
    }
}

#[test]
fn h22_root_without_capabilities_cannot_become_nobody() {
    if !geteuid().is_root() || !has_every_layer() {
        return;
    }
    let bare = |mode: &str| run(PRIMES).args(&format!("--sandbox {mode}")).lacking(Lack::Capabilities);
    let why = "the host is root without CAP_SETUID";
    let warning = format!("warning: the sandbox lacks unprivileged user: {why}\n");
    bare("auto").stdout("9592\n").stderr(warning).check();
    let missing = format!("error: a worker is not locked in: unprivileged user does not hold: {why}");
    bare("strict").refused(5, &format!("{missing}\n\n{HINT}\n"));
}

#[test]
fn h22_where_proc_hides_workers_a_run_says_that_it_has_to_believe_them() {
    let hidden = |line: &str| wasmpool(line).lacking(Lack::OtherProcesses).by_nobody();
    let Some(auto) = hidden("run --progress none primes.wasm --range 0..100000 -j 2") else { return };
    let said = |stderr: &str| {
        stderr.lines().count() == 1 && stderr.starts_with("warning: the sandbox cannot be verified: `/proc` ")
    };
    auto.stdout("9592\n").stderr_is(said).check();
    if has_every_layer() {
        let strict = hidden("run --progress none primes.wasm --range 0..100000 --sandbox strict");
        let refused =
            |stderr: &str| stderr.starts_with("error: a worker is not locked in: `/proc` does not show ");
        strict.expect("this is root").stderr_is(refused).code(5).check();
    }
    let doctor = hidden("doctor").expect("this is root");
    doctor
        .stdout_is(|text| {
            text.contains("\nWhat the worker says is not verified: ") && !text.contains(" seen ")
        })
        .check();
}

#[test]
fn h22_workers_are_found_in_a_proc_that_numbers_them_otherwise() {
    if !geteuid().is_root() {
        return;
    }
    wasmpool("doctor --sandbox auto")
        .lacking(Lack::OwnNumbers)
        .stdout_is(|text| text.contains("\nseccomp             seen   "))
        .check();
    run(PRIMES)
        .lacking(Lack::OwnNumbers)
        .stdout("9592\n")
        .stderr_is(|stderr| !stderr.contains("verified"))
        .check();
}

/// What `/proc/PID/status` says of each thread of a process.
fn statuses(worker: &Worker) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", worker.pid())).expect("it is at work");
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status"));
    threads.map(|thread| thread.and_then(status).expect("it shows its status")).collect()
}

fn at_work(job: Wasmpool) -> (Running, Worker) {
    let running = job.stdout_is(|_| true).stderr_is(|_| true).any_code().start();
    let worker = running.worker_at_work();
    (running, worker)
}

/// For ever, in one worker.
fn spinning() -> Wasmpool {
    run("hostile.wasm spin --range 1..2 -j 1 --timeout none")
}

/// The worker that runs the item is nobody and has no rights.
#[track_caller]
fn check_nobody(job: Wasmpool) {
    let (running, worker) = at_work(job);
    for status in statuses(&worker) {
        for line in [
            "Uid:\t65534\t65534\t65534\t65534",
            "Gid:\t65534\t65534\t65534\t65534",
            "CapInh:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "CapAmb:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ] {
            assert!(status.lines().any(|found| found == line), "{line}\n{status}");
        }
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).expect("it has groups");
        assert_eq!(groups.trim(), "");
    }
    running.signal(Signal::INT);
    running.check();
}

#[test]
fn h23_the_workers_of_root_are_nobody() {
    if geteuid().is_root() {
        check_nobody(spinning());
    }
}

#[test]
fn h23_the_workers_of_nobody_stay_nobody() {
    spinning().by_nobody().into_iter().for_each(check_nobody);
}

#[test]
fn h23_the_workers_of_root_in_a_container_are_nobody() {
    if geteuid().is_root() {
        check_nobody(spinning().lacking(Lack::Docker));
    }
}

#[test]
fn h23_a_run_by_root_and_one_by_nobody_print_the_same() {
    for job in by_each(|| run(PRIMES)) {
        job.stdout("9592\n").stderr_is(|stderr| !stderr.contains("unprivileged")).check();
    }
}

#[test]
fn a_sandbox_that_is_off_is_told_once_however_a_run_is_told_of() {
    for progress in ["none", "plain", "bar", "auto"] {
        wasmpool("run primes.wasm --range 0..100000 -j 2 --sandbox off")
            .args(&format!("--progress {progress}"))
            .stdout("9592\n")
            .stderr_is(|stderr| stderr.starts_with(OFF) && stderr.matches("the sandbox").count() == 1)
            .check();
    }
}

#[test]
fn a_journal_goes_on_whatever_the_sandbox_was() {
    let job = "wasmpool run primes.wasm --range 0..100000 --progress none --journal j";
    bash(&format!("{job} --sandbox off && {job} --resume"))
        .stdout("9592\n9592\n")
        .stderr(format!("{OFF}resumed: 1000 items from the journal\n"))
        .check();
}

#[test]
fn an_item_is_replayed_in_the_sandbox_of_its_run() {
    bash(
        "wasmpool run primes.wasm --range 0..100 --step 50 --each --journal j --sandbox off --progress none &&
         wasmpool replay j 0",
    )
    .stdout_is(|stdout| stdout.lines().count() == 3)
    .stderr_is(|stderr| stderr.matches(OFF).count() == 2)
    .check();
}

#[test]
fn doctor_tells_each_layer_and_how_it_knows() {
    wasmpool("doctor")
        .stdout_is(|text| {
            let layers = ["no_new_privs", "rlimits", "seccomp"];
            layers.iter().all(|layer| text.contains(&format!("\n{layer:<20}seen   ")))
        })
        .check();
}

#[test]
fn doctor_of_a_sandbox_that_is_off_has_nothing_to_find_fault_with() {
    wasmpool("doctor --sandbox off")
        .stdout_is(|text| {
            text.contains("it does not hold: switched off\n") && text.contains("any system call")
        })
        .check();
}

#[test]
fn doctor_tells_programs_the_same() {
    let ended = wasmpool("doctor --format json").stdout_is(|_| true).check();
    let object: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!((&object["v"], &object["holds"]), (&1.into(), &true.into()));
    let layers = object["layers"].as_array().expect("layers are a list");
    assert!(layers.iter().any(|row| row["layer"] == "seccomp" && row["holds"] == "seen"), "{object}");
}
