//! Something shared, as the host holds it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::declared::{Holder, Shape};

/// What can be shared with the guests of a pool: see [`PoolBuilder::share`](crate::PoolBuilder::share).
///
/// ```no_run
/// use wasmpool::{Lock, Pool, Share};
///
/// fn pool(shared: &impl Share) -> Result<Pool, wasmpool::Error> {
///     Pool::builder("guest.wasm").share("it", shared).build()
/// }
/// let pool = pool(&Lock::new()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Share {
    /// It, to be handed to workers.
    fn shared(&self) -> Shared;
}

/// A shared thing: its file, what is in there, and how it is put right when a worker is gone.
///
/// ```
/// use wasmpool::{Lock, Share, Shared};
///
/// // What can be handed to a pool later, and to several.
/// let things: Vec<Shared> = vec![Lock::new()?.shared(), Lock::new()?.shared()];
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Shared {
    shape: Shape,
    file: Arc<OwnedFd>,
    heir: Option<Arc<dyn Heir>>,
}

/// What gives back what a worker held that is gone.
pub(crate) trait Heir: Send + Sync {
    /// Takes from `dead`, whose process has ended, what it held; returns what that was, if anything: to be read after
    /// `worker 77 is gone`: `while it held the lock, which is free again`.
    fn recover(&self, dead: Holder) -> Option<String>;
}

impl Shared {
    /// In this file, with nothing in it that a worker can hold.
    pub(crate) fn new(shape: Shape, file: Arc<OwnedFd>) -> Self {
        Self { shape, file, heir: None }
    }

    /// As [`Shared::new`], with something that a worker can hold.
    pub(crate) fn with_heir(shape: Shape, file: Arc<OwnedFd>, heir: Arc<dyn Heir>) -> Self {
        Self { shape, file, heir: Some(heir) }
    }

    /// What it is.
    #[doc(hidden)]
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its file, for a worker's table.
    pub(crate) fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// As [`Heir::recover`].
    pub(crate) fn recover(&self, dead: Holder) -> Option<String> {
        self.heir.as_ref()?.recover(dead)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("shape", &self.shape).finish_non_exhaustive()
    }
}
