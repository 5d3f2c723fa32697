//! What rows say in words: why an item has no value, and what its guest printed.

use crate::chunk::Inputs;
use crate::outcome::{MemoryLimit, Origin, Outcome, TimeLimit};
use crate::record::{Record, escaped, milliseconds};

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

/// Why an item has no value; nothing if it has one.
pub(super) fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(_) => String::new(),
        Outcome::Trap { kind, error } if error.is_empty() => kind.name().to_owned(),
        // The status before it has said that it is a trap.
        Outcome::Trap { error, .. } => error.strip_prefix("wasm trap: ").unwrap_or(error).to_owned(),
        Outcome::Output { error }
        | Outcome::Input { error }
        | Outcome::Denied { error }
        | Outcome::Protocol { error } => error.clone(),
        Outcome::Exit { code } => format!("the guest exited with code {code}"),
        Outcome::Timeout { limit: TimeLimit::Wall(after) } => {
            format!("killed after {} ms", milliseconds(*after))
        }
        Outcome::Timeout { limit: TimeLimit::Cpu(after) } => {
            format!("killed after {} ms of CPU time", milliseconds(*after))
        }
        Outcome::Timeout { limit: TimeLimit::Fuel(units) } => format!("stopped after {units} units of fuel"),
        Outcome::Memory { limit: MemoryLimit::Guest, bytes, .. } => {
            format!("the guest wanted more than {bytes} bytes of memory")
        }
        Outcome::Memory { limit: MemoryLimit::Process, bytes, .. } => {
            format!("the worker wanted more than {bytes} bytes of memory")
        }
        Outcome::Crash { end } => format!("the worker {end}"),
        Outcome::Cancelled => "the run ended before the item could".to_owned(),
    }
}

/// The places in the lists that an item was taken out of: `3`, or `3.0` for the first of the fourth.
pub(super) fn dotted(origin: &Origin) -> String {
    origin.part.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// Appends lines for what the guest printed and, if that is asked for, for where it trapped.
pub(super) fn append_below(record: &Record<'_>, out: &mut Vec<u8>) {
    append_printed(out, "stdout", &record.completion.stdout);
    append_printed(out, "stderr", &record.completion.stderr);
    if record.meta {
        for frame in &record.completion.meta.backtrace {
            append(out, &["    at ", &escaped(frame), "\n"]);
        }
    }
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
    use crate::outcome::{Completion, TrapKind, WorkerEnd};
    use crate::record::Subject;

    #[test]
    fn every_failure_has_a_reason() {
        const TWO: Duration = Duration::from_secs(2);
        let error = || "why".to_owned();
        for (outcome, expected) in [
            (Outcome::Trap { kind: TrapKind::Unreachable, error: error() }, "why"),
            (Outcome::Trap { kind: TrapKind::Unreachable, error: String::new() }, "unreachable"),
            (Outcome::Exit { code: 2 }, "the guest exited with code 2"),
            (Outcome::Timeout { limit: TimeLimit::Wall(TWO) }, "killed after 2000 ms"),
            (Outcome::Timeout { limit: TimeLimit::Cpu(TWO) }, "killed after 2000 ms of CPU time"),
            (Outcome::Timeout { limit: TimeLimit::Fuel(7) }, "stopped after 7 units of fuel"),
            (
                Outcome::Memory { limit: MemoryLimit::Guest, bytes: 9, error: error() },
                "the guest wanted more than 9 bytes of memory",
            ),
            (
                Outcome::Memory { limit: MemoryLimit::Process, bytes: 9, error: error() },
                "the worker wanted more than 9 bytes of memory",
            ),
            (Outcome::Output { error: error() }, "why"),
            (Outcome::Input { error: error() }, "why"),
            (Outcome::Denied { error: error() }, "why"),
            (Outcome::Crash { end: WorkerEnd::Signalled(9) }, "the worker was killed by SIGKILL"),
            (Outcome::Protocol { error: error() }, "why"),
            (Outcome::Cancelled, "the run ended before the item could"),
        ] {
            assert_eq!(reason(&outcome), expected);
        }
    }

    #[track_caller]
    fn check_below(completion: &Completion, meta: bool, expected: &str) {
        let mut out = Vec::new();
        let subject = Subject::Item { index: 0, input: None };
        append_below(&Record { subject, completion, meta }, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_the_guest_printed_has_no_control_characters() {
        let completion = Completion {
            stdout: b"one\ntwo\x1b[H".as_slice().into(),
            stderr: b"\xff\r\n".as_slice().into(),
            ..Completion::new(Outcome::Cancelled)
        };
        let expected = "    stdout: one\n    stdout: two\\u{1b}[H\n    stderr: \u{fffd}\n";
        check_below(&completion, false, expected);
    }

    #[test]
    fn where_it_trapped_is_told_with_what_varies() {
        let mut completion = Completion::new(Outcome::Cancelled);
        completion.meta.backtrace = vec!["main".to_owned()];
        check_below(&completion, false, "");
        check_below(&completion, true, "    at main\n");
    }

    #[test]
    fn the_column_is_as_wide_as_the_ends_of_the_range_need() {
        assert_eq!(key_width(&Inputs::Spans { start: 0, end: 800_000, step: 1000 }), "799000..800000".len());
        assert_eq!(key_width(&Inputs::Numbers { start: -5, count: 16 }), 2);
    }
}
