//! Brings what was written to the disk, once a second at most, from a thread of its own: who writes does not wait for
//! disks.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::place::Place;

/// How long what has been written may be without it being on the disk, apart from the time the disk takes.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread, which has ended when this has been dropped: it holds the file, and so its lock.
#[derive(Debug)]
pub(super) struct Syncer {
    /// None when it is to end.
    dirty: Option<SyncSender<()>>,
    disk: Arc<Disk>,
    warning: Arc<Mutex<Warning>>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be said about the file's place.
#[derive(Debug)]
enum Warning {
    None,
    Due(String),
    Told,
}

/// A file on its way to the disk. The system tells of a write that was lost once, to whoever syncs next; so that nobody
/// takes it for written after that, it is kept here.
#[derive(Debug)]
struct Disk {
    file: Arc<File>,
    lost: Mutex<Option<(io::ErrorKind, String)>>,
}

impl Disk {
    fn sync(&self) -> io::Result<()> {
        self.sync_by(|| self.file.sync_data())
    }

    fn sync_by(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut lost = lock(&self.lost);
        if lost.is_none()
            && let Err(error) = sync()
        {
            *lost = Some((error.kind(), error.to_string()));
        }
        told(&lost)
    }
}

fn told(lost: &Option<(io::ErrorKind, String)>) -> io::Result<()> {
    match lost {
        Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
        None => Ok(()),
    }
}

impl Syncer {
    pub(super) fn start(file: Arc<File>, place: Arc<Place>) -> io::Result<Self> {
        let (dirty, writes) = sync_channel(1);
        let disk = Arc::new(Disk { file, lost: Mutex::new(None) });
        let synced = Arc::clone(&disk);
        let warning = Arc::new(Mutex::new(Warning::None));
        let warned = Arc::clone(&warning);
        let sync = move || {
            synced.sync()?;
            warn(&warned, &place);
            Ok(())
        };
        // What is lost is kept for the next who writes, or who syncs at the end.
        let run = move || drop(sync_after(&writes, sync));
        let thread = thread::Builder::new().name("journal".into()).spawn(run)?;
        Ok(Self { dirty: Some(dirty), disk, warning, thread: Some(thread) })
    }

    /// What is to be said about the file's place, once.
    pub(super) fn take_warning(&self) -> Option<String> {
        let mut warning = lock(&self.warning);
        match std::mem::replace(&mut *warning, Warning::Told) {
            Warning::Due(text) => Some(text),
            before @ (Warning::None | Warning::Told) => {
                *warning = before;
                None
            }
        }
    }

    /// Something has been written.
    ///
    /// # Errors
    /// If something before it could not be brought to the disk.
    pub(super) fn wrote(&self) -> io::Result<()> {
        // One that is full says the same already; the thread is gone when it has failed.
        let _ = self.dirty.as_ref().map(|dirty| dirty.try_send(()));
        told(&lock(&self.disk.lost))
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// If that, or something before it, could not be brought there.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync()
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

fn warn(warning: &Mutex<Warning>, place: &Place) {
    let mut warning = lock(warning);
    if let (Warning::None, Some(text)) = (&*warning, place.warning()) {
        *warning = Warning::Due(text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // There is nothing in it that could be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn j8_a_file_that_is_gone_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let file = Arc::new(File::create(&path).unwrap());
        let place = Arc::new(Place::new(Arc::clone(&file), path.clone(), "the journal".to_owned()));
        assert_eq!(place.warning(), None);
        std::fs::remove_file(path).unwrap();
        let syncer = Syncer::start(file, place).unwrap();
        syncer.wrote().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let warning = loop {
            if let Some(warning) = syncer.take_warning() {
                break warning;
            }
            assert!(Instant::now() < deadline, "nothing is said");
            thread::yield_now();
        };
        assert_eq!(warning, "the journal: it was moved or removed, and the run goes on without one");
        syncer.wrote().unwrap();
        assert_eq!(syncer.take_warning(), None);
    }

    #[test]
    fn what_was_lost_stays_lost() {
        let disk = Disk { file: Arc::new(tempfile::tempfile().unwrap()), lost: Mutex::new(None) };
        assert!(disk.sync().is_ok());
        let lost = disk.sync_by(|| Err(io::Error::other("the disk is gone")));
        assert_eq!(lost.unwrap_err().to_string(), "the disk is gone");
        assert_eq!(disk.sync().unwrap_err().to_string(), "the disk is gone");
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
