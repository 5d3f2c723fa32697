//! Why bytes from the other side were refused: one variant for each rule that can be broken.

use super::frame::Kind;

/// A broken rule of the protocol. After one, nothing more can be read from the stream it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes do not begin like a frame.
    #[error("bytes that are no frame")]
    Magic,
    /// The frame has another layout than ours.
    #[error("a frame of version {0}")]
    Version(u8),
    /// No such kind of message.
    #[error("a message of unknown kind {0}")]
    Kind(u8),
    /// Flags without a meaning are set.
    #[error("a frame with unknown flags {0:#06x}")]
    Flags(u16),
    /// The reserved byte is not zero.
    #[error("a frame whose reserved byte is {0}")]
    Reserved(u8),
    /// No such encoding, or not one this kind of message can have.
    #[error("a payload of unexpected encoding {0}")]
    Encoding(u8),
    /// A frame or a message is longer than it may be.
    #[error("{length} bytes where at most {limit} are allowed")]
    Oversize {
        /// How long it says it is, in bytes.
        length: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The checksum does not match.
    #[error("a frame with a wrong checksum")]
    Crc,
    /// The fragments of a message are not full, not alike or interrupted.
    #[error("a fragment that does not continue its message")]
    Fragment,
    /// The stream ended inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
    /// The kind is known, but only the other side may send it.
    #[error("a {0:?} message from the wrong side")]
    Direction(Kind),
    /// A header field that this kind does not use is set, or one it uses has no valid value.
    #[error("a {kind:?} message with a wrong header field `{field}`")]
    Field {
        /// What the message is.
        kind: Kind,
        /// The field's name.
        field: &'static str,
    },
    /// The items are not a range of items that such a message can be about.
    #[error("a {0:?} message about items that do not exist")]
    Items(Kind),
    /// The header's count is not the number of items in the payload.
    #[error("a {0:?} message whose count is not what its payload holds")]
    Count(Kind),
    /// The payload is not what the header says it is.
    #[error("a {0:?} message with a malformed payload")]
    Payload(Kind),
}

impl WireError {
    /// One short word for the broken rule, the same in every version: for counting.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Magic => "magic",
            Self::Version(_) => "version",
            Self::Kind(_) => "kind",
            Self::Flags(_) => "flags",
            Self::Reserved(_) => "reserved",
            Self::Encoding(_) => "encoding",
            Self::Oversize { .. } => "oversize",
            Self::Crc => "crc",
            Self::Fragment => "fragment",
            Self::Truncated => "truncated",
            Self::Direction(_) => "direction",
            Self::Field { .. } => "field",
            Self::Items(_) => "items",
            Self::Count(_) => "count",
            Self::Payload(_) => "payload",
        }
    }
}
