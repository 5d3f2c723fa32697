//! Folders that guests of a pool are given: what they do there, and which are refused.

use std::fs;

use tempfile::TempDir;
use wasmpool::Access;
use wasmpool::{Error, Pool, PoolBuilder};

use super::builder;

/// A folder with a file of two lines in it.
fn data() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("inside.txt"), "inside\nand more\n").expect("the folder is ours");
    folder
}

fn files(data: &TempDir, access: Access) -> PoolBuilder {
    builder("files.wasm").dir(data.path(), "data/", access)
}

fn lines(pool: &Pool, path: &str) -> Option<u64> {
    pool.submit::<u64>("count-lines", (path,)).expect("the types are right").result().ok()
}

#[track_caller]
fn check_refused(builder: PoolBuilder, message: &str, hint: &str, code: u8) {
    let error: Error = builder.build().expect_err("it is refused");
    assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
    assert_eq!(error.exit_code().code(), code);
}

#[test]
fn a_guest_reads_in_the_folder_that_it_is_given_and_writes_nothing() {
    let data = data();
    let pool = files(&data, Access::Read).build().expect("the folder can be given");
    assert_eq!(lines(&pool, "data/inside.txt"), Some(2));
    assert_eq!(lines(&pool, "/etc/passwd"), None);
    let error = pool.submit::<u64>("write-text", ("data/new.txt", "words")).expect("the types are right");
    let error = error.result().expect_err("it may only read");
    assert_eq!(error.failure().expect("it failed itself").outcome.status(), "denied");
}

#[test]
fn what_a_guest_writes_in_a_folder_to_be_written_to_is_there() {
    let data = data();
    let pool = files(&data, Access::Write).build().expect("the folder can be given");
    let written = pool.submit::<u64>("write-text", ("data/new.txt", "words")).expect("the types are right");
    assert_eq!(written.result().expect("it may write"), 5);
    assert_eq!(fs::read(data.path().join("new.txt")).expect("it is there"), b"words");
}

#[test]
fn several_folders_have_several_names() {
    let (one, other) = (data(), data());
    fs::write(other.path().join("deep.txt"), "deep\n").expect("the folder is ours");
    let pool = files(&one, Access::Read).dir(other.path(), "/", Access::Read).build();
    let pool = pool.expect("the folders can be given");
    assert_eq!((lines(&pool, "data/inside.txt"), lines(&pool, "/deep.txt")), (Some(2), Some(1)));
}

#[test]
fn folders_that_the_command_refuses_are_refused_here() {
    let data = data();
    let missing = data.path().join("missing");
    let file = data.path().join("inside.txt");
    check_refused(
        builder("files.wasm").dir(&missing, "data", Access::Read),
        &format!("cannot read the folder `{}`", missing.display()),
        "`--dir` makes no folder: make it first",
        4,
    );
    check_refused(
        builder("files.wasm").dir(&file, "data", Access::Read),
        &format!("cannot read the folder `{}`", file.display()),
        "`--dir` gives a whole folder: name the one that it is in",
        4,
    );
    check_refused(
        builder("files.wasm").dir("/proc", "/proc", Access::Write),
        "`/proc` shows the kernel, whose settings would be a guest's to change",
        "leave out `:rw`",
        2,
    );
    check_refused(
        files(&data, Access::Read).dir("/srv", "./data", Access::Read),
        "two folders are called `data`",
        "give one of them another name: `--dir HOST::NAME`",
        2,
    );
}

#[test]
fn names_that_no_guest_can_ask_for_are_refused() {
    let refused = |name: &str| builder("files.wasm").dir("/srv", name, Access::Read);
    check_refused(
        refused(""),
        "the folder `/srv` has no name for the guest",
        "give it another name: `dir`",
        2,
    );
    check_refused(
        refused("a\0b"),
        "the folder `/srv` has a name for the guest with a NUL in it",
        "give it another name: `dir`",
        2,
    );
}

#[test]
fn a_pool_that_gives_the_same_each_time_writes_nothing() {
    let data = data();
    assert!(files(&data, Access::Write).deterministic(7).build().is_err());
    let pool = files(&data, Access::Read).deterministic(7).build().expect("the folder can be given");
    assert_eq!(lines(&pool, "data/inside.txt"), Some(2));
}
