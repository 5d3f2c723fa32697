//! The types of `wit/pool/pool.wit`, as the runtime hands them over.

use wasmtime::component::{ComponentType, Lift, Lower};

/// What a name may be opened for, and why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum OpenError {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "other-kind")]
    OtherKind,
    #[component(name = "taken")]
    Taken,
}

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make them")]
pub(super) enum Number {
    #[component(name = "s32")]
    S32,
    #[component(name = "u32")]
    U32,
    #[component(name = "s64")]
    S64,
    #[component(name = "u64")]
    U64,
    #[component(name = "f32")]
    F32,
    #[component(name = "f64")]
    F64,
}

/// The time to wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub(super) struct TimedOut {
    pub(super) holder: Option<u32>,
}

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub(super) struct Segment {
    pub(super) length: u64,
    pub(super) writable: bool,
}

/// Why a segment is not put into a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum AttachError {
    #[component(name = "place")]
    Place,
    #[component(name = "not-grown")]
    NotGrown,
    #[component(name = "refused")]
    Refused,
}

/// Why a message is not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum PutError {
    #[component(name = "closed")]
    Closed,
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "too-long")]
    TooLong,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum GetError {
    #[component(name = "closed")]
    Closed,
    #[component(name = "timed-out")]
    TimedOut,
}

/// How much a word matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make them")]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
    #[component(name = "error")]
    Error,
}
