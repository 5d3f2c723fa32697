//! Runs a function over inputs that are at hand, and keeps what became of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wasmpool::chunk::{Chunk, Inputs};
use wasmpool::error::Error;
use wasmpool::guest::Integers;
use wasmpool::guest_file::GuestFile;
use wasmpool::item::ItemIndex;
use wasmpool::journal::Records;
use wasmpool::limits::{CodeOptions, GuestLimits, Isolation, Limits, Policy};
use wasmpool::outcome::{Completion, Outcome, Printed, Returns};
use wasmpool::pool::{self, Canceller, Job, Options, Pauser, Sharing};
use wasmpool::report::{Reporter, RunEvent};
use wasmpool::sandbox::SandboxMode;
use wasmpool::sink::{Accepted, InputEnd, Sink};
use wasmpool::source::{Next, Source};
use wasmpool::wire::msg::Serve;

use crate::harness::guest;

/// How an item ended, as far as values are concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Ok(String),
    Input(String),
    Other(Outcome),
}

/// A JSON text for each item, on lines from `line` on; 0 for none.
pub(super) fn jsonl(line: u64, texts: &[impl AsRef<[u8]>]) -> Inputs {
    Inputs::Json { line, texts: texts.iter().map(AsRef::as_ref).collect() }
}

/// What becomes of these inputs of a function, in their order.
///
/// # Panics
/// If the run does not come to its end.
#[track_caller]
pub(super) fn run(guest_name: &str, function: &str, inputs: Inputs) -> Vec<Passed> {
    let count = inputs.count();
    let file = GuestFile::open(&guest(guest_name)).expect("the guest can be read");
    let options = Options {
        workers: 1,
        spare: false,
        worker_executable: Some(PathBuf::from(env!("CARGO_BIN_EXE_wasmpool"))),
        compile_timeout: None,
        code: CodeOptions::default(),
        cache: None,
        run_timeout: None,
        pauser: Pauser::default(),
        sandbox: SandboxMode::Auto,
        dirs: Vec::new(),
        sharing: Sharing::default(),
    };
    let serve = Serve {
        exports: vec![function.to_owned()],
        meta: false,
        limits: GuestLimits::default(),
        isolation: Isolation::Item,
        seed: None,
        integers: Integers::Signed,
        dirs: Vec::new(),
        env: Vec::new(),
        init: None,
        bound: Vec::new(),
        shared: Vec::new(),
    };
    let job = Job {
        workers: 1,
        source: Box::new(Rest(Some(Chunk::new(0, inputs)))),
        serve,
        returns: Returns::Value,
        printed: Printed::Recorded,
        limits: Limits::default(),
        policy: Policy::default(),
        chunk: None,
        window_items: count,
        window_bytes: 32 << 20,
        records: Records::default(),
    };
    let mut ends = Ends::default();
    let (_canceller, cancellation) = Canceller::new();
    let ran = pool::open(Path::new(guest_name), file.memory(), options)
        .and_then(|opening| opening.run(job, &mut ends, &mut Silent, cancellation));
    ran.unwrap_or_else(|error| panic!("{function}: {error}"));
    assert!(ends.0.keys().copied().eq(0..count), "{:?}", ends.0.keys());
    ends.0.into_values().collect()
}

/// What becomes of the one input.
#[track_caller]
pub(super) fn item(guest_name: &str, function: &str, input: Inputs) -> Passed {
    run(guest_name, function, input).pop().expect("an input is not empty")
}

/// What has not been handed out.
struct Rest(Option<Chunk>);

impl Source for Rest {
    fn next(&mut self, max_items: u64, _max_bytes: usize) -> Result<Option<Next>, Error> {
        let Some(mut chunk) = self.0.take() else { return Ok(None) };
        self.0 = chunk.split_off(max_items);
        Ok(Some(Next::Inputs(chunk.inputs().clone())))
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

#[derive(Default)]
struct Ends(BTreeMap<ItemIndex, Passed>);

impl Sink for Ends {
    fn accept(&mut self, index: ItemIndex, completion: Completion) -> Result<Accepted, Error> {
        let passed = match completion.outcome {
            Outcome::Ok(output) => Passed::Ok(output.json().to_owned()),
            Outcome::Input { error } => Passed::Input(error),
            other => Passed::Other(other),
        };
        self.0.insert(index, passed);
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, _end: InputEnd) -> Result<Accepted, Error> {
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

struct Silent;

impl Reporter for Silent {
    fn report(&mut self, _event: RunEvent<'_>) {}
}
