//! How an item ended: exactly one [`Outcome`], whatever happened to the worker that ran it.

use std::sync::Arc;
use std::time::Duration;

use crate::item::ItemIndex;

/// How one item ended.
///
/// ```no_run
/// use wasmpool::{CallError, Outcome, TimeLimit};
///
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
/// if let Some(CallError::Failed(failure)) = call.exception() {
///     match &failure.outcome {
///         Outcome::Timeout { limit: TimeLimit::Wall(limit) } => eprintln!("it took longer than {limit:?}"),
///         Outcome::Trap { kind, error } => eprintln!("{}: {error}", kind.name()),
///         outcome => eprintln!("{}", outcome.status()),
///     }
/// }
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function returned.
    Ok(Output),
    /// The guest trapped.
    Trap {
        /// Which trap.
        kind: TrapKind,
        /// What the runtime says about it, without addresses: the same for every run.
        error: String,
    },
    /// The guest ended itself with a code other than 0, or with 0 before it had returned a value.
    Exit {
        /// The code it gave.
        code: i32,
    },
    /// The item ran into a limit of time.
    Timeout {
        /// Which, and where that is.
        limit: TimeLimit,
    },
    /// The item ran into the limit of memory.
    Memory {
        /// Whose.
        limit: MemoryLimit,
        /// Where that is, in bytes.
        bytes: u64,
        /// How that ended it.
        error: String,
    },
    /// The item produced more than it may, or something that is no value.
    Output {
        /// What was wrong with it.
        error: String,
    },
    /// The item does not fit the function's type.
    Input {
        /// What was expected, what was found, and where.
        error: String,
    },
    /// The guest asked for something that it may not have, and failed then.
    Denied {
        /// What it asked for, and how that ended it.
        error: String,
    },
    /// The worker that ran the item died, and the worker that tried it again died too.
    Crash {
        /// How the last of them ended.
        end: WorkerEnd,
    },
    /// The worker that ran the item broke the protocol, and so did the one that tried it again.
    Protocol {
        /// The rule it broke, in words of ours.
        error: String,
    },
    /// The run ended before the item could.
    Cancelled,
}

/// The limits of time, and where each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// By the clock on the wall.
    Wall(Duration),
    /// By the processor's.
    Cpu(Duration),
    /// By the instructions it ran, in units of fuel.
    Fuel(u64),
}

/// The limits of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MemoryLimit {
    /// The guest's linear memories and tables: more was refused to it, and then it trapped.
    Guest,
    /// The worker's as a process: it could not get what it needed to serve the item.
    Process,
}

/// What an `ok` item returned: one JSON value on one line; `null` for a function without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The value's JSON text, checked to be well-formed and free of control characters.
    json: Box<str>,
}

/// What the value of an `ok` item can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returns {
    /// That the function returned.
    #[default]
    Value,
    /// The function returns a WIT `result`: whether it found what it was asked for, or why not.
    Result,
}

/// What becomes of what guests print, beside its place in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Printed {
    /// Nothing.
    #[default]
    Recorded,
    /// It is told to whoever looks on: there is no record that they will see.
    Told,
}

/// How a worker process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
}

/// The kinds of trap, by the names records use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapKind {
    /// The `unreachable` instruction; a Rust panic ends here.
    Unreachable,
    /// Integer division by zero.
    IntegerDivideByZero,
    /// An integer operation whose result does not fit.
    IntegerOverflow,
    /// A float that has no integer to become.
    BadConversionToInteger,
    /// A load or store outside the linear memory.
    MemoryOutOfBounds,
    /// An access outside a table.
    TableOutOfBounds,
    /// An indirect call through an empty table slot.
    IndirectCallToNull,
    /// An indirect call of a function of another type.
    BadSignature,
    /// The guest's stack is used up.
    StackOverflow,
    /// An atomic access that is not aligned.
    MisalignedAccess,
    /// A null reference was used.
    NullReference,
    /// A reference is not of the type it was cast to.
    CastFailure,
    /// An exception left the guest.
    UncaughtException,
    /// The guest broke a rule of the component model.
    ComponentModel,
    /// A host function refused the call.
    HostCall,
    /// Any trap without a kind of its own.
    Other,
}

/// What varies from run to run; printed with `--meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// How long the last attempt ran, by the worker's clock.
    pub wall: Duration,
    /// CPU time of the last attempt.
    pub cpu: Duration,
    /// The largest size of the guest's linear memories together, in bytes.
    pub peak_memory: u64,
    /// How often the item was started.
    pub attempts: u32,
    /// Which worker slot ran it, from 0.
    pub worker: u32,
    /// The process that ran it.
    pub pid: u32,
    /// Where in the guest it trapped, innermost frame first.
    pub backtrace: Vec<String>,
}

/// The end of one item: its outcome and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The file that its input was read from, where it was one.
    pub file: Option<Box<[u8]>>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the guest wrote to its standard output.
    pub stdout: Box<[u8]>,
    /// What the guest wrote to its standard error.
    pub stderr: Box<[u8]>,
    /// What varies.
    pub meta: Box<Meta>,
    /// Where it comes from, in a run of several stages.
    pub origin: Option<Box<Origin>>,
}

/// What an item of a run of several stages was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which item of the input it was made of.
    pub index: ItemIndex,
    /// Its place in each list that was taken apart on the way, from 0.
    pub part: Vec<u64>,
    /// The stage that it ended in, if that was before the last one had returned its value.
    pub stage: Option<Arc<str>>,
}

/// Why bytes a worker sent as a value were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// They are not one JSON value.
    #[error("a value that is no JSON")]
    Malformed,
    /// They would break the one-line record.
    #[error("a value with control characters")]
    ControlCharacter,
}

impl Output {
    /// Checks that `bytes`, which came from a worker, are one JSON value that fits on a line.
    ///
    /// # Errors
    /// If they are not.
    #[doc(hidden)]
    pub fn from_untrusted(bytes: &[u8]) -> Result<Self, OutputError> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_slice(bytes).map_err(|_| OutputError::Malformed)?;
        // JSON allows line breaks between tokens; a record has none.
        if raw.get().bytes().any(|byte| byte < 0x20) {
            return Err(OutputError::ControlCharacter);
        }
        Ok(Self { json: raw.get().into() })
    }

    /// The value's JSON text.
    #[must_use]
    pub(crate) fn into_json(self) -> Box<str> {
        self.json
    }

    /// The value's JSON text, one line.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether the value, of a function that returns a WIT `result`, is the `err` of it.
    #[must_use]
    pub fn is_err(&self) -> bool {
        // As workers write it: without white space.
        self.json.starts_with(r#"{"err":"#)
    }
}

impl Completion {
    /// The end of an item of which there is nothing else to tell.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            file: None,
            outcome,
            stdout: Box::default(),
            stderr: Box::default(),
            meta: Box::default(),
            origin: None,
        }
    }

    /// How many bytes it keeps in memory: what came of the item, what the guest printed, where it trapped, and the
    /// name of its file.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        let Self { file, outcome, stdout, stderr, meta, origin } = self;
        let result = outcome.output().map(Output::json).or(outcome.error()).map_or(0, str::len);
        let frames = meta.backtrace.iter().map(|frame| size_of::<String>() + frame.len()).sum::<usize>();
        let file = file.as_ref().map_or(0, |name| name.len());
        let parts = origin.as_ref().map_or(0, |origin| size_of_val(origin.part.as_slice()));
        (file + result + stdout.len() + stderr.len() + frames + parts) as u64
    }
}

impl Outcome {
    /// The status word of a record.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Trap { .. } => "trap",
            Self::Exit { .. } => "exit",
            Self::Timeout { .. } => "timeout",
            Self::Memory { .. } => "memory",
            Self::Output { .. } => "output",
            Self::Input { .. } => "input",
            Self::Denied { .. } => "denied",
            Self::Crash { .. } => "crash",
            Self::Protocol { .. } => "protocol",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the item returned, if it ended well.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        match self {
            Self::Ok(output) => Some(output),
            Self::Trap { .. }
            | Self::Exit { .. }
            | Self::Timeout { .. }
            | Self::Memory { .. }
            | Self::Output { .. }
            | Self::Input { .. }
            | Self::Denied { .. }
            | Self::Crash { .. }
            | Self::Protocol { .. }
            | Self::Cancelled => None,
        }
    }

    /// What is said about how it ended, where that is in words.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Trap { error, .. }
            | Self::Memory { error, .. }
            | Self::Output { error }
            | Self::Input { error }
            | Self::Denied { error }
            | Self::Protocol { error } => Some(error),
            Self::Ok(_) | Self::Exit { .. } | Self::Timeout { .. } | Self::Crash { .. } | Self::Cancelled => {
                None
            }
        }
    }

    /// Whether the item ended well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.output().is_some()
    }
}

impl TrapKind {
    /// The kind as a record prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::IntegerDivideByZero => "integer-divide-by-zero",
            Self::IntegerOverflow => "integer-overflow",
            Self::BadConversionToInteger => "bad-conversion-to-integer",
            Self::MemoryOutOfBounds => "memory-out-of-bounds",
            Self::TableOutOfBounds => "table-out-of-bounds",
            Self::IndirectCallToNull => "indirect-call-to-null",
            Self::BadSignature => "bad-signature",
            Self::StackOverflow => "stack-overflow",
            Self::MisalignedAccess => "misaligned-access",
            Self::NullReference => "null-reference",
            Self::CastFailure => "cast-failure",
            Self::UncaughtException => "uncaught-exception",
            Self::ComponentModel => "component-model",
            Self::HostCall => "host-call",
            Self::Other => "other",
        }
    }
}

impl MemoryLimit {
    /// The limit as a record prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Process => "process",
        }
    }
}

impl std::fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => {
                write!(f, "was killed by {}", crate::error::signal_name(*signal))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_completion_keeps_is_counted() {
        let error = "e".repeat(1000);
        let outcomes = [
            Outcome::Trap { kind: TrapKind::Other, error: error.clone() },
            Outcome::Memory { limit: MemoryLimit::Guest, bytes: 1, error: error.clone() },
            Outcome::Output { error: error.clone() },
            Outcome::Input { error: error.clone() },
            Outcome::Protocol { error },
        ];
        for outcome in outcomes {
            let meta = Meta { backtrace: vec!["f".repeat(100); 3], ..Meta::default() };
            let completion = Completion {
                file: Some(vec![b'n'; 20].into()),
                stdout: vec![b'o'; 4].into(),
                stderr: vec![b'e'; 5].into(),
                meta: Box::new(meta),
                ..Completion::new(outcome)
            };
            let frames = 3 * (100 + size_of::<String>() as u64);
            assert_eq!(completion.held_bytes(), 1000 + frames + 20 + 4 + 5, "{completion:?}");
        }
        let value = Output::from_untrusted(b"[1,2]").unwrap();
        assert_eq!(Completion::new(Outcome::Ok(value)).held_bytes(), 5);
        assert_eq!(Completion::new(Outcome::Cancelled).held_bytes(), 0);
    }
}
