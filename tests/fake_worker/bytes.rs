//! What fake workers write, true and false.

use wasmpool::guest::{Description, Export, GuestKind, ValueType};
use wasmpool::item::{Input, ItemIndex, MERGE_BIT};
use wasmpool::wire::msg::{Back, Batch, CallEnd, Ready, Refusal, Refused, Report, Response};
use wasmpool::wire::version::hello;
use wasmpool::wire::{encode_description, encode_report, encode_response};

use super::script::Lie;

/// Bytes that no message starts with.
pub(super) const GARBAGE: [u8; 4096] = [0x93; 4096];

/// A guest that exports `f(n: u64) -> u64`.
pub(super) fn description() -> Vec<u8> {
    let export = Export {
        interface: None,
        function: "f".into(),
        params: vec![("n".into(), ValueType::U64)],
        result: Some(ValueType::U64),
    };
    encode_description(&Description {
        kind: GuestKind::Component,
        exports: vec![export],
        imports: vec![],
        initial_memory: 0,
    })
}

/// What the guest returns: the number itself, the length of a text.
pub(super) fn value(input: Input<'_>) -> String {
    match input {
        Input::Span { start, .. } => start.to_string(),
        Input::Number(number) => number.to_string(),
        Input::Text(bytes)
        | Input::File { content: bytes, .. }
        | Input::Arguments(bytes)
        | Input::Json { text: bytes, .. }
        | Input::Fold(bytes) => bytes.len().to_string(),
    }
}

/// The report of an item that ended well.
pub(super) fn report(value: &[u8], stdout: usize) -> Vec<u8> {
    let report = Report {
        end: CallEnd::Ok(value),
        stdout: &vec![b'o'; stdout],
        stderr: b"",
        wall_ns: 1000,
        cpu_ns: 0,
        peak_memory: 0,
        backtrace: "",
    };
    let mut bytes = Vec::new();
    encode_report(&report, &mut bytes);
    bytes
}

pub(super) fn encoded(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_response(response, &mut bytes);
    bytes
}

pub(super) fn batch(first: ItemIndex, attempt: u32, count: u32, reports: &[u8]) -> Vec<u8> {
    encoded(&Response::Result(Batch { first, attempt, count, reports }))
}

/// A batch of one.
pub(super) fn single(item: ItemIndex, attempt: u32, value: &[u8], stdout: usize) -> Vec<u8> {
    batch(item, attempt, 1, &report(value, stdout))
}

impl Lie {
    /// What is sent in place of the result `value` of `item`.
    pub(super) fn bytes(self, item: ItemIndex, attempt: u32, value: &[u8]) -> Vec<u8> {
        let single = |value: &[u8]| single(item, attempt, value, 0);
        match self {
            Self::Length(length) => with(single(value), 8, &length.to_le_bytes()),
            Self::NoReports => batch(item, attempt, 1, &[]),
            Self::Garbage => GARBAGE.to_vec(),
            Self::Checksum => with(single(value), 12, b"none"),
            Self::Version => with(single(value), 2, &[2]),
            Self::Kind => with(single(value), 3, &[99]),
            Self::ShortFragment => with(single(value), 4, &[1, 0]),
            Self::ItemAhead(by) => batch(item + by, attempt, 1, &report(value, 0)),
            Self::OtherAttempt => batch(item, attempt + 1, 1, &report(value, 0)),
            Self::Twice => single(value).repeat(2),
            Self::Repeated(times) => batch(item, attempt, times, &report(value, 0).repeat(times as usize)),
            Self::Merge => {
                let first = item | MERGE_BIT;
                encoded(&Response::Merge(Batch { first, attempt, count: 1, reports: &report(value, 0) }))
            }
            Self::NoJson => single(b"1,2"),
            Self::LineBreak => single(b"[1,\n2]"),
            Self::NoUtf8 => single(b"\"\xff\""),
            Self::Nested(depth) => single(&[b"[".repeat(depth), b"]".repeat(depth)].concat()),
            Self::Unclosed(depth) => single(&b"[".repeat(depth)),
            Self::Output(length) => batch(item, attempt, 1, &report(value, length)),
            Self::Hello => encoded(&Response::Hello(hello())),
            Self::Ready => encoded(&Response::Ready(Ready::default())),
            Self::Refusal => encoded(&Response::Refused(Refused {
                about: Refusal::Guest,
                message: "is no good",
                hint: None,
            })),
            Self::Description => encoded(&Response::Description(&description())),
            Self::Code => encoded(&Response::Code(b"code")),
            Self::Drain => encoded(&Response::Drain),
            Self::Back => encoded(&Response::Back(Back { first: item, attempt, count: 1 })),
            Self::Bye => encoded(&Response::Bye),
        }
    }
}

/// `bytes` with others at `at`.
fn with(mut bytes: Vec<u8>, at: usize, others: &[u8]) -> Vec<u8> {
    bytes[at..at + others.len()].copy_from_slice(others);
    bytes
}
