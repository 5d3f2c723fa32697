//! What the shared things of the library have in common: a file without a name, how it is declared, and what is given
//! back when a worker dies.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use rustix::fs::{SealFlags, fcntl_add_seals};

use super::declared::{Holder, Shape};
use super::raw::{RawArray, RawLock, RawQueue, RawValue, Recovered};

/// Something that can be declared to a pool, whose guests then find it by name.
///
/// [`SharedMemory`](crate::SharedMemory), [`Value`](crate::Value), [`Array`](crate::Array), [`Lock`](crate::Lock),
/// [`Queue`](crate::Queue) and [`PipeEnd`](crate::PipeEnd) can.
pub trait Share: private::Shares {
    /// What is declared. It keeps the memory as long as it is there itself.
    fn shared(&self) -> Shared {
        self.share()
    }
}

impl<T: private::Shares> Share for T {}

pub(crate) mod private {
    use super::Shared;

    /// What the library alone implements.
    pub trait Shares {
        fn share(&self) -> Shared;
    }
}

/// What is declared to a pool.
#[derive(Clone, Debug)]
pub struct Shared {
    pub(crate) shape: Shape,
    pub(crate) fd: Arc<OwnedFd>,
    /// None where nobody can hold anything.
    object: Option<Arc<dyn Recover>>,
}

impl Shared {
    pub(crate) fn new(shape: Shape, fd: Arc<OwnedFd>, object: Option<Arc<dyn Recover>>) -> Self {
        Self { shape, fd, object }
    }

    /// What it is, and how large.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Gives back what a worker held of it whose process is dead; what that was, if anything.
    #[must_use]
    pub fn recover(&self, dead: Holder) -> Option<Recovered> {
        self.object.as_ref()?.recover(dead)
    }
}

/// The file that workers inherit.
impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What may be held by a process that dies.
pub(crate) trait Recover: fmt::Debug + Send + Sync {
    fn recover(&self, dead: Holder) -> Option<Recovered>;
}

macro_rules! recover {
    ($($raw:ty)*) => {$(
        impl Recover for $raw {
            fn recover(&self, dead: Holder) -> Option<Recovered> {
                self.recover(dead)
            }
        }
    )*};
}

recover! { RawLock RawValue RawArray RawQueue }

/// Something shared, as the host has it.
#[derive(Debug)]
pub(crate) struct Object<R> {
    shape: Shape,
    fd: Arc<OwnedFd>,
    pub(crate) raw: Arc<R>,
}

impl<R: Recover + 'static> Object<R> {
    /// Makes the memory of it, all zeros, and maps that.
    pub(crate) fn new(shape: Shape, map: impl FnOnce(&OwnedFd) -> io::Result<R>) -> io::Result<Self> {
        let fd = create(shape)?;
        fcntl_add_seals(&fd, SealFlags::SEAL)?;
        Self::of(shape, Arc::new(fd), map)
    }

    pub(crate) fn of(
        shape: Shape,
        fd: Arc<OwnedFd>,
        map: impl FnOnce(&OwnedFd) -> io::Result<R>,
    ) -> io::Result<Self> {
        let raw = Arc::new(map(&fd)?);
        Ok(Self { shape, fd, raw })
    }

    pub(crate) fn share(&self) -> Shared {
        let object: Arc<dyn Recover> = self.raw.clone();
        Shared::new(self.shape, Arc::clone(&self.fd), Some(object))
    }
}

// By hand: what is behind an `Arc` need not be `Clone` itself.
impl<R> Clone for Object<R> {
    fn clone(&self) -> Self {
        Self { shape: self.shape, fd: Arc::clone(&self.fd), raw: Arc::clone(&self.raw) }
    }
}

/// Memory for it, all zeros, whose length nobody can change.
pub(crate) fn create(shape: Shape) -> io::Result<OwnedFd> {
    let length = shape.file_length()?;
    let file = crate::sealed::create("wasmpool-shared")?;
    file.set_len(u64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?)?;
    fcntl_add_seals(file.as_fd(), SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file.into())
}

/// When a wait ends that begins now; never, if that is so far away that clocks have no number for it.
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
