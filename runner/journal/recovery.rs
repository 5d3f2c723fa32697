//! Reads a journal from its start: what is in it, and where it stops being one.
//!
//! A last record that is not whole was being written when its writer ended, and is no loss: nobody has been told of
//! it. A record that is not whole with others behind it has been damaged since, and is refused: what it said is lost,
//! and that is the user's to decide.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::blocks::Blocks;
use super::cannot_read;
use super::frame::{self, HEAD, HEADER, Head, NoHeader, Salt};
use super::key::{Invocation, Key};
use super::record::{self, BRIEF, Brief, Failures};
use crate::error::Error;
use crate::item::ItemIndex;
use crate::report::counted;

/// How much is read at once.
const BUFFER: usize = 128 << 10;

/// What a file is.
#[derive(Debug)]
pub(super) enum Found {
    /// Empty, or torn before anything was recorded.
    Nothing,
    /// No journal that this version can read.
    Other(NoHeader),
    Journal(Salt, Recovered),
}

/// What a journal holds.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) key: Option<(Key, Invocation)>,
    pub(super) blocks: Blocks,
    /// The last item there is a record of.
    pub(super) last: Option<ItemIndex>,
    /// Where the next record goes; 0 if there is none at all.
    pub(super) end: u64,
    /// How many bytes there are behind it.
    torn: u64,
    pub(super) ok: u64,
    /// Those that count.
    pub(super) failed: u64,
    /// Failures that are recorded before this do not count.
    pub(super) retried_at: u64,
}

/// Reads the journal of `len` bytes.
pub(super) fn read(file: &impl FileExt, len: u64, path: &Path) -> Result<Found, Error> {
    let name = format!("the journal `{}`", path.display());
    let unreadable = |source| cannot_read(&name, source);
    let mut header = Vec::new();
    Section::new(file, 0..len.min(HEADER)).read_to_end(&mut header).map_err(unreadable)?;
    let salt = match frame::parse_header(&header) {
        Ok(salt) => salt,
        Err(NoHeader::Torn) => return Ok(Found::Nothing),
        Err(reason) => return Ok(Found::Other(reason)),
    };
    let recovered = scan(file, len, salt).map_err(unreadable)?;
    if recovered.torn > 0
        && let Some(next) = next_head(file, recovered.end + 1..len, salt).map_err(unreadable)?
    {
        return Err(damaged(&name, path, recovered.end, next));
    }
    if recovered.key.is_none() {
        return Ok(Found::Nothing);
    }
    Ok(Found::Journal(salt, recovered))
}

impl Recovered {
    /// What the user should know about a journal that goes on with this job.
    ///
    /// # Errors
    /// If it is that of another.
    pub(super) fn check(&self, path: &Path, now: &Key) -> Result<Vec<String>, Error> {
        let differences = self.key.as_ref().map_or_else(Vec::new, |(was, _)| was.differences(now));
        if !differences.is_empty() {
            return Err(Error::usage(
                format!("the journal `{}` is of another job: {}", path.display(), differences.join("; ")),
                "a journal goes on with the same command only; name another for another job",
            ));
        }
        let torn = self.torn;
        let note =
            || format!("the journal ends inside a record: its last {} are cut off", counted(torn, "byte"));
        Ok((torn > 0).then(note).into_iter().collect())
    }

    /// Takes note of a record, which is in this part of the file.
    fn note(&mut self, brief: Brief, at: u64, end: u64) {
        let (first, count) = match brief {
            Brief::Key => return,
            Brief::Resumed { failures: Failures::Kept } => return,
            Brief::Resumed { failures: Failures::Retried } => {
                (self.failed, self.retried_at) = (0, at);
                return;
            }
            Brief::End { item, ok, .. } => {
                self.ok += u64::from(ok);
                self.failed += u64::from(!ok);
                (item, 1)
            }
            Brief::Start { first, count } => (first, count),
        };
        self.blocks.add(first, count, at..end);
        self.last = self.last.max(Some(first + (count - 1)));
    }
}

/// Reads records as long as they are whole.
fn scan(file: &impl FileExt, len: u64, salt: Salt) -> io::Result<Recovered> {
    let mut frames = Frames::new(file, HEADER..len, salt);
    let mut recovered = Recovered { end: HEADER, ..Recovered::default() };
    while let Some(frame) = frames.next()? {
        let Some(brief) = frame.brief else { break };
        match (brief, &recovered.key) {
            (Brief::Key, None) => {
                let body = read_body(file, salt, frame.at..frame.end)?;
                let Some(key) = body.and_then(|body| record::parse_key(&body)) else { break };
                recovered.key = Some(key);
            }
            (_, None) | (Brief::Key, Some(_)) => break,
            (brief, Some(_)) => recovered.note(brief, frame.at, frame.end),
        }
        recovered.end = frame.end;
    }
    recovered.torn = len - recovered.end;
    Ok(recovered)
}

/// The body of the frame in this part of the file; none if it is not whole.
pub(super) fn read_body(file: &impl FileExt, salt: Salt, part: Range<u64>) -> io::Result<Option<Vec<u8>>> {
    let len = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
    let mut frame = vec![0; len];
    file.read_exact_at(&mut frame, part.start)?;
    let Some((head, body)) = frame.split_first_chunk() else { return Ok(None) };
    let Some(head) = Head::parse(salt, part.start, *head) else { return Ok(None) };
    let mut hasher = salt.hasher();
    hasher.update(body);
    let is_whole = body.len() as u64 == u64::from(head.len) && hasher.finalize() == head.crc;
    frame.drain(..HEAD);
    Ok(is_whole.then_some(frame))
}

/// Where in this part of the file the next head is. Bodies do not know the salt, so it is the head of a record.
fn next_head(file: &impl FileExt, part: Range<u64>, salt: Salt) -> io::Result<Option<u64>> {
    let mut at = part.start;
    let mut bytes = Vec::new();
    let mut section = Section::new(file, part);
    loop {
        let read = (&mut section).take(BUFFER as u64).read_to_end(&mut bytes)?;
        for window in bytes.windows(HEAD) {
            let window = window.try_into().expect("a window is as long as a head");
            if Head::parse(salt, at, window).is_some() {
                return Ok(Some(at));
            }
            at += 1;
        }
        if read == 0 {
            return Ok(None);
        }
        // The last bytes may be the start of a head.
        let kept = bytes.len().min(HEAD - 1);
        bytes.drain(..bytes.len() - kept);
    }
}

/// A frame that is whole.
pub(super) struct Frame {
    pub(super) at: u64,
    pub(super) end: u64,
    /// None if this version does not write such.
    pub(super) brief: Option<Brief>,
}

/// The frames in a part of a file, one behind the other.
pub(super) struct Frames<'a, F> {
    reader: BufReader<Section<'a, F>>,
    salt: Salt,
    at: u64,
    end: u64,
}

impl<'a, F: FileExt> Frames<'a, F> {
    pub(super) fn new(file: &'a F, part: Range<u64>, salt: Salt) -> Self {
        let (at, end) = (part.start, part.end);
        let capacity = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(BUFFER);
        Self { reader: BufReader::with_capacity(capacity, Section::new(file, part)), salt, at, end }
    }

    /// The next one; none at the end, or where there is none that is whole.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        if self.end - self.at < HEAD as u64 {
            return Ok(None);
        }
        let mut head = [0; 12];
        self.reader.read_exact(&mut head)?;
        let Some(head) = Head::parse(self.salt, self.at, head) else { return Ok(None) };
        if self.end - self.at < head.frame() {
            return Ok(None);
        }
        let Some(start) = self.pass_body(head)? else { return Ok(None) };
        let at = self.at;
        self.at += head.frame();
        Ok(Some(Frame { at, end: self.at, brief: Brief::parse(&start) }))
    }

    /// Reads a body, and keeps its first bytes; none if it is not what its head promises.
    fn pass_body(&mut self, head: Head) -> io::Result<Option<Vec<u8>>> {
        let mut hasher = self.salt.hasher();
        let mut start = Vec::with_capacity(BRIEF);
        let mut left = head.len as usize;
        while left > 0 {
            let bytes = self.reader.fill_buf()?;
            let bytes = &bytes[..bytes.len().min(left)];
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            start.extend(bytes.iter().take(BRIEF - start.len()));
            hasher.update(bytes);
            let read = bytes.len();
            self.reader.consume(read);
            left -= read;
        }
        Ok((hasher.finalize() == head.crc).then_some(start))
    }
}

/// A part of a file, read without moving anybody else's place in it.
struct Section<'a, F> {
    file: &'a F,
    at: u64,
    end: u64,
}

impl<'a, F> Section<'a, F> {
    fn new(file: &'a F, part: Range<u64>) -> Self {
        Self { file, at: part.start, end: part.end }
    }
}

impl<F: FileExt> Read for Section<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// `hint` is for a file that is something else.
pub(super) fn no_journal(name: &str, reason: NoHeader, hint: &'static str) -> Error {
    let (message, hint) = match reason {
        NoHeader::Torn | NoHeader::Foreign => ("is no journal", hint),
        NoHeader::Version(_) => {
            ("was written by another version of wasmpool", "go on with it in that version, or start anew")
        }
        NoHeader::Damaged => ("is damaged in its first bytes", "start anew with another file"),
    };
    Error::usage(format!("{name} {message}"), hint)
}

fn damaged(name: &str, path: &Path, at: u64, next: u64) -> Error {
    // Without its first record there is no journal.
    let keep = if at <= HEADER { 0 } else { at };
    Error::usage(
        format!("{name} is damaged: there is no whole record at byte {at}, but one at byte {next}"),
        format!(
            "`truncate -s {keep} {}` gives up what is behind that: those items are run again",
            path.display()
        ),
    )
}
