//! The protocol: streams of frames, in pieces of any size, and what is in them.

use crate::Target;
use crate::chunk::{Chunk, Inputs};
use crate::guest::{Description, Export, GuestKind, Integers, ValueType};
use crate::item::MERGE_BIT;
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::TrapKind;
use crate::sandbox::{Layer, LayerState};
use crate::wire::codec::Reports;
use crate::wire::frame::{FRAME_CAP, HEADER_LEN};
use crate::wire::msg::{
    Allowance, Batch, Call, CallEnd, Hello, Load, Ready, Refusal, Refused, Report, Request, Response, Serve,
};
use crate::wire::version::hello;
use crate::wire::{
    Decoder, encode_description, encode_report, encode_request, encode_response, parse_description,
};

/// Longer messages are refused.
const MAX_MESSAGE: usize = 1 << 20;

/// What a decoder keeps whatever comes: room for two frames and a half, doubled once.
const DECODER: usize = 2 << 20;

/// What the host reads.
pub const RESPONSES: Target =
    Target { name: "responses", corpus: responses, mend: Some(mend), run: read_responses, memory: DECODER };

/// What a worker reads.
pub const REQUESTS: Target =
    Target { name: "requests", corpus: requests, mend: Some(mend), run: read_requests, memory: DECODER };

/// What a compile worker says of a guest.
pub const DESCRIPTIONS: Target =
    Target { name: "descriptions", corpus: descriptions, mend: None, run: read_description, memory: 1 << 16 };

fn read_responses(bytes: &[u8]) {
    for_each_message(bytes, |decoder| {
        let Ok(Some(message)) = decoder.next_message() else { return false };
        if let Ok(Response::Result(batch) | Response::Merge(batch)) = Response::parse(message) {
            let mut reports = Reports::new(&batch);
            let read = reports.by_ref().take_while(Result::is_ok).count();
            assert!(read <= batch.count as usize, "no more reports than the header says");
            assert!(reports.next().is_none(), "nothing comes after an error or the end");
        }
        true
    });
}

fn read_requests(bytes: &[u8]) {
    for_each_message(bytes, |decoder| {
        let Ok(Some(message)) = decoder.next_message() else { return false };
        if let Ok(Request::Call(call) | Request::Merge(call)) = Request::parse(message) {
            let chunk = &call.chunk;
            assert!(chunk.len() > 0, "a chunk has items");
            assert!(chunk.input(chunk.len() - 1).is_some() && chunk.input(chunk.len()).is_none());
        }
        true
    });
}

/// Reads a stream twice: as a whole, and in pieces of a length that the bytes themselves choose. Both must come to the
/// same number of messages and the same end.
fn for_each_message(bytes: &[u8], mut next: impl FnMut(&mut Decoder) -> bool) {
    let mut read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut decoder = Decoder::new(MAX_MESSAGE);
        let mut messages = 0;
        for piece in pieces {
            decoder.push(piece);
            while next(&mut decoder) {
                messages += 1;
            }
        }
        let failure = decoder.next_message().err().map(|error| error.to_string());
        (messages, failure, decoder.is_mid_frame())
    };
    let whole = read(&mut [bytes].into_iter());
    let length = usize::from(bytes.first().copied().unwrap_or_default()) + 1;
    let pieces = read(&mut bytes.chunks(length));
    // What is left of a stream that failed is nobody's business.
    assert_eq!((whole.0, &whole.1), (pieces.0, &pieces.1), "pieces change nothing");
    assert!(whole.1.is_some() || whole.2 == pieces.2, "pieces change nothing");
}

fn read_description(bytes: &[u8]) {
    if let Ok(description) = parse_description(bytes) {
        let again =
            parse_description(&encode_description(&description)).expect("what was read can be written");
        assert_eq!(again, description);
    }
}

/// Makes the lengths and checksums of all frames right, as far as there are bytes.
fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(frame) = bytes.get_mut(at..).filter(|rest| rest.len() >= HEADER_LEN) {
        let length = u32::from_le_bytes([frame[8], frame[9], frame[10], frame[11]]) as usize;
        let length = length.min(frame.len() - HEADER_LEN).min(FRAME_CAP);
        let frame = &mut frame[..HEADER_LEN + length];
        frame[..3].copy_from_slice(b"wp\x01");
        frame[8..12].copy_from_slice(&u32::try_from(length).unwrap_or_default().to_le_bytes());
        frame[12..16].fill(0);
        let checksum = crc32fast::hash(frame).to_le_bytes();
        frame[12..16].copy_from_slice(&checksum);
        at += HEADER_LEN + length;
    }
}

fn report<'a>(end: CallEnd<'a>) -> Report<'a> {
    Report {
        end,
        stdout: b"printed",
        stderr: b"\xff\x00",
        wall_ns: 1_234_567,
        cpu_ns: 1,
        peak_memory: 65_536,
        backtrace: "one\ntwo",
    }
}

fn batch(first: u64, ends: Vec<CallEnd<'_>>) -> Vec<u8> {
    let mut reports = Vec::new();
    let count = u32::try_from(ends.len()).expect("there are few");
    ends.into_iter().for_each(|end| encode_report(&report(end), &mut reports));
    let batch = Batch { first, attempt: 1, count, reports: &reports };
    response(&if first & MERGE_BIT == 0 { Response::Result(batch) } else { Response::Merge(batch) })
}

fn response(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_response(response, &mut bytes);
    bytes
}

fn responses() -> Vec<Vec<u8>> {
    let ends = vec![
        CallEnd::Ok(b"{\"a\":1}"),
        CallEnd::Trap { kind: TrapKind::Unreachable, error: "wasm trap" },
        CallEnd::OutOfFuel,
        CallEnd::Exit { code: -1 },
        CallEnd::Output { error: "too long" },
        CallEnd::Input { error: "expected u64" },
        CallEnd::Denied { error: "opening `..` is not allowed" },
    ];
    let results = batch(7, ends);
    let mut all = vec![
        response(&Response::Hello(hello())),
        response(&Response::Ready(Ready {
            layers: vec![LayerState::holds(Layer::Seccomp), LayerState::absent(Layer::Landlock, "old")],
        })),
        response(&Response::Refused(Refused {
            about: Refusal::Guest,
            message: "is no good",
            hint: Some("try another"),
        })),
        response(&Response::Description(&encode_description(&description()))),
        response(&Response::Code(&[0xc0; 300])),
        response(&Response::Log(b"a line")),
        response(&Response::Progress { item: 3, millionths: 500_000 }),
        response(&Response::Drain),
        response(&Response::Bye),
        batch(MERGE_BIT | 5, vec![CallEnd::Ok(b"1")]),
        results,
    ];
    all.push(all.concat());
    all
}

fn requests() -> Vec<Vec<u8>> {
    let serve = Serve {
        exports: vec!["f".into(), "merge-f".into()],
        meta: true,
        limits: GuestLimits { fuel: Some(9), ..GuestLimits::default() },
        isolation: Isolation::Item,
        seed: Some(7),
        integers: Integers::Signed,
        dirs: Vec::new(),
        env: Vec::new(),
        init: None,
        bound: Vec::new(),
        shared: Vec::new(),
    };
    let packed = || [&b"one"[..], b"", b"[2,3]"].into_iter().collect();
    let call = |inputs| Call { group: 0, export: 0, attempt: 1, chunk: Chunk::new(40, inputs) };
    let folds =
        Call { chunk: Chunk::new(MERGE_BIT | 2, Inputs::Folds(packed())), ..call(Inputs::Texts(packed())) };
    let messages = [
        Request::Hello(Hello { protocol: 1, build: "0" }),
        Request::Load(Load::Compile { describe_only: true, code: CodeOptions::default() }),
        Request::Load(Load::Serve(serve)),
        Request::Load(Load::Probe),
        Request::Call(call(Inputs::Spans { start: -5, end: 100, step: 10 })),
        Request::Call(call(Inputs::Numbers { start: i128::MIN, count: 3 })),
        Request::Call(call(Inputs::Texts(packed()))),
        Request::Call(call(Inputs::Arguments(packed()))),
        Request::Call(call(Inputs::Json { line: 12, texts: packed() })),
        Request::Merge(folds),
        Request::Allow(Allowance { memory: Some(1 << 20) }),
        Request::Drain,
        Request::Bye,
    ];
    let encoded = |request: &Request<'_>| {
        let mut bytes = Vec::new();
        encode_request(request, &mut bytes);
        bytes
    };
    let mut all: Vec<_> = messages.iter().map(encoded).collect();
    all.push(all.concat());
    all
}

fn description() -> Description {
    let nested = ValueType::List(Box::new(ValueType::Option(Box::new(ValueType::Tuple(vec![
        ValueType::String,
        ValueType::U8,
    ])))));
    let export = Export {
        interface: Some("a:b/c@1.0.0".into()),
        function: "f".into(),
        params: vec![("n".into(), ValueType::U64), ("rest".into(), nested)],
        result: Some(ValueType::F64),
    };
    Description {
        kind: GuestKind::Component,
        initial_memory: 1 << 16,
        exports: vec![export],
        imports: vec!["wasi:cli/exit@0.2.0".into()],
    }
}

fn descriptions() -> Vec<Vec<u8>> {
    vec![encode_description(&description())]
}
