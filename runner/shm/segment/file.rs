//! The host's end of a segment: it owns the file and only ever copies out of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

use super::{OUTBOX_AT, OutboxCopy, SEGMENT_LEN, Status, WORDS, Words};

/// The file of one worker's segment.
#[derive(Debug)]
pub struct SegmentFile {
    fd: OwnedFd,
}

impl SegmentFile {
    /// Creates an empty segment whose length nobody can change.
    ///
    /// # Errors
    /// If the system is out of descriptors or memory.
    pub fn create() -> io::Result<Self> {
        let fd =
            rustix::fs::memfd_create("wasmpool-segment", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, SEGMENT_LEN as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self { fd })
    }

    /// Which item the worker says it is running, if any. A hint: its numbers may even belong to two items.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_status(&self) -> io::Result<Option<Status>> {
        Ok(self.words()?.status())
    }

    /// What is in the outbox; none if it is empty, says what cannot be, or became another batch while it was read, as
    /// it may in the moment between a SIGKILL and the worker's end.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_outbox(&self) -> io::Result<Option<OutboxCopy>> {
        let Some((mut copy, length)) = self.words()?.outbox() else { return Ok(None) };
        copy.reports.resize(length, 0);
        self.read(OUTBOX_AT, &mut copy.reports)?;
        // A batch only grows until the next one begins, and that one is of other items.
        let same = self.words()?.outbox().is_some_and(|(now, _)| {
            (now.first, now.attempt) == (copy.first, copy.attempt) && now.count >= copy.count
        });
        Ok(same.then_some(copy))
    }

    fn words(&self) -> io::Result<Words> {
        let mut bytes = [0; 8 * WORDS];
        self.read(0, &mut bytes)?;
        Ok(Words::parse(&bytes))
    }

    fn read(&self, at: usize, mut bytes: &mut [u8]) -> io::Result<()> {
        let mut at = at as u64;
        while !bytes.is_empty() {
            match rustix::io::pread(&self.fd, &mut *bytes, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n_bytes) => {
                    bytes = &mut bytes[n_bytes..];
                    at += n_bytes as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// To be handed to the worker.
impl AsFd for SegmentFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
