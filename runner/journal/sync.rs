//! Brings what was written to the disk, once a second at most, from a thread of its own: who writes does not wait for
//! disks.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long what has been written may be without it being on the disk, apart from the time the disk takes.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread, which has ended when this has been dropped: it holds the file, and so its lock.
#[derive(Debug)]
pub(super) struct Syncer {
    /// None when it is to end.
    dirty: Option<SyncSender<()>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(file: Arc<File>) -> io::Result<Self> {
        let (dirty, writes) = sync_channel(1);
        let failure = Arc::new(Mutex::new(None));
        let failed = Arc::clone(&failure);
        let run = move || {
            if let Err(error) = sync_after(&writes, || file.sync_data()) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        let thread = thread::Builder::new().name("journal".into()).spawn(run)?;
        Ok(Self { dirty: Some(dirty), failure, thread: Some(thread) })
    }

    /// Something has been written.
    ///
    /// # Errors
    /// If something before it could not be brought to the disk.
    pub(super) fn wrote(&self) -> io::Result<()> {
        // One that is full says the same already; the thread is gone when it has failed.
        let _ = self.dirty.as_ref().map(|dirty| dirty.try_send(()));
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.dirty = None;
        if let Some(thread) = self.thread.take() {
            // It has no state that could be lost.
            let _ = thread.join();
        }
    }
}

/// Syncs after writes, until there are no more or it fails.
fn sync_after(writes: &Receiver<()>, mut sync: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut is_dirty = writes.recv().is_ok();
    while is_dirty {
        sync()?;
        let until = Instant::now() + PAUSE;
        is_dirty = false;
        loop {
            match writes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) => is_dirty = true,
                Err(RecvTimeoutError::Timeout) => break,
                // Who closes the journal syncs it.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        is_dirty = is_dirty || writes.recv().is_ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_the_syncing_and_is_told() {
        let (dirty, writes) = sync_channel(1);
        dirty.send(()).unwrap();
        let ended = sync_after(&writes, || Err(io::Error::other("the disk is gone")));
        assert_eq!(ended.unwrap_err().to_string(), "the disk is gone");
    }

    #[test]
    fn nothing_is_synced_that_was_not_written() {
        let (dirty, writes) = sync_channel(1);
        drop(dirty);
        let mut syncs = 0;
        sync_after(&writes, || {
            syncs += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(syncs, 0);
    }
}
