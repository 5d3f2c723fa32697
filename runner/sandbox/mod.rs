//! What a worker process may still do, and since when.
//!
//! A worker goes through phases, and the types keep their order: [`configure`] → [`Configured::load`] →
//! [`Loaded::lock`] → ready. What was loaded comes out of [`Loaded`] only through the lock, so no guest code can run
//! before it.
//!
//! **The lock holds nothing but memory yet.** A worker is a process of its own with exactly the descriptors it needs,
//! which dies with its host and dumps no core; no system call is refused to it, and [`Enforced::layers`] is empty. One
//! that serves can take only so much memory beyond what it has when it is locked.

pub mod fds;
mod inherited;
mod rlimit;
mod signals;

use std::io;

use rustix::process::{Resource, Rlimit, Signal};

pub use self::fds::{DescriptorError, Descriptors};
pub(crate) use self::inherited::output_was_closed;
pub(crate) use self::signals::{heed_children, stop_this_process};

/// What a worker needs, and so what its lock leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The processor, its own memory and the descriptors it was started with.
    Compute,
}

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
    /// A descriptor is not what the table says.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
}

/// A process that dies with its host and holds exactly its descriptors. It may load a guest.
#[derive(Debug)]
pub struct Configured {
    profile: Profile,
}

/// A process that has loaded something and must be locked before that can be used.
#[derive(Debug)]
pub struct Loaded<T> {
    profile: Profile,
    loaded: T,
}

/// The protection layers that hold for this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Their names, in the order in which they were put on.
    pub layers: Vec<String>,
    /// The most bytes of private, writable memory that the process can have, if it was told how much more it may get.
    pub data_limit: Option<u64>,
}

/// Makes a worker of this process, which the process `host` started. To be called first, by its only thread.
///
/// # Errors
/// If the host is gone, a descriptor is not what the table says, or the system refuses.
pub fn configure(profile: Profile, host: u32) -> Result<(Configured, Descriptors), SetupError> {
    die_with(host)?;
    signals::reset().map_err(|source| SetupError::System { what: "reset signals", source })?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|errno| SetupError::System { what: "forbid core dumps", source: errno.into() })?;
    let descriptors = fds::take()?;
    Ok((Configured { profile }, descriptors))
}

fn die_with(host: u32) -> Result<(), SetupError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| SetupError::System { what: "arrange to die with the host", source: errno.into() })?;
    // Had it died before the call, the signal would never come.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let same = parent.is_some_and(|pid| u32::try_from(pid) == Ok(host));
    if same { Ok(()) } else { Err(SetupError::Orphan) }
}

impl Configured {
    /// Loads what the worker works on: the last that may open files or map code.
    ///
    /// # Errors
    /// As `load`.
    pub fn load<T, E>(self, load: impl FnOnce() -> Result<T, E>) -> Result<Loaded<T>, E> {
        Ok(Loaded { profile: self.profile, loaded: load()? })
    }
}

impl<T> Loaded<T> {
    /// Locks the process, for good, and gives out what was loaded. No layer exists yet. From here on the process gets
    /// `memory` more bytes that it can write to; if none are named, as many as before.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn lock(self, memory: Option<u64>) -> Result<(T, Enforced), SetupError> {
        let data_limit = memory.map(rlimit::data).transpose();
        let data_limit =
            data_limit.map_err(|source| SetupError::System { what: "limit its memory", source })?;
        match self.profile {
            Profile::Compute => Ok((self.loaded, Enforced { layers: Vec::new(), data_limit })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_comes_out_of_the_lock() {
        let configured = Configured { profile: Profile::Compute };
        let (loaded, enforced) = configured.load(|| Ok::<_, ()>(7)).unwrap().lock(None).unwrap();
        assert_eq!(loaded, 7);
        assert_eq!(enforced, Enforced::default());
    }

    #[test]
    fn a_process_whose_parent_is_another_is_an_orphan() {
        let myself = std::process::id();
        assert!(matches!(die_with(myself), Err(SetupError::Orphan)));
        // A test process outlives whoever runs it.
        rustix::process::set_parent_process_death_signal(None).unwrap();
    }
}
