//! The protocol between host and worker: plain types, no I/O beyond `Read` and `Write`, and nothing that panics
//! or allocates at the word of the other side.

pub mod msg;
