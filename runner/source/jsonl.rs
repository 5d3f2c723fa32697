//! JSON, a line for each item. Nothing of it is understood here: what a line means is asked in the worker.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::lines::{Line, LineEnd, read_line};
use super::opened::Opened;
use super::reader::Reader;
use super::stream::{Cut, Piece, Stream, line_too_long};
use super::{MAX_LINE, Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// Lines of JSON. Blank ones are no items, but count where lines are numbered.
///
/// A line longer than [`MAX_LINE`] is refused, and the next one is read as if nothing had happened.
#[derive(Debug)]
pub struct Jsonl<R>(Stream<R, JsonByLine>);

#[derive(Debug)]
struct JsonByLine {
    /// Of the line that is read next, from 1.
    number: u64,
}

impl Jsonl<File> {
    /// The JSON lines of the file at `path`; of standard input if it is `-`.
    ///
    /// # Errors
    /// If the file cannot be opened, is a directory, or is a standard input that was closed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self(Stream::new(Opened::open(path)?, JsonByLine { number: 1 })))
    }
}

impl<R: Read> Jsonl<R> {
    /// The JSON lines of `input`, which messages call `name`. Reading it may wait for somebody to write.
    #[must_use]
    pub fn new(input: R, name: String) -> Self {
        Self(Stream::new(Opened::new(input, name), JsonByLine { number: 1 }))
    }
}

impl<R: Read + Send> Source for Jsonl<R> {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        self.0.next(max_items, max_bytes)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl Cut for JsonByLine {
    fn cut<R: Read>(&mut self, reader: &mut Reader<R>, bytes: &mut Vec<u8>) -> io::Result<Piece> {
        let start = bytes.len();
        let read = read_line(reader, LineEnd::Crlf, bytes)?;
        let line = self.number;
        self.number += 1;
        if line == 1 && bytes[start..].starts_with(b"\xef\xbb\xbf") {
            bytes.drain(start..start + 3);
        }
        Ok(match read {
            Line::End => Piece::End,
            Line::TooLong => Piece::Refused(line_too_long(line, MAX_LINE)),
            Line::Whole if is_blank(&bytes[start..]) => Piece::Gap,
            Line::Whole => Piece::Item { line },
        })
    }

    fn must_wait<R: Read>(&self, reader: &Reader<R>) -> bool {
        reader.must_wait(b'\n')
    }

    fn inputs(&self, line: u64, texts: Packed) -> Inputs {
        Inputs::Json { line, texts }
    }
}

/// Whether there is nothing but the white space of JSON.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::io;

    use super::super::tests::{Pieces, error_text, pieces, refusal};
    use super::*;
    use crate::item::Input;

    fn jsonl<R: Read>(input: R) -> Jsonl<R> {
        Jsonl::new(input, "`f`".to_owned())
    }

    /// The lines of each chunk, with their numbers.
    fn chunks(source: &mut dyn Source, max_items: u64, max_bytes: usize) -> Vec<Vec<(u64, String)>> {
        let mut chunks = Vec::new();
        while let Some(next) = source.next(max_items, max_bytes).unwrap() {
            let Next::Inputs(inputs) = next else { panic!("inputs, not {next:?}") };
            assert!((1..=max_items).contains(&inputs.count()));
            let item = |k| match inputs.input(k) {
                Some(Input::Json { line, text }) => (line, String::from_utf8(text.to_vec()).unwrap()),
                other => panic!("JSON, not {other:?}"),
            };
            chunks.push((0..inputs.count()).map(item).collect());
        }
        chunks
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&[(u64, &str)]]) {
        let chunks = chunks(&mut jsonl(input), 100, 100);
        let borrowed: Vec<Vec<_>> = chunks
            .iter()
            .map(|chunk| chunk.iter().map(|(line, text)| (*line, text.as_str())).collect())
            .collect();
        assert_eq!(borrowed, expected);
    }

    #[test]
    fn each_line_is_an_item_with_its_number() {
        check(b"1\n[2]\n{}\n", &[&[(1, "1"), (2, "[2]"), (3, "{}")]]);
    }

    #[test]
    fn i5_blank_lines_are_no_items_and_part_chunks() {
        check(b"\n1\n2\n \t\r\n\n3\n\n", &[&[(2, "1"), (3, "2")], &[(6, "3")]]);
        check(b"\n \r\n", &[]);
        check(b"", &[]);
    }

    #[test]
    fn i6_a_byte_order_mark_at_the_start_is_taken_off() {
        check(b"\xef\xbb\xbf1\n\xef\xbb\xbf2\n", &[&[(1, "1"), (2, "\u{feff}2")]]);
        check(b"\xef\xbb\xbf\n1\n", &[&[(2, "1")]]);
        check(b"\xef\xbb\xbf", &[]);
    }

    #[test]
    fn i6_a_carriage_return_before_the_line_end_is_taken_off() {
        check(b"1\r\n2\r\n", &[&[(1, "1"), (2, "2")]]);
        check(b"1\r", &[&[(1, "1")]]);
    }

    #[test]
    fn i1_what_is_no_json_is_handed_on() {
        check(b"{\n\x0b\n", &[&[(1, "{"), (2, "\x0b")]]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_and_how_many_are_asked_for_changes_no_item(
            pieces in pieces("[1 \r\n]{1,6}"), max_items in 1..9_u64, max_bytes in 0..9_usize,
        ) {
            let whole = String::from_utf8(pieces.concat()).unwrap();
            let expected: Vec<(u64, String)> = (1..)
                .zip(whole.split('\n'))
                .filter(|(_, line)| !line.trim().is_empty())
                .map(|(number, line)| (number, line.strip_suffix('\r').unwrap_or(line).to_owned()))
                .collect();
            let chunks = chunks(&mut jsonl(Pieces::new(pieces)), max_items, max_bytes);
            prop_assert_eq!(chunks.concat(), expected);
        }
    }

    #[test]
    fn i3_a_line_over_the_cap_is_refused_and_the_numbers_go_on() {
        let long = io::repeat(b'1').take(MAX_LINE as u64 + 9);
        let mut source = jsonl(b"1\n\n".as_slice().chain(long).chain(b"\n4\n".as_slice()));
        source.next(9, 9).unwrap();
        assert_eq!(refusal(source.next(9, 9)), (None, "line 3 is longer than 16 MiB".to_owned()));
        assert_eq!(chunks(&mut source, 9, 9), [[(4, "4".to_owned())]]);
    }

    #[test]
    fn i10_what_was_read_before_an_error_is_handed_out_first() {
        let mut source = jsonl(Pieces::new(vec![b"1\nhalf".to_vec()]).failing(io::ErrorKind::TimedOut));
        let first = Inputs::Json { line: 1, texts: Packed::from_iter([b"1".as_slice()]) };
        assert_eq!(source.next(9, 9).unwrap(), Some(Next::Inputs(first)));
        assert_eq!(error_text(&source.next(9, 9).unwrap_err()), "cannot read `f`: timed out");
    }

    #[test]
    fn i14_packed_bytes_are_remarked_on() {
        let mut source = jsonl(b"(\xb5/\xfd".as_slice());
        let Some(Next::Remark(remark)) = source.next(9, 9).unwrap() else { panic!("a remark") };
        assert!(remark.starts_with("`f` looks like zstd"), "{remark}");
    }

    #[test]
    fn blank_lines_without_end_do_not_keep_who_asks() {
        let mut source = jsonl(io::repeat(b'\n').chain(b"1\n".as_slice()));
        assert_eq!(source.next(9, 9).unwrap(), Some(Next::Nothing));
        assert_eq!(source.next(9, 9).unwrap(), Some(Next::Nothing));
    }
}
