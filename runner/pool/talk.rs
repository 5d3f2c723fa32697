//! What worker processes say on their own standard error: panics, mostly. Capped, since anything may write there.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// Bytes kept of what one process says; the rest is read and dropped.
const CAP: usize = 64 << 10;

/// The longest line passed on.
const MAX_LINE: usize = 4 << 10;

/// Lines a process has said.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// An unfinished line.
    partial: Vec<u8>,
    lines: Vec<String>,
    heard: usize,
    lacked_memory: bool,
    closed: bool,
}

impl Talk {
    /// Whether there may be more.
    pub(super) fn is_open(&self) -> bool {
        !self.closed
    }

    /// Whether it said that it was refused memory, as a Rust program does before it aborts.
    pub(super) fn lacked_memory(&self) -> bool {
        self.lacked_memory
    }

    /// Reads what is there; returns the lines that are complete.
    pub(super) fn read(&mut self, pipe: &OwnedFd) -> Vec<String> {
        let mut buffer = [0_u8; 4096];
        // One turn, so that a process that never stops talking does not keep its driver from its work.
        for _ in 0..16 {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => {
                    self.closed = true;
                    self.end_line();
                    break;
                }
                Ok(length) => self.take(&buffer[..length]),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.lines()
    }

    /// The lines that are complete and have not been asked for.
    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Takes a line that came as a message.
    pub(super) fn log(&mut self, line: &[u8]) {
        self.take(line);
        self.end_line();
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = CAP.saturating_sub(self.heard);
        self.heard = self.heard.saturating_add(bytes.len());
        for &byte in &bytes[..bytes.len().min(room)] {
            if byte == b'\n' || self.partial.len() == MAX_LINE {
                self.end_line();
            }
            if byte != b'\n' {
                self.partial.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        if !self.partial.is_empty() {
            self.lacked_memory |= self.partial.starts_with(b"memory allocation of ");
            self.lines.push(String::from_utf8_lossy(&self.partial).into_owned());
            self.partial.clear();
        }
    }
}
