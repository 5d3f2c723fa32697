//! Segments in the memory of guests that ask for them at places where they must not be.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use super::{Ended, binary, call, code, code_with, ended, load, serve};
use crate::item::Input;
use crate::limits::CodeOptions;
use crate::shm::declared::{Declared, Holder, Shape};
use crate::wire::msg::Serve;
use crate::worker::Refusal;
use crate::worker::guest::{CallRecord, Given, Guest};

/// What a page of a guest's memory has.
const PAGE: u64 = 1 << 16;

/// The first bytes of the segment.
const CONTENT: &[u8] = &[5; 100];

/// A component that starts with two pages of memory. `attach` grows by so many, attaches `words` to a place of this
/// length and tells 0, or which error from 1 on; `find` likewise. The others attach it to the third page first.
const ATTACHING: &str = r#"
    (component
      (import "wasmpool:pool/segments@0.1.0" (instance $segments
        (type $open (enum "unknown" "other-kind" "taken"))
        (export "open-error" (type $open-error (eq $open)))
        (type $found (record (field "length" u64) (field "writable" bool)))
        (export "segment" (type $segment (eq $found)))
        (type $attach (enum "place" "not-grown" "refused"))
        (export "attach-error" (type $attach-error (eq $attach)))
        (export "find" (func (param "name" string) (result (result $segment (error $open-error)))))
        (export "attach" (func (param "name" string) (param "place" (list u8))
          (result (result (error $attach-error)))))))
      (core module $mem (memory (export "memory") 2))
      (core instance $mem (instantiate $mem))
      (core func $find (canon lower (func $segments "find") (memory $mem "memory")))
      (core func $attach (canon lower (func $segments "attach") (memory $mem "memory")))
      (core module $m
        (import "mem" "memory" (memory 2))
        (import "pool" "find" (func $find (param i32 i32 i32)))
        (import "pool" "attach" (func $attach (param i32 i32 i32 i32 i32)))
        (data (i32.const 16) "words")
        (func (export "find") (result i32)
          (call $find (i32.const 16) (i32.const 5) (i32.const 64))
          (if (result i32) (i32.load8_u (i32.const 64))
            (then (i32.add (i32.const 1) (i32.load8_u (i32.const 72)))) (else (i32.const 0))))
        (func $put (export "attach") (param $pages i32) (param $place i32) (param $length i32) (result i32)
          (drop (memory.grow (local.get $pages)))
          (call $attach (i32.const 16) (i32.const 5) (local.get $place) (local.get $length) (i32.const 32))
          (if (result i32) (i32.load8_u (i32.const 32))
            (then (i32.add (i32.const 1) (i32.load8_u (i32.const 33)))) (else (i32.const 0))))
        (func $third (if (call $put (i32.const 1) (i32.const 0x20000) (i32.const 1)) (then unreachable)))
        (func (export "fill") (result i32)
          (local $was i32)
          (call $third)
          (local.set $was (i32.load8_u (i32.const 0x20063)))
          (memory.fill (i32.const 0x20000) (i32.const 9) (i32.const 0x10000))
          (i32.add (i32.mul (local.get $was) (i32.const 100)) (i32.load8_u (i32.const 0x20063))))
        (func (export "untouched") (result i32)
          (drop (memory.grow (i32.const 1)))
          (i32.load8_u (i32.const 0x20063)))
        (func (export "beyond") (result i32) (call $third) (i32.load8_u (i32.const 0x30000)))
        (func (export "fill-beyond") (result i32)
          (call $third)
          (memory.fill (i32.const 0x20000) (i32.const 9) (i32.const 0x10001))
          (i32.const 0))
        (func (export "trap") (result i32)
          (call $third)
          (i32.store8 (i32.const 0x20063) (i32.const 8))
          unreachable)
        (func (export "grow-on") (result i32)
          (call $third)
          (drop (memory.grow (i32.const 1)))
          (i32.store8 (i32.const 0x3ffff) (i32.const 2))
          (i32.add
            (i32.mul (i32.load8_u (i32.const 0x20063)) (i32.const 100))
            (i32.load8_u (i32.const 0x3ffff)))))
      (core instance $pool (export "find" (func $find)) (export "attach" (func $attach)))
      (core instance $i (instantiate $m (with "mem" (instance $mem)) (with "pool" (instance $pool))))
      (func (export "find") (result u32) (canon lift (core func $i "find")))
      (func (export "attach") (param "pages" u32) (param "place" u32) (param "length" u32) (result u32)
        (canon lift (core func $i "attach")))
      (func (export "fill") (result u32) (canon lift (core func $i "fill")))
      (func (export "untouched") (result u32) (canon lift (core func $i "untouched")))
      (func (export "beyond") (result u32) (canon lift (core func $i "beyond")))
      (func (export "fill-beyond") (result u32) (canon lift (core func $i "fill-beyond")))
      (func (export "trap") (result u32) (canon lift (core func $i "trap")))
      (func (export "grow-on") (result u32) (canon lift (core func $i "grow-on"))))"#;

/// A file that nobody changes any more.
fn sealed(seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("wasmpool-test", flags).expect("memfd");
    rustix::fs::ftruncate(&file, PAGE).expect("a memfd can be as long");
    rustix::io::write(&file, CONTENT).expect("a memfd takes it");
    rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
    file
}

/// A guest with these exports and the segment `words`.
fn sharing(exports: &[&str], file: OwnedFd) -> Result<Guest, Refusal> {
    let shape = Shape::Segment { length: CONTENT.len() as u64, writable: false };
    let shared = vec![Declared { name: "words".to_owned(), shape }];
    let serve = Serve { shared, ..serve(exports) };
    let options = CodeOptions { segments: true, ..CodeOptions::default() };
    let code = code_with(&binary(ATTACHING), options)?;
    let compiled = rustix::fs::memfd_create("code", MemfdFlags::CLOEXEC).expect("memfd");
    let mut compiled = std::fs::File::from(compiled);
    std::io::Write::write_all(&mut compiled, &code).expect("a memfd takes the code");
    let given = Given { shared: vec![file], holder: Holder::HOST, dirs: Vec::new(), results: None };
    Guest::load(&compiled, given, &serve)
}

#[track_caller]
fn guest(exports: &[&str]) -> Guest {
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    sharing(exports, sealed(all)).expect("the test's guest can be loaded")
}

fn run(guest: &mut Guest, export: usize) -> Ended {
    let mut record = CallRecord::default();
    guest.call(0, export, Input::Arguments(b"[]"), &mut record);
    ended(&record)
}

/// Attaches the segment to `length` bytes at `place`, after growing by so many pages.
#[track_caller]
fn check_attached(pages: u64, place: u64, length: u64, told: &str) {
    let arguments = format!("[{pages},{place},{length}]");
    let mut guest = guest(&["attach"]);
    assert_eq!(call(&mut guest, Input::Arguments(arguments.as_bytes())), Ended::Ok(told.to_owned()));
}

#[test]
fn a_segment_is_attached_to_pages_that_the_guest_has_grown() {
    check_attached(1, 2 * PAGE, 1, "0");
    check_attached(3, 4 * PAGE, PAGE, "0");
}

#[test]
fn a_segment_is_not_attached_between_pages() {
    for place in [2 * PAGE + 1, 2 * PAGE + 4096, 3 * PAGE - 1] {
        check_attached(2, place, 1, "1");
    }
}

#[test]
fn a_segment_is_not_attached_to_nothing() {
    check_attached(1, 2 * PAGE, 0, "1");
}

#[test]
fn a_segment_is_not_attached_to_what_the_guest_started_with() {
    check_attached(4, 0, 1, "2");
    check_attached(4, PAGE, 4 * PAGE, "2");
}

#[test]
fn a_place_outside_of_the_memory_ends_the_item() {
    for (place, length) in [(3 * PAGE, 1), (2 * PAGE, PAGE + 1), (0xffff_0000, PAGE)] {
        let arguments = format!("[1,{place},{length}]");
        let ended = call(&mut guest(&["attach"]), Input::Arguments(arguments.as_bytes()));
        assert!(matches!(ended, Ended::Trap(..)), "{ended:?}");
    }
}

#[test]
fn what_a_guest_fills_a_sealed_segment_with_is_its_own() {
    let mut guest = guest(&["fill"]);
    // The next item finds the content as it was.
    for _ in 0..3 {
        assert_eq!(run(&mut guest, 0), Ended::Ok("509".to_owned()));
    }
}

#[test]
fn an_item_leaves_no_segment_to_the_next() {
    let mut guest = guest(&["fill", "untouched", "trap"]);
    for attaching in [0, 2] {
        run(&mut guest, attaching);
        assert_eq!(run(&mut guest, 1), Ended::Ok("0".to_owned()));
    }
}

#[test]
fn accesses_beyond_a_segment_at_the_end_of_the_memory_trap() {
    let mut guest = guest(&["beyond", "fill-beyond"]);
    for export in [0, 1] {
        let ended = run(&mut guest, export);
        assert!(matches!(ended, Ended::Trap("memory-out-of-bounds", _)), "{ended:?}");
    }
}

#[test]
fn a_memory_with_a_segment_grows() {
    assert_eq!(run(&mut guest(&["grow-on"]), 0), Ended::Ok("502".to_owned()));
}

#[test]
fn a_segment_that_somebody_could_change_or_shorten_is_refused() {
    for seals in [SealFlags::empty(), SealFlags::WRITE, SealFlags::SHRINK | SealFlags::GROW] {
        let refusal = sharing(&["find"], sealed(seals)).expect_err("it is not sealed");
        assert!(refusal.message.contains("`words`"), "{}", refusal.message);
    }
}

#[test]
fn a_guest_that_is_given_nothing_is_told_that_it_is_unknown() {
    let mut guest = load(&binary(ATTACHING), &serve(&["find"])).expect("it needs nothing else");
    assert_eq!(run(&mut guest, 0), Ended::Ok("1".to_owned()));
}

#[test]
fn a_core_module_cannot_import_what_is_for_components() {
    let module = r#"(module (import "wasmpool:pool/watching@0.1.0" "progress" (func (param i64 i64))))"#;
    let refusal = code(&binary(module)).expect_err("there is no such function for modules");
    assert_eq!(
        refusal.message,
        "needs `wasmpool:pool/watching@0.1.0.progress`, which wasmpool does not provide"
    );
}
