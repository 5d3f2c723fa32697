//! A guest that does with files everything that preview 1 has for them.

use std::fmt::Write as _;

/// The functions of preview 1 that it calls, with their parameters.
const IMPORTS: &[(&str, &str)] = &[
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("fd_advise", "i32 i64 i64 i32"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_datasync", "i32"),
    ("fd_sync", "i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("fd_readdir", "i32 i32 i32 i64 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_tell", "i32 i32"),
    ("fd_renumber", "i32 i32"),
];

/// What it calls for its items, one each.
const CALLS: &[&str] = &[
    "(call $fd_advise (call $file) (i64.const 0) (i64.const 4) (i32.const 3))",
    "(call $fd_allocate (call $file) (i64.const 0) (i64.const 100))",
    "(call $fd_datasync (call $file))",
    "(call $fd_datasync (call $folder))",
    "(call $fd_sync (call $file))",
    "(call $fd_sync (call $folder))",
    "(call $fd_fdstat_get (call $file) (i32.const 600))",
    "(call $fd_fdstat_get (call $folder) (i32.const 600))",
    "(call $fd_fdstat_set_flags (call $file) (i32.const 1))",
    "(call $fd_filestat_get (call $file) (i32.const 600))",
    "(call $fd_filestat_get (call $folder) (i32.const 600))",
    "(call $fd_filestat_set_size (call $file) (i64.const 5))",
    "(call $fd_filestat_set_times (call $file) (i64.const 5) (i64.const 5) (i32.const 5))",
    "(call $fd_filestat_set_times (call $folder) (i64.const 5) (i64.const 5) (i32.const 5))",
    "(call $fd_pread (call $file) (i32.const 64) (i32.const 1) (i64.const 1) (i32.const 600))",
    "(call $fd_pwrite (call $file) (i32.const 64) (i32.const 1) (i64.const 1) (i32.const 600))",
    "(call $fd_read (call $file) (i32.const 64) (i32.const 1) (i32.const 600))",
    "(call $fd_write (call $file) (i32.const 64) (i32.const 1) (i32.const 600))",
    // At its end.
    "(call $fd_write (call $open (i32.const 0) (i32.const 10) (i32.const 0) (i32.const 1)) (i32.const 64) (i32.const 1)
       (i32.const 600))",
    "(call $fd_readdir (i32.const 3) (i32.const 4096) (i32.const 4096) (i64.const 0) (i32.const 600))",
    "(call $fd_readdir (call $folder) (i32.const 4096) (i32.const 4096) (i64.const 1) (i32.const 600))",
    "(call $fd_seek (call $file) (i64.const -1) (i32.const 2) (i32.const 600))",
    "(call $fd_tell (call $file) (i32.const 600))",
    "(call $fd_renumber (call $file) (i32.const 0))",
    "(call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 600))",
    "(call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 10) (i32.const 600))",
    "(call $path_filestat_set_times (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 10) (i64.const 7) (i64.const 7)
       (i32.const 5))",
    "(call $path_filestat_set_times (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 10) (i64.const 7) (i64.const 7)
       (i32.const 5))",
    // That of the locked file, which the runtime would do by way of `/proc`.
    "(call $path_filestat_set_times (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 10) (i64.const 7) (i64.const 7)
       (i32.const 5))",
    // One that is made, and one that is emptied.
    "(call $fd_sync (call $open (i32.const 48) (i32.const 5) (i32.const 1) (i32.const 0)))",
    "(call $fd_sync (call $open (i32.const 0) (i32.const 10) (i32.const 8) (i32.const 0)))",
];

/// How many items it has something to do for.
pub(super) const ITEMS: usize = CALLS.len();

/// The right to write, among those with which a file is opened.
const WRITE: u32 = 1 << 6;

/// The guest as text. It has one folder, with `inside.txt`, `sub/` and `locked.txt`, which nobody may open. `f` returns
/// the number of the error.
pub(super) fn guest() -> String {
    asking_for(ALL_RIGHTS)
}

/// The same, which opens files to be read.
pub(super) fn reader() -> String {
    asking_for(ALL_RIGHTS & !WRITE)
}

const ALL_RIGHTS: u32 = 0x1fff_ffff;

fn asking_for(rights: u32) -> String {
    let mut text = "(module\n".to_owned();
    for (name, parameters) in IMPORTS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {parameters}) (result i32)))"
        );
    }
    text.push_str(
        r#"(memory (export "memory") 2)
        (data (i32.const 0) "inside.txt") (data (i32.const 16) "sub") (data (i32.const 32) "locked.txt")
        (data (i32.const 48) "fresh")
        (data (i32.const 64) "\00\20\00\00\10\00\00\00")
        (func $open (param $name i32) (param $length i32) (param $how i32) (param $mode i32) (result i32)
          (drop (call $path_open (i32.const 3) (i32.const 1) (local.get $name) (local.get $length) (local.get $how)
            (i64.const RIGHTS) (i64.const RIGHTS) (local.get $mode) (i32.const 512)))
          (i32.load (i32.const 512)))
        (func $file (result i32) (call $open (i32.const 0) (i32.const 10) (i32.const 0) (i32.const 0)))
        (func $folder (result i32) (call $open (i32.const 16) (i32.const 3) (i32.const 2) (i32.const 0)))
        (func (export "f") (param $n i32) (result i32)
        "#,
    );
    for (at, call) in CALLS.iter().enumerate() {
        let _ = writeln!(text, "(if (i32.eq (local.get $n) (i32.const {at})) (then (return {call})))");
    }
    text.push_str("(i32.const -1)))");
    text.replace("RIGHTS", &rights.to_string())
}
