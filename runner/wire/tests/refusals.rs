//! Every rule of the protocol, broken once.

use super::*;
use crate::guest::{Description, Export, GuestKind, MAX_NESTING, ValueType};
use crate::item::MERGE_BIT;
use crate::sandbox::{Layer, LayerState};
use crate::wire::codec::DESCRIPTION_CAP;
use crate::wire::frame::{FRAME_CAP, Kind};
use crate::wire::msg::{Allowance, Hello, Ready};
use crate::wire::{ReadError, encode_description, parse_description, read_message};

/// A frame whose header starts as `kind` and `encoding` say, with the right length and checksum.
fn frame(kind: u8, encoding: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..4].copy_from_slice(&[b'w', b'p', 1, kind]);
    bytes[6] = encoding;
    bytes[8..12].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(payload);
    reseal(&mut bytes);
    bytes
}

/// A frame about items.
fn items(kind: u8, encoding: u8, item: u64, count: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(kind, encoding, payload);
    bytes[24..32].copy_from_slice(&item.to_le_bytes());
    bytes[32] = 1;
    bytes[36..40].copy_from_slice(&count.to_le_bytes());
    reseal(&mut bytes);
    bytes
}

fn tampered(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    reseal(&mut bytes);
    bytes
}

fn postcard(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap()
}

/// What the worker says to `bytes` from the host.
fn request(bytes: &[u8]) -> &'static str {
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(bytes);
    let read = decoder.next_message().and_then(|message| message.map(Request::parse).transpose());
    read.map_or_else(|error| error.reason(), |request| if request.is_some() { "fine" } else { "waiting" })
}

/// What the host says to `bytes` from a worker.
fn response(bytes: &[u8]) -> &'static str {
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(bytes);
    let read = decoder.next_message().and_then(|message| message.map(Response::parse).transpose());
    read.map_or_else(|error| error.reason(), |response| if response.is_some() { "fine" } else { "waiting" })
}

/// How the reports of a batch read.
fn reading(count: u32, bytes: &[u8]) -> Result<usize, WireError> {
    let batch = Batch { first: 0, attempt: 1, count, reports: bytes };
    Reports::new(&batch).try_fold(0, |n_reports, report| report.map(|_| n_reports + 1))
}

fn drain() -> Vec<u8> {
    response_bytes(&Response::Drain)
}

#[test]
fn a_frame_that_is_not_tampered_with_is_fine() {
    assert_eq!(response(&drain()), "fine");
    assert_eq!(response(&frame(10, 0, b"")), "fine");
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let call = request_bytes(&Request::Call(call(1, Inputs::Texts(packed(&["one", "two"])))));
    for bit in 0..call.len() * 8 {
        let mut bytes = call.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = read_message(&mut bytes.as_slice(), &mut Decoder::new(PLENTY)).map(|_| ());
        assert!(matches!(read, Err(ReadError::Wire(_))), "bit {bit}: {read:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_payload_is_a_wrong_checksum() {
    let log = response_bytes(&Response::Log(b"line"));
    for bit in HEADER_LEN * 8..log.len() * 8 {
        let mut bytes = log.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(response(&bytes), "crc", "bit {bit}");
    }
}

#[test]
fn bytes_that_are_no_frame() {
    assert_eq!(response(&[b'{'; HEADER_LEN]), "magic");
}

#[test]
fn a_version_that_is_not_ours() {
    assert_eq!(response(&tampered(drain(), 2, 0)), "version");
    assert_eq!(response(&tampered(drain(), 2, 2)), "version");
}

#[test]
fn a_kind_that_does_not_exist() {
    assert_eq!(response(&tampered(drain(), 3, 0)), "kind");
    assert_eq!(response(&tampered(drain(), 3, 16)), "kind");
    assert_eq!(response(&tampered(drain(), 3, 255)), "kind");
}

#[test]
fn flags_without_a_meaning() {
    assert_eq!(response(&tampered(drain(), 4, 2)), "flags");
    assert_eq!(response(&tampered(drain(), 5, 1)), "flags");
}

#[test]
fn a_reserved_byte() {
    assert_eq!(response(&tampered(drain(), 7, 1)), "reserved");
}

#[test]
fn an_encoding_that_does_not_exist() {
    assert_eq!(response(&tampered(drain(), 6, 9)), "encoding");
}

#[test]
fn an_encoding_that_the_kind_cannot_have() {
    assert_eq!(response(&tampered(drain(), 6, 8)), "encoding");
    assert_eq!(response(&frame(8, 1, b"line")), "encoding");
    assert_eq!(request(&items(4, 6, 0, 1, b"\0\0\0\0")), "encoding");
    assert_eq!(request(&items(6, 4, MERGE_BIT, 1, b"\0\0\0\0")), "encoding");
    assert_eq!(response(&items(5, 1, 0, 1, b"")), "encoding");
}

#[test]
fn a_length_past_the_cap_is_refused_before_its_payload_arrives() {
    for length in [u32::try_from(FRAME_CAP).unwrap() + 1, u32::MAX] {
        let mut bytes = drain();
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        assert_eq!(response(&bytes), "oversize", "{length}");
    }
}

#[test]
fn a_frame_of_exactly_the_cap_is_fine() {
    assert_eq!(response(&response_bytes(&Response::Code(&vec![7; FRAME_CAP]))), "fine");
}

#[test]
fn a_length_of_zero_is_no_value() {
    assert_eq!(response(&frame(1, 1, b"")), "payload");
    assert_eq!(response(&frame(9, 1, b"")), "payload");
}

#[test]
fn a_message_past_the_bound_of_its_receiver() {
    let log = response_bytes(&Response::Log(b"12345"));
    for (max_message, expected) in [(5, Ok(())), (4, Err(WireError::Oversize { length: 5, limit: 4 }))] {
        let mut decoder = Decoder::new(max_message);
        decoder.push(&log);
        assert_eq!(decoder.next_message().map(|_| ()), expected);
    }
}

#[test]
fn a_worker_that_gives_orders() {
    let call = call(0, Inputs::Numbers { start: 0, count: 1 });
    assert_eq!(response(&request_bytes(&Request::Call(call))), "direction");
    assert_eq!(response(&request_bytes(&Request::Allow(Allowance::default()))), "direction");
    assert_eq!(response(&frame(3, 1, &[0, 0])), "direction");
}

#[test]
fn a_host_that_gives_answers() {
    for kind in [2, 5, 8, 9, 12, 13, 14] {
        assert_eq!(request(&frame(kind, 0, b"")), "direction", "{kind}");
    }
}

#[test]
fn header_fields_that_the_kind_does_not_use() {
    for at in [16, 20, 24, 31, 32, 36] {
        assert_eq!(response(&tampered(drain(), at, 1)), "field", "at {at}");
    }
    let result = items(5, 7, 0, 1, &reports(&[ok("1")]));
    assert_eq!(response(&result), "fine");
    for at in [16, 20] {
        assert_eq!(response(&tampered(result.clone(), at, 1)), "field", "at {at}");
    }
}

#[test]
fn a_progress_that_counts_items() {
    let progress = response_bytes(&Response::Progress { item: 1, millionths: 1 });
    assert_eq!(response(&tampered(progress, 36, 1)), "field");
}

#[test]
fn an_attempt_or_a_count_of_zero() {
    let result = items(5, 7, 0, 1, &reports(&[ok("1")]));
    for at in [32, 36] {
        assert_eq!(response(&tampered(result.clone(), at, 0)), "field", "at {at}");
    }
}

#[test]
fn items_past_the_last_index() {
    let texts = [0; 8];
    assert_eq!(request(&items(4, 4, MERGE_BIT - 2, 2, &texts)), "fine");
    assert_eq!(request(&items(4, 4, MERGE_BIT - 1, 2, &texts)), "items");
    assert_eq!(request(&items(6, 6, u64::MAX - 2, 2, &texts)), "fine");
    assert_eq!(request(&items(6, 6, u64::MAX - 1, 2, &texts)), "items");
    assert_eq!(request(&items(6, 6, u64::MAX, 2, &texts)), "items");
}

#[test]
fn merges_among_items_and_items_among_merges() {
    let values = reports(&[ok("1")]);
    assert_eq!(request(&items(4, 4, MERGE_BIT, 1, &[0; 4])), "items");
    assert_eq!(request(&items(6, 6, 0, 1, &[0; 4])), "items");
    assert_eq!(response(&items(5, 7, MERGE_BIT, 1, &values)), "items");
    assert_eq!(response(&items(6, 7, 0, 1, &values)), "items");
}

#[test]
fn spans_that_do_not_exist() {
    let spans = |count, spans: (i128, i128, u64)| request(&items(4, 2, 0, count, &postcard(&spans)));
    assert_eq!(spans(2, (0, 5, 3)), "fine");
    assert_eq!(spans(1, (0, 5, 3)), "count");
    assert_eq!(spans(1, (5, 5, 1)), "payload");
    assert_eq!(spans(1, (6, 5, 1)), "payload");
    assert_eq!(spans(1, (0, 1, 0)), "payload");
    assert_eq!(spans(1, (i128::MIN, 1, 1)), "payload");
    assert_eq!(spans(1, (i128::MAX - 5, i128::MAX, 5)), "payload");
    assert_eq!(spans(1, (i128::MAX - 5, i128::MAX - 5, 5)), "payload");
}

#[test]
fn numbers_that_do_not_exist() {
    let numbers = |count, numbers: (i128, u64)| request(&items(4, 3, 0, count, &postcard(&numbers)));
    assert_eq!(numbers(3, (-1, 3)), "fine");
    assert_eq!(numbers(3, (-1, 4)), "count");
    assert_eq!(numbers(3, (-1, 0)), "count");
    assert_eq!(numbers(3, (-1, (1 << 32) + 3)), "count");
    assert_eq!(numbers(3, (i128::MAX - 2, 3)), "payload");
}

#[test]
fn texts_whose_ends_are_wrong() {
    let texts = |count, payload: &[u8]| request(&items(4, 4, 0, count, payload));
    assert_eq!(texts(2, b"\x01\0\0\0\x02\0\0\0ab"), "fine");
    assert_eq!(texts(2, b"\x02\0\0\0\x01\0\0\0ab"), "payload");
    assert_eq!(texts(2, b"\x03\0\0\0\x02\0\0\0ab"), "payload");
    assert_eq!(texts(2, b"\x01\0\0\0\x03\0\0\0ab"), "payload");
    assert_eq!(texts(2, b"\x01\0\0\0\x01\0\0\0ab"), "payload");
    assert_eq!(texts(2, b"\x01\0\0\0\x02\0\0"), "count");
    assert_eq!(texts(u32::MAX, b"\x01\0\0\0\x02\0\0\0ab"), "count");
}

#[test]
fn bytes_behind_a_value() {
    let hello = Hello { protocol: 1, build: "0" };
    let mut payload = postcard(&hello);
    assert_eq!(request(&frame(1, 1, &payload)), "fine");
    payload.push(0);
    assert_eq!(request(&frame(1, 1, &payload)), "payload");
    assert_eq!(request(&frame(10, 0, b"x")), "payload");
}

#[test]
fn a_build_that_is_no_text() {
    assert_eq!(request(&frame(1, 1, b"\x01\x01\xff")), "payload");
}

#[test]
fn a_text_longer_than_its_frame() {
    assert_eq!(response(&frame(12, 1, b"\xff\xff\xff\xff\x0fshort")), "payload");
}

#[test]
fn more_than_all_of_an_item() {
    let progress = |millionths: u32| response(&frame(9, 1, &postcard(&millionths)));
    assert_eq!(progress(1_000_000), "fine");
    assert_eq!(progress(1_000_001), "payload");
}

#[test]
fn more_or_fewer_reports_than_counted() {
    let two = reports(&[ok("1"), ok("2")]);
    assert_eq!(reading(2, &two), Ok(2));
    assert_eq!(reading(1, &two).map_err(|error| error.reason()), Err("count"));
    assert_eq!(reading(3, &two).map_err(|error| error.reason()), Err("count"));
    assert_eq!(reading(2, &two[..two.len() - 1]).map_err(|error| error.reason()), Err("payload"));
}

#[test]
fn reports_end_after_an_error() {
    let batch = Batch { first: 0, attempt: 1, count: 5, reports: b"\xff" };
    assert_eq!(Reports::new(&batch).count(), 1);
}

#[test]
fn a_batch_may_lie_about_its_count_and_costs_nothing() {
    assert_eq!(reading(u32::MAX, b"").map_err(|error| error.reason()), Err("count"));
}

/// A function that takes a list of a list of … of `levels` lists of `bool`.
fn description(levels: u32) -> Description {
    let lists = (0..levels).fold(ValueType::Bool, |value, _| ValueType::List(Box::new(value)));
    let export =
        Export { interface: None, function: "f".into(), params: vec![("v".into(), lists)], result: None };
    Description { kind: GuestKind::Module, exports: vec![export], imports: Vec::new(), initial_memory: 0 }
}

#[test]
fn types_nested_as_deep_as_allowed_are_read_again_and_again() {
    let deepest = description(MAX_NESTING);
    let too_deep = encode_description(&description(MAX_NESTING + 1));
    for _ in 0..3 {
        assert_eq!(parse_description(&encode_description(&deepest)), Ok(deepest.clone()));
        assert_eq!(parse_description(&too_deep), Err(WireError::Payload(Kind::Description)));
    }
}

#[test]
fn types_nested_a_million_times_do_not_use_up_the_stack() {
    let flat = encode_description(&description(0));
    let (head, tail) = flat.split_at(flat.len() - 3);
    let lists = vec![encode_description(&description(1))[head.len()]; 1_000_000];
    assert_eq!(parse_description(&[head, &lists, tail].concat()), Err(WireError::Payload(Kind::Description)));
}

#[test]
fn a_description_past_its_cap_or_with_more_behind_it() {
    let mut bytes = encode_description(&description(0));
    bytes.push(0);
    assert_eq!(parse_description(&bytes), Err(WireError::Payload(Kind::Description)));
    bytes.resize(DESCRIPTION_CAP + 1, 0);
    let length = DESCRIPTION_CAP + 1;
    assert_eq!(parse_description(&bytes), Err(WireError::Oversize { length, limit: DESCRIPTION_CAP }));
}

#[test]
fn a_worker_with_too_many_layers() {
    let holds = LayerState::holds(Layer::Seccomp);
    let ready = |n_layers| response_bytes(&Response::Ready(Ready { layers: vec![holds.clone(); n_layers] }));
    assert_eq!(response(&ready(1_300)), "fine");
    assert_eq!(response(&ready(1_400)), "oversize");
}
