use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::{STRINGS, binary, check, describe_text, load, serve};
use crate::guest::{Description, GuestKind};
use crate::item::Input;
use crate::limits::CodeOptions;
use crate::worker::compile::describe;

#[track_caller]
fn check_exports(text: &str, expected: &[&str]) {
    let exports = describe_text(text).exports;
    let found = exports.iter().map(|export| format!("{} {export}", export.full_name())).collect::<Vec<_>>();
    assert_eq!(found, expected);
}

#[test]
fn a_modules_numbers_are_signed_and_its_parameters_numbered() {
    check_exports(
        r#"(module (func (export "f") (param i32 i64 f32 f64) (result i64) (i64.const 0)))"#,
        &["f f(p0: s32, p1: s64, p2: f32, p3: f64) -> s64"],
    );
}

#[test]
fn what_toolchains_export_for_themselves_is_left_out() {
    check_exports(
        r#"(module
            (memory (export "memory") 1)
            (func (export "_initialize"))
            (func (export "_start"))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "f")))"#,
        &["f f()"],
    );
}

#[test]
fn a_components_interfaces_are_described_with_their_names() {
    check_exports(
        STRINGS,
        &[
            "test:text/texts@1.0.0#echo echo(text: string) -> string",
            "test:text/texts@1.0.0#merge-echo merge-echo(a: string, b: string) -> string",
        ],
    );
}

#[test]
fn compound_types_are_described_in_full() {
    check_exports(
        r#"(component
            (core module $m
              (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
              (func (export "f") (param i32 i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (type $level' (enum "low" "high"))
            (type $point' (record (field "x" f64) (field "tags" (list string))))
            (component $c
              (import "level" (type $level (eq $level')))
              (import "point" (type $point (eq $point')))
              (import "f" (func $f (param "p" (option u8)) (param "l" $level) (result (result $point))))
              (export $l "level" (type $level))
              (export $p "point" (type $point))
              (export "f" (func $f) (func (param "p" (option u8)) (param "l" $l) (result (result $p)))))
            (func $f (param "p" (option u8)) (param "l" $level') (result (result $point'))
              (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))
            (instance $x (instantiate $c
              (with "level" (type $level')) (with "point" (type $point')) (with "f" (func $f))))
            (export "a:b/c" (instance $x)))"#,
        &["a:b/c#f f(p: option<u8>, l: enum { low, high }) -> result<record { x: f64, tags: list<string> }>"],
    );
}

#[test]
fn a_type_nested_deeper_than_the_host_reads_ends_in_dots() {
    let types = (1..90).map(|n| format!("(type $t{n} (list $t{}))", n - 1)).collect::<String>();
    let text = format!(
        r#"(component
            (core module $m
              (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
              (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (type $t0 (list u8)) {types}
            (func (export "f") (param "deep" $t89)
              (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#
    );
    let description = describe_text(&text);
    let bytes = postcard::to_stdvec(&description).expect("a description is plain data");
    assert_eq!(postcard::from_bytes::<Description>(&bytes).as_ref(), Ok(&description));
}

#[test]
fn a_commands_entry_is_no_export_to_call() {
    check_exports(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $x (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $x)))"#,
        &[],
    );
}

#[test]
fn imports_are_described_in_order() {
    let description = describe_text(
        r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (import "env" "f" (func))
            (import "env" "f" (func)))"#,
    );
    assert_eq!(description.imports, ["env.f", "wasi_snapshot_preview1.sched_yield"]);
}

#[test]
fn a_wasip1_module_with_a_component_type_becomes_a_component() {
    let mut wasm = binary(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 8)
            (data (i32.const 64) "printed")
            (global $next (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
              (global.get $next)
              (global.set $next (i32.add (global.get $next) (local.get $size))))
            (func (export "a:b/math@0.1.0#twice") (param i32) (result i32)
              (i32.store (i32.const 0) (i32.const 64))
              (i32.store (i32.const 4) (i32.const 7))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
              (i32.mul (local.get 0) (i32.load (i32.const 8)))))"#,
    );
    let mut resolve = Resolve::default();
    let wit = "package a:b@0.1.0; interface math { twice: func(n: u32) -> u32; } world w { export math; }";
    let package = resolve.push_str("w.wit", wit).expect("the WIT is well-formed");
    let world = resolve.select_world(&[package], None).expect("there is one world");
    wit_component::embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8)
        .expect("the module gets its type");

    let (description, _) = describe(&wasm, CodeOptions::default()).expect("describes");
    assert_eq!(description.kind, GuestKind::Component);
    let name = description.exports[0].full_name();
    assert_eq!(name, "a:b/math@0.1.0#twice");
    check(&mut load(&wasm, &serve(&[&name])).expect("loads"), Input::Number(6), "42");
}
