//! What the shared things of the library have in common: a file without a name, mapped, and what is given back when a
//! worker dies.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{SealFlags, fcntl_add_seals};

use super::declared::{Holder, Shape};
use super::raw::{RawArray, RawLock, RawQueue, RawValue};
use super::shared::{Heir, Shared};

/// Something shared, as the host has it. A clone is the same thing.
#[derive(Debug)]
pub(super) struct Object<R> {
    shape: Shape,
    fd: Arc<OwnedFd>,
    pub(super) raw: Arc<R>,
}

impl<R: Heir + 'static> Object<R> {
    /// Makes the memory of it, all zeros, and maps that.
    pub(super) fn new(shape: Shape, map: impl FnOnce(&OwnedFd) -> io::Result<R>) -> io::Result<Self> {
        let fd = create(shape)?;
        fcntl_add_seals(&fd, SealFlags::SEAL)?;
        Self::of(shape, Arc::new(fd), map)
    }

    /// Maps what is there.
    pub(super) fn of(
        shape: Shape,
        fd: Arc<OwnedFd>,
        map: impl FnOnce(&OwnedFd) -> io::Result<R>,
    ) -> io::Result<Self> {
        let raw = Arc::new(map(&fd)?);
        Ok(Self { shape, fd, raw })
    }

    pub(super) fn share(&self) -> Shared {
        Shared::with_heir(self.shape, Arc::clone(&self.fd), Arc::<R>::clone(&self.raw))
    }
}

// By hand: what is mapped need not be `Clone` itself.
impl<R> Clone for Object<R> {
    fn clone(&self) -> Self {
        Self { shape: self.shape, fd: Arc::clone(&self.fd), raw: Arc::clone(&self.raw) }
    }
}

macro_rules! heirs {
    ($($raw:ty)*) => {$(
        impl Heir for $raw {
            fn recover(&self, dead: Holder) -> Option<String> {
                self.recover(dead).map(|recovered| recovered.to_string())
            }
        }
    )*};
}

heirs! { RawLock RawValue RawArray RawQueue }

/// Memory for it, all zeros, whose length nobody can change.
pub(super) fn create(shape: Shape) -> io::Result<OwnedFd> {
    let length = shape.file_length()?;
    let file = crate::sealed::create("wasmpool-shared")?;
    file.set_len(length as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file.into())
}

/// When a wait ends that begins now; never, if that is so far away that clocks have no number for it.
pub(super) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
