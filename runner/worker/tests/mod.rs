//! Guests written as text, compiled, loaded and called as a worker does it.

mod calls;
mod descriptions;
mod isolation;
mod limits;
mod outputs;
mod refusals;
mod seeds;
mod shared;
mod traps;

use std::fs::File;
use std::io::Write;

use rustix::fs::MemfdFlags;

use super::Refusal;
use super::compile::{compile, describe};
use super::guest::{CallRecord, Given, Guest};
use crate::guest::{Description, Integers};
use crate::item::Input;
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::MemoryLimit;
use crate::shm::declared::Holder;
use crate::wire::msg::{CallEnd, Serve};

/// The binary form of a guest's text.
#[track_caller]
fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's guest is well-formed text")
}

#[track_caller]
fn describe_text(text: &str) -> Description {
    describe(&binary(text), CodeOptions::default()).expect("the test's guest can be described").0
}

/// Describes and compiles.
fn code(wasm: &[u8]) -> Result<Vec<u8>, Refusal> {
    code_with(wasm, CodeOptions::default())
}

fn code_with(wasm: &[u8], options: CodeOptions) -> Result<Vec<u8>, Refusal> {
    let (_, prepared) = describe(wasm, options)?;
    compile(prepared)
}

fn serve(exports: &[&str]) -> Serve {
    let exports = exports.iter().map(|&export| export.to_owned()).collect();
    Serve {
        exports,
        meta: false,
        limits: GuestLimits { output: 1 << 20, ..GuestLimits::default() },
        isolation: Isolation::Item,
        seed: None,
        integers: Integers::Signed,
        dirs: Vec::new(),
        env: Vec::new(),
        init: None,
        bound: Vec::new(),
        shared: Vec::new(),
    }
}

fn load(wasm: &[u8], serve: &Serve) -> Result<Guest, Refusal> {
    let (fuel, deterministic) = (serve.limits.fuel.is_some(), serve.seed.is_some());
    let options = CodeOptions { fuel, deterministic, segments: false };
    let code = code_with(wasm, options)?;
    let memfd = rustix::fs::memfd_create("code", MemfdFlags::CLOEXEC).expect("memfd");
    let mut file = File::from(memfd);
    file.write_all(&code).expect("a memfd takes the code");
    let given = Given { shared: Vec::new(), holder: Holder::HOST, dirs: Vec::new(), results: None };
    Guest::load(&file, given, serve)
}

/// A guest that is called through its only export of interest.
#[track_caller]
fn guest(text: &str, export: &str) -> Guest {
    load(&binary(text), &serve(&[export])).expect("the test's guest can be loaded")
}

/// How a call ends, in a form that is easy to compare.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Ok(String),
    Trap(&'static str, String),
    Memory(MemoryLimit, String),
    OutOfFuel,
    Exit(i32),
    Output(String),
    Input(String),
    Denied(String),
}

fn call(guest: &mut Guest, input: Input<'_>) -> Ended {
    let mut record = CallRecord::default();
    guest.call(0, 0, input, &mut record);
    ended(&record)
}

fn ended(record: &CallRecord) -> Ended {
    match record.report().end {
        CallEnd::Ok(json) => Ended::Ok(String::from_utf8(json.to_vec()).expect("JSON is UTF-8")),
        CallEnd::Trap { kind, error } => Ended::Trap(kind.name(), error.to_owned()),
        CallEnd::Memory { limit, error } => Ended::Memory(limit, error.to_owned()),
        CallEnd::OutOfFuel => Ended::OutOfFuel,
        CallEnd::Exit { code } => Ended::Exit(code),
        CallEnd::Output { error } => Ended::Output(error.to_owned()),
        CallEnd::Input { error } => Ended::Input(error.to_owned()),
        CallEnd::Denied { error } => Ended::Denied(error.to_owned()),
    }
}

#[track_caller]
fn check(guest: &mut Guest, input: Input<'_>, json: &str) {
    assert_eq!(call(guest, input), Ended::Ok(json.to_owned()));
}

/// A component whose `echo` returns the string it gets and whose `join` puts two strings together.
const STRINGS: &str = r#"
    (component
      (core module $m
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func $realloc (export "realloc") (param $old i32) (param $was i32) (param i32) (param $size i32) (result i32)
          (local $at i32)
          (local.set $at (global.get $next))
          (global.set $next (i32.add (global.get $next) (local.get $size)))
          (local.get $at))
        (func $pair (param $at i32) (param $len i32) (result i32)
          (i32.store (i32.const 16) (local.get $at))
          (i32.store (i32.const 20) (local.get $len))
          (i32.const 16))
        (func (export "echo") (param i32 i32) (result i32)
          (call $pair (local.get 0) (local.get 1)))
        (func (export "join") (param $a i32) (param $a_len i32) (param $b i32) (param $b_len i32) (result i32)
          (local $at i32)
          (local.set $at (global.get $next))
          (global.set $next (i32.add (local.get $at) (i32.add (local.get $a_len) (local.get $b_len))))
          (memory.copy (local.get $at) (local.get $a) (local.get $a_len))
          (memory.copy (i32.add (local.get $at) (local.get $a_len)) (local.get $b) (local.get $b_len))
          (call $pair (local.get $at) (i32.add (local.get $a_len) (local.get $b_len)))))
      (core instance $i (instantiate $m))
      (func $echo (param "text" string) (result string)
        (canon lift (core func $i "echo") (memory $i "memory") (realloc (func $i "realloc"))))
      (func $join (param "a" string) (param "b" string) (result string)
        (canon lift (core func $i "join") (memory $i "memory") (realloc (func $i "realloc"))))
      (instance $texts (export "echo" (func $echo)) (export "merge-echo" (func $join)))
      (export "test:text/texts@1.0.0" (instance $texts)))
"#;
