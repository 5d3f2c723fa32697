//! What a worker process may still do, and since when.
//!
//! A worker goes through phases, and the types keep their order: [`configure`] → [`Configured::load`] →
//! [`Loaded::lock`] → ready. What was loaded comes out of [`Loaded`] only through the lock, so no guest code can run
//! before it.
//!
//! A worker is a process of its own with exactly the descriptors it needs, which dies with its host and dumps no core.
//! The [layers](Layer) around it are put on by the process itself, without rights or preparations: some of them before
//! it reads a byte that somebody else chose, the rest when its code is mapped and its threads are there. Each is told
//! by whether it holds, and why not.

pub mod fds;
mod filter;
mod identity;
mod inherited;
mod jail;
mod landlock;
mod layers;
mod own;
mod rlimit;
mod signals;
mod start;
pub mod syscalls;

use std::io;

pub use self::fds::{DescriptorError, Descriptors};
pub use self::filter::FILTERS;
pub(crate) use self::inherited::output_was_closed;
use self::jail::Jail;
pub use self::layers::{Layer, LayerState, SandboxMode};
pub use self::rlimit::{Files, STACK, files};
pub(crate) use self::signals::{heed_children, stop_this_process};
pub use self::start::{Access, Profile, Shares, Start};

/// Private writable memory a compile worker may have. A 69 MB guest, the largest seen, needs less than half of it.
const COMPILE_MEMORY: u64 = 4 << 30;

/// Why a process cannot become a worker.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The process that started it is gone.
    #[error("the host is gone")]
    Orphan,
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What it was for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A layer of protection does not hold that has to: which, and why not.
    #[error("{0}")]
    Unprotected(String),
    /// A descriptor is not what the table says.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
}

/// A process that dies with its host and holds exactly its descriptors. It may load a guest.
#[derive(Debug)]
pub struct Configured {
    jail: Jail,
}

/// A process that has loaded something and must be locked before that can be used.
#[derive(Debug)]
pub struct Loaded<T> {
    jail: Jail,
    loaded: T,
}

/// The protection layers that hold for this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Each of them, in the order of [`Layer::ALL`].
    pub layers: Vec<LayerState>,
    /// The most bytes of private, writable memory that the process can have, if it was told how much more it may get.
    pub data_limit: Option<u64>,
}

/// Makes a worker of this process. To be called first, by its only thread.
///
/// # Errors
/// If the host is gone, a descriptor is not what the table says, or the system refuses.
pub fn configure(start: &Start) -> Result<(Configured, Descriptors), SetupError> {
    own::die_with(start.host)?;
    signals::reset().map_err(SetupError::system("reset signals"))?;
    rlimit::forbid_core_dumps().map_err(SetupError::system("forbid core dumps"))?;
    let dirs = match &start.profile {
        Profile::Compile(_) | Profile::Compute => 0,
        Profile::Files(dirs) => dirs.len(),
    };
    let descriptors = fds::take(start.shares, dirs)?;
    if let Profile::Compile(_) = start.profile {
        rlimit::set_data(COMPILE_MEMORY).map_err(SetupError::system("limit its memory"))?;
    }
    let mut jail = Jail::new(start);
    jail.close_in(start.host, &descriptors.lifeline, &descriptors.dirs)?;
    Ok((Configured { jail }, descriptors))
}

impl SetupError {
    fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

impl Configured {
    /// Loads what the worker works on: the last that may open files or map code.
    ///
    /// # Errors
    /// As `load`.
    pub fn load<T, E>(self, load: impl FnOnce() -> Result<T, E>) -> Result<Loaded<T>, E> {
        Ok(Loaded { jail: self.jail, loaded: load()? })
    }
}

impl<T> Loaded<T> {
    /// Locks the process, for good, and gives out what was loaded. From here on the process gets `memory` more bytes
    /// that it can write to; if none are named, as many as before.
    ///
    /// # Errors
    /// If a layer does not hold that must.
    pub fn lock(self, memory: Option<u64>) -> Result<(T, Enforced), SetupError> {
        let (mode, profile) = self.jail.requirements();
        let (loaded, enforced) = self.lock_as_far_as_possible(memory)?;
        match mode.lacking(&enforced.layers, &profile) {
            Some(lacking) => Err(SetupError::Unprotected(lacking)),
            None => Ok((loaded, enforced)),
        }
    }

    /// As [`Loaded::lock`], whichever layers hold: for who only wants to know.
    ///
    /// # Errors
    /// If the memory cannot be limited.
    pub fn lock_as_far_as_possible(self, memory: Option<u64>) -> Result<(T, Enforced), SetupError> {
        let enforced = self.jail.shut(memory)?;
        Ok((self.loaded, enforced))
    }
}

#[cfg(test)]
mod tests;
