use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::{STRINGS, binary, code, load, serve};
use crate::limits::CodeOptions;
use crate::worker::compile::describe;

#[track_caller]
fn check(wasm: &[u8], message: &str) {
    let refusal = code(wasm).expect_err("the guest must be refused");
    assert_eq!(refusal.message, message);
}

#[track_caller]
fn check_text(text: &str, message: &str) {
    check(&binary(text), message);
}

#[test]
fn an_empty_file_is_refused() {
    check(b"", "is empty");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    check(b"#!/bin/sh\n", "is not WebAssembly");
}

#[test]
fn text_is_refused_with_a_hint() {
    let refusal = describe(b"  (module)", CodeOptions::default()).expect_err("text is no guest");
    assert_eq!(refusal.message, "is WebAssembly text, not a compiled guest");
    assert_eq!(refusal.hint.as_deref(), Some("turn it into a binary with `wasm-tools parse`"));
}

#[test]
fn every_missing_import_is_named_once_and_in_order() {
    check_text(
        r#"(module
            (import "env" "zap" (func))
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (import "env" "memory" (memory 1))
            (import "a" "b" (global i32))
            (import "env" "zap" (func)))"#,
        "needs `a.b`, `env.memory`, `env.zap`, which wasmpool does not provide",
    );
}

#[test]
fn every_missing_interface_of_a_component_is_named() {
    check_text(
        r#"(component
            (import "wasi:random/random@0.2.3" (instance (export "get-random-u64" (func (result u64)))))
            (import "wasi:http/types@0.2.0" (instance (export "f" (func))))
            (import "acme:db/types@1.0.0" (instance (type $t u8) (export "level" (type (eq $t)))))
            (import "acme:db/query@1.0.0" (instance (export "run" (func))))
            (import "log" (func)))"#,
        "needs `acme:db/query@1.0.0`, `log`, `wasi:http/types@0.2.0`, which wasmpool does not provide",
    );
}

#[test]
fn a_guest_with_missing_imports_can_still_be_described() {
    let wasm = binary(r#"(module (import "env" "zap" (func)) (func (export "f")))"#);
    let (description, _) = describe(&wasm, CodeOptions::default()).expect("describing needs no imports");
    assert_eq!(description.imports, ["env.zap"]);
}

#[test]
fn shared_memory_is_refused_by_the_name_of_its_proposal() {
    check_text(
        "(module (memory 1 2 shared))",
        "needs the `threads` (shared memory, atomics) proposal, which is off (offset 0xb)",
    );
}

/// So no access of a guest can trap for being misaligned.
#[test]
fn g18_atomic_accesses_are_refused_by_the_name_of_their_proposal() {
    let refusal = code(&binary("(module (memory 1) (func (drop (i32.atomic.load (i32.const 1)))))"));
    let message = refusal.expect_err("the guest must be refused").message;
    assert!(
        message.starts_with("needs the `threads` (shared memory, atomics) proposal, which is off"),
        "{message}"
    );
}

/// Their number is refused before any of their bytes is counted.
#[test]
fn m10_thousands_of_memories_or_tables_are_refused() {
    for thing in ["(memory 1)", "(table 1 funcref)"] {
        let refusal = code(&binary(&format!("(module {})", thing.repeat(10_000))));
        let message = refusal.expect_err("the guest must be refused").message;
        assert!(message.starts_with("is not a valid module: "), "{message}");
    }
}

#[test]
fn m10_thousands_of_data_segments_are_a_guest_like_any_other() {
    let segments = r#"(data (i32.const 0) "x")"#.repeat(10_000);
    assert!(code(&binary(&format!("(module (memory 1) {segments})"))).is_ok());
}

#[test]
fn a_type_of_the_gc_proposal_is_refused_by_its_name() {
    check_text("(module (type (struct (field i32))))", "needs the `gc` proposal, which is off (offset 0xb)");
}

#[test]
fn legacy_exceptions_are_refused_by_name_though_they_are_inside_a_body() {
    // (func try end)
    let wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x07\x01\x05\0\x06\x40\x0b\x0b";
    check(wasm, "needs the `legacy-exceptions` proposal, which is off (offset 0x17)");
}

#[test]
fn an_invalid_body_is_refused_with_its_place() {
    let wasm = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
    check(wasm, "is not a valid module: type mismatch: expected i32 but nothing on stack (offset 0x18)");
}

#[test]
fn an_export_that_is_not_there_is_refused() {
    let refusal = load(&binary("(module)"), &serve(&["f"])).expect_err("there is no `f`");
    assert_eq!(refusal.message, "has no export `f`");
}

#[test]
fn a_module_cut_anywhere_is_refused() {
    let whole = binary(
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (memory 1) (table 1 funcref) (global i32 (i32.const 1)) (data (i32.const 0) "abc")
            (func (export "f") (param i32) (result i32) (local.get 0)))"#,
    );
    cut_everywhere(&whole);
}

#[test]
fn a_component_cut_anywhere_is_refused() {
    cut_everywhere(&binary(STRINGS));
}

#[test]
fn a_module_with_a_component_type_cut_anywhere_is_refused() {
    cut_everywhere(&with_component_type());
}

/// Cut between two sections it may still be a guest, of less; cut elsewhere it is none.
#[track_caller]
fn cut_everywhere(whole: &[u8]) {
    for cut in 0..=whole.len() {
        match code(&whole[..cut]) {
            Ok(_) => assert!(wasmparser::validate(&whole[..cut]).is_ok(), "cut at {cut}"),
            Err(refusal) => assert!(refusal.message.starts_with("is "), "cut at {cut}: {}", refusal.message),
        }
    }
}

fn with_component_type() -> Vec<u8> {
    let mut wasm = binary(r#"(module (func (export "twice") (param i32) (result i32) (local.get 0)))"#);
    let mut resolve = Resolve::default();
    let wit = "package a:b; world w { export twice: func(n: u32) -> u32; }";
    let package = resolve.push_str("w.wit", wit).expect("the WIT is well-formed");
    let world = resolve.select_world(&[package], None).expect("there is one world");
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8)
        .expect("the module gets its type");
    wasm
}
