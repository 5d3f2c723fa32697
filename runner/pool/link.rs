//! The host's side of a worker's two pipes: what is still to be written, what has been read. Never blocks.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::wire::Decoder;
use crate::wire::codec::encode_request;
use crate::wire::msg::Request;

/// What a pipe holds by default, and so what is worth keeping for the next requests.
const PIPE_SIZE: usize = 64 << 10;

/// Requests on their way out, responses on their way in.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: Vec<u8>,
    /// How much of `outgoing` has been written.
    written: usize,
    pub(super) decoder: Decoder,
}

/// What reading a pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// There was something.
    Some,
    /// There is nothing just now.
    Nothing,
    /// The other side has closed it.
    End,
}

impl Link {
    /// A link that accepts messages of up to `max_message` bytes.
    pub(super) fn new(max_message: usize) -> Self {
        Self::following(Vec::new(), max_message)
    }

    /// The same, which writes this before anything else.
    pub(super) fn following(unsent: Vec<u8>, max_message: usize) -> Self {
        Self { outgoing: unsent, written: 0, decoder: Decoder::new(max_message) }
    }

    /// Puts a request behind those that wait to be written.
    pub(super) fn queue(&mut self, request: &Request<'_>) {
        encode_request(request, &mut self.outgoing);
    }

    /// Whether anything waits to be written.
    pub(super) fn wants_write(&self) -> bool {
        self.written < self.outgoing.len()
    }

    /// Writes as much as the pipe takes. A closed pipe is no error here: reading tells how the worker ended.
    pub(super) fn write(&mut self, pipe: &OwnedFd) {
        while self.wants_write() {
            match rustix::io::write(pipe, &self.outgoing[self.written..]) {
                Ok(written) => self.written += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.written = self.outgoing.len();
                    break;
                }
            }
        }
        self.outgoing.clear();
        self.written = 0;
        // A chunk of long lines is rare; its buffer is not kept for the short ones that follow.
        self.outgoing.shrink_to(PIPE_SIZE);
    }

    /// Reads once into the decoder.
    pub(super) fn read(&mut self, pipe: &OwnedFd) -> Received {
        loop {
            return match rustix::io::read(pipe, self.decoder.space()) {
                Ok(0) => Received::End,
                Ok(length) => {
                    self.decoder.filled(length);
                    Received::Some
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Received::Nothing,
                Err(_) => Received::End,
            };
        }
    }
}
