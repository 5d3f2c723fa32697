//! From a stream of bytes, in whatever pieces it arrives, to whole messages.
//!
//! Bytes come from a process that runs untrusted code. So memory follows what has arrived, never what a header
//! promises, and the first broken rule ends the stream for good.

use std::io::{self, Read};
use std::ops::Range;

use super::error::WireError;
use super::frame::{FRAME_CAP, Frame, HEADER_LEN, Header, Message};

/// The longest frame, in bytes.
const FRAME_MAX: usize = HEADER_LEN + FRAME_CAP;

/// The least room worth a read.
const ROOM_MIN: usize = 4096;

/// Puts messages together from the bytes of a stream.
///
/// Fill it through [`Decoder::space`] and [`Decoder::filled`], or [`Decoder::push`]; then take messages out with
/// [`Decoder::next_message`] until there are none. A message that came in one frame is borrowed from the buffer;
/// only fragments are copied.
#[derive(Debug)]
pub struct Decoder {
    max_message: usize,
    /// What has arrived and was not taken out is in `start..end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The payload of a message that came in fragments.
    assembled: Vec<u8>,
    /// Its header, as long as fragments are missing.
    unfinished: Option<Header>,
    failed: Option<WireError>,
}

/// Why a blocking read brought no message.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream cannot be read.
    #[error("cannot read from the pipe")]
    Io(#[from] io::Error),
    /// The other side broke the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Where a whole message lies.
#[derive(Debug)]
struct Located {
    header: Header,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Buffer(Range<usize>),
    Assembled,
}

impl Decoder {
    /// The first size of the buffer.
    pub(super) const BUFFER_MIN: usize = FRAME_MAX.div_ceil(4);

    /// The last size of the buffer, if whoever fills it takes the messages out: then no more than a frame is
    /// pending, half of it can always be cleared, and it need not be doubled again.
    pub(super) const BUFFER_MAX: usize = 8 * Self::BUFFER_MIN;

    /// A decoder that refuses messages of more than `max_message` bytes of payload.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            assembled: Vec::new(),
            unfinished: None,
            failed: None,
        }
    }

    /// Room to read into, never empty. What was read there counts once [`Decoder::filled`] is called.
    #[must_use]
    pub fn space(&mut self) -> &mut [u8] {
        self.make_room(ROOM_MIN);
        &mut self.buffer[self.end..]
    }

    /// Takes note that the first `n_bytes` of [`Decoder::space`] have been read into.
    ///
    /// # Panics
    /// If there was less space than that.
    pub fn filled(&mut self, n_bytes: usize) {
        assert!(n_bytes <= self.buffer.len() - self.end, "nobody fills more than the space there is");
        self.end += n_bytes;
    }

    /// Appends bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Takes out the next message; none until more bytes have arrived.
    ///
    /// # Errors
    /// If the bytes break a rule of framing; every later call says the same.
    pub fn next_message(&mut self) -> Result<Option<Message<'_>>, WireError> {
        let located = self.locate()?;
        Ok(located.map(|located| self.message(located)))
    }

    /// Whether the bytes that were not taken out are the beginning of a message: if the stream ends here, it ended
    /// too early. Meaningful once [`Decoder::next_message`] has returned none.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.start < self.end || self.unfinished.is_some()
    }

    /// How much memory it has, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.assembled.capacity()
    }

    fn message(&self, located: Located) -> Message<'_> {
        let payload = match located.place {
            Place::Buffer(range) => &self.buffer[range],
            Place::Assembled => &self.assembled,
        };
        Message { header: located.header, payload }
    }

    fn locate(&mut self) -> Result<Option<Located>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.unfinished.is_none() {
            self.assembled.clear();
            self.assembled.shrink_to(FRAME_CAP);
        }
        let located = self.take_frames();
        self.failed = located.as_ref().err().copied();
        located
    }

    /// Takes out frames until one of them ends a message.
    fn take_frames(&mut self) -> Result<Option<Located>, WireError> {
        while let Some((frame, payload)) = self.take_frame()? {
            let header = frame.header;
            if !frame.more && self.unfinished.is_none() {
                return Ok(Some(Located { header, place: Place::Buffer(payload) }));
            }
            self.assemble(payload);
            if !frame.more {
                self.unfinished = None;
                return Ok(Some(Located { header, place: Place::Assembled }));
            }
            self.unfinished = Some(header);
        }
        Ok(None)
    }

    /// Takes out one frame, if all of it is there, and says where its payload is.
    fn take_frame(&mut self) -> Result<Option<(Frame, Range<usize>)>, WireError> {
        let arrived = &self.buffer[self.start..self.end];
        let Some((header, rest)) = arrived.split_first_chunk() else { return Ok(None) };
        let frame = Frame::parse(header)?;
        self.check_place(&frame)?;
        let Some(payload) = rest.get(..frame.length) else { return Ok(None) };
        frame.verify(header, payload)?;
        let from = self.start + HEADER_LEN;
        self.start = from + frame.length;
        Ok(Some((frame, from..self.start)))
    }

    /// Checks that `frame` may come after the frames before it.
    fn check_place(&self, frame: &Frame) -> Result<(), WireError> {
        let length = self.assembled.len() + frame.length;
        if length > self.max_message {
            return Err(WireError::Oversize { length, limit: self.max_message });
        }
        // Empty fragments would be a way to keep the reader busy for nothing.
        if frame.more && frame.length < FRAME_CAP {
            return Err(WireError::Fragment);
        }
        match self.unfinished {
            Some(header) if header != frame.header || frame.length == 0 => Err(WireError::Fragment),
            Some(_) | None => Ok(()),
        }
    }

    /// Appends a fragment, doubling the capacity but never past the longest message.
    fn assemble(&mut self, payload: Range<usize>) {
        let length = self.assembled.len() + payload.len();
        if length > self.assembled.capacity() {
            let capacity = (2 * self.assembled.capacity()).min(self.max_message).max(length);
            self.assembled.reserve_exact(capacity - self.assembled.len());
        }
        self.assembled.extend_from_slice(&self.buffer[payload]);
    }

    /// Makes `n_bytes` of room behind `end`. At most half of the buffer is moved to the front, when the rest was
    /// either taken out since the last move or is about to be filled: all moves together cost no more than
    /// some copies of the stream.
    fn make_room(&mut self, n_bytes: usize) {
        let pending = self.end - self.start;
        if pending == 0 {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > Self::BUFFER_MAX {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end >= n_bytes {
            return;
        }
        if pending <= self.buffer.len() / 2 && self.buffer.len() - pending >= n_bytes {
            self.buffer.copy_within(self.start..self.end, 0);
        } else {
            let mut larger = vec![0; (2 * self.buffer.len()).max(pending + n_bytes).max(Self::BUFFER_MIN)];
            larger[..pending].copy_from_slice(&self.buffer[self.start..self.end]);
            self.buffer = larger;
        }
        (self.start, self.end) = (0, pending);
    }
}

/// Waits for the next message of `input`; none if the stream ended between messages.
///
/// # Errors
/// If `input` cannot be read, ends inside a message, or breaks a rule of framing.
pub fn read_message<'d>(
    input: &mut impl Read,
    decoder: &'d mut Decoder,
) -> Result<Option<Message<'d>>, ReadError> {
    loop {
        if let Some(located) = decoder.locate()? {
            return Ok(Some(decoder.message(located)));
        }
        match input.read(decoder.space()) {
            Ok(0) if decoder.is_mid_frame() => return Err(WireError::Truncated.into()),
            Ok(0) => return Ok(None),
            Ok(n_bytes) => decoder.filled(n_bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
