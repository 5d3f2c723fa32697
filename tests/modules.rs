//! Guests that are made to hurt whoever compiles or loads them. Each is refused with a line that says why, or runs;
//! whichever it is, the command comes to its own end, and soon.

use std::time::Duration;

use crate::harness::{Wasmpool, is_soak, run, wasmpool};

/// Far longer than compiling may take here, and far less than it would.
const SOON: Duration = Duration::from_secs(30);

/// A guest of a few bytes, with a bit of everything.
const SMALL: &str = r#"
(module
  (memory 1) (data (i32.const 8) "some data") (global $g (mut i64) (i64.const 3))
  (table 2 funcref) (elem (i32.const 0) $f $f)
  (func $f (export "f") (param i64) (result i64)
    (global.set $g (i64.add (global.get $g) (local.get 0)))
    (i64.load (i32.wrap_i64 (i64.and (global.get $g) (i64.const 7))))))
"#;

/// It is refused, with these words among those that say why.
#[track_caller]
fn check_refused(job: Wasmpool, words: &'static str) {
    let ended = job
        .stderr_is(move |stderr| {
            stderr.starts_with("error: `g.wasm` ") && stderr.contains(words) && !stderr.contains("panicked")
        })
        .code(3)
        .check();
    assert!(ended.took < SOON, "{:?}", ended.took);
}

fn g(text: &str) -> Wasmpool {
    run("g.wasm f --range 0..3").wat("g.wasm", text)
}

#[test]
fn m4_a_guest_with_any_bit_flipped_is_refused_or_runs() {
    let whole = wat::parse_str(SMALL).expect("it is a module");
    let bits = if is_soak() { 0..8 } else { 3..4 };
    for (at, bit) in (0..whole.len()).flat_map(|at| bits.clone().map(move |bit| (at, bit))) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << bit;
        let ended = wasmpool("call g.wasm f 1 --timeout 1s")
            .file("g.wasm", flipped)
            .any_code()
            .stdout_is(|_| true)
            .stderr_is(|stderr| !stderr.contains("panicked"))
            .check();
        assert!(matches!(ended.code, 0 | 1 | 3), "byte {at}, bit {bit}: {ended}");
    }
}

/// A guest that takes long to compile, or much memory.
#[track_caller]
fn check_bomb(binary: Vec<u8>) {
    let ended = run("g.wasm f --range 0..3 --compile-timeout 500ms")
        .file("g.wasm", binary)
        .stdout_is(|_| true)
        .stderr_is(|stderr| !stderr.contains("panicked"))
        .any_code()
        .check();
    assert!(matches!(ended.code, 0 | 3) && ended.took < SOON, "{ended}");
}

/// `f`, and whatever else the text says.
fn module(rest: &str) -> Vec<u8> {
    let text = format!("(module (func (export \"f\") (param i64)) {rest})");
    wat::parse_str(text).expect("it is a module")
}

#[test]
fn m8_a_guest_that_takes_too_long_to_compile_is_refused() {
    let body = "(i64.mul (local.get 0) (i64.add (local.get 0) (i64.const 7)))";
    let function = format!("(func (param i64) (result i64) {body})");
    let binary = module(&function.repeat(200_000));
    let job = run("g.wasm f --range 0..3 --compile-timeout 200ms").file("g.wasm", binary);
    check_refused(job, "takes longer than 200 ms to compile");
}

#[test]
fn m8_a_jump_table_of_megabytes_is_compiled_in_time_or_refused() {
    let targets = "0 ".repeat(1_000_000);
    check_bomb(module(&format!("(func (param i32) (block (br_table {targets} 0 (local.get 0))))")));
}

#[test]
fn m8_very_many_locals_are_compiled_in_time_or_refused() {
    let locals = format!("(local {})", "i64 ".repeat(50_000));
    check_bomb(module(&format!("(func {locals})").repeat(40)));
}

#[test]
fn m8_blocks_in_blocks_without_end_are_compiled_in_time_or_refused() {
    // Written as bytes: no parser of texts goes so deep.
    let depth = 100_000;
    let mut body = vec![0x00];
    body.extend([0x02, 0x40].repeat(depth));
    body.extend([0x0b].repeat(depth + 1));
    let mut code = vec![0x01];
    code.extend(leb(body.len()));
    code.extend(body);
    let mut binary =
        b"\0asm\x01\0\0\0\x01\x05\x01\x60\x01\x7e\x00\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00\x0a".to_vec();
    binary.extend(leb(code.len()));
    binary.extend(code);
    check_bomb(binary);
}

/// A number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits fit");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn m9_a_guest_that_starts_with_all_the_memory_there_is_is_refused() {
    check_refused(g("(module (memory 65536) (func (export \"f\") (param i64)))"), "memory");
}

#[test]
fn m9_a_guest_that_starts_with_an_endless_table_is_refused() {
    check_refused(
        g("(module (table 4294967295 funcref) (func (export \"f\") (param i64)))"),
        "of memory; the limit is",
    );
}

#[test]
fn m10_a_guest_with_ten_thousand_memories_is_refused() {
    let memories = "(memory 0)".repeat(10_000);
    check_refused(g(&format!("(module {memories} (func (export \"f\") (param i64)))")), "memor");
}

#[test]
fn m10_a_guest_with_ten_thousand_tables_is_refused() {
    let tables = "(table 0 funcref)".repeat(10_000);
    check_refused(g(&format!("(module {tables} (func (export \"f\") (param i64)))")), "table");
}

#[test]
fn m10_ten_thousand_pieces_of_data_are_a_guest_like_any_other() {
    let data = "(data (i32.const 0) \"x\")".repeat(10_000);
    g(&format!("(module (memory 1) {data} (func (export \"f\") (param i64) (result i64) (local.get 0)))"))
        .stdout_is(|stdout| stdout.lines().count() == 3)
        .check();
}

#[test]
fn m12_a_guest_that_needs_what_is_off_is_refused_by_its_name() {
    let export = "(func (export \"f\") (param i64))";
    check_refused(g(&format!("(module (memory 1 2 shared) {export})")), "`threads`");
    check_refused(g(&format!("(module (type (struct)) {export})")), "`gc`");
}

#[test]
fn m5_an_import_of_an_interface_nobody_provides_is_named() {
    let needy = r#"(component (import "wasi:none/of-it@0.2.0" (instance (export "f" (func)))))"#;
    run("g.wasm f --range 0..3")
        .wat("g.wasm", needy)
        .stderr_is(|stderr| stderr.starts_with("error: `g.wasm` "))
        .code(3)
        .check();
}
