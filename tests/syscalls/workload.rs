//! Runs in which workers do everything that they ever do, and what they called.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use wasmpool::sandbox::FILTERS;

use super::files;
use super::tracer::{Traced, follow};
use crate::harness::{Ended, Lack, Running, Wasmpool, wasmpool};
use crate::limits::set_data_limit;

/// One run.
pub(super) struct Scene {
    pub(super) name: String,
    command: Wasmpool,
    /// What is done while it runs.
    meanwhile: fn(&mut Running),
    /// What is in what it prints.
    expected: &'static str,
}

/// What came of it.
pub(super) struct Played {
    pub(super) workers: Vec<Traced>,
    /// What it gave back, if that is not what was expected.
    pub(super) otherwise: Option<Ended>,
}

impl Scene {
    fn new(name: impl Into<String>, command: Wasmpool, meanwhile: fn(&mut Running)) -> Self {
        // Workers are killed in some of them, and what comes of that is for other tests.
        let command = command.any_code().stdout_is(|_| true).stderr_is(|_| true).stopped();
        Self { name: name.into(), command, meanwhile, expected: "" }
    }

    /// Runs it; this is in what it prints.
    fn printing(command: &str, with: &str, expected: &'static str) -> Self {
        let name = format!("{command} {with}");
        Self { expected, ..Self::new(name, command_in_folder(command).args(with), |_| ()) }
    }

    pub(super) fn play(self) -> Played {
        let mut running = self.command.start();
        let host = running.pid().as_raw_nonzero().get();
        let tracer = thread::spawn(move || follow(host));
        (self.meanwhile)(&mut running);
        let ended = running.check();
        let workers = tracer.join().expect("it follows the command to its end");
        let otherwise = Some(ended).filter(|ended| !ended.stdout.contains(self.expected));
        Played { workers, otherwise }
    }
}

/// What makes the kinds of workers that serve.
const FOLDERS: [&str; 3] = ["", READING, WRITING];
const READING: &str = "--dir data";
const WRITING: &str = "--dir data:rw";

/// What guests do with and without folders, and what is in what they print.
const ANYWHERE: &[(&str, &str)] = &[
    ("run primes.wasm --range 1..20000", "2262"),
    ("run primes.wasm count-divisors --range 0..300 --each --meta -j 2", "\"index\":299"),
    ("run text.wasm --blocks text.txt --block-size 64KiB", "\"word-count\":150000"),
    ("run tour.wasm add --item [1,2] --item [3,4] --deterministic", "\"value\":7"),
    ("call hello.wasm shout x", "X"),
    ("run hostile.wasm count-calls --range 0..5 --isolation worker -j 1", "\"value\":5"),
    ("run hostile.wasm busy --range 0..5 --fuel 100000000", "\"index\":4"),
    ("run hostile.wasm trap-odd --range 0..4 --meta", "\"backtrace\":"),
    ("run hostile.wasm spin --range 0..3 --timeout 300ms", "\"status\":\"timeout\""),
    ("run hostile.wasm grow-until-refused --range 100..102 --memory 64MiB", "\"status\":\"memory\""),
    ("call hostile.wasm divide 1 0", "unreachable"),
    ("call hostile.wasm overflow-stack 1", "stack-overflow"),
    ("call hostile.wasm read-address 4000000000", "memory-out-of-bounds"),
    ("call hostile.wasm panic-with x", "unreachable"),
    ("call hostile.wasm exit-with 3", "\"status\":\"exit\""),
    ("call hostile.wasm print x", "1"),
    ("call hostile.wasm print-error x", "1"),
    ("call hostile.wasm flood-stdout 200000", "200000"),
    ("call hostile.wasm big-result 3000000", "xxx"),
    ("call hostile.wasm grow-memory 100", "17"),
    ("call hostile.wasm touch-memory 50000000", "50000000"),
    ("call hostile.wasm sleep-ms 20", "20"),
    ("call hostile.wasm read-clocks", "["),
    ("call hostile.wasm environment --env A=1", "[[\"A\",\"1\"]]"),
    ("call hostile.wasm echo-bytes [1,2,3]", "AQID"),
    ("run traps.wasm f --range 0..6", "\"index\":5"),
    ("run random.wasm f --range 0..4000 -j 1", "\"index\":3999"),
    ("call sharing.wasm peek t 1 --share t=text.txt", "\"ok\":111"),
    ("call sharing.wasm poke t 1 66 --share t=text.txt:rw", "\"ok\":null"),
    ("run many.wasm f --range 0..3", "\"index\":2"),
    ("run large.wasm f --range 5..7 --memory 4GiB", "\"value\":6"),
];

/// A guest with every kind of trap.
const TRAPS: &str = r#"(module (memory 1) (table 2 funcref) (type $t (func))
    (func (export "f") (param i32) (result i32)
      (if (i32.eq (local.get 0) (i32.const 1)) (then (unreachable)))
      (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
      (if (i32.eq (local.get 0) (i32.const 3)) (then (drop (i32.load (i32.const 0xffffff00)))))
      (if (i32.eq (local.get 0) (i32.const 4)) (then (call_indirect (type $t) (i32.const 0))))
      (if (i32.eq (local.get 0) (i32.const 5)) (then (drop (i32.trunc_f64_u (f64.const nan)))))
      (local.get 0)))"#;

/// A guest that asks for a random number. After some thousand items, the runtime takes a new seed from the kernel.
const RANDOM: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "f") (param i32) (result i32) (call $random (i32.const 0) (i32.const 8))))"#;

/// A guest that does not fit the pool of instances.
fn many() -> String {
    let memories = "(memory 2)".repeat(20);
    format!(
        r#"(module (memory 1) {memories} (data (i32.const 0) "abc")
          (func (export "f") (param i64) (result i64)
            (drop (memory.grow (i32.const 5))) (i64.load (i32.const 0))))"#
    )
}

/// A guest that starts with all the memory there can be.
const LARGE: &str = r#"(module (memory 65536) (func (export "f") (param i64) (result i64)
    (i64.store (i32.const 0xfffffff0) (local.get 0)) (i64.load (i32.const 0xfffffff0))))"#;

/// A guest that takes a while to compile, and some memory.
fn huge() -> String {
    let mut text = "(module (memory 1)\n".to_owned();
    for n in 0..2000 {
        // Writing to a string cannot fail.
        let _ = write!(text, "(func (export \"f{n}\") (param i64) (result i64) (local.get 0)");
        for k in 0..30 {
            let _ = write!(text, "(i64.const {k}) (i64.mul) (i32.const {}) (i64.load8_u) (i64.add)", n * k);
        }
        text.push_str(")\n");
    }
    text + ")"
}

/// A command, with all that the scenes need in its folder.
fn command_in_folder(line: &str) -> Wasmpool {
    let command = wasmpool(line)
        .wat("traps.wasm", TRAPS)
        .wat("random.wasm", RANDOM)
        .wat("many.wasm", &many())
        .wat("large.wasm", LARGE)
        .wat("files1.wasm", &files::guest())
        .wat("reader.wasm", &files::reader())
        .file("text.txt", "some words of a text\n".repeat(30_000))
        .file("data/inside.txt", "inside\nand more\n")
        .file("data/locked.txt", "")
        .file("data/sub/deep.txt", "deep\n")
        .file("storm/a/x", "");
    let locked = command.path("data/locked.txt");
    fs::set_permissions(locked, Permissions::from_mode(0o000)).expect("it has just been made");
    if line.starts_with("run ") { command.args("--progress none") } else { command }
}

/// Everything.
pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes: Vec<_> = ANYWHERE
        .iter()
        .flat_map(|(line, expected)| FOLDERS.map(|with| (line, with, expected)))
        // Such a run is refused.
        .filter(|(line, with, _)| !line.contains("--deterministic") || *with != WRITING)
        .map(|(line, with, expected)| Scene::printing(line, with, expected))
        .collect();
    scenes.extend(FOLDERS.map(|with| {
        let command = command_in_folder("call hostile.wasm sleep-ms 1").args(with);
        Scene::new(format!("in a container {with}"), command.lacking(Lack::Clone3), |_| ())
    }));
    scenes.extend(compiling());
    scenes.extend(FOLDERS.into_iter().flat_map(ends));
    scenes.extend(in_folders());
    scenes
}

/// What compile workers do.
fn compiling() -> Vec<Scene> {
    let huge = |line: &str| command_in_folder(line).wat("huge.wasm", &huge());
    vec![
        Scene::printing("inspect text.wasm", "", "analyze"),
        Scene::new("a file that is no guest", wasmpool("inspect x.wasm").file("x.wasm", "\0asm"), |_| ()),
        Scene::new("a guest of many functions", huge("call huge.wasm f3 5"), |_| ()),
        Scene::new("a compiler without memory", huge("call huge.wasm f3 5"), |running| {
            set_data_limit(running.worker_that_has_computed().pid(), 1 << 20);
        }),
        Scene::new("a compiler that is sent a fault", huge("call huge.wasm f3 5"), |running| {
            running.worker_that_has_computed().kill(Signal::SEGV);
        }),
    ]
}

/// Whether a worker has put on all its filters.
fn is_locked(worker: rustix::process::Pid) -> bool {
    let filters = |process: &str| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let count =
            status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")?.trim().parse().ok());
        count.unwrap_or(0_usize)
    };
    filters(&worker.as_raw_nonzero().to_string()) >= filters("self") + FILTERS
}

/// Ends of serving workers.
fn ends(with: &str) -> Vec<Scene> {
    let run = |export: &str| {
        let command = command_in_folder("run hostile.wasm --jsonl - -j 1");
        command.args(export).args(with).stdin_open()
    };
    vec![
        Scene::new(format!("a worker without memory {with}"), run("echo-string"), |running| {
            running.write("\"a\"\n");
            running.line();
            // A spare that is still loading has no lack of memory: nobody's item has been there.
            let locked = running.workers().into_iter().filter(|worker| is_locked(worker.pid()));
            locked.for_each(|worker| set_data_limit(worker.pid(), 1 << 20));
            running.write(&format!("\"{}\"\n", "x".repeat(8_000_000)));
            running.close_stdin();
        }),
        Scene::new(format!("a worker that is sent a fault {with}"), run("echo-u64"), |running| {
            running.write("1\n");
            running.line();
            running.workers().iter().for_each(|worker| worker.kill(Signal::SEGV));
            running.close_stdin();
        }),
    ]
}

/// What only workers with folders do.
fn in_folders() -> Vec<Scene> {
    /// Ways of `try-file`, and with what.
    const WAYS: [&str; 16] = [
        "read data/inside.txt -",
        "list data/sub -",
        "look data/inside.txt -",
        "follow data/inside.txt -",
        "write data/inside.txt -",
        "append data/inside.txt -",
        "truncate data/inside.txt -",
        "shorten data/inside.txt -",
        "create data/new -",
        "remove data/inside.txt -",
        "make-folder data/new -",
        "remove-folder data/sub -",
        "rename data/inside.txt data/new",
        "link data/inside.txt data/new",
        "symlink inside.txt data/new",
        "date data/inside.txt -",
    ];
    let call = |line: &str| format!("call hostile.wasm {line}");
    const OK: &str = "\"status\":\"ok\"";
    let last = files::ITEMS - 1;
    let both = |with: &'static str| {
        let ways =
            WAYS.iter().map(move |way| (format!("{} --format text", call(&format!("try-file {way}"))), ""));
        let others = [
            ("call files.wasm count-lines data/inside.txt".to_owned(), "2"),
            ("call files.wasm list-folder data".to_owned(), "inside.txt"),
            (call("open-many data/inside.txt 100"), "["),
            (format!("run files1.wasm f --range 0..={last} -j 1"), OK),
            (format!("run reader.wasm f --range 0..={last} -j 1"), OK),
        ];
        ways.chain(others).map(move |(line, expected)| Scene::printing(&line, with, expected))
    };
    let mut scenes: Vec<_> = [READING, WRITING].into_iter().flat_map(both).collect();
    scenes.extend([
        Scene::printing("call files.wasm write-text data/new.txt abc", WRITING, "3"),
        Scene::printing(&call("fill-file data/new 1000000"), WRITING, "1000000"),
    ]);
    scenes.push(storm());
    scenes
}

/// The kernel gives up on paths with `..` while folders are renamed elsewhere, and the runtime goes on by itself.
fn storm() -> Scene {
    let path = "sub/../".repeat(500);
    let command = command_in_folder("run hostile.wasm read-file --dir data -j 1 --crash-retries 0");
    let command = (0..10).fold(command, |command, _| command.args(&format!("--item data/{path}inside.txt")));
    Scene::new("a storm", command, |running| {
        let (here, there) = (running.path("storm/a"), running.path("storm/b"));
        while !running.ends_within(Duration::ZERO) {
            fs::rename(&here, &there).expect("the folder is ours");
            fs::rename(&there, &here).expect("the folder is ours");
        }
    })
}
