//! Memory without a name that is filled once, and that nobody can change afterwards.
//!
//! Guests and their code are in such memory, so that every process that has them has the same bytes, whatever becomes
//! of the files they came from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// Bytes that are read at once.
const STEP: usize = 64 << 10;

/// Empty memory, to be written and then sealed. The system shows it by this name.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag; a system may be set up to insist on it.
    let memory = match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }?;
    Ok(File::from(memory))
}

/// From now on nobody can change it, this process included.
pub(crate) fn seal(memory: &File) -> io::Result<()> {
    /// The kernel waits 150 ms each time.
    const ATTEMPTS: usize = 20;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    let seal = || fcntl_add_seals(memory, seals);
    // Who moves pages about in memory, as the kernel does on a busy machine, could still write to them.
    let mut sealed = seal();
    for _ in 1..ATTEMPTS {
        if sealed != Err(Errno::BUSY) {
            break;
        }
        sealed = seal();
    }
    Ok(sealed?)
}

/// From now on it has the length that it has; its bytes can still be changed.
pub(crate) fn seal_length(memory: &File) -> io::Result<()> {
    Ok(fcntl_add_seals(memory, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?)
}

/// Passes all of it on, piece by piece, wherever who shares it has read up to; returns how long it is.
pub(crate) fn read_through(memory: &File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    loop {
        match memory.read_at(&mut buffer, at) {
            Ok(0) => return Ok(at),
            Ok(read) => {
                take(&buffer[..read])?;
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The BLAKE3 of its bytes.
pub(crate) fn digest(memory: &File) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    read_through(memory, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sealed(bytes: &[u8]) -> File {
        let mut memory = create("wasmpool-test").unwrap();
        memory.write_all(bytes).unwrap();
        seal(&memory).unwrap();
        memory
    }

    #[test]
    fn all_of_it_is_read_in_order() {
        let bytes: Vec<u8> = (0..=250).cycle().take(STEP * 2 + 5).collect();
        let mut read = Vec::<u8>::new();
        let len = read_through(&sealed(&bytes), |piece| {
            read.extend(piece);
            Ok(())
        });
        assert_eq!(len.unwrap(), bytes.len() as u64);
        assert!(read == bytes);
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let bytes = vec![7; STEP + 1];
        assert_eq!(digest(&sealed(&bytes)).unwrap(), blake3::hash(&bytes));
    }

    #[test]
    fn what_keeps_its_length_can_be_written() {
        let mut memory = create("wasmpool-test").unwrap();
        memory.set_len(4).unwrap();
        seal_length(&memory).unwrap();
        memory.write_all(b"code").unwrap();
        assert!(memory.write_all(b"x").is_err());
        assert!(memory.set_len(0).is_err());
    }

    #[test]
    fn nobody_can_write_what_is_sealed() {
        let mut memory = sealed(b"code");
        assert_eq!(memory.write(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(memory.set_len(0).is_err());
        assert!(memory.set_len(9).is_err());
    }
}
