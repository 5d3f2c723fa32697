//! The bytes of a journal: a file header, then frames, each a head of 12 bytes and a body.
//!
//! The header is a magic of 8 bytes, a version, a salt and a CRC-32 of these, 20 bytes in all. A head is the length of
//! the body, the CRC-32 of the body, and the CRC-32 of those 8 bytes and of the offset at which the frame starts.
//! Numbers are little-endian. The salt goes into both checksums: guests have a hand in what bodies hold, and none of
//! them knows what a frame of this file would have to look like.

use std::hash::{BuildHasher, RandomState};

use crc32fast::Hasher;

/// No text file starts like this, and a transfer that changes line ends shows.
const MAGIC: [u8; 8] = *b"\x89wpool\r\n";

/// Of everything in the file. Another one is not read.
const VERSION: u32 = 1;

/// How long the file header is.
pub(super) const HEADER: u64 = 20;

/// How long the head of a frame is.
pub(super) const HEAD: usize = 12;

/// Makes the checksums of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt(pub(super) u32);

/// What a head promises of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// At least 1.
    pub(super) len: u32,
    pub(super) crc: u32,
}

/// Why a file has no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// It ends inside of it.
    Torn,
    /// It starts with something else.
    Foreign,
    /// It is one of this version.
    Version(u32),
    /// It has been changed.
    Damaged,
}

impl Salt {
    pub(super) fn random() -> Self {
        let [a, b, c, d, ..] = RandomState::new().hash_one(0_u8).to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// A checksum of this file, of what will be fed to it.
    pub(super) fn hasher(self) -> Hasher {
        Hasher::new_with_initial(self.0)
    }

    fn crc(self, parts: &[&[u8]]) -> u32 {
        let mut hasher = self.hasher();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    }
}

/// The header of a file with this salt.
pub(super) fn header(salt: Salt) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&salt.0.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The salt of a file that starts with these bytes, 20 of them if it is that long.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Salt, NoHeader> {
    let common = bytes.len().min(MAGIC.len());
    if bytes[..common] != MAGIC[..common] {
        return Err(NoHeader::Foreign);
    }
    let Some((bytes, _)) = bytes.split_first_chunk::<20>() else { return Err(NoHeader::Torn) };
    let number = |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if number(16) != crc32fast::hash(&bytes[..16]) {
        return Err(NoHeader::Damaged);
    }
    match number(8) {
        VERSION => Ok(Salt(number(12))),
        other => Err(NoHeader::Version(other)),
    }
}

/// Appends the frame of `body`, which starts at the offset `at` of the file, to `out`.
///
/// # Panics
/// If the body is empty, or 4 GiB long.
pub(super) fn append(salt: Salt, at: u64, body: &[u8], out: &mut Vec<u8>) {
    assert!(!body.is_empty(), "a body starts with its kind");
    let len = u32::try_from(body.len()).expect("an item may have no output of 4 GiB").to_le_bytes();
    let crc = salt.crc(&[body]).to_le_bytes();
    let head = salt.crc(&[&len, &crc, &at.to_le_bytes()]).to_le_bytes();
    [&len, &crc, &head].into_iter().for_each(|number| out.extend_from_slice(number));
    out.extend_from_slice(body);
}

impl Head {
    /// The head in these bytes, which start at the offset `at`; none if they are no head, or not that of a frame there.
    pub(super) fn parse(salt: Salt, at: u64, bytes: [u8; 12]) -> Option<Self> {
        let [l0, l1, l2, l3, c0, c1, c2, c3, h0, h1, h2, h3] = bytes;
        let (len, crc) = (u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([c0, c1, c2, c3]));
        let promised = u32::from_le_bytes([h0, h1, h2, h3]);
        let is_one = len > 0 && salt.crc(&[&bytes[..8], &at.to_le_bytes()]) == promised;
        is_one.then_some(Self { len, crc })
    }

    /// How long the frame is.
    pub(super) fn frame(self) -> u64 {
        HEAD as u64 + u64::from(self.len)
    }
}
