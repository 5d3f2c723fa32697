//! Memory that two processes see.
//!
//! What a worker writes is hostile: the host copies it, within bounds, before it looks at it.

pub mod declared;
pub mod segment;
pub mod shared;
