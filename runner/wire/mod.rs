//! The protocol between host and worker: plain types, no I/O beyond `Read` and `Write`, and nothing that panics
//! or allocates at the word of the other side.
//!
//! # Frames
//! A stream is frames and nothing else. A frame is a header of 40 bytes, all numbers little-endian, and a payload:
//!
//! | at | bytes | field | |
//! |---:|---:|---|---|
//! | 0 | 2 | magic | `wp` |
//! | 2 | 1 | version | 1 |
//! | 3 | 1 | kind | below |
//! | 4 | 2 | flags | bit 0: the message goes on in the next frame; all others 0 |
//! | 6 | 1 | encoding | below |
//! | 7 | 1 | reserved | 0 |
//! | 8 | 4 | length | of the payload, at most 262144 |
//! | 12 | 4 | CRC-32 | of header and payload, with this field as 0 |
//! | 16 | 4 | group | which guest |
//! | 20 | 4 | export | which of its exports |
//! | 24 | 8 | item | the first item |
//! | 32 | 4 | attempt | from 1 |
//! | 36 | 4 | count | how many items |
//!
//! A message of more than 262144 bytes travels in several frames that differ only in flags, length, checksum and
//! payload. All but the last are full; the last is not empty; nothing comes between them. The receiver sets a bound on
//! whole messages.
//!
//! # Messages
//! Header fields a kind does not use are 0.
//!
//! | kind | | from | encoding | uses |
//! |---:|---|---|---|---|
//! | 1 | Hello | both | 1 postcard | |
//! | 2 | Ready | worker | 1 postcard | |
//! | 3 | Load | host | 1 postcard | |
//! | 4 | Call | host | 2 spans, 3 numbers, 4 texts, 5 arguments | group, export, item, attempt, count |
//! | 5 | Result | worker | 7 reports | item, attempt, count |
//! | 6 | Merge | host | 6 folds | group, export, item, attempt, count |
//! | 6 | Merge | worker | 7 reports | item, attempt, count |
//! | 7 | Allow | host | 1 postcard | |
//! | 8 | Log | worker | 8 raw | |
//! | 9 | Progress | worker | 1 postcard | item |
//! | 10 | Drain | both | 0 none | |
//! | 11 | Bye | both | 0 none | |
//! | 12 | Refused | worker | 1 postcard | |
//! | 13 | Description | worker | 8 raw | |
//! | 14 | Code | worker | 8 raw | |
//! | 15 | Back | worker | 0 none | item, attempt, count |
//!
//! Postcard payloads are the types of [`msg`]; spans are `(start: i128, end: i128, step: u64)` and numbers
//! `(start: i128, count: u64)` in postcard. Texts, arguments and folds are `count` times a `u32`, where each item's bytes
//! end, then the bytes. Reports are `count` postcard [`msg::Report`]s, one behind the other. A description is a postcard
//! [`Description`](crate::guest::Description) of at most 1048576 bytes; a Ready has at most 4096.

pub mod codec;
pub mod decoder;
pub mod error;
pub mod frame;
pub mod msg;
pub mod version;

#[cfg(test)]
mod tests;

pub use codec::{
    Reports, encode_description, encode_report, encode_request, encode_response, parse_description,
};
pub use decoder::{Decoder, ReadError, read_message};
pub use error::WireError;
pub use frame::Message;
