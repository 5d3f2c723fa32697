//! The worker process: turns a guest's bytes into code, and runs that code for one item after the other.
//!
//! A program that uses the library is that process, too, and says so with [`init`].

// Architecture Invariant: `wasmtime` is named only below this module. The host has no WebAssembly in it.

#[doc(hidden)]
pub mod compile;
#[doc(hidden)]
pub mod guest;
#[doc(hidden)]
pub mod main_loop;
#[doc(hidden)]
pub mod outbox;
#[doc(hidden)]
pub mod value;

mod bytes;
mod component;
mod denied;
mod describe;
mod engine;
mod fixed;
mod grants;
mod init;
mod limits;
mod load;
mod memory;
mod module;
mod params;
mod process;
mod shared;
mod stdio;
mod trap;
mod validate;
mod wasi;

#[cfg(test)]
mod tests;

pub use self::init::init;
#[doc(hidden)]
pub use self::process::main;
use crate::wire::msg::Refusal as About;

/// Why a guest cannot be used.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about.
    pub about: About,
    /// To be read after the guest's name in backticks: `is not a valid module: …`. One line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self { about: About::Guest, message: message.into(), hint: None }
    }

    /// What the machine does not have.
    fn machine(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { about: About::Machine, message: message.into(), hint }
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { about: About::Guest, message: message.into(), hint: Some(hint.into()) }
    }
}
