//! RECORDS.md: each block in it is what the code prints.

use std::time::Duration;

use super::*;
use crate::outcome::{MemoryLimit, Meta, Origin, TimeLimit, WorkerEnd};

const DOCUMENT: &str = include_str!("../../../RECORDS.md");

/// The fenced blocks of a text.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open = None;
    for line in text.lines() {
        match (&mut open, line.starts_with("```")) {
            (None, true) => open = Some(String::new()),
            (None, false) => {}
            (Some(_), true) => blocks.extend(open.take()),
            (Some(block), false) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}

/// What is printed for items of these indexes, as they come.
fn rows(options: SinkOptions, items: Vec<(u64, Completion)>) -> String {
    let mut output = Vec::new();
    let mut sink = for_run(SinkOptions { ordered: false, ..options }, &mut output);
    for (index, completion) in items {
        sink.accept(index, completion).unwrap();
    }
    sink.flush().unwrap();
    drop(sink);
    text(output)
}

fn record(index: u64, outcome: Outcome) -> String {
    rows(EACH, vec![(index, ended(outcome))])
}

fn spans(format: Format, stderr: &[u8]) -> String {
    let inputs = Some(Inputs::Spans { start: 0, end: 200_000, step: 100_000 });
    let second = Completion { stderr: stderr.into(), ..trapped() };
    printed(SinkOptions { inputs, format, result: Some(ValueType::U64), ..EACH }, vec![ok("9592"), second])
}

fn files(format: Format) -> String {
    let fields = [("word-count", ValueType::U64), ("longest", ValueType::String)];
    let fields = fields.map(|(name, field)| (name.to_owned(), field)).into();
    let of = |name: &[u8], completion| Completion { file: Some(name.into()), ..completion };
    printed(
        SinkOptions { files: true, format, result: Some(ValueType::Record(fields)), ..EACH },
        vec![of(b"a.txt", ok(r#"{"word-count":3,"longest":"one, two"}"#)), of(b"b.txt", not_utf8("text"))],
    )
}

fn not_utf8(parameter: &str) -> Completion {
    let error = format!("item 1, parameter \"{parameter}\": expected UTF-8, found 0xff at byte 1");
    ended(Outcome::Input { error })
}

fn statuses() -> Vec<String> {
    let divided = "wasm trap: integer divide by zero".to_owned();
    let inputs = Some(Inputs::Spans { start: 0, end: 18_000, step: 1000 });
    let unread =
        Outcome::Input { error: "item 18, `notes/old.txt`: Permission denied (os error 13)".to_owned() };
    let unread = Completion { file: Some(b"notes/old.txt".as_slice().into()), ..ended(unread) };
    let crash = |end| record(18, Outcome::Crash { end });
    vec![
        rows(SinkOptions { inputs, ..EACH }, vec![(17, ok("103"))]),
        rows(EACH, vec![(3, ok(r#"{"err":"no such word"}"#))]),
        record(18, Outcome::Trap { kind: TrapKind::IntegerDivideByZero, error: divided }),
        record(18, Outcome::Exit { code: 3 }),
        timeouts(),
        memory(MemoryLimit::Guest, "wasm trap: wasm `unreachable` instruction executed")
            + &memory(MemoryLimit::Process, "the worker was killed by SIGABRT"),
        record(18, Outcome::Output { error: "the guest printed more than 16777216 bytes".to_owned() }),
        rows(EACH, vec![(18, unread)]),
        denied("opening `../notes.txt`", "wasm trap: wasm `unreachable` instruction executed")
            + &denied("making a TCP socket", "exit with code 1"),
        crash(WorkerEnd::Signalled(11)) + &crash(WorkerEnd::Exited(70)),
        record(18, Outcome::Protocol { error: "a value that is no JSON".to_owned() }),
        record(18, Outcome::Cancelled),
    ]
}

fn denied(asked: &str, then: &str) -> String {
    record(18, Outcome::Denied { error: format!("{asked} is not allowed, and then: {then}") })
}

fn timeouts() -> String {
    let minute = Duration::from_secs(60);
    let limits = [TimeLimit::Wall(minute), TimeLimit::Cpu(minute), TimeLimit::Fuel(1_000_000)];
    limits.map(|limit| record(18, Outcome::Timeout { limit })).concat()
}

fn memory(limit: MemoryLimit, error: &str) -> String {
    record(18, Outcome::Memory { limit, bytes: 1 << 30, error: error.to_owned() })
}

fn with_everything() -> Vec<String> {
    let printed_text = Completion {
        stdout: b"one\ntwo\n".as_slice().into(),
        stderr: b"careful\n".as_slice().into(),
        ..ok("1")
    };
    let printed_bytes = Completion { stdout: b"\xff".as_slice().into(), ..ok("1") };
    let meta = Meta {
        wall: Duration::from_micros(12_340),
        cpu: Duration::from_millis(9),
        peak_memory: 1_114_112,
        attempts: 1,
        worker: 1,
        pid: 4242,
        backtrace: vec!["primes!count".to_owned()],
    };
    let trapped = Completion { meta: Box::new(meta), ..trapped() };
    vec![
        printed(EACH, vec![printed_text, printed_bytes]),
        rows(SinkOptions { meta: true, ..EACH }, vec![(18, trapped)]),
    ]
}

/// Two items of a pipeline, of which one is the last of a list, and the other fails in the first stage.
fn staged(format: Format) -> String {
    let texts = [b"[10000,510000,50]".as_slice(), b"\"none\""].into_iter().collect();
    let inputs = Some(Inputs::Json { line: 0, texts });
    let of = |index, part, stage: Option<&str>, completion| {
        let origin = Origin { index, part, stage: stage.map(Into::into) };
        Completion { origin: Some(Box::new(origin)), ..completion }
    };
    let error = "item 1, expected an array of 3 arguments, or an object of them by name, found \"none\"";
    let refused = ended(Outcome::Input { error: error.to_owned() });
    let items = vec![
        (49, of(0, vec![49], None, ok("753"))),
        (50, of(1, Vec::new(), Some("tour.wasm#split"), refused)),
    ];
    let result = Some(ValueType::U64);
    rows(SinkOptions { inputs, format, result, stages: Some(Stages::Parts), ..EACH }, items)
}

/// A merged run of 800 items of which none failed.
fn merged(format: Format, merge: impl Fn(ItemIndex) -> Completion) -> String {
    let mut output = Vec::new();
    let mut sink = for_run(SinkOptions { format, ..MERGED }, &mut output);
    let mut work: Vec<_> = (0..800).flat_map(|index| sink.accept(index, ok("1")).unwrap().work).collect();
    work.extend(sink.input_ended(InputEnd::Whole { total: 800 }).unwrap().work);
    while let Some(chunk) = work.pop() {
        work.extend(sink.accept(chunk.first(), merge(chunk.first())).unwrap().work);
    }
    sink.flush().unwrap();
    drop(sink);
    text(output)
}

fn sum(_: ItemIndex) -> Completion {
    ok("63951")
}

fn failing(merge: ItemIndex) -> Completion {
    if merge == MERGE_BIT | 1 { ended(Outcome::Exit { code: 1 }) } else { ok("1") }
}

#[test]
fn every_block_is_what_is_printed() {
    let mut expected = statuses();
    expected.push(staged(Format::Jsonl));
    expected.extend(with_everything());
    expected.extend([merged(Format::Jsonl, sum), merged(Format::Jsonl, failing)]);
    expected.extend([spans(Format::Jsonl, b""), spans(Format::Json, b""), spans(Format::Csv, b"")]);
    expected.extend([files(Format::Csv), staged(Format::Csv), merged(Format::Csv, sum)]);
    expected.extend([spans(Format::Text, b"thread panicked\n"), files(Format::Text)]);
    let lines = vec![ok(r#""hello, world""#), not_utf8("name")];
    expected.push(printed(SinkOptions { format: Format::Text, ..EACH }, lines));
    assert_eq!(blocks(DOCUMENT), expected);
}

#[test]
fn every_status_and_every_kind_of_trap_is_named() {
    let statuses = "ok trap exit timeout memory output input crash protocol cancelled";
    let kinds = serde_json::from_str::<TrapKind>("\"no such kind\"").expect_err("it is none").to_string();
    let kinds = kinds.split('`').skip(3).step_by(2);
    for name in statuses.split(' ').chain(kinds) {
        assert!(DOCUMENT.contains(&format!("`{name}`")), "`{name}` is not in RECORDS.md");
    }
}
