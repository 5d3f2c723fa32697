//! The bodies of frames: what a journal says.
//!
//! | kind | what follows |
//! |---|---|
//! | 1, key | the key of the job and its command, in postcard |
//! | 2, end of an item | its index (8 bytes), 1 if it ended well or else 0 (1 byte), the hash of its input (16 bytes), and in postcard how it ended |
//! | 3, start of items | the index of the first, how many (8 bytes each) |
//! | 4, the run goes on | 1 if failures before this do not count any more, or else 0 |
//!
//! So who looks for items reads a few bytes of each. The types here are the format: they change with its version only,
//! whatever becomes of those they stand for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::blocks::BLOCK;
use super::hash::InputHash;
use super::key::{Invocation, Key};
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, MemoryLimit, Meta, Outcome, Output, TimeLimit, TrapKind, WorkerEnd};

const KEY: u8 = 1;
const END: u8 = 2;
const START: u8 = 3;
const RESUMED: u8 = 4;

/// How many bytes of a body [`Brief::parse`] wants to see, if there are as many.
pub(super) const BRIEF: usize = 26;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brief {
    Key,
    End { item: ItemIndex, ok: bool, input: InputHash },
    Start { first: ItemIndex, count: u64 },
    Resumed { failures: Failures },
}

/// What becomes of the failures that were recorded before a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// They count.
    Kept,
    /// They do not count any more: those items are run again.
    Retried,
}

#[derive(Serialize, Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    file: Option<&'a [u8]>,
    outcome: How<'a>,
    stdout: &'a [u8],
    stderr: &'a [u8],
    wall: Duration,
    cpu: Duration,
    peak_memory: u64,
    attempts: u32,
    worker: u32,
    pid: u32,
    backtrace: Vec<&'a str>,
}

#[derive(Serialize, Deserialize)]
enum How<'a> {
    Ok(&'a str),
    Trap { kind: TrapKind, error: &'a str },
    Exit { code: i32 },
    WallTime(Duration),
    CpuTime(Duration),
    Fuel(u64),
    Memory { limit: MemoryLimit, bytes: u64, error: &'a str },
    Output(&'a str),
    Input(&'a str),
    Exited(i32),
    Signalled(i32),
    Protocol(&'a str),
    Denied(&'a str),
}

/// The body for the key of a job.
pub(super) fn key(key: &Key, command: &Invocation) -> Vec<u8> {
    postcard::to_extend(&(key, command), vec![KEY]).expect("memory takes every write")
}

/// The body for the end of an item; none if it has not ended for good.
pub(super) fn end(item: ItemIndex, input: InputHash, completion: &Completion) -> Option<Vec<u8>> {
    let ended = Ended::of(completion)?;
    let mut body = vec![END];
    body.extend_from_slice(&item.to_le_bytes());
    body.push(u8::from(completion.outcome.is_ok()));
    body.extend_from_slice(&input);
    Some(postcard::to_extend(&ended, body).expect("memory takes every write"))
}

/// How many items one record may start: who reads it has to remember the place of each.
pub(super) const MOST_STARTED: u64 = BLOCK;

/// The body for the start of items, [`MOST_STARTED`] of them at most.
pub(super) fn start(first: ItemIndex, count: u64) -> Vec<u8> {
    [&[START][..], &first.to_le_bytes(), &count.to_le_bytes()].concat()
}

/// The body for a run that goes on.
pub(super) fn resumed(failures: Failures) -> Vec<u8> {
    let retried = match failures {
        Failures::Kept => 0,
        Failures::Retried => 1,
    };
    vec![RESUMED, retried]
}

/// The key of a job and its command, in the body of a record that is one.
pub(super) fn parse_key(body: &[u8]) -> Option<(Key, Invocation)> {
    let rest = body.strip_prefix(&[KEY])?;
    postcard::from_bytes(rest).ok()
}

/// How an item ended, in the body of a record of that.
pub(super) fn parse_end(body: &[u8]) -> Option<Completion> {
    let rest = body.strip_prefix(&[END])?.get(BRIEF - 1..)?;
    postcard::from_bytes::<Ended<'_>>(rest).ok()?.completion()
}

impl Brief {
    /// What the record with this body is about; none if nothing is that this version writes. The first [`BRIEF`] bytes
    /// will do.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (kind, rest) = body.split_first()?;
        match *kind {
            KEY => Some(Self::Key),
            END => {
                let (item, rest) = rest.split_first_chunk()?;
                let (ok, rest) = rest.split_first()?;
                let (input, _) = rest.split_first_chunk()?;
                let item = ItemIndex::from_le_bytes(*item);
                (item < MERGE_BIT).then_some(Self::End { item, ok: *ok == 1, input: *input })
            }
            START => {
                let (first, rest) = rest.split_first_chunk()?;
                let (count, _) = rest.split_first_chunk()?;
                let (first, count) = (ItemIndex::from_le_bytes(*first), u64::from_le_bytes(*count));
                let is_known = (1..=MOST_STARTED).contains(&count);
                let is_sound = is_known && first.checked_add(count).is_some_and(|end| end <= MERGE_BIT);
                is_sound.then_some(Self::Start { first, count })
            }
            RESUMED => {
                let failures = if *rest.first()? == 1 { Failures::Retried } else { Failures::Kept };
                Some(Self::Resumed { failures })
            }
            _ => None,
        }
    }
}

impl<'a> Ended<'a> {
    fn of(completion: &'a Completion) -> Option<Self> {
        let Completion { file, outcome, stdout, stderr, meta, origin: _ } = completion;
        let Meta { wall, cpu, peak_memory, attempts, worker, pid, backtrace } = &**meta;
        Some(Self {
            file: file.as_deref(),
            outcome: How::of(outcome)?,
            stdout,
            stderr,
            wall: *wall,
            cpu: *cpu,
            peak_memory: *peak_memory,
            attempts: *attempts,
            worker: *worker,
            pid: *pid,
            backtrace: backtrace.iter().map(String::as_str).collect(),
        })
    }

    fn completion(self) -> Option<Completion> {
        let Self { wall, cpu, peak_memory, attempts, worker, pid, .. } = self;
        let backtrace = self.backtrace.into_iter().map(str::to_owned).collect();
        Some(Completion {
            file: self.file.map(Into::into),
            outcome: self.outcome.outcome()?,
            stdout: self.stdout.into(),
            stderr: self.stderr.into(),
            meta: Box::new(Meta { wall, cpu, peak_memory, attempts, worker, pid, backtrace }),
            origin: None,
        })
    }
}

impl<'a> How<'a> {
    fn of(outcome: &'a Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Ok(output) => Self::Ok(output.json()),
            Outcome::Trap { kind, error } => Self::Trap { kind: *kind, error },
            Outcome::Exit { code } => Self::Exit { code: *code },
            Outcome::Timeout { limit: TimeLimit::Wall(after) } => Self::WallTime(*after),
            Outcome::Timeout { limit: TimeLimit::Cpu(after) } => Self::CpuTime(*after),
            Outcome::Timeout { limit: TimeLimit::Fuel(units) } => Self::Fuel(*units),
            Outcome::Memory { limit, bytes, error } => Self::Memory { limit: *limit, bytes: *bytes, error },
            Outcome::Output { error } => Self::Output(error),
            Outcome::Input { error } => Self::Input(error),
            Outcome::Crash { end: WorkerEnd::Exited(code) } => Self::Exited(*code),
            Outcome::Crash { end: WorkerEnd::Signalled(signal) } => Self::Signalled(*signal),
            Outcome::Protocol { error } => Self::Protocol(error),
            Outcome::Denied { error } => Self::Denied(error),
            Outcome::Cancelled => return None,
        })
    }

    fn outcome(self) -> Option<Outcome> {
        Some(match self {
            Self::Ok(json) => Outcome::Ok(Output::from_untrusted(json.as_bytes()).ok()?),
            Self::Trap { kind, error } => Outcome::Trap { kind, error: error.to_owned() },
            Self::Exit { code } => Outcome::Exit { code },
            Self::WallTime(after) => Outcome::Timeout { limit: TimeLimit::Wall(after) },
            Self::CpuTime(after) => Outcome::Timeout { limit: TimeLimit::Cpu(after) },
            Self::Fuel(units) => Outcome::Timeout { limit: TimeLimit::Fuel(units) },
            Self::Memory { limit, bytes, error } => Outcome::Memory { limit, bytes, error: error.to_owned() },
            Self::Output(error) => Outcome::Output { error: error.to_owned() },
            Self::Input(error) => Outcome::Input { error: error.to_owned() },
            Self::Exited(code) => Outcome::Crash { end: WorkerEnd::Exited(code) },
            Self::Signalled(signal) => Outcome::Crash { end: WorkerEnd::Signalled(signal) },
            Self::Protocol(error) => Outcome::Protocol { error: error.to_owned() },
            Self::Denied(error) => Outcome::Denied { error: error.to_owned() },
        })
    }
}
