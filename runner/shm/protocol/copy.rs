//! Bytes in and out of words that others may write at the same time: what comes out may be torn, and nothing worse.

use super::sync::{AtomicU64, Ordering};

/// Stores `bytes` in `words`, the rest of the last one as zeros.
///
/// # Panics
/// If they do not fit.
pub(crate) fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    let (words, last) = words[..bytes.len().div_ceil(8)].split_at(whole.len());
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let Some(last) = last.first() {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        last.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
}

/// Puts the first `length` bytes of `words` in the place of what is in `out`.
///
/// # Panics
/// If there are not so many.
pub(crate) fn load(words: &[AtomicU64], length: usize, out: &mut Vec<u8>) {
    out.clear();
    out.resize(length, 0);
    let (whole, rest) = out.as_chunks_mut::<8>();
    let (words, last) = words[..length.div_ceil(8)].split_at(whole.len());
    for (word, bytes) in words.iter().zip(whole) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let Some(last) = last.first() {
        let bytes = last.load(Ordering::Relaxed).to_le_bytes();
        rest.copy_from_slice(&bytes[..rest.len()]);
    }
}
