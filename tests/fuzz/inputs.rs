//! The sources: bytes of a file or a pipe, cut into items.

use std::io::{self, Read};
use std::num::NonZero;

use crate::Target;
use crate::chunk::{Inputs, Packed};
use crate::source::{Blocks, Jsonl, LineEnd, Lines, Next, Source};

/// Lines, lines of JSON, and blocks. The first two bytes choose which of them, and how the rest arrives.
pub const SOURCES: Target =
    Target { name: "sources", corpus: texts, mend: None, run: read_sources, memory: 1 << 20 };

/// Bytes that come in pieces of this length.
#[derive(Debug)]
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(buffer.len()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}

fn read_sources(bytes: &[u8]) {
    let Some(([kind, length], text)) = bytes.split_first_chunk() else { return };
    let length = usize::from(*length) + 1;
    let source = |length| -> Box<dyn Source + '_> {
        let (input, name) = (Pieces { rest: text, length }, "the input".to_owned());
        match kind % 4 {
            0 => Box::new(Lines::new(input, name, LineEnd::Lf)),
            1 => Box::new(Lines::new(input, name, LineEnd::Crlf)),
            2 => Box::new(Jsonl::new(input, name)),
            _ => Box::new(Blocks::new(input, name, NonZero::new(length).expect("it is at least 1"))),
        }
    };
    let whole = items(&mut *source(usize::MAX), u64::MAX, usize::MAX);
    match kind % 4 {
        0 => {
            assert_eq!(whole.join(&b'\n'), text.strip_suffix(b"\n").unwrap_or(text), "no byte is lost");
            assert_eq!(whole.len(), lines(text), "each line is an item");
        }
        1 => assert_eq!(whole.len(), lines(text), "each line is an item"),
        2 => assert!(whole.iter().all(|line| !line.contains(&b'\n')), "an item is one line"),
        // How long a block may be follows how the input arrives here, so there is nothing to compare.
        _ => {
            let blocks = items(&mut *source(length), 3, 16);
            assert_eq!(blocks.concat(), text, "no byte is lost");
            return assert_eq!(whole.concat(), text, "no byte is lost");
        }
    }
    assert_eq!(items(&mut *source(length), 3, 16), whole, "pieces change nothing");
}

/// How many lines there are; the last may go without its end.
fn lines(text: &[u8]) -> usize {
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    ends + usize::from(text.last().is_some_and(|last| *last != b'\n'))
}

/// All items of a source, taken so many at a time.
fn items(source: &mut dyn Source, max_items: u64, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    while let Some(next) = source.next(max_items, max_bytes).expect("bytes in memory can be read") {
        let packed = match next {
            Next::Inputs(Inputs::Texts(packed) | Inputs::Json { texts: packed, .. }) => packed,
            Next::Remark(_) | Next::Nothing => continue,
            Next::Refused(refused) => panic!("nothing is too long here: {refused:?}"),
            Next::Ended(completion) => panic!("nothing has ended: {completion:?}"),
            Next::Inputs(inputs) | Next::Calls(inputs, _) => panic!("inputs of another kind: {inputs:?}"),
        };
        assert!((1..=max_items).contains(&packed.count()), "as many as were asked for");
        items.extend(all(&packed));
    }
    items
}

fn all(packed: &Packed) -> impl Iterator<Item = Vec<u8>> {
    (0..packed.count()).map(|position| packed.get(position).expect("it is there").to_owned())
}

fn texts() -> Vec<Vec<u8>> {
    const TEXTS: [&[u8]; 8] = [
        b"",
        b"one\ntwo\nthree",
        b"\xef\xbb\xbfone\r\ntwo\r\n\r\n",
        b"[1,2]\n{\"a\":1}\n\n \t\n\"text\"\n",
        b"\n\n\n\n",
        b"\x1f\x8b\x08\x00 packed",
        b"\xff\xfeo\0n\0e\0\n\0",
        b"a long line, longer than the pieces that it comes in\nand another one of that kind\n",
    ];
    let variants = TEXTS.iter().flat_map(|text| (0..4).map(move |kind| [&[kind, 4], *text].concat()));
    variants.collect()
}
