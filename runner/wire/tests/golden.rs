//! The bytes of every message. If one of these fails, host and worker of different builds no longer understand each
//! other: raise [`PROTOCOL`](crate::wire::version::PROTOCOL).

use super::*;
use crate::guest::Integers;
use crate::item::MERGE_BIT;
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::outcome::{MemoryLimit, TrapKind};
use crate::sandbox::{Access, Layer, LayerState};
use crate::shm::declared::{Bounds, Declared, Shape};
use crate::wire::msg::{
    Allowance, BoundArgument, GuestDir, Hello, Init, Load, Ready, Refusal, Refused, Serve,
};

/// Header and payload in hexadecimal, white space between them as one likes.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "{digits}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn unhex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn check_request(request: &Request<'_>, expected: &str) {
    let bytes = request_bytes(request);
    assert_eq!(bytes, hex(expected), "{}", unhex(&bytes));
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&bytes);
    let message = decoder.next_message().unwrap().unwrap();
    assert_eq!(Request::parse(message).as_ref(), Ok(request));
}

#[track_caller]
fn check_response(response: &Response<'_>, expected: &str) {
    let bytes = response_bytes(response);
    assert_eq!(bytes, hex(expected), "{}", unhex(&bytes));
    let mut decoder = Decoder::new(PLENTY);
    decoder.push(&bytes);
    let message = decoder.next_message().unwrap().unwrap();
    assert_eq!(Response::parse(message).as_ref(), Ok(response));
}

#[track_caller]
fn check_report(report: &Report<'_>, expected: &str) {
    let bytes = reports(std::slice::from_ref(report));
    let batch = Batch { first: 0, attempt: 1, count: 1, reports: &bytes };
    assert_eq!(bytes, hex(expected), "{}", unhex(&bytes));
    let read: Result<Vec<_>, _> = Reports::new(&batch).collect();
    assert_eq!(read.as_deref(), Ok(std::slice::from_ref(report)));
}

#[test]
fn hello_of_the_host() {
    check_request(
        &Request::Hello(Hello { protocol: 300, build: "1.2.3" }),
        "
        7770 01 01 0000 01 00 08000000 0dfed30d
        00000000 00000000 0000000000000000 00000000 00000000
        ac0205312e322e33",
    );
}

#[test]
fn hello_of_the_worker() {
    check_response(
        &Response::Hello(Hello { protocol: 1, build: "0" }),
        "
        7770 01 01 0000 01 00 03000000 a159dc1d
        00000000 00000000 0000000000000000 00000000 00000000
        010130",
    );
}

#[test]
fn load_to_compile() {
    check_request(
        &Request::Load(Load::Compile {
            describe_only: true,
            code: CodeOptions { fuel: true, deterministic: false, segments: true },
        }),
        "
        7770 01 03 0000 01 00 05000000 d08d60c8
        00000000 00000000 0000000000000000 00000000 00000000
        0001010100",
    );
}

#[test]
fn load_to_serve() {
    let serve = Serve {
        exports: vec!["f".into(), "merge-f".into()],
        meta: true,
        limits: GuestLimits { memory: 1 << 30, output: 16 << 20, fuel: Some(300) },
        isolation: Isolation::Worker,
        seed: Some(7),
        integers: Integers::Unsigned,
        dirs: vec![GuestDir { path: "/d".into(), access: Access::Write }],
        env: vec![("K".into(), "v".into())],
        init: Some(Init { export: 1, arguments: "[]".into() }),
        bound: vec![BoundArgument { place: 1, value: "2".into() }],
        shared: vec![Declared { name: "q".into(), shape: Shape::Queue(Bounds { messages: 20, bytes: 256 }) }],
    };
    check_request(
        &Request::Load(Load::Serve(serve)),
        "
        7770 01 03 0000 01 00 37000000 c89a97a9
        00000000 00000000 0000000000000000 00000000 00000000
        01020166076d657267652d660180808080048080800801ac020101070101022f640101014b01760101025b5d0101013201017104148002",
    );
}

#[test]
fn call_of_spans() {
    let chunk = Chunk::new(17, Inputs::Spans { start: -5, end: 300, step: 100 });
    check_request(
        &Request::Call(Call { group: 1, export: 2, attempt: 3, chunk }),
        "
        7770 01 04 0000 02 00 04000000 9e50df84
        01000000 02000000 1100000000000000 03000000 04000000
        09d80464",
    );
}

#[test]
fn call_of_numbers() {
    let inputs = Inputs::Numbers { start: i128::from(u64::MAX) - 9, count: 10 };
    check_request(
        &Request::Call(call(256, inputs)),
        "
        7770 01 04 0000 03 00 0b000000 8bc231a9
        00000000 00000000 0001000000000000 01000000 0a000000
        ecffffffffffffffff030a",
    );
}

#[test]
fn call_of_texts() {
    check_request(
        &Request::Call(call(1, Inputs::Texts(packed(&["one", "", "three"])))),
        "
        7770 01 04 0000 04 00 14000000 9f29f28d
        00000000 00000000 0100000000000000 01000000 03000000
        0300000003000000080000006f6e657468726565",
    );
}

#[test]
fn call_of_arguments() {
    check_request(
        &Request::Call(call(2, Inputs::Arguments(packed(&["[1,2]"])))),
        "
        7770 01 04 0000 05 00 09000000 950aa1a9
        00000000 00000000 0200000000000000 01000000 01000000
        050000005b312c325d",
    );
}

#[test]
fn call_of_json() {
    check_request(
        &Request::Call(call(2, Inputs::Json { line: 7, texts: packed(&["[1,2]", "{}"]) })),
        "
        7770 01 04 0000 09 00 17000000 af6709ab
        00000000 00000000 0200000000000000 01000000 02000000
        070000000000000005000000070000005b312c325d7b7d",
    );
}

#[test]
fn merge_of_folds() {
    check_request(
        &Request::Merge(call(MERGE_BIT | 5, Inputs::Folds(packed(&["[1,2]", "[3]"])))),
        "
        7770 01 06 0000 06 00 10000000 9eea79a6
        00000000 00000000 0500000000000080 01000000 02000000
        05000000080000005b312c325d5b335d",
    );
}

#[test]
fn allow() {
    check_request(
        &Request::Allow(Allowance { memory: Some(300) }),
        "
        7770 01 07 0000 01 00 03000000 95abdb9b
        00000000 00000000 0000000000000000 00000000 00000000
        01ac02",
    );
}

#[test]
fn drain() {
    check_request(
        &Request::Drain,
        "
        7770 01 0a 0000 00 00 00000000 5efa49a1
        00000000 00000000 0000000000000000 00000000 00000000",
    );
}

#[test]
fn drained() {
    check_response(
        &Response::Drain,
        "
        7770 01 0a 0000 00 00 00000000 5efa49a1
        00000000 00000000 0000000000000000 00000000 00000000",
    );
}

#[test]
fn bye_of_the_host() {
    check_request(
        &Request::Bye,
        "
        7770 01 0b 0000 00 00 00000000 41edb921
        00000000 00000000 0000000000000000 00000000 00000000",
    );
}

#[test]
fn bye_of_the_worker() {
    check_response(
        &Response::Bye,
        "
        7770 01 0b 0000 00 00 00000000 41edb921
        00000000 00000000 0000000000000000 00000000 00000000",
    );
}

#[test]
fn ready() {
    check_response(
        &Response::Ready(Ready { layers: vec![LayerState::absent(Layer::Landlock, "old")] }),
        "
        7770 01 02 0000 01 00 08000000 74143cd0
        00000000 00000000 0000000000000000 00000000 00000000
        010401036f6c6400",
    );
}

#[test]
fn refused() {
    check_response(
        &Response::Refused(Refused { about: Refusal::Guest, message: "is", hint: Some("no") }),
        "
        7770 01 0c 0000 01 00 08000000 fc1211bf
        00000000 00000000 0000000000000000 00000000 00000000
        0002697301026e6f",
    );
}

#[test]
fn description() {
    check_response(
        &Response::Description(b"\x01\x02"),
        "
        7770 01 0d 0000 08 00 02000000 5faff6c4
        00000000 00000000 0000000000000000 00000000 00000000
        0102",
    );
}

#[test]
fn code() {
    check_response(
        &Response::Code(b"\x7fELF"),
        "
        7770 01 0e 0000 08 00 04000000 f3c15c2d
        00000000 00000000 0000000000000000 00000000 00000000
        7f454c46",
    );
}

#[test]
fn result() {
    let reports = reports(&[ok("1"), ok("22")]);
    check_response(
        &Response::Result(Batch { first: 7, attempt: 2, count: 2, reports: &reports }),
        "
        7770 01 05 0000 07 00 13000000 b02e3f87
        00000000 00000000 0700000000000000 02000000 02000000
        00013100000000000000023232000000000000",
    );
}

#[test]
fn merge_result() {
    let reports = reports(&[ok("3")]);
    check_response(
        &Response::Merge(Batch { first: MERGE_BIT, attempt: 1, count: 1, reports: &reports }),
        "
        7770 01 06 0000 07 00 09000000 254d0737
        00000000 00000000 0000000000000080 01000000 01000000
        000133000000000000",
    );
}

#[test]
fn log() {
    check_response(
        &Response::Log(b"line"),
        "
        7770 01 08 0000 08 00 04000000 51d89046
        00000000 00000000 0000000000000000 00000000 00000000
        6c696e65",
    );
}

#[test]
fn progress() {
    check_response(
        &Response::Progress { item: 9, millionths: 500_000 },
        "
        7770 01 09 0000 01 00 03000000 96fb575d
        00000000 00000000 0900000000000000 00000000 00000000
        a0c21e",
    );
}

#[test]
fn report_of_a_value_with_everything() {
    let report = Report {
        stdout: b"out",
        stderr: b"er",
        wall_ns: 1_000,
        cpu_ns: 900,
        peak_memory: 65_536,
        backtrace: "main",
        ..ok("null")
    };
    check_report(&report, "00046e756c6c036f7574026572e8078407808004046d61696e");
}

#[test]
fn report_of_a_trap() {
    let end = CallEnd::Trap { kind: TrapKind::MemoryOutOfBounds, error: "oob" };
    check_report(&Report { end, ..ok("") }, "0104036f6f62000000000000");
}

#[test]
fn report_of_an_exit() {
    check_report(&Report { end: CallEnd::Exit { code: -1 }, ..ok("") }, "0401000000000000");
}

#[test]
fn report_of_bad_output() {
    check_report(&Report { end: CallEnd::Output { error: "long" }, ..ok("") }, "05046c6f6e67000000000000");
}

#[test]
fn report_of_bad_input() {
    check_report(&Report { end: CallEnd::Input { error: "bad" }, ..ok("") }, "0603626164000000000000");
}

#[test]
fn report_of_denied_access() {
    check_report(&Report { end: CallEnd::Denied { error: "no" }, ..ok("") }, "07026e6f000000000000");
}

#[test]
fn report_of_refused_memory() {
    let end = CallEnd::Memory { limit: MemoryLimit::Guest, error: "oob" };
    check_report(&Report { end, ..ok("") }, "0200036f6f62000000000000");
}

#[test]
fn report_of_used_up_fuel() {
    check_report(&Report { end: CallEnd::OutOfFuel, ..ok("") }, "03000000000000");
}
