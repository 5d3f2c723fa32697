//! The lines of a file or of standard input, each an item. A line is bytes: nothing of it is changed but the line end,
//! which is taken off.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::opened::Opened;
use super::reader::{Reached, Reader};
use super::stream::{Cut, Piece, Stream, line_too_long};
use super::{MAX_LINE, Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// Lines that end with a line feed; the last one may go without. Empty ones count.
///
/// A line longer than [`MAX_LINE`] is refused, and the next one is read as if nothing had happened.
#[derive(Debug)]
pub struct Lines<R>(Stream<R, LineByLine>);

/// What is taken off the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// The line feed.
    Lf,
    /// The line feed, and one carriage return before it, or at the end of the last line.
    Crlf,
}

#[derive(Debug)]
struct LineByLine {
    end: LineEnd,
    /// Of the line that is read next, from 1.
    number: u64,
}

impl Lines<File> {
    /// The lines of the file at `path`; of standard input if it is `-`.
    ///
    /// # Errors
    /// If the file cannot be opened, is a directory, or is a standard input that was closed.
    pub fn open(path: &Path, end: LineEnd) -> Result<Self, Error> {
        Ok(Self(Stream::new(Opened::open(path)?, LineByLine::new(end))))
    }
}

impl<R: Read> Lines<R> {
    /// The lines of `input`, which messages call `name`. Reading it may wait for somebody to write.
    #[must_use]
    pub fn new(input: R, name: String, end: LineEnd) -> Self {
        Self(Stream::new(Opened::new(input, name), LineByLine::new(end)))
    }
}

impl<R: Read + Send> Source for Lines<R> {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        self.0.next(max_items, max_bytes)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl LineByLine {
    fn new(end: LineEnd) -> Self {
        Self { end, number: 1 }
    }
}

impl Cut for LineByLine {
    fn cut<R: Read>(&mut self, reader: &mut Reader<R>, bytes: &mut Vec<u8>) -> io::Result<Piece> {
        let line = self.number;
        Ok(match read_line(reader, self.end, bytes)? {
            Line::End => Piece::End,
            Line::Whole => {
                self.number += 1;
                Piece::Item { line }
            }
            Line::TooLong => {
                self.number += 1;
                Piece::Refused(line_too_long(line, MAX_LINE))
            }
        })
    }

    fn must_wait<R: Read>(&self, reader: &Reader<R>) -> bool {
        reader.must_wait(b'\n')
    }

    fn inputs(&self, _line: u64, pieces: Packed) -> Inputs {
        Inputs::Texts(pieces)
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole,
    TooLong,
    /// There is none.
    End,
}

/// Appends the next line, without its end, to `bytes`; part of it if it is too long.
pub(super) fn read_line<R: Read>(
    reader: &mut Reader<R>,
    end: LineEnd,
    bytes: &mut Vec<u8>,
) -> io::Result<Line> {
    let start = bytes.len();
    let most = match end {
        LineEnd::Lf => MAX_LINE,
        LineEnd::Crlf => MAX_LINE + 1,
    };
    match reader.read_until(b'\n', most, bytes)? {
        Reached::End if bytes.len() == start => return Ok(Line::End),
        Reached::Delimiter | Reached::End => {}
        Reached::Cap => return Ok(Line::TooLong),
    }
    if end == LineEnd::Crlf && bytes[start..].last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(if bytes.len() - start > MAX_LINE { Line::TooLong } else { Line::Whole })
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::super::tests::{Pieces, drain, error_text, items, pieces, refusal, texts};
    use super::*;

    fn lines<R: Read>(input: R) -> Lines<R> {
        Lines::new(input, "`f`".to_owned(), LineEnd::Lf)
    }

    #[track_caller]
    fn check_ended(input: &[u8], end: LineEnd, expected: &[&[u8]]) {
        let (items, error) = items(&mut Lines::new(input, "`f`".to_owned(), end), 100, 100);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(items, expected);
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&[u8]]) {
        check_ended(input, LineEnd::Lf, expected);
    }

    #[test]
    fn i5_an_empty_file_has_no_items() {
        check(b"", &[]);
    }

    #[test]
    fn i6_a_last_line_without_an_end_counts() {
        check(b"a\nb", &[b"a", b"b"]);
        check(b"a\nb\n", &[b"a", b"b"]);
    }

    #[test]
    fn i5_blank_lines_are_items() {
        check(b"\n\na\n\n", &[b"", b"", b"a", b""]);
    }

    #[test]
    fn i6_carriage_returns_nul_and_broken_utf8_are_kept() {
        check(b"a\r\n\0\n\xff\xfe\n\r", &[b"a\r", b"\0", b"\xff\xfe", b"\r"]);
    }

    #[test]
    fn i6_one_carriage_return_belongs_to_the_line_end_where_asked_for() {
        let input = b"a\r\n\r\nb\r\r\nc\rd\n\ne\r";
        check_ended(input, LineEnd::Crlf, &[b"a", b"", b"b\r", b"c\rd", b"", b"e"]);
    }

    #[test]
    fn i6_a_byte_order_mark_of_utf8_is_kept() {
        check(b"\xef\xbb\xbfa\n", &[b"\xef\xbb\xbfa"]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_and_how_many_are_asked_for_changes_no_item(
            pieces in pieces("[a\r\n]{1,9}"), max_items in 1..20_u64, max_bytes in 0..20_usize, strip in any::<bool>(),
        ) {
            let whole = pieces.concat();
            let mut expected: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').collect();
            expected.pop_if(|last| last.is_empty());
            if strip {
                expected.iter_mut().for_each(|line| *line = line.strip_suffix(b"\r").unwrap_or(line));
            }
            let end = if strip { LineEnd::Crlf } else { LineEnd::Lf };
            let mut source = Lines::new(Pieces::new(pieces.clone()), "`f`".to_owned(), end);
            let (items, error) = items(&mut source, max_items, max_bytes);
            prop_assert!(error.is_none());
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn a_chunk_ends_with_the_line_that_reaches_its_bytes() {
        let next = lines(b"aaaa\nbbbb\ncccc\n".as_slice()).next(9, 5).unwrap().unwrap();
        assert_eq!(texts(&next), [b"aaaa", b"bbbb"]);
    }

    #[test]
    fn lines_that_are_there_do_not_wait_for_lines_to_come() {
        let mut source = lines(Pieces::new(vec![b"a\nb\nc".to_vec(), b"c\n".to_vec()]));
        assert_eq!(texts(&source.next(9, 9).unwrap().unwrap()), [b"a", b"b"]);
        assert_eq!(texts(&source.next(9, 9).unwrap().unwrap()), [b"cc"]);
        assert_eq!(source.next(9, 9).unwrap(), None);
    }

    #[test]
    fn i10_what_was_read_before_an_error_is_handed_out_first() {
        let pieces = Pieces::new(vec![b"a\nb\nhalf".to_vec()]).failing(io::ErrorKind::TimedOut);
        let (items, error) = items(&mut lines(pieces), 9, 9);
        assert_eq!(items, [b"a", b"b"]);
        let error = error.unwrap();
        assert_eq!(
            (error_text(&error).as_str(), error.exit_code().code()),
            ("cannot read `f`: timed out", 4)
        );
    }

    #[test]
    fn i3_a_line_over_the_cap_is_refused_and_the_next_one_is_read() {
        let long = io::repeat(b'x').take(MAX_LINE as u64 + 1);
        let mut source = lines(b"short\n".as_slice().chain(long).chain(b"\nnext\n".as_slice()));
        assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"short"]);
        assert_eq!(refusal(source.next(9, 99)), (None, "line 2 is longer than 16 MiB".to_owned()));
        assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"next"]);
        assert_eq!(source.next(9, 99).unwrap(), None);
    }

    #[test]
    fn i3_a_line_without_end_is_refused_without_waiting_for_its_end() {
        let mut source = lines(io::repeat(b'x'));
        assert_eq!(refusal(source.next(9, 99)).1, "line 1 is longer than 16 MiB");
    }

    #[test]
    fn i3_a_last_line_that_is_too_long_ends_the_input() {
        let mut source = lines(io::repeat(b'x').take(MAX_LINE as u64 + 9));
        assert_eq!(refusal(source.next(9, 99)).1, "line 1 is longer than 16 MiB");
        assert_eq!(source.next(9, 99).unwrap(), None);
    }

    #[test]
    fn i3_an_error_in_the_rest_of_a_refused_line_comes_after_it() {
        let rest = Pieces::new(vec![]).failing(io::ErrorKind::TimedOut);
        let mut source = lines(io::repeat(b'x').take(MAX_LINE as u64 + 9).chain(rest));
        assert_eq!(refusal(source.next(9, 99)).1, "line 1 is longer than 16 MiB");
        assert_eq!(error_text(&source.next(9, 99).unwrap_err()), "cannot read `f`: timed out");
    }

    #[test]
    fn a_line_of_the_cap_is_taken_whatever_ends_it() {
        let line = vec![b'x'; MAX_LINE];
        for (end, text) in [(LineEnd::Lf, "\ny"), (LineEnd::Crlf, "\ny"), (LineEnd::Crlf, "\r\ny")] {
            let input = line.as_slice().chain(text.as_bytes());
            let (items, error) = items(&mut Lines::new(input, "`f`".to_owned(), end), 9, 9);
            assert!(error.is_none());
            assert!(items == [line.as_slice(), b"y"], "{} items", items.len());
        }
    }

    #[test]
    fn i3_a_carriage_return_is_no_way_around_the_cap() {
        for text in ["x\ny\n", "x\r\ny\n"] {
            let input = io::repeat(b'x').take(MAX_LINE as u64).chain(text.as_bytes());
            let mut source = Lines::new(input, "`f`".to_owned(), LineEnd::Crlf);
            assert_eq!(refusal(source.next(9, 99)).1, "line 1 is longer than 16 MiB");
            assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"y"]);
        }
    }

    #[test]
    fn i14_packed_bytes_are_taken_as_they_are_after_a_remark() {
        let mut source = lines(Pieces::new(vec![b"\x1f".to_vec(), b"\x8b\x08\na\n".to_vec()]));
        let remark = "`f` looks like gzip, and is taken byte for byte; for the text in it: \
                      `zcat FILE | wasmpool … -`";
        assert_eq!(source.next(9, 99).unwrap(), Some(Next::Remark(remark.to_owned())));
        assert_eq!(drain(&mut source), [b"\x1f\x8b\x08".as_slice(), b"a"]);
    }

    #[test]
    fn i10_a_remark_about_how_it_is_read_comes_before_the_first_read() {
        let input = Pieces::new(vec![]).failing(io::ErrorKind::TimedOut);
        let opened = Opened { remark: Some("reading".to_owned()), ..Opened::new(input, "`f`".to_owned()) };
        let mut source = Lines(Stream::new(opened, LineByLine::new(LineEnd::Lf)));
        assert_eq!(source.next(9, 9).unwrap(), Some(Next::Remark("reading".to_owned())));
        assert_eq!(error_text(&source.next(9, 9).unwrap_err()), "cannot read `f`: timed out");
    }

    #[test]
    fn i10_the_end_of_the_input_is_met_once() {
        // As with a terminal, there would be more behind it.
        let mut source = lines(Pieces::new(vec![b"a".to_vec(), b"".to_vec(), b"b".to_vec()]));
        assert_eq!(drain(&mut source), [b"a"]);
    }
}
