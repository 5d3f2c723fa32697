//! Everything that reads bytes which somebody else wrote, as functions over any bytes: `cargo test -p wasmpool-fuzz`
//! throws mutations of valid input at them.
//!
//! The files under test are the ones that ship, without wasmtime behind them. A target panics where a promise is
//! broken; [`memory`] counts what it takes, and [`drive`] is what comes up with the bytes.
//!
//! `targets.rs` runs the targets. `modules.rs` is the same for guests: modules that nobody wrote, through the whole
//! command.

// The files name the runtime's values by its name.
extern crate self as wasmtime;

#[path = "runtime.rs"]
pub mod component;
pub mod drive;
pub mod frames;
pub mod inputs;
pub mod memory;
pub mod values;

#[path = "../../runner/chunk.rs"]
pub mod chunk;
#[path = "../../runner/error.rs"]
#[expect(dead_code, reason = "guests are refused elsewhere")]
pub mod error;
#[path = "../../runner/guest.rs"]
#[expect(dead_code, reason = "plain modules are read elsewhere")]
pub mod guest;
#[path = "../../runner/item.rs"]
pub mod item;
#[path = "../../runner/limits.rs"]
pub mod limits;
#[path = "../../runner/outcome.rs"]
#[expect(dead_code, reason = "no target looks at values")]
pub mod outcome;
#[path = "../../runner/record.rs"]
#[expect(dead_code, reason = "records are printed elsewhere")]
pub mod record;
#[path = "../../runner/source/mod.rs"]
pub mod source;
#[path = "../../runner/wire/mod.rs"]
pub mod wire;

/// What reads the command line's words, and the target for it, which is the only one to see it.
#[path = "../../runner/cli"]
pub mod cli {
    #[expect(dead_code, reason = "the bounds of flags are for those who define flags")]
    mod parse;
    #[path = "../../tests/fuzz/words.rs"]
    pub mod words;
}

/// What reads journals, and the target for it.
#[path = "../../runner/journal"]
#[expect(dead_code, reason = "journals are written elsewhere")]
pub mod journal {
    mod blocks;
    #[path = "../../tests/fuzz/journal.rs"]
    pub mod files;
    mod frame;
    pub mod hash;
    pub mod key;
    mod record;
    mod recovery;

    use std::io;

    use crate::error::Error;

    fn cannot_read(name: &str, source: io::Error) -> Error {
        Error::Input { name: name.to_owned(), hint: None, source }
    }
}

/// In the place of `runner/report`, of which journals need a word.
pub mod report {
    pub(crate) fn counted(count: u64, noun: &str) -> String {
        format!("{count} {noun}")
    }
}

/// What is declared to be shared.
#[path = "../../runner/shm"]
pub mod shm {
    pub mod declared;
}

/// What reads values.
#[path = "../../runner/worker"]
pub mod worker {
    pub mod value;
}

/// The words for layers of protection.
#[path = "../../runner/sandbox"]
pub mod sandbox {
    mod layers;
    mod start;

    pub use self::layers::{Layer, LayerState, SandboxMode};
    pub use self::start::{Access, Profile, Start};
}

/// One reader of hostile bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// For reports.
    pub name: &'static str,
    /// Input that is as it should be.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Repairs what hides the rest from a mutation, such as a checksum.
    pub mend: Option<fn(&mut [u8])>,
    /// Reads the bytes, and panics if it finds a promise broken.
    pub run: fn(&[u8]),
    /// The most memory it may take at once, in bytes, beside `MEMORY_FACTOR` times the input.
    pub memory: usize,
}

/// A reader may hold its input, a copy, and what both are doubled to as they grow.
pub const MEMORY_FACTOR: usize = 64;

/// All of them.
pub const TARGETS: [Target; 7] = [
    frames::RESPONSES,
    frames::REQUESTS,
    frames::DESCRIPTIONS,
    inputs::SOURCES,
    cli::words::WORDS,
    journal::files::JOURNAL,
    values::VALUES,
];
