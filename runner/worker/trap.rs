//! How the runtime's errors become the end of a call.
//!
//! The texts are part of an item's record: the same in every run and every worker, so without addresses, without
//! a backtrace, on one line.

use std::io;

use rustix::io::Errno;
use wasmtime::component::ResourceTableError;
use wasmtime::{ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::stdio::OutputLimit;
use super::validate::one_line;
use crate::outcome::{MemoryLimit, TrapKind};

/// Why a call did not return.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// See [`CallEnd::Trap`](crate::wire::msg::CallEnd::Trap).
    Trap { kind: TrapKind, error: String },
    /// See [`CallEnd::Memory`](crate::wire::msg::CallEnd::Memory).
    Memory { limit: MemoryLimit, error: String },
    /// See [`CallEnd::OutOfFuel`](crate::wire::msg::CallEnd::OutOfFuel).
    OutOfFuel,
    /// See [`CallEnd::Exit`](crate::wire::msg::CallEnd::Exit).
    Exit { code: i32 },
    /// See [`CallEnd::Output`](crate::wire::msg::CallEnd::Output).
    Output { error: String },
    /// See [`CallEnd::Input`](crate::wire::msg::CallEnd::Input).
    Input { error: String },
    /// See [`CallEnd::Denied`](crate::wire::msg::CallEnd::Denied).
    Denied { error: String },
}

/// How the text of an error begins whose type the runtime keeps to itself.
const TOO_MUCH_HANDED_OVER: &str = "too much data is being copied between the host and the guest";

/// What ended a call, from the error it ended with; an error that says nothing about itself is of kind `otherwise`.
pub(super) fn failure(error: &wasmtime::Error, otherwise: TrapKind) -> Failure {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Failure::Exit { code: exit.0 };
    }
    if let Some(limit) = error.downcast_ref::<OutputLimit>() {
        return Failure::Output { error: limit.to_string() };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        if *trap == Trap::OutOfFuel {
            return Failure::OutOfFuel;
        }
        return Failure::Trap { kind: kind(*trap), error: trap.to_string() };
    }
    if error.is::<ThrownException>() {
        let error = "an exception was not caught".to_owned();
        return Failure::Trap { kind: TrapKind::UncaughtException, error };
    }
    let cause = one_line(&error.root_cause().to_string());
    if lacks_memory(error) {
        return Failure::Memory { limit: MemoryLimit::Process, error: cause };
    }
    if cause.starts_with(TOO_MUCH_HANDED_OVER) {
        return Failure::Output { error: "the value takes too much memory".to_owned() };
    }
    let kind = if error.is::<ResourceTableError>() { TrapKind::HostCall } else { otherwise };
    Failure::Trap { kind, error: cause }
}

/// Whether the system had no memory, or no addresses, for an instance.
fn lacks_memory(error: &wasmtime::Error) -> bool {
    let cause = error.root_cause();
    let io = cause.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
    io.or_else(|| cause.downcast_ref::<Errno>().copied()) == Some(Errno::NOMEM)
}

impl Failure {
    /// The same failure of a guest to which memory was refused by this limit, if any was: then a trap is what came of
    /// that.
    pub(super) fn after_refusal(self, refused: Option<MemoryLimit>) -> Self {
        match (self, refused) {
            (Self::Trap { kind: _, error }, Some(limit)) => Self::Memory { limit, error },
            (other, _) => other,
        }
    }

    /// The same failure of a guest to which this was denied, if anything was: then that is why it gave up.
    pub(super) fn after_denial(self, denied: Option<&str>) -> Self {
        match (self, denied) {
            (Self::Trap { kind: _, error }, Some(denied)) => {
                Self::Denied { error: format!("{denied}, and then: {error}") }
            }
            (Self::Exit { code }, Some(denied)) if code != 0 => {
                Self::Denied { error: format!("{denied}, and then: exit with code {code}") }
            }
            (other, _) => other,
        }
    }
}

/// The guest's frames at a trap, innermost first, one per line; empty if none were captured.
pub(super) fn backtrace(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let lines = backtrace.frames().iter().map(|frame| {
        let module = printable(frame.module().name().unwrap_or("guest"), LONGEST_NAME);
        let function = match frame.func_name() {
            Some(name) => printable(name, LONGEST_NAME),
            None => format!("function {}", frame.func_index()),
        };
        match frame.module_offset() {
            Some(offset) => format!("0x{offset:x} {module}!{function}"),
            None => format!("{module}!{function}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Characters of a name in a backtrace. Names come from the guest.
const LONGEST_NAME: usize = 80;

/// A name comes from the guest; a line break in it would start another line.
pub(super) fn printable(name: &str, longest: usize) -> String {
    let shown = name.chars().take(longest);
    shown.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn kind(trap: Trap) -> TrapKind {
    match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::IntegerDivisionByZero => TrapKind::IntegerDivideByZero,
        Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        Trap::BadConversionToInteger => TrapKind::BadConversionToInteger,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
        Trap::BadSignature => TrapKind::BadSignature,
        Trap::StackOverflow => TrapKind::StackOverflow,
        Trap::HeapMisaligned | Trap::AtomicWaitNonSharedMemory => TrapKind::MisalignedAccess,
        Trap::NullReference => TrapKind::NullReference,
        Trap::CastFailure => TrapKind::CastFailure,
        Trap::CannotEnterComponent
        | Trap::CannotLeaveComponent
        | Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer
        | Trap::CannotBlockSyncTask => TrapKind::ComponentModel,
        Trap::UncaughtException => TrapKind::UncaughtException,
        _ => TrapKind::Other,
    }
}
