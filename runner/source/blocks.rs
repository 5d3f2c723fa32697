//! Blocks of a file or of standard input, each an item: as many whole lines as fit. One behind the other they are the
//! input again, byte for byte.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::num::NonZero;
use std::path::Path;

use memchr::{memchr_iter, memrchr};

use super::opened::Opened;
use super::reader::{Reached, Reader, append};
use super::stream::{Cut, MAX_CHUNK, Piece, Stream, line_too_long};
use super::{MAX_LINE, Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// The largest size that blocks can have, in bytes.
pub const MAX_BLOCK: NonZero<usize> = NonZero::new(MAX_CHUNK).expect("not zero");

/// Blocks that are cut behind a line feed, which stays. A block ends when the next line does not fit, or with the
/// stream; never because the next bytes have not arrived.
///
/// A line longer than a block is a block of its own, up to [`MAX_LINE`]. One that is longer still is refused, and the
/// next block starts with the next line.
#[derive(Debug)]
pub struct Blocks<R>(Stream<R, BlockByBlock>);

#[derive(Debug)]
struct BlockByBlock {
    size: usize,
    /// The start of a line that did not fit into the last block: no line feed is in it.
    rest: Vec<u8>,
    /// Of the line that the next block starts with, from 1.
    number: u64,
}

impl Blocks<File> {
    /// Blocks of at most `size` bytes of the file at `path`; of standard input if it is `-`.
    ///
    /// # Errors
    /// If `size` is more than [`MAX_BLOCK`]; if the file cannot be opened, is a directory, or is a standard input that
    /// was closed.
    pub fn open(path: &Path, size: NonZero<usize>) -> Result<Self, Error> {
        if size > MAX_BLOCK {
            let message = format!("blocks of {size} bytes are too large");
            return Err(Error::usage(message, "a block has at most 1 GiB"));
        }
        Ok(Self(Stream::new(Opened::open(path)?, BlockByBlock::new(size))))
    }
}

impl<R: Read> Blocks<R> {
    /// Blocks of at most `size` bytes, which is at most [`MAX_BLOCK`], of `input`, which messages call `name`. Reading
    /// it may wait for somebody to write.
    #[must_use]
    pub fn new(input: R, name: String, size: NonZero<usize>) -> Self {
        Self(Stream::new(Opened::new(input, name), BlockByBlock::new(size.min(MAX_BLOCK))))
    }
}

impl<R: Read + Send> Source for Blocks<R> {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        self.0.next(max_items, max_bytes)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl BlockByBlock {
    fn new(size: NonZero<usize>) -> Self {
        Self { size: size.get(), rest: Vec::new(), number: 1 }
    }

    /// How long a line may be, without its end.
    fn longest_line(&self) -> usize {
        self.size.max(MAX_LINE)
    }

    /// Reads on in a line that is longer than a block; what was read of it so far is the end of `bytes`.
    fn read_long_line<R: Read>(&mut self, reader: &mut Reader<R>, bytes: &mut Vec<u8>) -> io::Result<Piece> {
        let line = self.number;
        let limit = self.longest_line();
        let reached = reader.read_until(b'\n', limit - self.size, bytes)?;
        self.number += 1;
        Ok(match reached {
            Reached::Cap => Piece::Refused(line_too_long(line, limit)),
            Reached::End => Piece::Item { line },
            Reached::Delimiter => {
                bytes.push(b'\n');
                Piece::Item { line }
            }
        })
    }
}

impl Cut for BlockByBlock {
    fn cut<R: Read>(&mut self, reader: &mut Reader<R>, bytes: &mut Vec<u8>) -> io::Result<Piece> {
        let start = bytes.len();
        let line = self.number;
        append(bytes, &mem::take(&mut self.rest), start + self.size);
        reader.read(self.size - (bytes.len() - start), bytes)?;
        let block = &bytes[start..];
        if block.is_empty() {
            return Ok(Piece::End);
        }
        if block.last() != Some(&b'\n') && !reader.is_at_end()? {
            let Some(at) = memrchr(b'\n', block) else { return self.read_long_line(reader, bytes) };
            self.rest.extend_from_slice(&block[at + 1..]);
            bytes.truncate(start + at + 1);
        }
        self.number += memchr_iter(b'\n', &bytes[start..]).count() as u64;
        Ok(Piece::Item { line })
    }

    fn must_wait<R: Read>(&self, reader: &Reader<R>) -> bool {
        reader.must_wait_beyond(self.size - self.rest.len(), b'\n')
    }

    fn inputs(&self, _line: u64, pieces: Packed) -> Inputs {
        Inputs::Texts(pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Pieces, drain, error_text, items, pieces, refusal, texts};
    use super::*;

    fn blocks<R: Read>(input: R, size: usize) -> Blocks<R> {
        Blocks::new(input, "`f`".to_owned(), NonZero::new(size).unwrap())
    }

    #[track_caller]
    fn check(input: &str, size: usize, expected: &[&str]) {
        assert_eq!(
            drain(&mut blocks(input.as_bytes(), size)),
            expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>()
        );
    }

    /// Lines, with their ends, put together as long as they fit.
    fn by_line(input: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            match blocks.last_mut().filter(|last| last.len() + line.len() <= size) {
                Some(last) => last.extend_from_slice(line),
                None => blocks.push(line.to_owned()),
            }
        }
        blocks
    }

    #[test]
    fn a_block_has_as_many_whole_lines_as_fit() {
        check("a\nb\nc\n", 4, &["a\nb\n", "c\n"]);
        check("a\nb\nc\n", 5, &["a\nb\n", "c\n"]);
        check("a\nb\nc\n", 6, &["a\nb\nc\n"]);
        check("a\nb\nc\n", 1 << 30, &["a\nb\nc\n"]);
    }

    #[test]
    fn a_line_longer_than_a_block_is_a_block_of_its_own() {
        check("a\nlonger\nb\n", 3, &["a\n", "longer\n", "b\n"]);
        check("longer", 1, &["longer"]);
    }

    #[test]
    fn i6_a_last_line_without_an_end_is_a_line() {
        check("a\nbc", 4, &["a\nbc"]);
        check("a\nbc", 3, &["a\n", "bc"]);
    }

    #[test]
    fn i5_an_empty_file_has_no_blocks() {
        check("", 4, &[]);
        check("\n", 4, &["\n"]);
    }

    proptest! {
        #[test]
        fn blocks_depend_on_the_bytes_and_the_size_alone(
            pieces in pieces("[ab\n]{1,9}"), size in 1..40_usize, max_items in 1..9_u64, max_bytes in 0..50_usize,
        ) {
            let whole = pieces.concat();
            let (items, error) = items(&mut blocks(Pieces::new(pieces), size), max_items, max_bytes);
            prop_assert!(error.is_none());
            prop_assert_eq!(&items, &by_line(&whole, size));
            prop_assert_eq!(items.concat(), whole);
        }
    }

    #[test]
    fn blocks_that_are_there_do_not_wait_for_blocks_to_come() {
        let mut source = blocks(Pieces::new(vec![b"a\nb\nc".to_vec(), b"\nd\n".to_vec()]), 2);
        assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"a\n", b"b\n"]);
        assert_eq!(drain(&mut source), [b"c\n", b"d\n"]);
    }

    #[test]
    fn i3_a_line_over_the_cap_is_refused_and_the_next_block_starts_behind_it() {
        let long = io::repeat(b'x').take(MAX_LINE as u64 + 1);
        let mut source = blocks(b"a\nb\nc\n".as_slice().chain(long).chain(b"\nd\n".as_slice()), 4);
        assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"a\nb\n"]);
        assert_eq!(texts(&source.next(9, 99).unwrap().unwrap()), [b"c\n"]);
        assert_eq!(refusal(source.next(9, 99)), (None, "line 4 is longer than 16 MiB".to_owned()));
        assert_eq!(drain(&mut source), [b"d\n"]);
    }

    #[test]
    fn a_line_of_the_cap_is_taken() {
        let input = [&vec![b'x'; MAX_LINE], b"\na\n".as_slice()].concat();
        let items = drain(&mut blocks(input.as_slice(), 4));
        assert!(items == [&input[..=MAX_LINE], b"a\n"], "{} items", items.len());
    }

    #[test]
    fn in_blocks_beyond_the_cap_so_are_lines() {
        let size = MAX_LINE + 5;
        let long = || io::repeat(b'x').take(size as u64);
        assert_eq!(drain(&mut blocks(long(), size)).concat().len(), size);
        let mut source = blocks(long().chain(b"x\na".as_slice()), size);
        assert_eq!(refusal(source.next(9, 99)).1, "line 1 is longer than 16777221 bytes");
        assert_eq!(drain(&mut source), [b"a"]);
    }

    #[test]
    fn i10_whole_blocks_before_an_error_are_handed_out_first() {
        let pieces = Pieces::new(vec![b"a\nb\nc\n".to_vec()]).failing(io::ErrorKind::TimedOut);
        let (items, error) = items(&mut blocks(pieces, 4), 9, 99);
        assert_eq!(items, [b"a\nb\n"]);
        assert_eq!(error_text(&error.unwrap()), "cannot read `f`: timed out");
    }

    #[test]
    fn i14_packed_bytes_are_remarked_on() {
        let mut source = blocks(b"\xff\xfea\0".as_slice(), 4);
        let Some(Next::Remark(remark)) = source.next(9, 9).unwrap() else { panic!("a remark") };
        assert!(remark.starts_with("`f` looks like UTF-16"), "{remark}");
    }

    #[test]
    fn blocks_that_are_too_large_are_wrong_usage() {
        let size = MAX_BLOCK.checked_add(1).unwrap();
        let error = Blocks::open(Path::new("/dev/null"), size).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.exit_code().code()),
            ("blocks of 1073741825 bytes are too large", 2)
        );
    }
}
