//! One entry: a file with a guest's description and code, and what proves that they are what was once stored.
//!
//! | at | bytes | |
//! |---:|---:|---|
//! | 0 | 8 | `wasmpool` |
//! | 8 | 4 | the version of this form, 1 |
//! | 12 | 4 | how long the description is |
//! | 16 | 8 | how long the code is |
//! | 24 | 32 | the key that it is kept under |
//! | 56 | | the description, then the code |
//! | | 32 | the BLAKE3 of all of that, keyed with the secret of the cache |
//!
//! Numbers are little-endian. Loading code that was tampered with is running it, so a file is believed nothing: what is
//! used is never read from it twice. The header and the description are held in memory, the code is copied into
//! memory of its own and sealed, and only then the digest is taken, of exactly what will be used. Who can write the
//! file while it is read gains nothing: either the copy is what was stored, or it is refused.

use std::fs::File;
use std::io::{self, Read, Write};

use blake3::{Hash, Hasher};

use super::key::Key;
use super::secret::Secret;
use crate::guest::Description;
use crate::pool::MAX_CODE;
use crate::sealed;
use crate::wire::codec::DESCRIPTION_CAP;
use crate::wire::parse_description;

/// The version of the form.
pub(super) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"wasmpool";

const HEADER: usize = 24 + Key::LEN;

/// What a guest offers, and its code, sealed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) description: Description,
    pub(crate) code: File,
}

/// Why an entry is of no use, to be read after what it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("is cut off or too long")]
    Length,
    #[error("has another form")]
    Form,
    #[error("is that of another guest or build")]
    Key,
    #[error("is not what was stored")]
    Digest,
    #[error("cannot be read: {0}")]
    System(#[from] io::Error),
}

/// How long the parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    description: u32,
    code: u64,
}

impl Lengths {
    /// Of the whole file.
    fn total(self) -> u64 {
        HEADER as u64 + u64::from(self.description) + self.code + blake3::OUT_LEN as u64
    }
}

/// Reads the entry in `file`, which may be anything and may change while it is read.
///
/// # Errors
/// If it is not, to the bit, what was stored under this key with this secret.
pub(super) fn read(file: &File, key: &Key, secret: &Secret) -> Result<Entry, Fault> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Fault::Form);
    }
    let mut rest = file;
    let mut header = [0; HEADER];
    rest.read_exact(&mut header).map_err(too_short)?;
    let lengths = parse_header(&header, key)?;
    if metadata.len() != lengths.total() {
        return Err(Fault::Length);
    }
    let mut description = Vec::new();
    rest.take(lengths.description.into()).read_to_end(&mut description)?;
    let mut code = sealed::create("wasmpool-code")?;
    io::copy(&mut rest.take(lengths.code), &mut code)?;
    let mut stored = [0; blake3::OUT_LEN];
    rest.read_exact(&mut stored).map_err(too_short)?;
    sealed::seal(&code)?;

    let mut hasher = secret.hasher();
    hasher.update(&header);
    hasher.update(&description);
    let hashed = sealed::read_through(&code, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    if description.len() as u64 != u64::from(lengths.description) || hashed != lengths.code {
        return Err(Fault::Length);
    }
    // This comparison takes as long for every wrong digest.
    if hasher.finalize() != Hash::from_bytes(stored) {
        return Err(Fault::Digest);
    }
    let description = parse_description(&description).map_err(|_| Fault::Form)?;
    Ok(Entry { description, code })
}

fn too_short(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Length,
        _ => Fault::System(error),
    }
}

fn parse_header(header: &[u8; HEADER], key: &Key) -> Result<Lengths, Fault> {
    let (magic, rest) = header.split_at(MAGIC.len());
    let (format, rest) = number(rest, u32::from_le_bytes);
    let (description, rest) = number(rest, u32::from_le_bytes);
    let (code, found_key) = number(rest, u64::from_le_bytes);
    if magic != MAGIC || format != FORMAT {
        return Err(Fault::Form);
    }
    if found_key != key.as_bytes() {
        return Err(Fault::Key);
    }
    if description as usize > DESCRIPTION_CAP || code > MAX_CODE {
        return Err(Fault::Length);
    }
    Ok(Lengths { description, code })
}

/// The number that the bytes begin with, and what is behind it.
fn number<const N: usize, T>(bytes: &[u8], parse: impl FnOnce([u8; N]) -> T) -> (T, &[u8]) {
    let (number, rest) = bytes.split_first_chunk().expect("a header is long enough for its numbers");
    (parse(*number), rest)
}

/// How long the file for this would be; none if it cannot be an entry.
pub(super) fn length(description: &[u8], code: &File) -> io::Result<Option<u64>> {
    let lengths = Lengths {
        description: u32::try_from(description.len()).unwrap_or(u32::MAX),
        code: code.metadata()?.len(),
    };
    let fits = description.len() <= DESCRIPTION_CAP && lengths.code <= MAX_CODE;
    Ok(fits.then(|| lengths.total()))
}

/// Writes an entry; `code` is sealed.
pub(super) fn write(
    file: &mut File,
    key: &Key,
    secret: &Secret,
    description: &[u8],
    code: &File,
) -> io::Result<()> {
    let header = header(key, description, code)?;
    let mut hasher = secret.hasher();
    let mut put = |bytes: &[u8], hasher: &mut Hasher| {
        hasher.update(bytes);
        file.write_all(bytes)
    };
    put(&header, &mut hasher)?;
    put(description, &mut hasher)?;
    sealed::read_through(code, |bytes| put(bytes, &mut hasher))?;
    file.write_all(hasher.finalize().as_bytes())
}

fn header(key: &Key, description: &[u8], code: &File) -> io::Result<Vec<u8>> {
    let description = u32::try_from(description.len()).map_err(io::Error::other)?;
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&description.to_le_bytes());
    header.extend_from_slice(&code.metadata()?.len().to_le_bytes());
    header.extend_from_slice(key.as_bytes());
    Ok(header)
}
