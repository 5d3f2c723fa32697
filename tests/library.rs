//! The library, as a program uses it: pools whose calls are made one by one.

mod examples;
mod folders;
mod futures;
mod merging;
mod parity;
mod pools;
mod refusals;
mod sharing;
#[expect(unreachable_pub, reason = "it is written for a program of its own")]
mod tour;
mod written;

use std::path::PathBuf;

use tempfile::TempDir;
use wasmpool::{Pool, PoolBuilder};

use crate::harness::guest;

/// A pool of two workers for a guest of this project.
pub(crate) fn builder(name: &str) -> PoolBuilder {
    set_up(Pool::builder(guest(name)))
}

fn pool(name: &str) -> Pool {
    builder(name).build().expect("the guest can be used")
}

fn set_up(builder: PoolBuilder) -> PoolBuilder {
    builder.workers(2).cache(None).worker_exe(env!("CARGO_BIN_EXE_wasmpool"))
}

/// A guest that is written in place.
struct Written {
    folder: TempDir,
}

impl Written {
    fn new(wat: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let wasm = wat::parse_str(wat).expect("the test's guest is right");
        std::fs::write(folder.path().join("guest.wasm"), wasm).expect("the folder is ours");
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("guest.wasm")
    }

    fn builder(&self) -> PoolBuilder {
        set_up(Pool::builder(self.path()))
    }

    fn pool(&self) -> Pool {
        self.builder().build().expect("the guest can be used")
    }
}

/// Spins for ever, traps at 3, counts calls of its instance.
const MODULE: &str = r#"
(module
  (global $calls (mut i64) (i64.const 0))
  (func (export "spin") (result i64) (loop (br 0)) (unreachable))
  (func (export "not-three") (param i64) (result i64)
    (if (i64.eq (local.get 0) (i64.const 3)) (then (unreachable)))
    (local.get 0))
  (func (export "start-at") (param i64) (global.set $calls (local.get 0)))
  (func (export "count") (param i64) (result i64)
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (global.get $calls))
  (func (export "spin-at-zero") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (loop (br 0))))
    (local.get 0))
  (func (export "nothing")))
"#;
