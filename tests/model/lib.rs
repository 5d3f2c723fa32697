//! The concurrent protocols of `runner/scheduler`, `runner/pool` and `runner/shm`, run through every interleaving and
//! every memory order that loom can tell apart: `cargo test -p wasmpool-model`.
//!
//! The files under test are the ones that ship. They name their locks and atomics through a `sync` module; here it
//! holds loom's types, so neither wasmpool nor its dependencies have to be built again for it.

#![cfg(test)]

mod locks;
mod parking;
mod report;
mod rings;
mod sync;
mod twins;
mod windows;

#[path = "../../runner/error.rs"]
#[expect(dead_code, reason = "the machine needs no more of it than the names of signals")]
pub mod error;
#[path = "../../runner/item.rs"]
pub mod item;
#[path = "../../runner/outcome.rs"]
#[expect(dead_code, reason = "no model looks at values")]
pub mod outcome;
#[path = "../../runner/scheduler/park.rs"]
pub mod park;
#[path = "../../runner/scheduler/window.rs"]
pub mod window;

/// In the place of `runner/record.rs`, of which errors need a word.
mod record {
    use std::time::Duration;

    pub(crate) fn seconds(duration: Duration) -> String {
        format!("{duration:?}")
    }
}

/// What is here is for the pool's folder only, so its model is here too.
#[path = "../../runner/pool"]
mod pool {
    #[path = "../../tests/model/completion.rs"]
    mod completion;
    mod gate;
    #[path = "../../tests/model/gates.rs"]
    mod gates;
    #[path = "../../tests/model/hand_over.rs"]
    mod hand_over;
    #[expect(dead_code, reason = "no model ends a run early")]
    mod run_state;
    #[expect(dead_code, reason = "no model cancels single items")]
    mod table;

    /// In the place of `runner/pool/sync.rs`.
    mod sync {
        pub(super) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    }
}

/// Shared memory, as its protocols see it.
#[path = "../../runner/shm"]
pub mod shm {
    pub mod declared;

    /// Their words, futexes and clocks are loom's.
    pub mod protocol {
        pub(crate) mod copy;
        pub(crate) mod event;
        pub mod lock;
        pub mod ring;
        #[path = "../../../tests/model/words.rs"]
        pub(crate) mod sync;
        pub(crate) mod twin;
    }
}

/// Runs `model` through every interleaving with at most `preemptions` switches away from a thread that could go on.
///
/// Unbounded, models of three threads do not end in a time worth waiting for. With 2, every broken variant is found
/// that the scheduler's README lists.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
