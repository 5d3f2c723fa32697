//! Files that guests have in their memory: `--share`, what they find there and what they leave.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Running, Wasmpool, bash, run, wasmpool};

/// What is said where a file can be written to.
const NOTE: &str = "shared: every item can write to `t`, so the guests of this run are one trust group\n";

/// A folder with a file that is shared, which commands come and go in.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().expect("there is a place for temporary files"));
        scene.write("abc");
        scene
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("table")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("the folder is ours");
    }

    #[track_caller]
    fn check(&self, text: &str) {
        assert_eq!(fs::read_to_string(self.path()).expect("it is there"), text);
    }

    /// `@` stands for the folder.
    fn wasmpool(&self, line: &str) -> Wasmpool {
        wasmpool(&line.replace('@', &format!("{}/", self.0.path().display())))
    }

    /// A run that has written to the file, and waits for more items.
    fn poked(&self, more: &str) -> Running {
        let line = format!("run sharing.wasm poke --jsonl - --share t=@table:rw --progress none {more}");
        let running = self.wasmpool(&line).stdin_open().stdout_is(|stdout| stdout.contains("\"ok\":null"));
        let mut running = running.any_code().stderr_is(|stderr| stderr.starts_with(NOTE)).start();
        running.write("[\"t\",0,65]\n");
        running.line();
        running
    }
}

/// A call of the guest that shares, in a folder with a file `table`.
fn call(line: &str) -> Wasmpool {
    wasmpool("call sharing.wasm").args(line).file("table", "abc")
}

#[test]
fn a_guest_finds_a_file_in_its_memory() {
    call("peek t 1 --share t=table").stdout("{\"ok\":98}\n").check();
    call("peek t 1 --share t=table:ro").stdout("{\"ok\":98}\n").check();
}

#[test]
fn a_file_may_come_through_a_pipe() {
    bash("wasmpool call guests/sharing.wasm peek t 1 --share t=<(printf abc)")
        .stdout("{\"ok\":98}\n")
        .check();
}

#[test]
fn every_worker_finds_the_same() {
    const WORD: u64 = 0x0123_4567_89ab_cdef;
    let parts: String = (0..40).map(|part| format!("[\"t\",{part},40]\n")).collect();
    let sum = format!("\"value\":{{\"ok\":{}}}", WORD.wrapping_mul(1000));
    run("sharing.wasm sum-words --jsonl parts --share t=words -j 3")
        .file("words", WORD.to_le_bytes().repeat(40_000))
        .file("parts", parts)
        .stdout_is(move |stdout| stdout.matches(&sum).count() == 40)
        .check();
}

#[test]
fn a_guest_finds_what_is_shared_and_nothing_else() {
    for line in ["peek u 1 --share t=table", "peek t 1"] {
        call(line).stdout_is(|stdout| stdout.starts_with("{\"err\":")).check();
    }
}

#[test]
fn several_files_have_names_of_their_own() {
    for (name, byte) in [("t", 120), ("u", 97), ("v", 97)] {
        call(&format!("peek {name} 0 --share u=table --share t=other:rw --share v=table"))
            .file("other", "xyz")
            .stdout(format!("{{\"ok\":{byte}}}\n"))
            .stderr(NOTE)
            .check();
    }
}

#[test]
fn folders_are_where_they_are_looked_for_beside_what_is_shared() {
    wasmpool("call files.wasm count-lines data/a --dir data --share t=data/a --share u=b:rw")
        .file("data/a", "one\ntwo\n")
        .file("b", "b")
        .stdout("2\n")
        .stderr(NOTE.replace("`t`", "`u`"))
        .check();
}

#[test]
fn a_guest_that_does_not_share_runs_as_ever() {
    wasmpool("call hello.wasm shout x --share t=table").file("table", "abc").stdout("X\n").check();
}

#[test]
fn a_user_without_rights_shares_as_well() {
    let scene = Scene::new();
    fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o666)).expect("it is ours");
    fs::set_permissions(scene.0.path(), PermissionsExt::from_mode(0o777)).expect("it is ours");
    let command = scene.wasmpool("call sharing.wasm poke t 0 65 --share t=@table:rw");
    if let Some(command) = command.by_nobody() {
        command.stdout("{\"ok\":null}\n").stderr(NOTE).check();
        scene.check("Abc");
    }
}

#[test]
fn what_items_write_is_written_back() {
    let scene = Scene::new();
    scene
        .wasmpool("run sharing.wasm poke -j 2 --progress none --share t=@table:rw")
        .args("--item [\"t\",0,65] --item [\"t\",2,67]")
        .stdout_is(|stdout| stdout.matches("\"ok\":null").count() == 2)
        .stderr(NOTE)
        .check();
    scene.check("AbC");
}

#[test]
fn items_find_what_others_have_written() {
    let scene = Scene::new();
    let mut running = scene.poked("-j 2 --chunk 1");
    running.close_stdin();
    running.check();
    scene.wasmpool("call sharing.wasm peek t 0 --share t=@table").stdout("{\"ok\":65}\n").check();
}

#[test]
fn a_file_that_is_read_and_not_changed_is_not_touched() {
    let scene = Scene::new();
    let inode = || fs::metadata(scene.path()).expect("it is there").ino();
    let was = inode();
    scene
        .wasmpool("call sharing.wasm peek t 0 --share t=@table:rw")
        .stdout("{\"ok\":97}\n")
        .stderr(NOTE)
        .check();
    assert_eq!(inode(), was);
}

#[test]
fn a_file_is_as_it_was_until_the_run_has_ended() {
    let scene = Scene::new();
    let mut running = scene.poked("");
    scene.check("abc");
    running.close_stdin();
    running.check();
    scene.check("Abc");
}

#[test]
fn what_was_done_before_an_item_failed_is_written_back() {
    let scene = Scene::new();
    let mut running = scene.poked("--fail-fast");
    running.write("[\"t\",9,65]\n");
    assert_eq!(running.check().code, 1);
    scene.check("Abc");
}

#[test]
fn what_was_done_before_an_interrupt_is_written_back() {
    let scene = Scene::new();
    let running = scene.poked("");
    running.signal(Signal::INT);
    assert_eq!(running.check().code, 130);
    scene.check("Abc");
}

#[test]
fn a_run_that_is_killed_leaves_the_file_as_it_was_and_nothing_beside_it() {
    let scene = Scene::new();
    let running = scene.poked("");
    running.signal(Signal::KILL);
    running.check();
    scene.check("abc");
    assert_eq!(fs::read_dir(scene.0.path()).expect("it is there").count(), 1);
}

#[test]
fn a_bench_begins_each_run_with_what_is_in_the_file() {
    let scene = Scene::new();
    scene
        .wasmpool("bench sharing.wasm scribble --item t -j 2 --runs 2 --share t=@table:rw")
        .stdout_is(|stdout| stdout.contains("the same in all"))
        .stderr_is(|stderr| stderr.matches(NOTE).count() == 1)
        .check();
    scene.check("abc");
}

#[test]
fn a_journal_goes_on_with_the_same_content_alone() {
    let scene = Scene::new();
    let run = "run sharing.wasm peek --item [\"t\",0] --progress none --share t=@table --journal @journal";
    let record = "{\"v\":1,\"index\":0,\"input\":[\"t\",0],\"status\":\"ok\",\"value\":{\"ok\":97}}\n";
    scene.wasmpool(run).stdout(record).check();
    let resumed = || scene.wasmpool(&format!("{run} --resume"));
    resumed().stdout(record).stderr("resumed: 1 item from the journal\n").check();
    scene.write("xyz");
    resumed()
        .stderr_is(|stderr| stderr.contains("is of another job: the BLAKE3 of `t` was `64"))
        .code(2)
        .check();
}

#[test]
fn a_journal_goes_on_with_whatever_is_in_a_file_that_is_written_to() {
    let scene = Scene::new();
    let run = "run sharing.wasm scribble --item t --progress none --share t=@table:rw --journal @journal";
    scene.wasmpool(run).stdout_is(|_| true).stderr(NOTE).check();
    scene.check("cbc");
    let resumed = format!("{NOTE}resumed: 1 item from the journal\n");
    scene.wasmpool(&format!("{run} --resume")).stdout_is(|_| true).stderr(resumed).check();
    scene
        .wasmpool(&format!("{run} --resume").replace("t=@table:rw", "t=@table"))
        .stderr_is(|stderr| stderr.contains("`--share` was") && stderr.contains("now it is `\"t\", ro`"))
        .code(2)
        .check();
}

/// What this recorded run gives when it is replayed after `then`, and what is in the file.
fn replayed(run: &str, then: &str) -> Wasmpool {
    bash(&format!(
        "wasmpool run guests/sharing.wasm {run} --progress none --journal j > /dev/null 2>&1; \
         {then}; wasmpool replay j 0; code=$?; cat table; exit $code"
    ))
    .file("table", "abc")
}

#[test]
fn a_replay_has_the_same_content_or_none() {
    let run = "peek --item '[\"t\",0]' --share t=table";
    replayed(run, "true")
        .stdout_is(|stdout| stdout.contains("{\"ok\":97}") && stdout.ends_with("abc"))
        .stderr("journal: item 0 ended as `ok`\n")
        .check();
    replayed(run, "printf xyz > table").stdout("xyz").refused(
        2,
        "error: `table` is not what it was when the journal was written\n\n\
         hint: bring it back as it was, or run the item with the new one by `wasmpool run`\n",
    );
}

#[test]
fn a_replay_leaves_a_file_that_was_written_to_as_it_is() {
    replayed("poke --item '[\"t\",0,65]' --share t=table:rw", "printf xyz > table")
        .stdout_is(|stdout| stdout.contains("{\"ok\":null}") && stdout.ends_with("xyz"))
        .stderr(format!("journal: item 0 ended as `ok`\n{NOTE}"))
        .check();
}

#[track_caller]
fn check_refused(line: &str, code: i32, message: &str) {
    let message = message.to_owned();
    call("peek t 0").args(line).stderr_is(move |stderr| stderr.starts_with(&message)).code(code).check();
}

#[test]
fn what_cannot_be_shared_is_refused_before_anything_runs() {
    check_refused("--share table", 2, "error: `--share table` has no `=`\n\nhint: write `--share NAME=FILE`");
    check_refused("--share t=none", 4, "error: cannot read `none`: No such file or directory");
    check_refused(
        "--share t=.",
        4,
        "error: cannot read `.`: Is a directory (os error 21)\n\nhint: `--share` gives a file;",
    );
    check_refused("--share t=table --share t=table", 2, "error: two files are shared as `t`");
    check_refused("--share t=/dev/null:rw", 2, "error: `/dev/null` is no file that can be replaced");
    check_refused("--share t=/dev/null", 4, "error: cannot read `/dev/null`: it is empty");
    check_refused(
        "--share t=table:rw --deterministic",
        2,
        "error: `--deterministic` does not go with `--share t=…:rw`",
    );
    check_refused(
        "--share t=table:rw --share u=./table",
        2,
        "error: `--share` and what is shared are the same file",
    );
}

#[test]
fn a_file_that_is_written_to_is_no_other_file_of_the_run() {
    let refused = |line: &str, others: &str| {
        let message = format!("error: `--share` and {others} are the same file, `table`\n");
        run("sharing.wasm scribble --share t=table:rw")
            .args(line)
            .file("table", "abc")
            .stderr_is(move |stderr| stderr.starts_with(&message))
            .code(2)
            .check();
    };
    refused("--lines table", "the input");
    refused("--item t -o table", "-o");
    refused("--item t --journal table", "--journal");
}

/// Asks for the length of the queue of any number.
const GUESS: &str = r#"(component
    (import "wasmpool:pool/queues@0.1.0" (instance $queues
        (export "length" (func (param "queue" u32) (result u32)))))
    (core func $length (canon lower (func $queues "length")))
    (core module $m
        (import "queues" "length" (func $length (param i32) (result i32)))
        (func (export "guess") (param i32) (result i32) local.get 0 call $length))
    (core instance $i (instantiate $m (with "queues" (instance (export "length" (func $length))))))
    (func (export "guess") (param "queue" u32) (result u32) (canon lift (core func $i "guess"))))"#;

#[test]
fn a_number_that_no_queue_has_traps() {
    let shared = "run guess.wasm guess --item 0 --item 1 --item 4294967295 --share t=table --progress none";
    for line in [shared, &shared.replace("--share t=table", "")] {
        wasmpool(line)
            .wat("guess.wasm", GUESS)
            .file("table", "abc")
            .stdout_is(|stdout| {
                stdout.lines().count() == 3
                    && ["0", "1", "4294967295"].iter().zip(stdout.lines()).all(|(number, line)| {
                        line.contains("\"status\":\"trap\"")
                            && line.contains(&format!("\"{number} is the number of no queue\""))
                    })
            })
            .stderr_is(|_| true)
            .code(1)
            .check();
    }
}
