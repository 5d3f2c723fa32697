//! Messages through streams that come in pieces of any size.

use std::io::{self, Read};
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::guest::Integers;
use crate::item::MERGE_BIT;
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::TrapKind;
use crate::sandbox::{Access, Layer, LayerState};
use crate::wire::frame::FRAME_CAP;
use crate::wire::msg::{Allowance, GuestDir, Hello, Load, Ready, Refusal, Refused, Serve};
use crate::wire::{ReadError, read_message};

/// Something to borrow from, enough for three fragments.
static TEXT: LazyLock<String> = LazyLock::new(|| ('a'..='z').cycle().take(3 * FRAME_CAP).collect());

/// Lengths as they come, and those around a fragment's end.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..40_usize,
        2 => 0..9_000_usize,
        1 => FRAME_CAP - 40..FRAME_CAP + 40,
        1 => 2 * FRAME_CAP - 2..2 * FRAME_CAP + 2,
    ]
}

fn texts() -> impl Strategy<Value = &'static str> {
    lengths().prop_map(|length| &TEXT[..length])
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    texts().prop_map(str::as_bytes)
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let packs = || vec(bytes(), 1..9).prop_map(|texts| texts.into_iter().collect::<Packed>());
    prop_oneof![
        (any::<i64>(), 1..500_i128, 1..70_u64).prop_map(|(start, numbers, step)| {
            let start = i128::from(start);
            Inputs::Spans { start, end: start + numbers, step }
        }),
        (any::<i64>(), 1..1_u64 << 32)
            .prop_map(|(start, count)| Inputs::Numbers { start: start.into(), count }),
        packs().prop_map(Inputs::Texts),
        packs().prop_map(Inputs::Arguments),
        packs().prop_map(Inputs::Folds),
    ]
}

fn chunk_requests() -> impl Strategy<Value = Request<'static>> {
    (any::<u32>(), any::<u32>(), 1..=u32::MAX, 0..1_u64 << 62, inputs()).prop_map(
        |(group, export, attempt, first, inputs)| {
            let merges = matches!(inputs, Inputs::Folds(_));
            let first = if merges { first | MERGE_BIT } else { first };
            let call = Call { group, export, attempt, chunk: Chunk::new(first, inputs) };
            if merges { Request::Merge(call) } else { Request::Call(call) }
        },
    )
}

fn hellos() -> impl Strategy<Value = Hello<'static>> {
    (any::<u16>(), texts()).prop_map(|(protocol, build)| Hello { protocol, build })
}

fn requests() -> impl Strategy<Value = Request<'static>> {
    let integers = prop_oneof![Just(Integers::Signed), Just(Integers::Unsigned)];
    let isolation = prop_oneof![Just(Isolation::Item), Just(Isolation::Worker)];
    let limits = (any::<u64>(), any::<u64>(), any::<Option<u64>>())
        .prop_map(|(memory, output, fuel)| GuestLimits { memory, output, fuel });
    let serve = (vec(texts(), 0..3), any::<bool>(), limits, integers, isolation, any::<Option<u64>>())
        .prop_map(|(exports, meta, limits, integers, isolation, seed)| {
            let exports: Vec<String> = exports.into_iter().map(str::to_owned).collect();
            let dirs = vec![GuestDir { path: ".".to_owned(), access: Access::Read }];
            let env = exports.iter().map(|name| (name.clone(), name.clone())).collect();
            Request::Load(Load::Serve(Serve {
                exports,
                meta,
                limits,
                isolation,
                seed,
                integers,
                dirs,
                env,
                init: None,
                bound: Vec::new(),
                shared: Vec::new(),
            }))
        });
    prop_oneof![
        5 => chunk_requests(),
        1 => hellos().prop_map(Request::Hello),
        1 => any::<[bool; 3]>().prop_map(|[describe_only, fuel, deterministic]| {
            Request::Load(Load::Compile { describe_only, code: CodeOptions { fuel, deterministic, segments: fuel } })
        }),
        1 => serve,
        1 => any::<Option<u64>>().prop_map(|memory| Request::Allow(Allowance { memory })),
        1 => Just(()).prop_map(|()| Request::Drain),
        1 => Just(()).prop_map(|()| Request::Bye),
    ]
}

fn call_ends() -> impl Strategy<Value = CallEnd<'static>> {
    prop_oneof![
        bytes().prop_map(CallEnd::Ok),
        texts().prop_map(|error| CallEnd::Trap { kind: TrapKind::StackOverflow, error }),
        any::<i32>().prop_map(|code| CallEnd::Exit { code }),
        texts().prop_map(|error| CallEnd::Output { error }),
        texts().prop_map(|error| CallEnd::Input { error }),
        texts().prop_map(|error| CallEnd::Denied { error }),
    ]
}

fn a_report() -> impl Strategy<Value = Report<'static>> {
    (call_ends(), bytes(), bytes(), any::<[u64; 3]>(), texts()).prop_map(
        |(end, stdout, stderr, [wall_ns, cpu_ns, peak_memory], backtrace)| Report {
            end,
            stdout,
            stderr,
            wall_ns,
            cpu_ns,
            peak_memory,
            backtrace,
        },
    )
}

fn batches() -> impl Strategy<Value = Response<'static>> {
    let items = (any::<bool>(), 0..1_u64 << 62, 1..=u32::MAX, 1..=u32::MAX, bytes());
    items.prop_map(|(merges, first, attempt, count, reports)| {
        if merges {
            Response::Merge(Batch { first: first | MERGE_BIT, attempt, count, reports })
        } else {
            Response::Result(Batch { first, attempt, count, reports })
        }
    })
}

fn responses() -> impl Strategy<Value = Response<'static>> {
    let ready = vec(0..99_usize, 0..9).prop_map(|lengths| {
        let layers = Layer::ALL.into_iter().cycle().zip(lengths);
        let layers = layers.map(|(layer, length)| LayerState::absent(layer, &TEXT[..length])).collect();
        Response::Ready(Ready { layers })
    });
    let refused = (texts(), proptest::option::of(texts()))
        .prop_map(|(message, hint)| Response::Refused(Refused { about: Refusal::Protection, message, hint }));
    let progress = (any::<u64>(), 0..=1_000_000_u32)
        .prop_map(|(item, millionths)| Response::Progress { item, millionths });
    prop_oneof![
        5 => batches(),
        1 => hellos().prop_map(Response::Hello),
        1 => ready,
        1 => refused,
        1 => bytes().prop_map(Response::Description),
        1 => bytes().prop_map(Response::Code),
        1 => bytes().prop_map(Response::Log),
        1 => progress,
        1 => Just(()).prop_map(|()| Response::Drain),
        1 => Just(()).prop_map(|()| Response::Bye),
    ]
}

/// Sizes of the pieces a stream comes in, to be used over and over.
fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![4 => 1..200_usize, 2 => 1..9_000_usize, 1 => 1..3 * FRAME_CAP];
    // Not only tiny ones: half a million pushes a case would take minutes.
    (vec(size, 0..6), 1_000..80_000_usize).prop_map(|(mut sizes, large)| {
        sizes.push(large);
        sizes
    })
}

/// `stream` in pieces of these sizes.
fn cut<'a>(mut stream: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    sizes.iter().cycle().map_while(move |size| {
        let (piece, rest) = stream.split_at_checked(*size).unwrap_or((stream, &[]));
        stream = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A pipe that delivers pieces of these sizes, interrupted by a signal before each.
struct Pipe<'a> {
    stream: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    interrupted: bool,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = *self.sizes.next().unwrap();
        let most = size.min(buffer.len());
        self.stream.read(&mut buffer[..most])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn requests_survive_a_stream_cut_anywhere(requests in vec(requests(), 1..6), sizes in pieces()) {
        let stream: Vec<u8> = requests.iter().flat_map(request_bytes).collect();
        let mut decoder = Decoder::new(16 * FRAME_CAP);
        let mut expected = requests.iter();
        for piece in cut(&stream, &sizes) {
            decoder.push(piece);
            while let Some(message) = decoder.next_message()? {
                prop_assert_eq!(Some(&Request::parse(message)?), expected.next());
            }
        }
        prop_assert_eq!(expected.next(), None);
        prop_assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn responses_survive_a_pipe_that_reads_short(responses in vec(responses(), 1..6), sizes in pieces()) {
        let stream: Vec<u8> = responses.iter().flat_map(response_bytes).collect();
        let mut pipe = Pipe { stream: &stream, sizes: sizes.iter().cycle(), interrupted: false };
        let mut decoder = Decoder::new(16 * FRAME_CAP);
        for expected in &responses {
            let message = read_message(&mut pipe, &mut decoder)?.expect("the stream has not ended");
            prop_assert_eq!(&Response::parse(message)?, expected);
        }
        prop_assert!(read_message(&mut pipe, &mut decoder)?.is_none());
    }

    #[test]
    fn reports_come_back_as_they_were(expected in vec(a_report(), 1..5)) {
        let bytes = reports(&expected);
        let count = u32::try_from(expected.len())?;
        let batch = Batch { first: 0, attempt: 1, count, reports: &bytes };
        let read = Reports::new(&batch).collect::<Result<Vec<_>, _>>()?;
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_truncated(response in responses(), at in any::<prop::sample::Index>()) {
        let stream = response_bytes(&response);
        let cut = 1 + at.index(stream.len() - 1);
        let mut decoder = Decoder::new(PLENTY);
        let read = read_message(&mut &stream[..cut], &mut decoder).map(|_| ());
        prop_assert!(matches!(read, Err(ReadError::Wire(WireError::Truncated))), "{:?}", read);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn frames_near_the_cap_are_read_in_bounded_memory(lengths in vec(FRAME_CAP - 9_000..=FRAME_CAP, 12), sizes in pieces()) {
        let frames = lengths.iter().flat_map(|length| fragments(*length));
        let stream: Vec<u8> = frames.flatten().collect();
        let mut pipe = Pipe { stream: &stream, sizes: sizes.iter().cycle(), interrupted: false };
        let mut decoder = Decoder::new(FRAME_CAP);
        for _ in lengths {
            prop_assert!(read_message(&mut pipe, &mut decoder)?.is_some());
            prop_assert!(decoder.held() <= Decoder::BUFFER_MAX);
        }
    }
}

/// A frame of any content whose checksum is right, so that it gets past framing.
fn sealed_frames() -> impl Strategy<Value = Vec<u8>> {
    let small = || prop_oneof![3 => 0..3_u8, 1 => any::<u8>()];
    let fields = (0..16_u8, 0..10_u8, vec(small(), 24), vec(small(), 0..60), any::<[bool; 3]>());
    fields.prop_map(|(kind, encoding, fields, payload, [target, merge, items])| {
        let mut frame = vec![0; HEADER_LEN];
        frame[..4].copy_from_slice(&[b'w', b'p', 1, kind]);
        frame[6] = encoding;
        frame[8..12].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        if target {
            frame[16..24].copy_from_slice(&fields[..8]);
        }
        if items {
            frame[24..40].copy_from_slice(&fields[8..]);
            frame[33..36].fill(0);
            frame[37..40].fill(0);
        }
        frame[31] = if merge { 0x80 } else { 0 };
        frame.extend_from_slice(&payload);
        reseal(&mut frame);
        frame
    })
}

/// Everything that can be done with a message, to see that none of it panics.
fn exercise(decoder: &mut Decoder) -> Result<(), WireError> {
    while let Some(message) = decoder.next_message()? {
        if let Ok(Request::Call(call) | Request::Merge(call)) = Request::parse(message) {
            let last = call.chunk.len() - 1;
            assert!(call.chunk.input(0).is_some() && call.chunk.input(last).is_some());
        }
        if let Ok(Response::Result(batch) | Response::Merge(batch)) = Response::parse(message) {
            assert!(Reports::new(&batch).count() <= batch.count as usize + 1);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_held_past_the_bound(stream in vec(any::<u8>(), 0..500), sizes in vec(1..99_usize, 1..5)) {
        let mut decoder = Decoder::new(100);
        for piece in cut(&stream, &sizes) {
            decoder.push(piece);
            let _refused = exercise(&mut decoder);
            prop_assert!(decoder.held() <= Decoder::BUFFER_MIN + 100);
        }
    }

    #[test]
    fn sealed_frames_of_arbitrary_content_never_panic(frames in vec(sealed_frames(), 1..4)) {
        for frame in frames {
            let mut decoder = Decoder::new(PLENTY);
            decoder.push(&frame);
            let _refused = exercise(&mut decoder);
        }
    }

    #[test]
    fn a_call_is_read_only_if_writing_it_again_gives_the_same_items(frame in sealed_frames()) {
        let mut decoder = Decoder::new(PLENTY);
        decoder.push(&frame);
        let Ok(Some(message)) = decoder.next_message() else { return Ok(()) };
        let Ok(request) = Request::parse(message) else { return Ok(()) };
        let again = request_bytes(&request);
        let mut decoder = Decoder::new(PLENTY);
        decoder.push(&again);
        let message = decoder.next_message()?.expect("a whole message was written");
        prop_assert_eq!(Request::parse(message)?, request);
    }
}

/// Frames of a message of `length` bytes, header and payload of each.
fn fragments(length: usize) -> Vec<Vec<u8>> {
    let stream = response_bytes(&Response::Code(&TEXT.as_bytes()[..length]));
    stream.chunks(HEADER_LEN + FRAME_CAP).map(<[u8]>::to_vec).collect()
}

#[track_caller]
fn check_fragments(frames: &[Vec<u8>], expected: &str) {
    let mut decoder = Decoder::new(PLENTY);
    frames.iter().for_each(|frame| decoder.push(frame));
    assert_eq!(decoder.next_message().unwrap_err().reason(), expected);
}

#[test]
fn a_message_just_longer_than_a_frame_takes_two() {
    assert_eq!(fragments(FRAME_CAP).len(), 1);
    let two = fragments(FRAME_CAP + 1);
    assert_eq!((two.len(), two[0][4], two[1][4]), (2, 1, 0));
    assert_eq!(two[1].len(), HEADER_LEN + 1);
}

#[test]
fn another_message_between_fragments_is_refused() {
    let [first, last] = fragments(FRAME_CAP + 1).try_into().unwrap();
    check_fragments(&[first, response_bytes(&Response::Drain), last], "fragment");
}

#[test]
fn a_fragment_with_another_header_is_refused() {
    let [first, mut last] = fragments(FRAME_CAP + 1).try_into().unwrap();
    last[16] = 1;
    reseal(&mut last);
    check_fragments(&[first, last], "fragment");
}

#[test]
fn an_empty_last_fragment_is_refused() {
    let [first, _] = fragments(FRAME_CAP + 1).try_into().unwrap();
    let empty = response_bytes(&Response::Code(b""));
    check_fragments(&[first, empty], "fragment");
}

#[test]
fn a_fragment_that_is_not_full_is_refused() {
    let mut short = response_bytes(&Response::Code(b"short"));
    short[4] = 1;
    reseal(&mut short);
    check_fragments(&[short], "fragment");
}

#[test]
fn fragments_past_the_bound_are_refused_at_the_header_that_passes_it() {
    let [first, last] = fragments(FRAME_CAP + 9).try_into().unwrap();
    let mut decoder = Decoder::new(FRAME_CAP + 8);
    decoder.push(&first);
    assert_eq!(decoder.next_message(), Ok(None));
    decoder.push(&last[..HEADER_LEN]);
    let limit = FRAME_CAP + 8;
    assert_eq!(decoder.next_message(), Err(WireError::Oversize { length: limit + 1, limit }));
}

#[test]
fn between_fragments_is_inside_a_message() {
    let [first, last] = fragments(FRAME_CAP + 1).try_into().unwrap();
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&first);
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.is_mid_frame());
    decoder.push(&last);
    assert_eq!(decoder.next_message().unwrap().unwrap().payload.len(), FRAME_CAP + 1);
    assert!(!decoder.is_mid_frame());
}

#[test]
fn a_broken_stream_stays_broken() {
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&[0; HEADER_LEN]);
    assert_eq!(decoder.next_message(), Err(WireError::Magic));
    decoder.push(&response_bytes(&Response::Drain));
    assert_eq!(decoder.next_message(), Err(WireError::Magic));
}

#[test]
fn messages_before_a_broken_one_are_delivered() {
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&response_bytes(&Response::Drain));
    decoder.push(&[0; HEADER_LEN]);
    assert!(matches!(decoder.next_message(), Ok(Some(_))));
    assert_eq!(decoder.next_message(), Err(WireError::Magic));
}

#[test]
fn an_announced_length_costs_no_memory() {
    let frame = response_bytes(&Response::Code(&TEXT.as_bytes()[..FRAME_CAP]));
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&frame[..HEADER_LEN]);
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.held() <= Decoder::BUFFER_MIN);
}

#[test]
fn a_stream_of_any_length_is_read_in_bounded_memory() {
    let max_message = 3 * FRAME_CAP;
    let stream: Vec<u8> = [1, 40_000, FRAME_CAP - 1, FRAME_CAP, 3 * FRAME_CAP]
        .iter()
        .flat_map(|length| fragments(*length).into_iter().flatten())
        .collect();
    let mut decoder = Decoder::new(max_message);
    let mut n_messages = 0;
    let mut most = 0;
    for _ in 0..20 {
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let n_bytes = rest.read(decoder.space()).unwrap();
            decoder.filled(n_bytes);
            while decoder.next_message().unwrap().is_some() {
                n_messages += 1;
            }
            most = most.max(decoder.held());
        }
    }
    assert_eq!(n_messages, 100);
    assert!(most <= max_message + Decoder::BUFFER_MAX, "{most}");
}

#[test]
fn memory_for_a_long_message_is_given_back() {
    let mut decoder = Decoder::new(PLENTY);
    for frame in fragments(3 * FRAME_CAP) {
        decoder.push(&frame);
    }
    assert!(decoder.next_message().unwrap().is_some());
    assert_eq!(decoder.next_message(), Ok(None));
    decoder.push(b"w");
    assert!(decoder.held() <= FRAME_CAP + Decoder::BUFFER_MAX);
}

#[test]
fn a_message_in_one_frame_is_borrowed_from_where_it_was_read() {
    let mut decoder = Decoder::new(PLENTY);
    let frame = response_bytes(&Response::Log(b"line"));
    let place = decoder.space().as_ptr_range();
    decoder.push(&frame);
    let payload = decoder.next_message().unwrap().unwrap().payload;
    assert!(place.contains(&payload.as_ptr()));
}

#[test]
fn an_ended_stream_is_no_message() {
    assert!(read_message(&mut io::empty(), &mut Decoder::new(PLENTY)).unwrap().is_none());
}
