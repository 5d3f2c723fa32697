//! The worker process: turns a guest's bytes into code, and runs that code for one item after the other.
//!
//! Architecture Invariant: `wasmtime` is named only below this module. The host has no WebAssembly in it.

pub mod main_loop;
pub mod outbox;
pub mod value;

/// Why a guest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// To be read after the guest's name in backticks: `is not a valid module: …`. One line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
