//! `hostile.wasm`: one function for each way to misbehave, and for each kind of value; see `hostile.wit`.
//!
//! Some misbehave with instructions that only wasm has, so there is nothing here on other targets.
#![cfg(target_os = "wasi")]

mod echo;
mod faults;
mod files;

wasmpool_guest::world!("hostile.wit", "hostile-guest", Hostile);

struct Hostile;
