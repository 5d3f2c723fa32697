//! Bytes in pieces: up to a delimiter or so many of them, under a cap, and without reading ahead more than one buffer.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr;

/// What is read from the system at once.
pub(super) const BUFFER: usize = 128 << 10;

/// A buffered reader whose caller says how much it will hold.
pub(super) struct Reader<R> {
    input: R,
    /// Whether reading may wait for somebody to write.
    may_wait: bool,
    buffer: Box<[u8]>,
    /// Where in `buffer` the bytes are that have been read and not taken.
    unread: Range<usize>,
    /// What is left of a piece that was too long goes up to here, and is still to be skipped.
    skip_to: Option<u8>,
    /// The end was reached. It is not asked for again: a terminal would wait for a second Ctrl-D.
    ended: bool,
}

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The delimiter, which is taken.
    Delimiter,
    /// The end of the input.
    End,
    /// The cap. What is left of the piece is skipped at the next read.
    Cap,
}

impl<R: Read> Reader<R> {
    /// Reads `input`; `may_wait` says whether that may wait for somebody to write.
    pub(super) fn new(input: R, may_wait: bool) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { input, may_wait, buffer, unread: 0..0, skip_to: None, ended: false }
    }

    /// Whether a piece up to `delimiter` might have to be waited for.
    pub(super) fn must_wait(&self, delimiter: u8) -> bool {
        self.may_wait && (self.skip_to.is_some() || memchr(delimiter, self.buffered()).is_none())
    }

    /// Whether so many bytes, and then one `delimiter` more, might have to be waited for.
    pub(super) fn must_wait_beyond(&self, len: usize, delimiter: u8) -> bool {
        self.must_wait(delimiter) || self.may_wait && self.buffered().len() <= len
    }

    /// What has been read and not taken.
    fn buffered(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Appends what comes before `delimiter`, at most `most` bytes, to `bytes`. At [`Reached::Cap`] and at an error,
    /// part of the piece has been appended.
    pub(super) fn read_until(
        &mut self,
        delimiter: u8,
        most: usize,
        bytes: &mut Vec<u8>,
    ) -> io::Result<Reached> {
        // With room for the delimiter, should the caller want it back.
        let limit = bytes.len() + most + 1;
        while self.is_ready()? {
            let buffered = self.buffered();
            let found = memchr(delimiter, buffered);
            let piece = &buffered[..found.unwrap_or(buffered.len())];
            if bytes.len() + piece.len() >= limit {
                self.skip_to = Some(delimiter);
                return Ok(Reached::Cap);
            }
            append(bytes, piece, limit);
            self.unread.start += piece.len() + usize::from(found.is_some());
            if found.is_some() {
                return Ok(Reached::Delimiter);
            }
        }
        Ok(Reached::End)
    }

    /// Appends `len` bytes to `bytes`, or as many as there are up to the end.
    pub(super) fn read(&mut self, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let limit = bytes.len() + len;
        while bytes.len() < limit && self.is_ready()? {
            let buffered = self.buffered();
            let piece = &buffered[..buffered.len().min(limit - bytes.len())];
            append(bytes, piece, limit);
            self.unread.start += piece.len();
        }
        Ok(())
    }

    /// Whether all has been taken.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(!self.is_ready()?)
    }

    /// The first bytes, looked at before anything is taken: as many as `is_enough` of them asks for, or as there are.
    pub(super) fn peek(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> io::Result<&[u8]> {
        while !is_enough(self.buffered()) && self.fill()? {}
        Ok(self.buffered())
    }

    /// Sees to it that something is buffered, after what is to be skipped; `false` at the end.
    fn is_ready(&mut self) -> io::Result<bool> {
        loop {
            if self.unread.is_empty() && !self.fill()? {
                return Ok(false);
            }
            let Some(delimiter) = self.skip_to else { return Ok(true) };
            match memchr(delimiter, self.buffered()) {
                Some(at) => {
                    self.unread.start += at + 1;
                    self.skip_to = None;
                }
                None => self.unread.start = self.unread.end,
            }
        }
    }

    /// Reads once, behind what is buffered; `false` at the end, or when the buffer is full.
    fn fill(&mut self) -> io::Result<bool> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        if self.ended || self.unread.end == self.buffer.len() {
            return Ok(false);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.unread.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.unread.end += read;
        self.ended = read == 0;
        Ok(read > 0)
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("may_wait", &self.may_wait)
            .field("unread", &self.unread.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Appends `piece`; there is never made room beyond `limit`.
pub(super) fn append(bytes: &mut Vec<u8>, piece: &[u8], limit: usize) {
    make_room(bytes, piece.len(), limit);
    bytes.extend_from_slice(piece);
}

/// Makes room for `more` bytes. It is doubled as it grows, but never beyond `limit`.
fn make_room(bytes: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let room = bytes.capacity().saturating_mul(2).min(limit).max(needed);
        bytes.reserve_exact(room - bytes.len());
    }
}

/// Appends all of `input`, which is probably `expected` bytes, to `bytes`; `false` if it is longer than `most`, with
/// part of it appended.
pub(super) fn read_whole(
    mut input: impl Read,
    expected: usize,
    most: usize,
    bytes: &mut Vec<u8>,
) -> io::Result<bool> {
    const LEAST: usize = 4 << 10;
    let start = bytes.len();
    // One byte more than may be there tells whether it is; one more than is expected finds the end at once.
    let limit = start + most + 1;
    let mut room = expected.saturating_add(1).max(LEAST);
    loop {
        room = room.min(limit - bytes.len());
        make_room(bytes, room, limit);
        let read = input.by_ref().take(room as u64).read_to_end(bytes)?;
        if bytes.len() == limit {
            return Ok(false);
        }
        if read < room {
            return Ok(true);
        }
        room = bytes.len() - start;
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_LINE;
    use super::*;

    #[test]
    fn i3_a_line_of_a_gigabyte_takes_no_more_memory_than_the_cap() {
        let mut reader = Reader::new(io::repeat(b'x').take(1 << 30).chain(b"\nnext".as_slice()), true);
        let mut bytes = Vec::new();
        assert_eq!(reader.read_until(b'\n', MAX_LINE, &mut bytes).unwrap(), Reached::Cap);
        assert!(bytes.capacity() <= MAX_LINE + 1, "{}", bytes.capacity());

        let mut bytes = Vec::new();
        assert_eq!(reader.read_until(b'\n', MAX_LINE, &mut bytes).unwrap(), Reached::End);
        assert_eq!(bytes, b"next");
        assert!(bytes.capacity() <= 8 && reader.buffer.len() == BUFFER);
    }

    #[test]
    fn room_behind_what_is_there_already_is_bounded_too() {
        let mut reader = Reader::new(io::repeat(b'x').take(1000), true);
        let mut bytes = vec![0; 100];
        assert_eq!(reader.read_until(b'\n', 300, &mut bytes).unwrap(), Reached::Cap);
        assert!(bytes.capacity() <= 401, "{}", bytes.capacity());
        let mut bytes = Vec::new();
        reader.read(10, &mut bytes).unwrap();
        assert_eq!((bytes.len(), bytes.capacity()), (0, 0));
    }

    #[test]
    fn a_file_takes_no_more_memory_than_the_cap_whatever_was_expected() {
        for (len, expected) in [(999, 999), (1000, 0), (1000, 5000), (1001, 1), (9999, 9999)] {
            let mut bytes = vec![0; 10];
            let fits = read_whole(io::repeat(b'x').take(len), expected, 1000, &mut bytes).unwrap();
            assert_eq!(fits, len <= 1000);
            assert!(bytes.len() as u64 - 10 >= len.min(1000) && bytes.capacity() <= 1011);
        }
    }

    #[test]
    fn i13_no_more_is_read_ahead_than_one_buffer() {
        let mut given = 0;
        let input = ReadFn(|buffer: &mut [u8]| {
            given += buffer.len();
            buffer.fill(b'\n');
            buffer.len()
        });
        let mut reader = Reader::new(input, true);
        for _ in 0..10 {
            reader.read_until(b'\n', 9, &mut Vec::new()).unwrap();
        }
        drop(reader);
        assert_eq!(given, BUFFER);
    }

    /// A reader that is a function.
    struct ReadFn<F>(F);

    impl<F: FnMut(&mut [u8]) -> usize> Read for ReadFn<F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok((self.0)(buffer))
        }
    }
}
