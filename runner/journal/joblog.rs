//! The joblog: a line for each item as it ends, in the columns of GNU parallel's, for who has programs that read those.
//!
//! | column | what it is here |
//! |---|---|
//! | Seq | the item's index and one, for it starts at 1 there |
//! | Host | `:`, this machine |
//! | Starttime, JobRuntime | when the last attempt began, as seconds since 1970, and how long it took, to the millisecond |
//! | Send, Receive | 0; how many bytes the value has |
//! | Exitval | 0 for `ok`, the guest's own code, 124 for a time limit, 1 for any other failure; what was cancelled has no line |
//! | Signal | the signal that the worker died of; Exitval is 0 then, as for any process |
//! | Command | a command that calls the same, or else the guest, the function and the item's index |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use super::cannot_write;
use crate::chunk::Inputs;
use crate::error::Error;
use crate::guest::Export;
use crate::item::{Input, ItemIndex};
use crate::outcome::{Completion, Outcome, WorkerEnd};

const COLUMNS: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// As `timeout` of the shell gives it.
const TIMED_OUT: i32 = 124;

/// What is to be done with a joblog that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoblogMode {
    /// It is written anew.
    New,
    /// Lines are added to it: the job goes on with a journal.
    Resume,
}

/// Writes lines.
#[derive(Debug)]
pub struct Joblog {
    file: File,
    name: String,
    guest: PathBuf,
    export: Export,
    /// Of the whole job, where they are known.
    inputs: Option<Inputs>,
}

impl Joblog {
    /// The joblog at `path`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(
        path: &Path,
        mode: JoblogMode,
        guest: &Path,
        export: &Export,
        inputs: Option<Inputs>,
    ) -> Result<Self, Error> {
        let name = format!("the joblog `{}`", path.display());
        let open = || {
            let mut options = OpenOptions::new();
            options.create(true).write(true);
            let mut file = match mode {
                JoblogMode::New => options.truncate(true).open(path)?,
                JoblogMode::Resume => options.read(true).append(true).open(path)?,
            };
            let last = match mode {
                JoblogMode::New => None,
                JoblogMode::Resume => last_byte(&file)?,
            };
            match last {
                None => file.write_all(COLUMNS.as_bytes())?,
                Some(b'\n') => {}
                // A run that was killed was writing a line.
                Some(_) => file.write_all(b"\n")?,
            }
            Ok(file)
        };
        let file = open().map_err(|source| cannot_write(&name, source))?;
        Ok(Self { file, name, guest: guest.to_owned(), export: export.clone(), inputs })
    }

    /// Writes a line for each of these items, which have just ended.
    pub(super) fn ended<'a>(
        &mut self,
        items: impl Iterator<Item = &'a (ItemIndex, Completion)>,
    ) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut lines = String::new();
        for (item, completion) in items {
            append_line(*item, completion, now, &self.command(*item), &mut lines);
        }
        self.file.write_all(lines.as_bytes()).map_err(|source: io::Error| cannot_write(&self.name, source))
    }

    fn command(&self, item: ItemIndex) -> String {
        let guest = self.guest.to_string_lossy();
        let export = self.export.full_name();
        let arguments = self.inputs.as_ref().and_then(|inputs| arguments(&self.export, inputs.input(item)?));
        let words: Vec<Cow<'_, str>> = match arguments {
            Some(arguments) => ["wasmpool".into(), "call".into(), guest, export.into()]
                .into_iter()
                .chain(arguments.into_iter().map(Cow::Owned))
                .collect(),
            None => vec![guest, export.into(), "item".into(), item.to_string().into()],
        };
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }
}

/// None if the file is empty.
fn last_byte(file: &File) -> io::Result<Option<u8>> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(None) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(Some(byte[0]))
}

fn append_line(item: ItemIndex, completion: &Completion, now: Duration, command: &str, lines: &mut String) {
    let runtime = completion.meta.wall;
    let started = now.saturating_sub(runtime);
    let received = completion.outcome.output().map_or(0, |value| value.json().len());
    let (code, signal) = exit(&completion.outcome);
    // Writing to a string cannot fail.
    let _ = writeln!(
        lines,
        "{}\t:\t{}\t{}\t0\t{received}\t{code}\t{signal}\t{command}",
        item + 1,
        seconds(started),
        seconds(runtime)
    );
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

/// The exit code and the signal of a process that ended like this.
fn exit(outcome: &Outcome) -> (i32, i32) {
    match outcome {
        Outcome::Ok(_) => (0, 0),
        Outcome::Exit { code } | Outcome::Crash { end: WorkerEnd::Exited(code) } => {
            // It ended before its time, so it is no success.
            (if *code == 0 { 1 } else { *code }, 0)
        }
        Outcome::Crash { end: WorkerEnd::Signalled(signal) } => (0, *signal),
        Outcome::Timeout { .. } => (TIMED_OUT, 0),
        Outcome::Cancelled => (-1, 0),
        Outcome::Trap { .. }
        | Outcome::Memory { .. }
        | Outcome::Output { .. }
        | Outcome::Input { .. }
        | Outcome::Denied { .. }
        | Outcome::Protocol { .. } => (1, 0),
    }
}

/// What `wasmpool call` would have to be given.
fn arguments(export: &Export, input: Input<'_>) -> Option<Vec<String>> {
    match input {
        Input::Span { start, end } => Some(vec![start.to_string(), end.to_string()]),
        Input::Number(number) => Some(vec![number.to_string()]),
        Input::Json { text, .. } => {
            let text = str::from_utf8(text).ok()?;
            if export.params.len() == 1 { Some(vec![text.to_owned()]) } else { values(export, text) }
        }
        Input::Text(_) | Input::File { .. } | Input::Arguments(_) | Input::Fold(_) => None,
    }
}

/// The values in an array, or in an object with a member for each parameter.
fn values(export: &Export, json: &str) -> Option<Vec<String>> {
    if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(json) {
        return Some(values.into_iter().map(|value| value.get().to_owned()).collect());
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    export.params.iter().map(|(name, _)| Some(members.get(name)?.get().to_owned())).collect()
}

/// One word for a shell: no white space outside of quotes, and no control characters at all.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,#".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('#') {
        return word.to_owned();
    }
    if !word.contains(char::is_control) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    // Only this kind of quotes has escapes in it.
    let mut quoted = String::from("$'");
    for character in word.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    // Writing to a string cannot fail.
                    let _ = write!(quoted, "\\x{byte:02x}");
                }
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::ValueType;
    use crate::outcome::{Meta, Output, TimeLimit, TrapKind};

    fn export(params: &[&str]) -> Export {
        Export {
            interface: None,
            function: "f".to_owned(),
            params: params.iter().map(|name| ((*name).to_owned(), ValueType::U64)).collect(),
            result: None,
        }
    }

    #[track_caller]
    fn check_line(outcome: Outcome, expected: &str) {
        let meta = Box::new(Meta { wall: Duration::from_millis(1500), ..Meta::default() });
        let completion = Completion { meta, ..Completion::new(outcome) };
        let mut line = String::new();
        append_line(4, &completion, Duration::from_millis(1_700_000_002_000), "the command", &mut line);
        assert_eq!(line, format!("5\t:\t1700000000.500\t1.500\t0\t{expected}\tthe command\n"));
    }

    #[test]
    fn a_line_has_the_columns_of_gnu_parallel() {
        check_line(Outcome::Ok(Output::from_untrusted(b"12345").unwrap()), "5\t0\t0");
        check_line(Outcome::Exit { code: 3 }, "0\t3\t0");
        check_line(Outcome::Exit { code: 0 }, "0\t1\t0");
        check_line(Outcome::Trap { kind: TrapKind::Other, error: "no".into() }, "0\t1\t0");
        check_line(Outcome::Timeout { limit: TimeLimit::Wall(Duration::from_secs(1)) }, "0\t124\t0");
        check_line(Outcome::Crash { end: WorkerEnd::Signalled(9) }, "0\t0\t9");
        check_line(Outcome::Cancelled, "0\t-1\t0");
    }

    #[test]
    fn a_word_is_quoted_so_that_a_shell_reads_it_as_it_was() {
        let words = ["a-b.wasm", "", "two words", "it's", "tab\tand 'quote'\\", "#x", "\u{85}"];
        let quotes = [
            "a-b.wasm",
            "''",
            "'two words'",
            r"'it'\''s'",
            r"$'tab\x09and \'quote\'\\'",
            "'#x'",
            r"$'\xc2\x85'",
        ];
        assert_eq!(words.map(quoted), quotes);
    }

    #[test]
    fn a_command_calls_the_same_where_the_input_is_known() {
        let json = |text| Input::Json { line: 0, text };
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(arguments(&export(&["a"]), json(b"[1, 2]")), words(&["[1, 2]"]));
        assert_eq!(arguments(&export(&["a", "b"]), json(b"[1, \"x\"]")), words(&["1", "\"x\""]));
        assert_eq!(arguments(&export(&["a", "b"]), json(b"{\"b\": 1, \"a\": 2}")), words(&["2", "1"]));
        assert_eq!(arguments(&export(&["a", "b"]), json(b"{\"b\": 1}")), None);
        assert_eq!(arguments(&export(&["a", "b"]), Input::Span { start: -1, end: 5 }), words(&["-1", "5"]));
        assert_eq!(arguments(&export(&["a"]), Input::Text(b"x")), None);
    }
}
