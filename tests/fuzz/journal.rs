//! The journal: a file that was cut off, or changed by somebody.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::frame::{self, HEADER, Salt};
use super::key::{Invocation, Key};
use super::record;
use super::recovery::{self, Found, Frames, read_body};
use crate::Target;
use crate::outcome::{Completion, Outcome};

/// What a run goes on with.
pub const JOURNAL: Target =
    Target { name: "journal", corpus: journals, mend: Some(mend), run: read_journal, memory: 1 << 20 };

/// Bytes in the place of a file with these bytes: to write each time a real one costs more than to read it.
struct Bytes<'a>(&'a [u8]);

impl FileExt for Bytes<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        panic!("reading changes nothing");
    }
}

fn read_journal(bytes: &[u8]) {
    let (file, len) = (Bytes(bytes), bytes.len() as u64);
    let Ok(Found::Journal(salt, recovered)) = recovery::read(&file, len, Path::new("journal")) else {
        return;
    };
    assert!(recovered.end <= len, "nothing is found behind the end");
    let mut frames = Frames::new(&file, HEADER..recovered.end, salt);
    while let Some(frame) = frames.next().expect("bytes can be read") {
        assert!(frame.at < frame.end && frame.end <= recovered.end, "a frame lies in what was recovered");
        if let Some(body) = read_body(&file, salt, frame.at..frame.end).expect("bytes can be read") {
            // That these do not panic is all there is to say.
            let _ = (record::parse_key(&body), record::parse_end(&body));
        }
    }
}

/// Makes the checksums of the header and of all frames right, as far as there are bytes.
fn mend(bytes: &mut [u8]) {
    let Some((header, _)) = bytes.split_first_chunk_mut::<20>() else { return };
    let salt = Salt(u32::from_le_bytes([header[12], header[13], header[14], header[15]]));
    *header = frame::header(salt);
    let mut at = header.len();
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() > frame::HEAD) {
        let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let length = length.clamp(1, rest.len() - frame::HEAD);
        let mut mended = Vec::new();
        frame::append(salt, at as u64, &rest[frame::HEAD..frame::HEAD + length], &mut mended);
        rest[..mended.len()].copy_from_slice(&mended);
        at += mended.len();
    }
}

fn journals() -> Vec<Vec<u8>> {
    let salt = Salt(0x1234_5678);
    let mut key = Key::default();
    key.add("the function", "f");
    key.add("--timeout", "60s");
    let invocation = Invocation::new(["run".into(), "g.wasm".into()].into_iter(), "/tmp".into());
    let mut bodies = vec![record::key(&key, &invocation), record::start(0, 4)];
    let outcomes = [
        Outcome::Exit { code: 3 },
        Outcome::Input { error: "expected u64".into() },
        Outcome::Denied { error: "opening `..` is not allowed".into() },
    ];
    for (item, outcome) in outcomes.into_iter().enumerate() {
        bodies.extend(record::end(item as u64, [7; 16], &Completion::new(outcome)));
    }
    bodies.extend([record::resumed(record::Failures::Retried), record::start(4, 100)]);
    let mut whole = frame::header(salt).to_vec();
    for body in bodies {
        let at = whole.len() as u64;
        frame::append(salt, at, &body, &mut whole);
    }
    vec![frame::header(salt).to_vec(), whole]
}
