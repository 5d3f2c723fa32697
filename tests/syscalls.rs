//! The table of system calls, held against what workers really call: nothing is missing in it, and nothing is there for
//! nobody.

mod files;
mod tracer;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use nix::libc;
use nix::sys::signal::Signal;
use wasmpool::sandbox::FILTERS;
use wasmpool::sandbox::syscalls::{CALLS, Call, Kind, Phase, calls};

use crate::harness::{Wasmpool, is_soak, wasmpool};
use tracer::{Made, Traced};
use workload::Played;

/// Lines that no worker has to need in every run on every machine: the call, what tells the line from the call's other
/// lines, the kinds of workers, and why it is in the table all the same.
const NOT_ALWAYS_SEEN: &[(&str, &str, &[Kind], &str)] = &[
    (
        "clock_gettime",
        "",
        &[Kind::Compile],
        "where the kernel's page has clocks, only a process's own takes a call",
    ),
    ("mmap", "value: 8", &Kind::ALL, "only a C library from glibc 2.41 on asks for it"),
    ("madvise", "Equal(102)", &Kind::ALL, "only a C library from glibc 2.42 on asks for it"),
    ("openat", "", &[Kind::Compile], "an arena of the C library shrinks in one compiler of ten"),
    (
        "openat",
        "NotEqual",
        &[Kind::Reading, Kind::Writing],
        "likewise, and a path with `..` while folders are renamed elsewhere",
    ),
    ("madvise", "", &[Kind::Compile], "so does this, and memory for code that is large"),
    ("sigaltstack", "", &[Kind::Compile], "the host has all that it needs, and seldom waits for the end"),
    ("exit_group", "", &[Kind::Compile], "likewise"),
    ("mmap", "Object", &Kind::ALL, "the command line has no locks and queues; programs do"),
];

impl Traced {
    /// Its calls since the first filter, with whether the last was there by then.
    fn filtered(&self) -> impl Iterator<Item = (Phase, &Made)> {
        let mut put_on = 0;
        self.calls.iter().filter_map(move |made| {
            let phase = match put_on {
                0 => None,
                number if number < FILTERS => Some(Phase::Loading),
                _ => Some(Phase::Always),
            };
            put_on += usize::from(made.number == libc::SYS_seccomp);
            phase.map(|phase| (phase, made))
        })
    }

    fn is_of(&self, call: &Call, made: &Made) -> bool {
        call.is_about(made.number, &made.arguments, self.pid.unsigned_abs(), self.shares)
    }
}

/// One line of the table for one kind of worker, by its place.
type Line = (usize, &'static str);

/// What was found out of all workers.
#[derive(Default)]
struct Findings {
    used: BTreeSet<Line>,
    wrong: BTreeSet<String>,
}

impl Findings {
    fn add(&mut self, scene: &str, worker: &Traced) {
        let kind = worker.kind;
        for (phase, made) in worker.filtered() {
            if !calls(kind, phase).any(|call| worker.is_of(call, made)) {
                let (name, arguments) = (name(made.number), made.arguments);
                self.wrong.insert(format!(
                    "{scene}: a worker that {} calls {name} {arguments:x?} in phase {phase:?}",
                    deed(kind)
                ));
            }
            // A line for loading is needed by what no other line allows.
            let to_the_end = calls(kind, Phase::Always).any(|call| worker.is_of(call, made));
            if phase == Phase::Always || !to_the_end {
                let lines = CALLS.iter().enumerate().filter(|(_, call)| {
                    call.phase == phase && call.kinds.contains(&kind) && worker.is_of(call, made)
                });
                self.used.extend(lines.map(|(at, _)| (at, kind.name())));
            }
        }
        if worker.killed_by == Some(Signal::SIGSYS) {
            let last = worker.calls.last().map_or("nothing".to_owned(), |made| format!("{made:x?}"));
            self.wrong.insert(format!("{scene}: a filter ends a worker that {}: {last}", deed(kind)));
        }
    }
}

fn deed(kind: Kind) -> &'static str {
    match kind {
        Kind::Compile => "compiles",
        Kind::Compute => "has no folders",
        Kind::Reading => "has folders to read",
        Kind::Writing => "has a folder to write to",
    }
}

fn name(number: i64) -> String {
    let known = CALLS.iter().find(|call| call.number == number);
    known.map_or_else(|| format!("number {number}"), |call| call.name.to_owned())
}

/// Why it does not matter that nobody uses a line.
fn excused(call: &Call, kind: Kind) -> bool {
    NOT_ALWAYS_SEEN.iter().any(|(name, tests, kinds, _)| {
        call.name == *name && kinds.contains(&kind) && format!("{:?}", call.tests).contains(tests)
    })
}

#[test]
fn workers_call_what_is_in_the_table_and_all_of_it() {
    let mut findings = Findings::default();
    let mut workers = BTreeMap::new();
    for scene in workload::scenes() {
        let name = scene.name.clone();
        let Played { workers: traced, otherwise } = scene.play();
        for worker in traced {
            findings.add(&name, &worker);
            *workers.entry(worker.kind.name()).or_insert(0) += 1;
        }
        findings.wrong.extend(otherwise.map(|ended| format!("{name}: it prints something else\n{ended}")));
    }
    assert_eq!(workers.len(), Kind::ALL.len(), "{workers:?}");
    let wrong: Vec<_> = findings.wrong.into_iter().collect();
    assert!(
        wrong.is_empty(),
        "workers call what the table lacks, or do not do what they are here for\n{}",
        wrong.join("\n")
    );

    let lines =
        CALLS.iter().enumerate().flat_map(|(at, call)| call.kinds.iter().map(move |kind| (at, call, *kind)));
    let unused: Vec<_> = lines
        .filter(|(at, call, kind)| !findings.used.contains(&(*at, kind.name())) && !excused(call, *kind))
        .map(|(_, call, kind)| {
            format!("`{}` {:?} in phase {:?} for one that {}", call.name, call.tests, call.phase, deed(kind))
        })
        .collect();
    assert!(
        unused.is_empty(),
        "take these lines out of the table, or show who needs them\n{}",
        unused.join("\n")
    );
}

/// As many as it takes to see one of them start at a bad moment.
fn starts() -> u32 {
    if is_soak() { 2000 } else { 200 }
}

/// Each item needs a worker of its own, and each of them must get as far as that.
#[track_caller]
fn check_starts(command: Wasmpool) {
    let last = starts() - 1;
    command
        .args(&format!("--max-items-per-worker 1 --crash-retries 0 --range 0..={last} --each --format csv"))
        .stdout_is(move |stdout| stdout.contains(&format!("\n{last},{last},ok,")))
        .stderr_is(|stderr| !stderr.contains("killed"))
        .patience(10 * crate::harness::PATIENCE)
        .check();
}

#[test]
fn no_worker_without_folders_is_ended_by_its_filter_when_it_starts() {
    check_starts(wasmpool("run hostile.wasm echo-u64 --progress none"));
}

#[test]
fn no_worker_with_folders_is_ended_by_its_filter_when_it_starts() {
    check_starts(wasmpool("run hostile.wasm echo-u64 --progress none --dir data").file("data/x", ""));
}

#[test]
fn no_compile_worker_is_ended_by_its_filter_when_it_starts() {
    for _ in 0..starts() {
        wasmpool("inspect hello.wasm").stdout_is(|stdout| stdout.contains("shout")).check();
    }
}
