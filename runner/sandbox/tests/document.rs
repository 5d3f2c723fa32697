//! `SYSCALLS.md` is the table.

use std::fs;
use std::path::Path;

use super::super::syscalls::{CALLS, document};

/// Set, it has the page written anew.
const WRITE: &str = "WASMPOOL_WRITE";

#[test]
fn the_page_of_system_calls_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SYSCALLS.md");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, document()).unwrap();
    }
    let page = fs::read_to_string(path).unwrap();
    assert!(page == document(), "SYSCALLS.md is out of date: this test writes it if {WRITE} is set");
}

#[test]
fn every_line_of_the_table_has_a_reason_and_is_there_once() {
    for (at, call) in CALLS.iter().enumerate() {
        assert!(call.why.split_whitespace().count() > 1, "{}", call.name);
        assert!(!call.kinds.is_empty(), "{}", call.name);
        let same = |other: &&super::super::syscalls::Call| {
            other.number == call.number && other.phase == call.phase && other.tests == call.tests
        };
        let again: Vec<_> = CALLS[..at].iter().filter(same).collect();
        let shared = |kind| again.iter().any(|other| other.kinds.contains(kind));
        assert!(!call.kinds.iter().any(shared), "{} is there twice", call.name);
    }
}
