//! What sources that cut one stream of bytes have in common: chunks, remarks, and the order in which things are told.

use std::io::{self, Read};

use super::format::Format;
use super::opened::Opened;
use super::reader::{BUFFER, Reader};
use super::{MAX_LINE, MOST_GAPS, Next, Refused};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// The most bytes in one chunk before its last item, whatever the caller allows: a [`Packed`] ends at 4 GiB.
pub(super) const MAX_CHUNK: usize = 1 << 30;

/// How a stream of bytes becomes items.
pub(super) trait Cut {
    /// Reads the next piece, and appends it to `bytes`. What is appended to a piece that is no item is taken off again.
    fn cut<R: Read>(&mut self, reader: &mut Reader<R>, bytes: &mut Vec<u8>) -> io::Result<Piece>;

    /// Whether the next piece might have to be waited for.
    fn must_wait<R: Read>(&self, reader: &Reader<R>) -> bool;

    /// The inputs that these pieces are, the first of which started at line `line`, from 1.
    fn inputs(&self, line: u64, pieces: Packed) -> Inputs;
}

/// What a piece of a stream is.
#[derive(Debug)]
pub(super) enum Piece {
    /// An item, which started at this line, from 1.
    Item { line: u64 },
    /// Nothing, and items before it do not stand directly before those behind it.
    Gap,
    /// An item that is refused.
    Refused(Refused),
    /// There is no more.
    End,
}

/// A stream of bytes, cut into items.
#[derive(Debug)]
pub(super) struct Stream<R, C> {
    reader: Reader<R>,
    cut: C,
    name: String,
    remark: Option<String>,
    is_known: bool,
    /// What was found behind items that had to be handed out first.
    found: Option<Result<Next, Error>>,
}

/// Items that have been cut, and what was found behind them.
#[derive(Default)]
struct Gathered {
    line: u64,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    found: Option<Result<Next, Error>>,
}

impl<R: Read, C: Cut> Stream<R, C> {
    pub(super) fn new(opened: Opened<R>, cut: C) -> Self {
        let Opened { input, name, remark, may_wait } = opened;
        Self { reader: Reader::new(input, may_wait), cut, name, remark, is_known: false, found: None }
    }

    /// As [`Source::next`](super::Source::next).
    pub(super) fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        if let Some(found) = self.remark()?.map(Ok).or_else(|| self.found.take()) {
            return found.map(Some);
        }
        let Gathered { line, bytes, ends, found } = self.gather(max_items, max_bytes.clamp(1, MAX_CHUNK));
        if ends.is_empty() {
            return found.transpose();
        }
        self.found = found;
        let pieces = Packed::from_parts(bytes, ends).expect("the last end is the end of the bytes");
        Ok(Some(Next::Inputs(self.cut.inputs(line, pieces))))
    }

    /// What the user should know about the input as a whole: first how it is read, then what it looks like.
    fn remark(&mut self) -> Result<Option<Next>, Error> {
        if let Some(remark) = self.remark.take() {
            return Ok(Some(Next::Remark(remark)));
        }
        if self.is_known {
            return Ok(None);
        }
        self.is_known = true;
        match self.reader.peek(Format::is_known) {
            Ok(start) => Ok(Format::of(start).map(|format| Next::Remark(format.remark(&self.name)))),
            Err(source) => Err(self.failure(source)),
        }
    }

    /// Cuts until there is enough, the stream ends, something else than an item comes, or more might have to be
    /// waited for.
    fn gather(&mut self, max_items: u64, max_bytes: usize) -> Gathered {
        let mut gathered = Gathered::default();
        let mut gaps = 0;
        let Gathered { line, bytes, ends, found } = &mut gathered;
        while (ends.len() as u64) < max_items && bytes.len() < max_bytes {
            if !ends.is_empty() && self.cut.must_wait(&self.reader) {
                break;
            }
            let start = bytes.len();
            let piece = self.cut.cut(&mut self.reader, bytes);
            if let Ok(Piece::Item { line: at }) = piece {
                if ends.is_empty() {
                    *line = at;
                }
                ends.push(u32::try_from(bytes.len()).expect("a chunk and one item more are below 4 GiB"));
                continue;
            }
            bytes.truncate(start);
            match piece {
                Ok(Piece::Gap) if ends.is_empty() && gaps < MOST_GAPS => {
                    gaps += 1;
                    continue;
                }
                Ok(Piece::Gap) if ends.is_empty() => *found = Some(Ok(Next::Nothing)),
                Ok(Piece::Item { .. } | Piece::Gap | Piece::End) => {}
                Ok(Piece::Refused(refused)) => *found = Some(Ok(Next::Refused(refused))),
                Err(source) => *found = Some(Err(self.failure(source))),
            }
            break;
        }
        // Whoever counts what chunks take counts their bytes, not the room that there was for more.
        if bytes.capacity() - bytes.len() > BUFFER {
            bytes.shrink_to_fit();
        }
        gathered
    }

    fn failure(&self, source: io::Error) -> Error {
        Error::Input { name: self.name.clone(), hint: None, source }
    }
}

/// The refusal of line `number`, which is longer than `limit` bytes.
pub(super) fn line_too_long(number: u64, limit: usize) -> Refused {
    let limit = match limit {
        MAX_LINE => format!("{} MiB", MAX_LINE >> 20),
        limit => format!("{limit} bytes"),
    };
    Refused { file: None, error: format!("line {number} is longer than {limit}") }
}
