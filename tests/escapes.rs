//! Guests that try to get out of the folders that they are given, or to do in them what they may not.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::folders::{call, run_with_data};
use crate::harness::{Wasmpool, bash};

/// Errors of preview 1.
mod errno {
    pub(super) const NONE: u32 = 0;
    pub(super) const BADF: u32 = 8;
    pub(super) const ILSEQ: u32 = 25;
    pub(super) const INVAL: u32 = 28;
    pub(super) const LOOP: u32 = 32;
    pub(super) const NAMETOOLONG: u32 = 37;
    pub(super) const NOENT: u32 = 44;
    pub(super) const NOTDIR: u32 = 54;
    pub(super) const PERM: u32 = 63;
}

/// A plain module that asks the system itself, without a library that looks at paths before: `f` opens the path with
/// this number, prints the first bytes that it finds there, and returns the error.
fn opener(paths: &[&[u8]]) -> String {
    let mut table = String::new();
    let mut texts = String::new();
    let mut at = 0x2_0000_u32;
    for path in paths {
        let length = u32::try_from(path.len()).expect("paths are short");
        for byte in at.to_le_bytes().into_iter().chain(length.to_le_bytes()) {
            write!(table, "\\{byte:02x}").expect("memory takes every text");
        }
        for byte in *path {
            write!(texts, "\\{byte:02x}").expect("memory takes every text");
        }
        at += length;
    }
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
              (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            (data (i32.const 0x10000) "{table}")
            (data (i32.const 0x20000) "{texts}")
            (func (export "f") (param $n i32) (result i32) (local $errno i32)
              (local.set $n (i32.shl (local.get $n) (i32.const 3)))
              (local.set $errno (call $open (i32.const 3) (i32.const 1)
                (i32.load offset=0x10000 (local.get $n)) (i32.load offset=0x10004 (local.get $n))
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
              (if (i32.eqz (local.get $errno)) (then
                (i32.store (i32.const 16) (i32.const 32))
                (i32.store (i32.const 20) (i32.const 64))
                (drop (call $read (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 20)))
                (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))
              (local.get $errno)))"#
    )
}

/// Opens each path, in a run over `data`, and compares the errors, and what was read where there was none.
#[track_caller]
fn check_opened(command: Wasmpool, paths: &[(&[u8], u32)]) {
    let names: Vec<_> = paths.iter().map(|(path, _)| *path).collect();
    let mut expected = String::new();
    for (index, (_, errno)) in paths.iter().enumerate() {
        let read = if *errno == errno::NONE { ",\"stdout\":\"inside\\nand more\\n\"" } else { "" };
        writeln!(
            expected,
            "{{\"v\":1,\"index\":{index},\"input\":{index},\"status\":\"ok\",\"value\":{errno}{read}}}"
        )
        .expect("memory takes every text");
    }
    command
        .args(&format!("opener.wasm f --range 0..{} --dir data", paths.len()))
        .wat("opener.wasm", &opener(&names))
        .stdout(expected)
        .check();
}

#[test]
fn g20_no_path_leads_out_of_a_folder() {
    let long = "a".repeat(5000);
    let deep = "sub/../".repeat(1000) + "inside.txt";
    check_opened(
        run_with_data(""),
        &[
            (b"inside.txt", errno::NONE),
            (b"./sub/../inside.txt", errno::NONE),
            (b"../secret.txt", errno::PERM),
            (b"/etc/passwd", errno::PERM),
            (b"sub/../../secret.txt", errno::PERM),
            (b"./../secret.txt", errno::PERM),
            (b"..", errno::PERM),
            (b"../data/inside.txt", errno::PERM),
            (b"//etc//passwd", errno::PERM),
            (b"%2e%2e/secret.txt", errno::NOENT),
            (b".../secret.txt", errno::NOENT),
            (b"..\\secret.txt", errno::NOENT),
            (b"C:\\secret.txt", errno::NOENT),
            (b"inside.txt\0", errno::INVAL),
            (b"..\0/secret.txt", errno::INVAL),
            (b"\xff\xfe", errno::ILSEQ),
            (b"", errno::NOENT),
            (b"inside.txt/..", errno::NOTDIR),
            (long.as_bytes(), errno::NAMETOOLONG),
            (deep.as_bytes(), errno::NAMETOOLONG),
            (b"/proc/self/environ", errno::PERM),
            (b"../../../../../../../../etc/passwd", errno::PERM),
        ],
    );
}

#[test]
fn g20_no_way_to_use_a_path_leads_out_of_a_folder() {
    for way in [
        "read",
        "list",
        "look",
        "follow",
        "write",
        "create",
        "remove",
        "make-folder",
        "rename",
        "link",
        "date",
    ] {
        for path in ["data/../secret.txt", "data/sub/../../secret.txt"] {
            call(&format!("hostile.wasm try-file {way} {path} data/new --dir data:rw"))
                .stdout("Operation not permitted (os error 63)\n")
                .check();
        }
    }
}

#[test]
fn g21_no_link_leads_out_of_a_folder() {
    let command = run_with_data("");
    let data = command.path("data");
    let link = |target: &str, name: &str| symlink(target, data.join(name)).expect("the folder is ours");
    link("/etc", "etc");
    link("/etc/", "etc-folder");
    link("../secret.txt", "secret");
    link("..", "up");
    link("sub/../..", "round");
    link("/proc/self/root", "root");
    link("loop", "loop");
    link("nowhere", "dangling");
    link("inside.txt", "good");
    link("inside.txt", "chain-0");
    (0..41).for_each(|n| link(&format!("chain-{n}"), &format!("chain-{}", n + 1)));
    check_opened(
        command,
        &[
            (b"good", errno::NONE),
            (b"chain-5", errno::NONE),
            (b"etc", errno::PERM),
            (b"etc/passwd", errno::PERM),
            (b"etc/", errno::PERM),
            (b"etc-folder/passwd", errno::PERM),
            (b"etc-folder/", errno::PERM),
            (b"secret", errno::PERM),
            (b"up/secret.txt", errno::PERM),
            (b"up/data/inside.txt", errno::PERM),
            (b"round/secret.txt", errno::PERM),
            (b"root/etc/passwd", errno::PERM),
            (b"loop", errno::LOOP),
            (b"chain-41", errno::LOOP),
            (b"dangling", errno::NOENT),
        ],
    );
}

#[test]
fn g21_a_guest_makes_no_link_that_leads_out() {
    call("hostile.wasm try-file symlink /etc data/etc --dir data:rw")
        .stdout("Operation not permitted (os error 63)\n")
        .check();
    // One that leads out only from where it is made is of no use either.
    let script = "wasmpool call hostile.wasm try-file symlink ../secret.txt data/out --dir data:rw; \
                  wasmpool call hostile.wasm try-file read data/out - --dir data:rw";
    bash(script)
        .file("data/inside.txt", "inside")
        .file("secret.txt", "SECRET")
        .stdout("done\nOperation not permitted (os error 63)\n")
        .check();
}

#[test]
fn g22_a_link_that_is_exchanged_while_it_is_opened_never_leads_out() {
    const FLIPS: usize = 100_000;
    // The first item is over at once, and tells that the worker is there.
    let items = r#"--item ["data/d/f","data/d/f"] --item ["data/d/f","data/stop"]"#;
    let mut running = run_with_data("hostile.wasm read-until -j 1 --dir data")
        .args(items)
        .file("data/d/f", "inside")
        .file("outside/f", "OUTSIDE")
        .stdout_is(|stdout| {
            let counts = stdout.rsplit_once("\"value\":[").map(|(_, counts)| counts.split(',').take(2));
            let counts: Vec<u64> =
                counts.into_iter().flatten().filter_map(|count| count.parse().ok()).collect();
            matches!(counts[..], [inside, 0] if inside > 0)
        })
        .start();
    let (folder, link) = (running.path("data/d"), running.path("data/link"));
    symlink(running.path("outside"), &link).expect("the folder is ours");
    running.line();
    for _ in 0..FLIPS {
        renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).expect("both are there");
    }
    fs::write(running.path("data/stop"), "").expect("the folder is ours");
    running.check();
}

/// What is tried with the files in `data`, and with others in a folder that may be written to.
const WAYS: &str = r#"
["write", "data/inside.txt", ""]
["append", "data/inside.txt", ""]
["truncate", "data/inside.txt", ""]
["shorten", "data/inside.txt", ""]
["create", "data/inside.txt", ""]
["create", "data/new", ""]
["remove", "data/inside.txt", ""]
["date", "data/inside.txt", ""]
["make-folder", "data/new", ""]
["remove-folder", "data/sub", ""]
["rename", "data/inside.txt", "data/new"]
["rename", "data/inside.txt", "out/new"]
["rename", "out/there", "data/new"]
["rename", "out/there", "data/inside.txt"]
["link", "data/inside.txt", "data/new"]
["link", "data/inside.txt", "out/new"]
["link", "out/there", "data/new"]
["symlink", "inside.txt", "data/new"]
"#;

#[test]
fn g23_nothing_changes_in_a_folder_to_be_read() {
    let refused = WAYS.lines().skip(1).count();
    let script = r#"state() { find data -printf '%p %i %n %s %m %T@ %C@\n' | sort; cat data/*.txt; }
        before=$(state)
        wasmpool run hostile.wasm try-file --jsonl ways --dir data --dir out:rw --progress none |
            grep -c '"value":"Operation not permitted (os error 63)"'
        test "$before" = "$(state)" && echo same"#;
    bash(script)
        .file("ways", WAYS)
        .file("data/inside.txt", "inside\n")
        .file("data/sub/deep.txt", "deep\n")
        .file("out/there", "there\n")
        .stdout(format!("{refused}\nsame\n"))
        .check();
}

/// Nothing is left open of an item: each of five in one worker can open as many files as the first. What a command may
/// open, its workers may too.
#[test]
fn g24_files_that_are_left_open_are_closed_for_the_next_item() {
    let item = "--item '[\"data/inside.txt\",100000]' ";
    let script = format!(
        "ulimit -n 256; wasmpool run hostile.wasm open-many {} -j 1 --dir data --progress none |
            sed 's/.*\"status\"/status/' | uniq -c",
        item.repeat(5)
    );
    bash(&script)
        .file("data/inside.txt", "inside")
        .stdout_is(|stdout| {
            let same = stdout.trim_start().strip_prefix("5 status:\"ok\"").unwrap_or_default();
            same.lines().count() == 1 && same.contains("(os error")
        })
        .check();
}

/// A plain module with `$open`, which opens `inside.txt`, puts its descriptor at 0 and returns the error.
fn opening_inside(imports: &str, functions: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
              (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            {imports}
            (memory (export "memory") 1)
            (data (i32.const 64) "inside.txt")
            (func $open (result i32)
              (call $path_open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 10)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
            {functions})"#
    )
}

#[test]
fn g24_files_that_a_plain_module_leaves_open_are_closed_too() {
    let text = opening_inside(
        "",
        r#"(func (export "f") (param i32) (result i32) (local $n i32)
          (loop $again
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.eqz (call $open))))
          (local.get $n))"#,
    );
    let script =
        "ulimit -n 256; wasmpool run many.wasm f --range 0..5 -j 1 --dir data --progress none --format csv |
        tail -n +2 | cut -d, -f3- | uniq | wc -l";
    bash(script).wat("many.wasm", &text).file("data/inside.txt", "inside").stdout("1\n").check();
}

#[test]
fn g25_a_folder_that_is_closed_twice_is_an_error() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32)
          (i32.add (i32.mul (i32.const 100) (call $close (i32.const 3))) (call $close (i32.const 3)))))"#;
    run_with_data("close.wasm f --range 0..3 -j 1 --dir data --format csv")
        .wat("close.wasm", text)
        .stdout(format!(
            "index,input,status,value,error\n0,0,ok,{0},\n1,1,ok,{0},\n2,2,ok,{0},\n",
            errno::BADF
        ))
        .check();
}

/// Far more often than files may be open.
#[test]
fn g25_a_file_in_the_place_of_another_closes_it() {
    let text = opening_inside(
        r#"(import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))"#,
        r#"(func $one (result i32) (drop (call $open)) (i32.load (i32.const 0)))
        (func (export "f") (param i32) (result i32) (local $n i32) (local $first i32)
          (local.set $first (call $one))
          (loop $again
            (if (call $renumber (call $one) (local.get $first)) (then unreachable))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 20000))))
          (local.get $n))"#,
    );
    run_with_data("renumber.wasm f --range 0..2 -j 1 --dir data")
        .wat("renumber.wasm", &text)
        .stdout_is(|stdout| stdout.matches("\"status\":\"ok\",\"value\":20000").count() == 2)
        .check();
}

/// The limit here is that of whoever started the command.
#[test]
fn g26_a_file_that_gets_too_large_is_an_error_to_the_guest() {
    let script = "ulimit -f 32768; wasmpool call hostile.wasm fill-file data/large 1000000000 --dir data:rw; \
                  stat -c %s data/large";
    bash(script)
        .file("data/inside.txt", "inside")
        .stdout("[33554432,\"File too large (os error 22)\"]\n33554432\n")
        .check();
}

#[test]
fn g27_nothing_but_files_and_folders_is_opened() {
    let running = run_with_data("files.wasm count-lines --dir data --timeout 500ms")
        .args("--item data/zero --item data/pipe --item data/socket --item data/inside.txt");
    let data = running.path("data");
    symlink("/dev/zero", data.join("zero")).expect("the folder is ours");
    mknodat(CWD, data.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("the folder is ours");
    let _socket = UnixListener::bind(data.join("socket")).expect("the folder is ours");
    let ends = [
        r#"data/zero","status":"denied","error":"opening `zero` is not allowed"#,
        r#"data/pipe","status":"timeout","limit":"wall","after_ms":500"#,
        r#"data/socket","status":"trap""#,
        r#"data/inside.txt","status":"ok","value":2"#,
    ];
    running
        .stdout_is(move |stdout| stdout.lines().zip(ends).all(|(line, end)| line.contains(end)))
        .stderr_is(|_| true)
        .code(1)
        .check();
}

/// A pipe that somebody writes to opens at once, and could then be waited for.
#[test]
fn g27_a_pipe_with_a_writer_is_denied() {
    let running = run_with_data("files.wasm count-lines --dir data --item data/pipe");
    let pipe = running.path("data/pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("the folder is ours");
    let _writer = fs::File::options().read(true).write(true).open(&pipe).expect("a pipe opens both ways");
    running
        .stdout_is(|stdout| stdout.contains(r#""status":"denied","error":"opening `pipe` is not allowed"#))
        .stderr_is(|_| true)
        .code(1)
        .check();
}
