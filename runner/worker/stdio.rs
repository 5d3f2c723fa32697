//! What a guest prints: kept in memory, up to a limit, and handed over with the item's result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

/// The output of one item at a time.
#[derive(Debug)]
pub(super) struct Capture {
    /// The most bytes of both streams together.
    limit: usize,
    inner: Mutex<Captured>,
}

/// What has been printed.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// The guest tried to print more than the limit.
    pub(super) overflowed: bool,
}

impl Capture {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Captured> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captured {
    pub(super) fn clear(&mut self) {
        self.stdout.clear();
        self.stderr.clear();
        self.overflowed = false;
    }

    pub(super) fn len(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }
}

/// Standard output or standard error of a guest.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    capture: Arc<Capture>,
    buffer: fn(&mut Captured) -> &mut Vec<u8>,
}

/// The guest printed more than its limit allows; ends the call.
#[derive(Debug, thiserror::Error)]
#[error("the guest printed more than {0} bytes")]
pub(super) struct OutputLimit(usize);

impl Stream {
    pub(super) fn stdout(capture: &Arc<Capture>) -> Self {
        Self { capture: Arc::clone(capture), buffer: |captured| &mut captured.stdout }
    }

    pub(super) fn stderr(capture: &Arc<Capture>) -> Self {
        Self { capture: Arc::clone(capture), buffer: |captured| &mut captured.stderr }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    /// Only WASI 0.3 asks for this, which is off: nothing can be written to it.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(MemoryOutputPipe::new(0))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let mut captured = self.capture.lock();
        if bytes.len() > self.capture.limit.saturating_sub(captured.len()) {
            captured.overflowed = true;
            return Err(StreamError::Trap(OutputLimit(self.capture.limit).into()));
        }
        (self.buffer)(&mut captured).extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    /// Always a little, also at the limit: a guest that goes past it has to be seen doing so.
    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}
