//! Folders and an environment that guests are given: `--dir` and `--env`, and the status `denied`.

mod guests;

use std::fs;

use rustix::process::Signal;

use crate::harness::{Wasmpool, bash, run, wasmpool};

/// `wasmpool call`, in a folder with a file and a folder in `data`, and a file beside it that is nobody's business.
pub(crate) fn call(line: &str) -> Wasmpool {
    with_data(wasmpool("call").args(line))
}

/// The same for a run.
pub(crate) fn run_with_data(line: &str) -> Wasmpool {
    with_data(run(line))
}

fn with_data(command: Wasmpool) -> Wasmpool {
    command
        .file("data/inside.txt", "inside\nand more\n")
        .file("data/sub/deep.txt", "deep\n")
        .file("secret.txt", "SECRET\n")
}

/// The item ends as `denied`, after this was asked for and this came of it.
#[track_caller]
fn check_denied(command: Wasmpool, asked: &str, then: &str) {
    let expected = format!(r#""status":"denied","error":"{asked} is not allowed, and then: {then}""#);
    command.stdout_is(move |stdout| stdout.contains(&expected)).code(1).check();
}

const PANIC: &str = "wasm trap: wasm `unreachable` instruction executed";

#[test]
fn a_guest_reads_in_the_folder_that_it_is_given() {
    call("files.wasm count-lines data/inside.txt --dir data").stdout("2\n").check();
    call("files.wasm list-folder data --dir data").stdout("[\"inside.txt\",\"sub\"]\n").check();
}

#[test]
fn a_folder_may_have_another_name_for_the_guest() {
    call("files.wasm count-lines in/inside.txt --dir data::in").stdout("2\n").check();
    call("files.wasm count-lines inside.txt --dir data::.").stdout("2\n").check();
    call("files.wasm count-lines /sub/deep.txt --dir data::/").stdout("1\n").check();
}

#[test]
fn a_guest_may_have_several_folders() {
    let line = "files.wasm --dir data::a --dir data/sub::b --progress none";
    with_data(wasmpool("run").args(line).args("count-lines --item a/inside.txt --item b/deep.txt"))
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":\"a/inside.txt\",\"status\":\"ok\",\"value\":2}\n\
             {\"v\":1,\"index\":1,\"input\":\"b/deep.txt\",\"status\":\"ok\",\"value\":1}\n",
        )
        .check();
}

#[test]
fn what_a_guest_writes_in_a_folder_to_be_written_to_is_there() {
    let script = "wasmpool call files.wasm write-text data/new.txt words --dir data:rw && cat data/new.txt";
    with_data(bash(script)).stdout("5\nwords").check();
}

#[test]
fn items_find_what_others_have_written() {
    let script = "wasmpool run files.wasm write-text -j 1 --dir data:rw --progress none \
                  --item '[\"data/new.txt\",\"a\"]' --item '[\"data/new.txt\",\"bc\"]' > /dev/null; cat data/new.txt";
    with_data(bash(script)).stdout("bc").check();
}

#[test]
fn a_folder_that_has_been_moved_is_the_same_one() {
    // The second item comes when the first has made the file that the test waits for.
    let mut running = run_with_data("files.wasm write-text --jsonl - -j 1 --dir data:rw")
        .stdin_open()
        .stdout_is(|stdout| stdout.matches("\"status\":\"ok\"").count() == 2)
        .start();
    running.write("[\"data/first.txt\",\"a\"]\n");
    running.line();
    let (data, moved) = (running.path("data"), running.path("moved"));
    fs::rename(&data, &moved).expect("the folder is ours");
    fs::create_dir(&data).expect("the name is free");
    running.write("[\"data/second.txt\",\"a\"]\n");
    running.line();
    assert!(moved.join("second.txt").exists(), "it goes where the folder is now");
    assert_eq!(fs::read_dir(&data).expect("it is there").count(), 0, "the name alone is nothing");
    running.close_stdin();
    running.check();
}

#[test]
fn a_guest_has_the_environment_that_it_is_given_and_no_other() {
    call("hostile.wasm environment --env A=1 --env B= --env C=x=y")
        .stdout("[[\"A\",\"1\"],[\"B\",\"\"],[\"C\",\"x=y\"]]\n")
        .check();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32)
          (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))))"#;
    wasmpool("call env.wasm f 0 --env A=1 --env B=2").wat("env.wasm", text).stdout("2\n").check();
}

#[test]
fn a_bench_gives_what_a_run_gives() {
    with_data(wasmpool("bench files.wasm count-lines --item data/inside.txt --dir data --runs 2"))
        .stdout_is(|stdout| stdout.contains("results   the same in all 2 runs"))
        .stderr_is(|_| true)
        .check();
}

#[test]
fn what_leads_out_of_a_folder_is_denied() {
    let command = || call("files.wasm count-lines --dir data --format jsonl");
    check_denied(command().arg("data/../secret.txt"), "opening `../secret.txt`", PANIC);
    check_denied(command().arg("data/sub/../../secret.txt"), "opening `sub/../../secret.txt`", PANIC);
}

#[test]
fn writing_in_a_folder_to_be_read_is_denied() {
    let command = call("files.wasm write-text data/new.txt words --dir data --format jsonl");
    check_denied(command, "writing to `new.txt`", PANIC);
}

#[test]
fn whoever_takes_no_for_an_answer_is_ok() {
    call("hostile.wasm try-file write data/inside.txt - --dir data --format jsonl")
        .stdout_is(|stdout| stdout.contains(r#""status":"ok","value":"Operation not permitted"#))
        .check();
}

#[test]
fn a_file_that_is_not_there_is_denied_to_nobody() {
    call("files.wasm count-lines data/none.txt --dir data --format jsonl")
        .stdout_is(|stdout| stdout.contains(r#""status":"trap","kind":"unreachable""#))
        .code(1)
        .check();
}

#[test]
fn an_item_is_denied_what_it_asked_for_itself() {
    // The first is denied something and goes on; the second traps without a word.
    run_with_data("denied.wasm f --range 0..2 -j 1 --isolation worker --dir data")
        .wat("denied.wasm", &denied("(if (i32.eq (local.get $n) (i32.const 1)) (then unreachable))", "0"))
        .stdout_is(|stdout| {
            stdout.contains(r#""index":0,"input":0,"status":"ok","value":63"#)
                && stdout.contains(r#""index":1,"input":1,"status":"trap""#)
        })
        .stderr_is(|_| true)
        .code(1)
        .check();
}

/// A module whose `f` asks for a path that leads out of its folder if its argument is this, and then does that.
fn denied(then: &str, when: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
              (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_rename"
              (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "../secret.txt")
            (func (export "f") (param $n i32) (result i32) (local $errno i32)
              (if (i32.eq (local.get $n) (i32.const {when})) (then
                (local.set $errno (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 13)
                  (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))))
              {then}
              (local.get $errno)))"#
    )
}

#[test]
fn a_plain_module_is_told_of_in_the_same_words() {
    let check = |then: &str, asked: &str, how: &str| {
        let command = run_with_data("denied.wasm f --range 0..1 --dir data");
        check_denied(command.wat("denied.wasm", &denied(then, "0")), asked, how);
    };
    check("unreachable", "opening `../secret.txt`", PANIC);
    check("(call $exit (i32.const 3))", "opening `../secret.txt`", "exit with code 3");
    let rename = "(drop (call $rename (i32.const 3) (i32.const 67) (i32.const 10)
        (i32.const 3) (i32.const 64) (i32.const 13))) unreachable";
    check(rename, "renaming `secret.txt` to `../secret.txt`", PANIC);
}

#[test]
fn an_end_that_is_no_failure_of_the_guest_is_no_denial() {
    run_with_data("denied.wasm f --range 0..1 --dir data")
        .wat("denied.wasm", &denied("(call $exit (i32.const 0))", "0"))
        .stdout("{\"v\":1,\"index\":0,\"input\":0,\"status\":\"exit\",\"code\":0}\n")
        .code(1)
        .check();
}

#[test]
fn the_network_is_denied() {
    for (way, asked) in
        [(0, "making a TCP socket"), (1, "making a UDP socket"), (2, "looking up `wasm.example`")]
    {
        let command = wasmpool(&format!("call network.wasm f {way} 1 --format jsonl"));
        check_denied(command.wat("network.wasm", guests::NETWORK), asked, PANIC);
    }
}

#[test]
fn g29_a_guest_that_goes_on_without_the_network_is_ok() {
    const DENIED: u8 = 1;
    const UNRESOLVABLE: u8 = 20;
    for (way, code) in [(0, DENIED), (1, DENIED), (2, UNRESOLVABLE)] {
        wasmpool(&format!("call network.wasm f {way} 0"))
            .wat("network.wasm", guests::NETWORK)
            .stdout(format!("{code}\n"))
            .check();
    }
}

#[test]
fn a_file_may_be_read_without_waiting() {
    call("stream.wasm f 5 --dir data::.").wat("stream.wasm", guests::STREAM).stdout("80\n").check();
}

/// A jailed worker can start none.
#[test]
fn no_thread_is_started_for_a_file() {
    let mut running = run_with_data("stream.wasm f --jsonl - -j 1 --meta --dir data::.")
        .wat("stream.wasm", guests::STREAM)
        .stdin_open()
        .stdout_is(|stdout| stdout.matches("\"status\":\"ok\"").count() == 3)
        .start();
    for times in [1, 3, 9] {
        running.write(&format!("{times}\n"));
        // The main thread, the runtime's, and the one that reads files meanwhile: all were there before the first item.
        assert_eq!(threads_of(&running.line()), 3);
    }
    running.close_stdin();
    running.check();
}

/// How many threads the worker has that a record is from.
#[track_caller]
fn threads_of(record: &str) -> usize {
    let (_, pid) = record.split_once("\"pid\":").expect("the record tells what varies");
    let pid = pid.split(|c: char| !c.is_ascii_digit()).next().expect("there is a first part");
    fs::read_dir(format!("/proc/{pid}/task")).expect("the worker has not ended").count()
}

#[test]
fn a_denied_item_counts_as_a_failure_by_its_name() {
    let line = "files.wasm count-lines --item data/inside.txt --item data/../secret.txt --dir data";
    let stats = with_data(wasmpool("run").args(line).args("--stats --format csv"))
        .stdout_is(|stdout| {
            stdout.contains("1,data/../secret.txt,denied,,\"opening `../secret.txt` is not allowed,")
        })
        .stderr_is(|stderr| stderr.contains("1 denied"))
        .code(1)
        .check();
    assert!(stats.stderr.contains("2 items: 1 ok, 1 failed"), "{}", stats.stderr);
}

#[test]
fn what_is_no_folder_is_refused() {
    call("files.wasm count-lines x --dir nowhere").refused(
        4,
        "error: cannot read the folder `nowhere`: No such file or directory (os error 2)\n\nhint: `--dir` makes no \
         folder: make it first\n",
    );
    call("files.wasm count-lines x --dir secret.txt").refused(
        4,
        "error: cannot read the folder `secret.txt`: Not a directory (os error 20)\n\nhint: `--dir` gives a whole \
         folder: name the one that it is in\n",
    );
}

#[test]
fn a_deterministic_run_takes_no_folder_to_be_written_to() {
    call("files.wasm count-lines data/inside.txt --dir data --deterministic").stdout("2\n").check();
    call("files.wasm count-lines data/inside.txt --dir data:rw --deterministic").refused(
        2,
        "error: `--deterministic` does not go with a folder that may be written to: what an item finds would depend on \
         which were before it\n\nhint: take `:rw` away, or leave `--deterministic` out\n",
    );
}

#[test]
fn a_crash_in_a_folder_that_is_written_to_is_not_forgiven() {
    let attempts = |flags: &str, kills: usize| {
        let is_expected = move |stdout: &str| {
            let crash = stdout.lines().last().unwrap_or_default();
            crash.contains("\"status\":\"crash\"") && crash.contains(&format!("\"attempts\":{kills},"))
        };
        // The first item is over at once, and then so is compiling.
        let mut running = run_with_data("hostile.wasm spin --item 0 --item 1 -j 1 --timeout none --meta")
            .args(flags)
            .stdout_is(is_expected)
            .stderr_is(|_| true)
            .code(1)
            .start();
        running.line();
        (0..kills).for_each(|_| running.worker_that_has_computed().kill(Signal::QUIT));
        running.check();
    };
    attempts("--dir data:rw", 1);
    attempts("--dir data", 2);
    attempts("--dir data:rw --crash-retries 1", 2);
}

#[test]
fn a_journal_goes_on_with_the_same_folders_and_environment_alone() {
    let first = "wasmpool run files.wasm count-lines --item data/inside.txt --progress none --journal j";
    let check = |flags: &str, message: &'static str| {
        let script = format!("{first} --dir data --env A=1 > /dev/null && {first} --resume {flags}");
        with_data(bash(&script))
            .stderr_is(move |stderr| stderr.contains(message) && !stderr.contains("hidden"))
            .code(2)
            .check();
    };
    check("--dir data:rw --env A=1 --crash-retries 1", "`--dir` was");
    check("--dir data::other --env A=1", "`--dir` was");
    check("--dir data --env A=hidden", ": what `--env` gives is not what it was\n");
    check("--dir data --env A=1 --env B=hidden", "`--env` was `A`, now it is `A; B`");
    let same =
        format!("{first} --dir data --env A=1 > /dev/null; {first} --resume --dir ./data::data --env A=1");
    with_data(bash(&same)).stdout_is(|stdout| stdout.contains("\"value\":2")).stderr_is(|_| true).check();
}

#[test]
fn an_item_is_replayed_with_its_folders() {
    let script = "wasmpool run files.wasm count-lines --item data/inside.txt --dir data --journal j > /dev/null && cd / \
                  && wasmpool replay $OLDPWD/j 0";
    with_data(bash(script))
        .stdout_is(|stdout| stdout.contains("\"status\":\"ok\",\"value\":2"))
        .stderr_is(|_| true)
        .check();
}

/// Whatever there is of the kernel's below it.
#[test]
fn a_folder_that_has_such_a_place_in_it_is_not_given_to_be_written_to() {
    for folder in ["/", "/proc/..", "//"] {
        let refused = format!("error: `{folder}` has `/");
        call(&format!("files.wasm count-lines x --dir {folder}::all:rw"))
            .stderr_is(move |stderr| {
                stderr.starts_with(&refused)
                    && stderr.contains("` in it, which shows the kernel, whose settings would be")
            })
            .code(2)
            .check();
    }
}

#[test]
fn what_shows_the_memory_of_workers_is_not_given_to_roots_guests() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for (folder, place) in [("/proc", "/proc"), ("/", "/proc"), ("/proc/self", "/proc/self")] {
        call(&format!("files.wasm count-lines x --dir {folder}::all")).refused(
            2,
            &format!(
                "error: `{folder}` shows root's guests, in `{place}`, the memory of their own workers\n\n\
                 hint: name folders that do not have that in them, or run this as an ordinary user\n"
            ),
        );
    }
}

#[test]
fn what_shows_the_kernel_is_not_given_to_be_written_to() {
    for folder in ["/proc", "/proc/sys/kernel", "/sys"] {
        call(&format!("files.wasm count-lines x --dir {folder}:rw")).refused(
            2,
            &format!(
                "error: `{folder}` shows the kernel, whose settings would be a guest's to change\n\n\
                 hint: leave out `:rw`\n"
            ),
        );
    }
}
