//! What host and worker say to each other, as plain types. Encoding is in [`super::codec`].
//!
//! Everything borrowed is borrowed from the frame it came in, so decoding a message allocates nothing whose
//! length the other side chose.

use serde::{Deserialize, Serialize, Serializer};

use crate::chunk::Chunk;
use crate::guest::Integers;
use crate::item::ItemIndex;
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::{MemoryLimit, TrapKind};
use crate::sandbox::{Access, LayerState};
use crate::shm::declared::Declared;

/// Host to worker.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// The first message: which protocol, which build.
    Hello(Hello<'a>),
    /// What to make of the guest in the descriptor table. Sent once.
    Load(Load),
    /// Run a chunk of items of the input.
    Call(Call),
    /// Run a chunk of merges: its inputs are [`Inputs::Folds`](crate::chunk::Inputs::Folds).
    Merge(Call),
    /// What the items behind this may use, until the next of these.
    Allow(Allowance),
    /// Answer [`Response::Drain`] when everything sent before has been answered.
    Drain,
    /// End; answered by [`Response::Bye`] and the end of the process.
    Bye,
}

/// Worker to host.
#[derive(Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// The answer to [`Request::Hello`].
    Hello(Hello<'a>),
    /// Loaded and locked: items may come.
    Ready(Ready),
    /// The guest cannot be used; the worker ends.
    Refused(Refused<'a>),
    /// What a guest offers; from a compile worker: a postcard-encoded
    /// [`Description`](crate::guest::Description).
    Description(&'a [u8]),
    /// The next bytes of compiled code; from a compile worker. [`Response::Bye`] ends them.
    Code(&'a [u8]),
    /// The ends of some items, in the order in which they were sent.
    Result(Batch<'a>),
    /// The ends of some merges.
    Merge(Batch<'a>),
    /// The rest of a chunk, not run: the results of what was run before are long. Comes behind those.
    Back(Back),
    /// A line for the log.
    Log(&'a [u8]),
    /// A guest's report of its own progress, for the item that is running.
    Progress {
        /// The item.
        item: ItemIndex,
        /// How much of it is done, in millionths.
        millionths: u32,
    },
    /// Everything sent before [`Request::Drain`] has been answered.
    Drain,
    /// The worker ends by itself.
    Bye,
}

/// Who speaks, and which protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// [`super::version::PROTOCOL`] of the speaker.
    pub protocol: u16,
    /// The speaker's wasmpool version: host and worker must be the same build.
    pub build: &'a str,
}

/// What a worker process is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one for each run")]
pub enum Load {
    /// Turn the guest's bytes into a description and, unless `describe_only`, compiled code.
    Compile {
        /// Stop after [`Response::Description`].
        describe_only: bool,
        /// What the code is for.
        code: CodeOptions,
    },
    /// Serve calls of the compiled guest.
    Serve(Serve),
    /// Load nothing, and tell which layers of protection hold; answered by [`Response::Ready`].
    Probe,
}

/// How a worker serves calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Full names of the exports that calls refer to by their place here: the function at 0, its merge at 1, what
    /// finishes the merged value at 2.
    pub exports: Vec<String>,
    /// Measure what only `--meta` shows: CPU time, peak memory, backtraces.
    pub meta: bool,
    /// What each item may use.
    pub limits: GuestLimits,
    /// How far apart items are kept.
    pub isolation: Isolation,
    /// What the guest's random numbers and clocks come from, instead of the machine's, so that they are the same in
    /// every run.
    pub seed: Option<u64>,
    /// How a plain module's integers are read and written. Components do not ask.
    pub integers: Integers,
    /// What the guest calls the folders in the descriptor table, in their order there, and what it may do in them.
    pub dirs: Vec<GuestDir>,
    /// The guest's environment: names and values.
    pub env: Vec<(String, String)>,
    /// What a new instance runs before its first item.
    pub init: Option<Init>,
    /// Parameters of the function at 0 that have the same value in every call, in their order; its inputs give the others.
    pub bound: Vec<BoundArgument>,
    /// What the guest shares with others, in the order of the descriptor table.
    pub shared: Vec<Declared>,
}

/// A call that prepares an instance for the items to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// Which of [`Serve::exports`].
    pub export: u32,
    /// Its arguments, a JSON array.
    pub arguments: String,
}

/// A parameter's value in every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundArgument {
    /// Which parameter, from 0.
    pub place: u32,
    /// Its value, as JSON.
    pub value: String,
}

/// What items may use in place of [`Serve::limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Bytes of linear memories and tables together, no more than [`GuestLimits::memory`]; none: as many as that.
    pub memory: Option<u64>,
}

/// A folder that a guest may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestDir {
    /// The guest's name for it.
    pub path: String,
    /// What the guest may do in it.
    pub access: Access,
}

/// Bytes of reports after which a worker gives the rest of a chunk back: the host has to hold
/// them until the items before have ended, and cannot call back what it has sent.
pub const MAX_ANSWER: usize = 4 << 20;

/// A chunk to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which guest, for workers that will hold several; 0.
    pub group: u32,
    /// Which of [`Serve::exports`].
    pub export: u32,
    /// Which try at these items this is, from 1.
    pub attempt: u32,
    /// The items.
    pub chunk: Chunk,
}

/// What a worker is when it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What it says of each layer of protection, in the order of [`ALL`](crate::sandbox::Layer::ALL). The host
    /// does not believe it; it is for comparing.
    pub layers: Vec<LayerState>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The guest: no worker could use it.
    Guest,
    /// The machine, which does not have a layer of protection that must hold.
    Protection,
    /// The machine, which does not have what a worker needs.
    Machine,
}

/// How [`Refused::message`] begins where a worker cannot load the code that it was given.
pub const CANNOT_BE_LOADED: &str = "cannot be loaded";

/// Why a guest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused<'a> {
    /// What it is about.
    pub about: Refusal,
    /// To be read after the guest's name, `is not a valid module: …`; of protection, which layer does not hold and why;
    /// of the machine, what cannot be had.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

/// The ends of consecutive items.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The item of the first report.
    pub first: ItemIndex,
    /// Which try at these items this was.
    pub attempt: u32,
    /// How many reports follow, at least 1.
    pub count: u32,
    /// The reports, to be read one by one with [`super::codec::Reports`].
    pub reports: &'a [u8],
}

/// Items that a worker gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// The first of them.
    pub first: ItemIndex,
    /// Which try at them it would have been.
    pub attempt: u32,
    /// How many there are, at least 1: all that are left of their chunk.
    pub count: u32,
}

/// How a worker says an item ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report<'a> {
    /// How the call ended.
    #[serde(borrow)]
    pub end: CallEnd<'a>,
    /// What the guest wrote to its standard output.
    #[serde(serialize_with = "as_bytes")]
    pub stdout: &'a [u8],
    /// What the guest wrote to its standard error.
    #[serde(serialize_with = "as_bytes")]
    pub stderr: &'a [u8],
    /// How long the call took, in nanoseconds of the monotonic clock.
    pub wall_ns: u64,
    /// CPU time of the call in nanoseconds; 0 unless [`Serve::meta`].
    pub cpu_ns: u64,
    /// The largest size of its linear memories together, in bytes; 0 unless [`Serve::meta`].
    pub peak_memory: u64,
    /// Frames of the guest's stack at a trap, innermost first, one per line; empty unless [`Serve::meta`].
    pub backtrace: &'a str,
}

impl Report<'_> {
    /// Bytes of its value and of what was printed: what the limit of output is about.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let value = match self.end {
            CallEnd::Ok(value) => value.len(),
            CallEnd::Trap { .. }
            | CallEnd::Memory { .. }
            | CallEnd::OutOfFuel
            | CallEnd::Exit { .. }
            | CallEnd::Output { .. }
            | CallEnd::Input { .. }
            | CallEnd::Denied { .. } => 0,
        };
        value + self.stdout.len() + self.stderr.len()
    }

    /// Bytes that the host has to hold of it.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let error = match self.end {
            CallEnd::Trap { error, .. }
            | CallEnd::Memory { error, .. }
            | CallEnd::Output { error }
            | CallEnd::Input { error }
            | CallEnd::Denied { error } => error.len(),
            CallEnd::Ok(_) | CallEnd::OutOfFuel | CallEnd::Exit { .. } => 0,
        };
        self.output_len() + error + self.backtrace.len()
    }
}

/// How a call ended, as the worker saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallEnd<'a> {
    /// It returned; the value's JSON text.
    Ok(#[serde(serialize_with = "as_bytes")] &'a [u8]),
    /// It trapped.
    Trap {
        /// Which trap.
        kind: TrapKind,
        /// What the runtime says, without addresses.
        error: &'a str,
    },
    /// More memory was refused to it, and then it trapped.
    Memory {
        /// Whose limit it was.
        limit: MemoryLimit,
        /// How that ended it.
        error: &'a str,
    },
    /// It has used up its fuel.
    OutOfFuel,
    /// The guest ended itself.
    Exit {
        /// The code it gave.
        code: i32,
    },
    /// Its output is too long, or no value.
    Output {
        /// What is wrong with it.
        error: &'a str,
    },
    /// The item does not fit the function.
    Input {
        /// What was expected, what was found, and where.
        error: &'a str,
    },
    /// It asked for something that it may not have, and then it trapped or ended itself with a code other than 0.
    Denied {
        /// What it asked for, and how that ended it.
        error: &'a str,
    },
}

/// Serde takes a slice of bytes for a sequence, and would write it one by one.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}
