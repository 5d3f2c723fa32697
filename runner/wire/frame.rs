//! Frames: a fixed header of 40 bytes, then at most [`FRAME_CAP`] bytes of payload. The table is in
//! [`super`]'s documentation.
//!
//! What a header says is checked as soon as its 40 bytes are there, before anything waits for the payload.

use super::error::WireError;
use crate::item::ItemIndex;

/// The length of a frame's header, in bytes.
pub const HEADER_LEN: usize = 40;

/// The most payload one frame carries, in bytes; longer messages travel as several frames.
pub const FRAME_CAP: usize = 256 << 10;

/// The layout of the frames this module reads and writes.
pub const FRAME_VERSION: u8 = 1;

const MAGIC: [u8; 2] = *b"wp";
const MORE: u16 = 1;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Who speaks, and which protocol; both ways.
    Hello = 1,
    /// The worker serves calls from now on.
    Ready = 2,
    /// What to make of the guest.
    Load = 3,
    /// Items to run.
    Call = 4,
    /// How items ended.
    Result = 5,
    /// Merges to run, and how they ended.
    Merge = 6,
    /// What the items behind it may use.
    Allow = 7,
    /// A line for the log.
    Log = 8,
    /// How far an item is.
    Progress = 9,
    /// Answer everything first; and: everything is answered.
    Drain = 10,
    /// End; and: this is the end.
    Bye = 11,
    /// The guest cannot be used.
    Refused = 12,
    /// What a guest offers.
    Description = 13,
    /// Compiled code.
    Code = 14,
    /// Items that were not run.
    Back = 15,
}

/// How a payload is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// There is no payload.
    None = 0,
    /// One postcard value.
    Postcard = 1,
    /// The postcard triple of start, end and step.
    Spans = 2,
    /// The postcard pair of start and count.
    Numbers = 3,
    /// For each item a `u32`, where its text ends; then the texts.
    Texts = 4,
    /// As texts, with a JSON array of arguments each.
    Arguments = 5,
    /// As texts, with a JSON array of values to merge each.
    Folds = 6,
    /// Postcard reports, one behind the other.
    Reports = 7,
    /// Bytes that mean nothing to the protocol.
    Raw = 8,
    /// A `u64`, the line of the first or 0; then as texts, with the JSON of an item each.
    Json = 9,
}

/// What the header says about a message; the same in each of its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// How its payload is encoded.
    pub encoding: Encoding,
    /// Which guest.
    pub group: u32,
    /// Which of the guest's exports.
    pub export: u32,
    /// The first item.
    pub item: ItemIndex,
    /// Which try at the items.
    pub attempt: u32,
    /// How many items.
    pub count: u32,
}

/// A whole message, its fragments put together, its checksums right; otherwise not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What its header says.
    pub header: Header,
    /// What it carries.
    pub payload: &'a [u8],
}

/// What the header of one frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) header: Header,
    /// Whether the message goes on in the next frame.
    pub(super) more: bool,
    /// The length of the payload, at most [`FRAME_CAP`].
    pub(super) length: usize,
    crc: u32,
}

/// Writes one message, in as many frames as it needs.
#[derive(Debug)]
pub(super) struct FrameWriter<'o> {
    out: &'o mut Vec<u8>,
    header: Header,
    /// Where the frame being written starts in `out`.
    start: usize,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Hello,
        Self::Ready,
        Self::Load,
        Self::Call,
        Self::Result,
        Self::Merge,
        Self::Allow,
        Self::Log,
        Self::Progress,
        Self::Drain,
        Self::Bye,
        Self::Refused,
        Self::Description,
        Self::Code,
        Self::Back,
    ];

    fn from_number(number: u8) -> Result<Self, WireError> {
        let place = usize::from(number).checked_sub(1).ok_or(WireError::Kind(number))?;
        Self::ALL.get(place).copied().ok_or(WireError::Kind(number))
    }
}

impl Encoding {
    const ALL: [Self; 10] = [
        Self::None,
        Self::Postcard,
        Self::Spans,
        Self::Numbers,
        Self::Texts,
        Self::Arguments,
        Self::Folds,
        Self::Reports,
        Self::Raw,
        Self::Json,
    ];

    fn from_number(number: u8) -> Result<Self, WireError> {
        Self::ALL.get(usize::from(number)).copied().ok_or(WireError::Encoding(number))
    }
}

impl Header {
    /// A header whose other fields are all zero.
    pub(super) fn new(kind: Kind, encoding: Encoding) -> Self {
        Self { kind, encoding, group: 0, export: 0, item: 0, attempt: 0, count: 0 }
    }

    fn write(&self, flags: u16, length: u32) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..2].copy_from_slice(&MAGIC);
        bytes[2] = FRAME_VERSION;
        bytes[3] = self.kind as u8;
        bytes[4..6].copy_from_slice(&flags.to_le_bytes());
        bytes[6] = self.encoding as u8;
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.group.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.export.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.item.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }
}

impl Frame {
    /// Reads a header, as far as it can be judged without its payload and without knowing who sent it.
    pub(super) fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        if bytes[0..2] != MAGIC {
            return Err(WireError::Magic);
        }
        if bytes[2] != FRAME_VERSION {
            return Err(WireError::Version(bytes[2]));
        }
        let length = u32_at(bytes, 8) as usize;
        if length > FRAME_CAP {
            return Err(WireError::Oversize { length, limit: FRAME_CAP });
        }
        let flags = u16::from_le_bytes([bytes[4], bytes[5]]);
        if flags & !MORE != 0 {
            return Err(WireError::Flags(flags));
        }
        if bytes[7] != 0 {
            return Err(WireError::Reserved(bytes[7]));
        }
        let header = Header {
            kind: Kind::from_number(bytes[3])?,
            encoding: Encoding::from_number(bytes[6])?,
            group: u32_at(bytes, 16),
            export: u32_at(bytes, 20),
            item: u64::from(u32_at(bytes, 28)) << 32 | u64::from(u32_at(bytes, 24)),
            attempt: u32_at(bytes, 32),
            count: u32_at(bytes, 36),
        };
        Ok(Self { header, more: flags & MORE != 0, length, crc: u32_at(bytes, 12) })
    }

    /// Compares the checksum of the frame's bytes with the one its header names.
    pub(super) fn verify(&self, header: &[u8; HEADER_LEN], payload: &[u8]) -> Result<(), WireError> {
        if checksum(header, payload) == self.crc { Ok(()) } else { Err(WireError::Crc) }
    }
}

impl<'o> FrameWriter<'o> {
    /// Starts a message at the end of `out`.
    pub(super) fn new(out: &'o mut Vec<u8>, header: Header) -> Self {
        let mut writer = Self { out, header, start: 0 };
        writer.open();
        writer
    }

    /// Appends to the payload.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let room = FRAME_CAP - (self.out.len() - self.start - HEADER_LEN);
            if bytes.len() <= room {
                return self.out.extend_from_slice(bytes);
            }
            let (now, later) = bytes.split_at(room);
            self.out.extend_from_slice(now);
            self.seal(MORE);
            self.open();
            bytes = later;
        }
    }

    /// Ends the message.
    pub(super) fn finish(mut self) {
        self.seal(0);
    }

    fn open(&mut self) {
        self.start = self.out.len();
        self.out.extend_from_slice(&[0; HEADER_LEN]);
    }

    fn seal(&mut self, flags: u16) {
        let frame = &mut self.out[self.start..];
        let (header, payload) = frame.split_first_chunk_mut().expect("every frame was started with a header");
        let length = u32::try_from(payload.len()).expect("the payload is at most FRAME_CAP");
        *header = self.header.write(flags, length);
        let crc = checksum(header, payload);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The CRC-32 of a frame, its own field taken as zero.
fn checksum(header: &[u8; HEADER_LEN], payload: &[u8]) -> u32 {
    let mut header = *header;
    header[12..16].fill(0);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header);
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
