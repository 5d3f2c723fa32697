//! Records: how the end of an item is written as one JSON object on one line.
//!
//! Without [`Record::meta`] a record holds nothing that varies: the same item has the same bytes for any number of
//! workers, any chunk size and any crash. Records are appended to a buffer of the caller, and a value goes in as
//! the text it came as, so that an `ok` item costs some copies and nothing else.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::signal_name;
use crate::item::{Input, ItemIndex};
use crate::outcome::{Completion, Meta, Outcome, Output, TimeLimit, WorkerEnd};

/// The end of one item, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What ended.
    pub subject: Subject<'a>,
    /// How it ended.
    pub completion: &'a Completion,
    /// Write what varies from run to run, too.
    pub meta: bool,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An item of the input.
    Item {
        /// Its index.
        index: ItemIndex,
        /// Its input, where records show it; the file that an input was read from is known from its end.
        input: Option<Input<'a>>,
    },
    /// The merge of some items' values.
    Merge {
        /// The first of the items.
        first: ItemIndex,
        /// One past the last of them.
        end: ItemIndex,
    },
}

impl Record<'_> {
    /// Appends the record and a line end to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.append_object(out);
        out.push(b'\n');
    }

    /// Appends the record to `out`, without a line end.
    pub(crate) fn append_object(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"v":1"#);
        append_subject(self.subject, self.completion, out);
        out.extend_from_slice(br#","status":""#);
        out.extend_from_slice(self.completion.outcome.status().as_bytes());
        out.push(b'"');
        append_outcome(&self.completion.outcome, out);
        append_bytes("stdout", &self.completion.stdout, out);
        append_bytes("stderr", &self.completion.stderr, out);
        if self.meta {
            append_meta(&self.completion.meta, out);
        }
        out.push(b'}');
    }
}

/// Appends the record of a merged value to `out`, without a line end.
pub(crate) fn append_merged(items: u64, value: &Output, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"v":1,"status":"ok""#);
    append_member("items", &items, out);
    append_key("value", out);
    out.extend_from_slice(value.json().as_bytes());
    out.push(b'}');
}

/// A duration in milliseconds, to the microsecond, as a JSON number: `60000`, `12.340`.
pub(crate) fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros % 1000 {
        0 => (micros / 1000).to_string(),
        rest => format!("{}.{rest:03}", micros / 1000),
    }
}

/// A duration as it is typed: `90 s`, `1.5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// `text` with its control characters written as escapes, `\n` and `\u{1b}`: it fits on a line and does nothing
/// to a terminal.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| match character {
        character if character.is_control() => character.escape_debug().collect(),
        character if controls(character) => character.escape_unicode().collect(),
        character => String::from(character),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// JSON text of the same meaning without the control characters that JSON allows in a string.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.contains(controls) {
        return Cow::Borrowed(json);
    }
    let escape = |character: char| match controls(character) {
        true => format!("\\u{:04x}", u32::from(character)),
        false => String::from(character),
    };
    Cow::Owned(json.chars().map(escape).collect())
}

/// Whether a terminal would obey a character instead of showing it: control characters, line and paragraph
/// separators, and what turns the direction of writing, behind which one command can look like another.
fn controls(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn append_subject(subject: Subject<'_>, completion: &Completion, out: &mut Vec<u8>) {
    let origin = completion.origin.as_deref();
    match subject {
        Subject::Item { index, input } => {
            append_member("index", &index, out);
            if let Some(part) = origin.map(|origin| &origin.part).filter(|part| !part.is_empty()) {
                append_member("part", part, out);
            }
            match (input, completion.file.as_deref()) {
                (Some(input), _) => append_input(input, out),
                (None, Some(name)) => append_text("input", name, out),
                (None, None) => {}
            }
        }
        Subject::Merge { first, end } => append_member("merge", &[first, end], out),
    }
    if let Some(stage) = origin.and_then(|origin| origin.stage.as_deref()) {
        append_member("stage", stage, out);
    }
}

fn append_input(input: Input<'_>, out: &mut Vec<u8>) {
    match input {
        Input::Span { start, end } => append_member("input", &[start, end], out),
        Input::Number(number) => append_member("input", &number, out),
        Input::Text(text) => append_text("input", text, out),
        Input::File { name, .. } => append_text("input", name, out),
        Input::Arguments(json) | Input::Json { text: json, .. } | Input::Fold(json) => {
            append_key("input", out);
            out.extend_from_slice(json);
        }
    }
}

fn append_outcome(outcome: &Outcome, out: &mut Vec<u8>) {
    match outcome {
        Outcome::Ok(value) => {
            append_key("value", out);
            out.extend_from_slice(value.json().as_bytes());
        }
        Outcome::Trap { kind, error } => {
            append_member("kind", kind.name(), out);
            append_member("error", error, out);
        }
        Outcome::Exit { code } => append_member("code", code, out),
        Outcome::Timeout { limit } => append_time_limit(*limit, out),
        Outcome::Memory { limit, bytes, error } => {
            append_member("limit", limit.name(), out);
            append_member("bytes", bytes, out);
            append_member("error", error, out);
        }
        Outcome::Output { error }
        | Outcome::Input { error }
        | Outcome::Denied { error }
        | Outcome::Protocol { error } => {
            append_member("error", error, out);
        }
        Outcome::Crash { end: WorkerEnd::Exited(code) } => append_member("code", code, out),
        Outcome::Crash { end: WorkerEnd::Signalled(signal) } => {
            append_member("signal", &signal_name(*signal), out);
        }
        Outcome::Cancelled => {}
    }
}

fn append_time_limit(limit: TimeLimit, out: &mut Vec<u8>) {
    let (name, after) = match limit {
        TimeLimit::Wall(after) => ("wall", after),
        TimeLimit::Cpu(after) => ("cpu", after),
        TimeLimit::Fuel(units) => {
            append_member("limit", "fuel", out);
            return append_member("after_fuel", &units, out);
        }
    };
    append_member("limit", name, out);
    append_key("after_ms", out);
    out.extend_from_slice(milliseconds(after).as_bytes());
}

fn append_meta(meta: &Meta, out: &mut Vec<u8>) {
    for (key, duration) in [("ms", meta.wall), ("cpu_ms", meta.cpu)] {
        append_key(key, out);
        out.extend_from_slice(milliseconds(duration).as_bytes());
    }
    append_member("peak_memory", &meta.peak_memory, out);
    append_member("attempts", &meta.attempts, out);
    append_member("worker", &meta.worker, out);
    append_member("pid", &meta.pid, out);
    if !meta.backtrace.is_empty() {
        append_member("backtrace", &meta.backtrace, out);
    }
}

/// Appends what a guest printed; nothing where it printed nothing.
fn append_bytes(key: &str, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        append_text(key, bytes, out);
    }
}

/// Appends bytes as a string; those that are no UTF-8 in base64 and under a key that says so, for nothing may be
/// lost.
fn append_text(key: &str, bytes: &[u8], out: &mut Vec<u8>) {
    match str::from_utf8(bytes) {
        Ok(text) => append_member(key, text, out),
        Err(_) => append_member(&format!("{key}_base64"), &STANDARD.encode(bytes), out),
    }
}

fn append_member<T: Serialize + ?Sized>(key: &str, value: &T, out: &mut Vec<u8>) {
    append_key(key, out);
    serde_json::to_writer(out, value).expect("memory takes every write, and numbers and strings are JSON");
}

fn append_key(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{MemoryLimit, TrapKind};

    fn ended(outcome: Outcome) -> Completion {
        Completion::new(outcome)
    }

    fn ok(json: &str) -> Completion {
        ended(Outcome::Ok(Output::from_untrusted(json.as_bytes()).unwrap()))
    }

    const ITEM: Subject<'_> = Subject::Item { index: 18, input: None };

    #[track_caller]
    fn check(subject: Subject<'_>, completion: &Completion, expected: &str) {
        let mut out = Vec::new();
        Record { subject, completion, meta: false }.append_to(&mut out);
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line, format!("{expected}\n"));
        serde_json::from_str::<serde::de::IgnoredAny>(&line).expect("a record is JSON");
    }

    #[test]
    fn an_ok_item_of_a_range_shows_its_two_ends_and_its_value() {
        let input = Some(Input::Span { start: 17000, end: 18000 });
        check(
            Subject::Item { index: 17, input },
            &ok("103"),
            r#"{"v":1,"index":17,"input":[17000,18000],"status":"ok","value":103}"#,
        );
    }

    #[test]
    fn a_value_is_written_as_it_came() {
        check(ITEM, &ok(r#"{"a": 1.50}"#), r#"{"v":1,"index":18,"status":"ok","value":{"a": 1.50}}"#);
    }

    #[test]
    fn a_number_a_text_and_arguments_are_inputs_too() {
        let subject = |input| Subject::Item { index: 0, input: Some(input) };
        let rest = r#""status":"ok","value":null}"#;
        let number = Input::Number(i128::from(u64::MAX));
        check(
            subject(number),
            &ok("null"),
            &format!(r#"{{"v":1,"index":0,"input":18446744073709551615,{rest}"#),
        );
        check(
            subject(Input::Text(b"a\"\n")),
            &ok("null"),
            &format!(r#"{{"v":1,"index":0,"input":"a\"\n",{rest}"#),
        );
        check(
            subject(Input::Text(b"\xff")),
            &ok("null"),
            &format!(r#"{{"v":1,"index":0,"input_base64":"/w==",{rest}"#),
        );
        check(
            subject(Input::Arguments(b"[1,2]")),
            &ok("null"),
            &format!(r#"{{"v":1,"index":0,"input":[1,2],{rest}"#),
        );
    }

    #[test]
    fn an_item_that_is_a_file_shows_its_name() {
        let of = |name: &[u8]| Completion { file: Some(name.into()), ..ok("1") };
        check(ITEM, &of(b"a/b.txt"), r#"{"v":1,"index":18,"input":"a/b.txt","status":"ok","value":1}"#);
        check(ITEM, &of(b"\xff"), r#"{"v":1,"index":18,"input_base64":"/w==","status":"ok","value":1}"#);
    }

    #[test]
    fn a_trap_has_a_kind_and_an_error() {
        let error = "wasm trap: integer divide by zero".to_owned();
        check(
            ITEM,
            &ended(Outcome::Trap { kind: TrapKind::IntegerDivideByZero, error }),
            r#"{"v":1,"index":18,"status":"trap","kind":"integer-divide-by-zero","error":"wasm trap: integer divide by zero"}"#,
        );
    }

    #[test]
    fn an_exit_has_a_code() {
        check(ITEM, &ended(Outcome::Exit { code: 3 }), r#"{"v":1,"index":18,"status":"exit","code":3}"#);
    }

    #[test]
    fn a_timeout_has_the_limit_and_not_the_time_it_took() {
        check(
            ITEM,
            &ended(Outcome::Timeout { limit: TimeLimit::Wall(Duration::from_secs(60)) }),
            r#"{"v":1,"index":18,"status":"timeout","limit":"wall","after_ms":60000}"#,
        );
        check(
            ITEM,
            &ended(Outcome::Timeout { limit: TimeLimit::Wall(Duration::from_micros(1500)) }),
            r#"{"v":1,"index":18,"status":"timeout","limit":"wall","after_ms":1.500}"#,
        );
    }

    #[test]
    fn each_limit_of_time_has_a_name() {
        check(
            ITEM,
            &ended(Outcome::Timeout { limit: TimeLimit::Cpu(Duration::from_secs(2)) }),
            r#"{"v":1,"index":18,"status":"timeout","limit":"cpu","after_ms":2000}"#,
        );
        check(
            ITEM,
            &ended(Outcome::Timeout { limit: TimeLimit::Fuel(1_000_000) }),
            r#"{"v":1,"index":18,"status":"timeout","limit":"fuel","after_fuel":1000000}"#,
        );
    }

    #[test]
    fn a_limit_of_memory_has_an_owner_and_a_size() {
        let error = "wasm trap: unreachable".to_owned();
        check(
            ITEM,
            &ended(Outcome::Memory { limit: MemoryLimit::Guest, bytes: 1 << 20, error }),
            r#"{"v":1,"index":18,"status":"memory","limit":"guest","bytes":1048576,"error":"wasm trap: unreachable"}"#,
        );
    }

    #[test]
    fn whatever_is_told_in_words_has_an_error() {
        let error = || "why \u{1b}".to_owned();
        for (outcome, status) in [
            (Outcome::Output { error: error() }, "output"),
            (Outcome::Input { error: error() }, "input"),
            (Outcome::Denied { error: error() }, "denied"),
            (Outcome::Protocol { error: error() }, "protocol"),
        ] {
            let expected = format!(r#"{{"v":1,"index":18,"status":"{status}","error":"why \u001b"}}"#);
            check(ITEM, &ended(outcome), &expected);
        }
    }

    #[test]
    fn a_crash_has_a_signal_or_a_code() {
        check(
            ITEM,
            &ended(Outcome::Crash { end: WorkerEnd::Signalled(11) }),
            r#"{"v":1,"index":18,"status":"crash","signal":"SIGSEGV"}"#,
        );
        check(
            ITEM,
            &ended(Outcome::Crash { end: WorkerEnd::Exited(70) }),
            r#"{"v":1,"index":18,"status":"crash","code":70}"#,
        );
    }

    #[test]
    fn a_cancelled_item_has_its_status_only() {
        check(ITEM, &ended(Outcome::Cancelled), r#"{"v":1,"index":18,"status":"cancelled"}"#);
    }

    #[test]
    fn a_failed_merge_names_the_items_it_was_to_merge() {
        check(
            Subject::Merge { first: 64, end: 100 },
            &ended(Outcome::Exit { code: 1 }),
            r#"{"v":1,"merge":[64,100],"status":"exit","code":1}"#,
        );
    }

    #[test]
    fn what_the_guest_printed_follows_and_no_byte_is_lost() {
        let completion = Completion {
            stdout: b"hi\n".as_slice().into(),
            stderr: b"\xfe\xff!".as_slice().into(),
            ..ok("1")
        };
        check(
            ITEM,
            &completion,
            r#"{"v":1,"index":18,"status":"ok","value":1,"stdout":"hi\n","stderr_base64":"/v8h"}"#,
        );
    }

    #[test]
    fn meta_is_flat_and_comes_last() {
        let meta = Meta {
            wall: Duration::from_micros(12_340),
            cpu: Duration::from_millis(9),
            peak_memory: 1_114_112,
            attempts: 2,
            worker: 1,
            pid: 4242,
            backtrace: vec!["primes!count".to_owned()],
        };
        let completion = Completion { meta: Box::new(meta), ..ok("1") };
        let mut out = Vec::new();
        Record { subject: ITEM, completion: &completion, meta: true }.append_to(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"v":1,"index":18,"status":"ok","value":1,"ms":12.340,"cpu_ms":9,"peak_memory":1114112,"#,
                r#""attempts":2,"worker":1,"pid":4242,"backtrace":["primes!count"]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_merged_value_tells_how_many_items_are_in_it() {
        let mut out = Vec::new();
        append_merged(800, &Output::from_untrusted(b"63951").unwrap(), &mut out);
        assert_eq!(out, b"{\"v\":1,\"status\":\"ok\",\"items\":800,\"value\":63951}");
    }

    #[test]
    fn escaping_leaves_letters_and_takes_what_a_terminal_would_obey() {
        assert_eq!(escaped("né\t\u{1b}[2J\u{9b}"), r"né\t\u{1b}[2J\u{9b}");
        assert_eq!(escaped_json("\"é\u{9b}\u{7f}\""), r#""é\u009b\u007f""#);
    }

    #[test]
    fn what_turns_the_direction_of_writing_is_escaped() {
        assert_eq!(escaped("rm \u{202e}x\u{2028}y"), r"rm \u{202e}x\u{2028}y");
        assert_eq!(escaped_json("\"\u{2066}\u{61c}\""), r#""\u2066\u061c""#);
    }
}
