//! Errors of the user or the environment: what went wrong, what to do about it, and the exit code it means.
//!
//! The failure of an item is not an error; it is an [`Outcome`](crate::outcome::Outcome).

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use nix::errno::Errno;

/// What can be done without a layer that is required.
const PROTECTION_HINT: &str =
    "`wasmpool doctor` tells what this machine has; `--sandbox off` runs guests that you trust without";

/// Why a run could not start, or could not go on.
///
/// `Display` is one lower-case line without a period; [`Error::hint`] is a second one where there is
/// something the user can do; [`Error::exit_code`] is documented in the README.
///
/// ```no_run
/// if let Err(error) = wasmpool::Pool::new("no-such-file.wasm") {
///     eprintln!("error: {error}");
///     if let Some(hint) = error.hint() {
///         eprintln!("hint: {hint}");
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arguments contradict each other or cannot be understood.
    #[error("{message}")]
    Usage {
        /// What is wrong with them.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The guest's file cannot be used: unreadable, not wasm, invalid, or refused at a limit.
    #[error("`{}` {message}", name.display())]
    Guest {
        /// The file, as the user named it.
        name: PathBuf,
        /// What is wrong with it, to be read after the name.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The input cannot be read.
    #[error("cannot read {name}")]
    Input {
        /// The file in backticks, or `standard input`.
        name: String,
        /// What to do about it.
        hint: Option<String>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Workers cannot be started, or die before they are ready, again and again.
    #[error("the pool broke: {message}")]
    Pool {
        /// What happened to the workers.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A layer of protection does not hold that must.
    #[error("a worker is not locked in: {message}")]
    Protection {
        /// Which, and why not.
        message: String,
    },
    /// Results could not be written.
    #[error("cannot write {name}")]
    Output {
        /// Where to.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Whoever read our standard output closed it.
    #[error("standard output was closed")]
    OutputClosed,
    /// The run has used up its time.
    #[error("the run was ended after {}", crate::record::seconds(*limit))]
    Deadline {
        /// The time it had.
        limit: Duration,
    },
    /// So many items have failed that the run was to end.
    #[error("the run was ended: {}", failed_text(*most))]
    FailFast {
        /// How many are enough.
        most: u64,
    },
    /// A signal asked the run to end.
    #[error("interrupted by {}", signal_name(*signal))]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

/// How an ended run is reported to the shell; the numbers are documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Every item ended `ok`.
    pub const SUCCESS: Self = Self(0);
    /// At least one item, or a merge, failed.
    pub const ITEMS_FAILED: Self = Self(1);
    /// Wrong usage or configuration.
    pub const USAGE: Self = Self(2);
    /// The guest cannot be used.
    pub const GUEST: Self = Self(3);
    /// The input is unreadable.
    pub const INPUT: Self = Self(4);
    /// A layer of protection is missing that is required.
    pub const PROTECTION: Self = Self(5);
    /// The pool broke.
    pub const POOL: Self = Self(6);
    /// Results could not be written.
    pub const OUTPUT: Self = Self(7);
    /// The run has used up its time.
    pub const DEADLINE: Self = Self(124);
    /// A bug in wasmpool.
    pub const INTERNAL: Self = Self(70);
    /// The consumer closed standard output (128 + `SIGPIPE`).
    pub const OUTPUT_CLOSED: Self = Self(141);

    /// The code of a run that a signal ended: 128 + its number.
    #[must_use]
    pub fn from_signal(signal: i32) -> Self {
        u8::try_from(signal).ok().and_then(|number| number.checked_add(128)).map_or(Self::INTERNAL, Self)
    }

    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }
}

impl Error {
    /// What the user can do about it, as one line without a period.
    ///
    /// ```no_run
    /// if let Err(error) = wasmpool::Pool::new("no-such-file.wasm") {
    ///     eprintln!("{error}; {}", error.hint().unwrap_or_default());
    /// }
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. }
            | Self::Guest { hint, .. }
            | Self::Input { hint, .. }
            | Self::Pool { hint, .. } => hint.as_deref(),
            Self::Protection { .. } => Some(PROTECTION_HINT),
            Self::Output { .. }
            | Self::OutputClosed
            | Self::Deadline { .. }
            | Self::FailFast { .. }
            | Self::Interrupted { .. } => None,
        }
    }

    /// The exit code this error means.
    #[doc(hidden)]
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage { .. } => ExitCode::USAGE,
            Self::Guest { .. } => ExitCode::GUEST,
            Self::Input { .. } => ExitCode::INPUT,
            Self::Pool { .. } => ExitCode::POOL,
            Self::Protection { .. } => ExitCode::PROTECTION,
            Self::Output { .. } => ExitCode::OUTPUT,
            Self::OutputClosed => ExitCode::OUTPUT_CLOSED,
            Self::Deadline { .. } => ExitCode::DEADLINE,
            Self::FailFast { .. } => ExitCode::ITEMS_FAILED,
            Self::Interrupted { signal } => ExitCode::from_signal(*signal),
        }
    }

    /// Wrong usage, with a hint.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// A worker without a layer that must hold.
    pub(crate) fn protection(message: impl Into<String>) -> Self {
        Self::Protection { message: message.into() }
    }

    /// A guest that cannot be used; `message` is read after the file's name.
    pub(crate) fn guest(name: &Path, message: impl fmt::Display, hint: Option<String>) -> Self {
        Self::Guest { name: name.to_owned(), message: message.to_string(), hint }
    }
}

/// What to look at when the system refuses a process, a thread or memory, where its error tells.
pub(crate) fn system_hint(error: &io::Error) -> Option<String> {
    let hint = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EAGAIN => {
            "a process or thread takes one of `ulimit -u`, and memory of `ulimit -v` and `ulimit -d`: raise what is low"
        }
        Errno::ENOMEM => "`ulimit -v` and `ulimit -d` limit the memory of a process: raise what is low",
        Errno::EFBIG => "memory that processes share counts as a file: `ulimit -f unlimited` allows it",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Memory that the host shares with workers cannot be had.
pub(crate) fn no_shared_memory(what: impl fmt::Display, error: &io::Error) -> Error {
    let refused = "`memfd_create`, which a container's seccomp profile may refuse, is needed for it";
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => Some(refused.to_owned()),
        _ => system_hint(error),
    };
    Error::Pool { message: format!("{what}: {error}"), hint }
}

fn failed_text(most: u64) -> String {
    match most {
        1 => "an item has failed".to_owned(),
        most => format!("{most} items have failed"),
    }
}

/// The usual name of a signal, `signal N` where it has none.
pub(crate) fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |named| named.as_str().to_owned())
}
