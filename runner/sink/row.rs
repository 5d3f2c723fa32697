//! Rows: how the end of an item is shown to a person, on one line but for what the guest printed.
//!
//! Guests write the text in a row, so none of it reaches the terminal with its control characters.

use crate::chunk::Inputs;
use crate::item::{Input, ItemIndex};
use crate::outcome::{Completion, Meta, Outcome, Output};
use crate::record::{escaped, escaped_json, milliseconds};

/// What a row starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// Nothing: its place among the rows says which item it is.
    Place,
    /// The item's index.
    Index(ItemIndex),
    /// The item's input, padded to `width` characters.
    Input { input: Input<'a>, width: usize },
    /// The items whose values were to be merged, from `first` to before `end`.
    Merge { first: ItemIndex, end: ItemIndex },
}

/// The end of one item, to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) key: Key<'a>,
    pub(super) completion: &'a Completion,
    /// Show what varies from run to run, too.
    pub(super) meta: bool,
}

impl Row<'_> {
    /// Appends the row, and lines for what the guest printed, to `out`.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let key = key_text(self.key);
        let result = match &self.completion.outcome {
            Outcome::Ok(value) => value_text(value),
            failure => format!("{}: {}", failure.status(), escaped(&reason(failure))),
        };
        let separator = if key.is_empty() { "" } else { "  " };
        append(out, &[&key, separator, &result]);
        if self.meta {
            append(out, &["  ", &meta_text(&self.completion.meta)]);
        }
        out.push(b'\n');
        append_printed(out, "stdout", &self.completion.stdout);
        append_printed(out, "stderr", &self.completion.stderr);
        if self.meta {
            for frame in &self.completion.meta.backtrace {
                append(out, &["    at ", &escaped(frame), "\n"]);
            }
        }
    }
}

/// A value for people: a string without its quotes, anything else as JSON.
pub(super) fn value_text(value: &Output) -> String {
    match unquoted(value) {
        Some(text) => escaped(&text).into_owned(),
        None => escaped_json(value.json()).into_owned(),
    }
}

/// The text of a value that is a string.
pub(super) fn unquoted(value: &Output) -> Option<String> {
    // A lone surrogate is well-formed JSON and yet no text; it stays in its quotes.
    serde_json::from_str(value.json()).ok()
}

/// How many characters the inputs' texts have at most, where that is known without reading them all.
pub(super) fn key_width(inputs: &Inputs) -> usize {
    let digits = |number: i128| number.to_string().len();
    match inputs {
        Inputs::Spans { start, end, .. } => 2 * digits(*start).max(digits(*end)) + "..".len(),
        Inputs::Numbers { start, count } => {
            digits(*start).max(digits(start.saturating_add(i128::from(*count) - 1)))
        }
        Inputs::Texts(_)
        | Inputs::Files { .. }
        | Inputs::Arguments(_)
        | Inputs::Json { .. }
        | Inputs::Folds(_) => 0,
    }
}

fn key_text(key: Key<'_>) -> String {
    match key {
        Key::Place => String::new(),
        Key::Index(index) => index.to_string(),
        Key::Input { input, width } => format!("{:width$}", input_text(input)),
        Key::Merge { first, end } => format!("merge of items {first}..{end}"),
    }
}

fn input_text(input: Input<'_>) -> String {
    match input {
        Input::Span { start, end } => format!("{start}..{end}"),
        Input::Number(number) => number.to_string(),
        Input::Text(text) | Input::File { name: text, .. } => {
            escaped(&String::from_utf8_lossy(text)).into_owned()
        }
        Input::Arguments(json) | Input::Json { text: json, .. } | Input::Fold(json) => {
            escaped_json(&String::from_utf8_lossy(json)).into_owned()
        }
    }
}

/// Why an item has no value.
fn reason(failure: &Outcome) -> String {
    match failure {
        Outcome::Ok(_) => String::new(),
        Outcome::Trap { kind, error } if error.is_empty() => kind.name().to_owned(),
        Outcome::Trap { error, .. }
        | Outcome::Output { error }
        | Outcome::Input { error }
        | Outcome::Protocol { error } => error.clone(),
        Outcome::Exit { code } => format!("the guest exited with code {code}"),
        Outcome::Timeout { limit } => format!("killed after {} ms", milliseconds(*limit)),
        Outcome::Crash { end } => format!("the worker {end}"),
        Outcome::Cancelled => "the run ended before the item could".to_owned(),
    }
}

/// The same names as in a record.
fn meta_text(meta: &Meta) -> String {
    format!(
        "ms={} cpu_ms={} peak_memory={} attempts={} worker={} pid={}",
        milliseconds(meta.wall),
        milliseconds(meta.cpu),
        meta.peak_memory,
        meta.attempts,
        meta.worker,
        meta.pid
    )
}

fn append_printed(out: &mut Vec<u8>, stream: &str, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        append(out, &["    ", stream, ": ", &escaped(line), "\n"]);
    }
}

fn append(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::{TrapKind, WorkerEnd};

    fn ended(outcome: Outcome) -> Completion {
        Completion::new(outcome)
    }

    fn ok(json: &str) -> Completion {
        ended(Outcome::Ok(Output::from_untrusted(json.as_bytes()).unwrap()))
    }

    #[track_caller]
    fn check(key: Key<'_>, completion: &Completion, expected: &str) {
        let mut out = Vec::new();
        Row { key, completion, meta: false }.append_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_value_stands_two_spaces_behind_its_padded_input() {
        let key = Key::Input { input: Input::Span { start: 0, end: 100_000 }, width: 12 };
        check(key, &ok("9592"), "0..100000     9592\n");
    }

    #[test]
    fn a_failure_stands_in_the_place_of_the_value() {
        for (outcome, expected) in [
            (
                Outcome::Trap { kind: TrapKind::Unreachable, error: "wasm `unreachable`".to_owned() },
                "7  trap: wasm `unreachable`\n",
            ),
            (Outcome::Trap { kind: TrapKind::Unreachable, error: String::new() }, "7  trap: unreachable\n"),
            (Outcome::Exit { code: 2 }, "7  exit: the guest exited with code 2\n"),
            (Outcome::Timeout { limit: Duration::from_secs(2) }, "7  timeout: killed after 2000 ms\n"),
            (Outcome::Output { error: "too long".to_owned() }, "7  output: too long\n"),
            (Outcome::Input { error: "no number".to_owned() }, "7  input: no number\n"),
            (Outcome::Crash { end: WorkerEnd::Signalled(9) }, "7  crash: the worker was killed by SIGKILL\n"),
            (Outcome::Protocol { error: "a short frame".to_owned() }, "7  protocol: a short frame\n"),
            (Outcome::Cancelled, "7  cancelled: the run ended before the item could\n"),
        ] {
            check(Key::Index(7), &ended(outcome), expected);
        }
    }

    #[test]
    fn a_row_without_a_key_is_just_the_value() {
        check(Key::Place, &ok(r#"{"a":1}"#), "{\"a\":1}\n");
    }

    #[test]
    fn a_string_loses_its_quotes_and_stays_on_its_line() {
        check(Key::Place, &ok(r#""tab\tand\nline \u001b[2J""#), "tab\\tand\\nline \\u{1b}[2J\n");
    }

    #[test]
    fn a_string_that_is_no_text_stays_json() {
        check(Key::Place, &ok(r#""\ud800""#), "\"\\ud800\"\n");
    }

    #[test]
    fn a_control_character_inside_a_list_is_escaped_as_json_does() {
        check(Key::Place, &ok("[\"\u{9b}\"]"), "[\"\\u009b\"]\n");
    }

    #[test]
    fn what_the_guest_printed_is_set_below_without_its_control_characters() {
        let completion = Completion {
            stdout: b"one\ntwo\x1b[H".as_slice().into(),
            stderr: b"\xff\r\n".as_slice().into(),
            ..ok("1")
        };
        check(
            Key::Place,
            &completion,
            "1\n    stdout: one\n    stdout: two\\u{1b}[H\n    stderr: \u{fffd}\n",
        );
    }

    #[test]
    fn a_failed_merge_names_its_items() {
        check(
            Key::Merge { first: 0, end: 64 },
            &ended(Outcome::Exit { code: 1 }),
            "merge of items 0..64  exit: the guest exited with code 1\n",
        );
    }

    #[test]
    fn meta_is_named_as_in_records() {
        let meta = Meta { attempts: 1, pid: 9, backtrace: vec!["main".to_owned()], ..Meta::default() };
        let completion = Completion { meta: Box::new(meta), ..ok("1") };
        let mut out = Vec::new();
        Row { key: Key::Place, completion: &completion, meta: true }.append_to(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1  ms=0 cpu_ms=0 peak_memory=0 attempts=1 worker=0 pid=9\n    at main\n"
        );
    }

    #[test]
    fn the_column_is_as_wide_as_the_ends_of_the_range_need() {
        assert_eq!(key_width(&Inputs::Spans { start: 0, end: 800_000, step: 1000 }), "799000..800000".len());
        assert_eq!(key_width(&Inputs::Numbers { start: -5, count: 16 }), 2);
    }
}
