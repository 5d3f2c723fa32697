//! The layers of protection around a worker, as plain data that host and worker share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One protection around a worker process. It holds without any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// It runs as nobody, if its host runs as root.
    Unprivileged,
    /// No program that it starts, if it could, gets more rights than it has.
    NoNewPrivs,
    /// Limits of the system on memory, files, processes, core dumps.
    Rlimits,
    /// Exactly the descriptors of the table are open.
    Descriptors,
    /// Files, sockets and signals to others are out of reach.
    Landlock,
    /// No memory becomes executable any more.
    Mdwe,
    /// Any system call but those of the table ends it.
    Seccomp,
    /// If the machine runs out of memory, it is the first to go.
    OomScore,
    /// It ends with its host.
    Lifeline,
    /// Other processes of its user can neither trace it nor read its memory.
    Undumpable,
}

/// Which layers have to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The required ones, and the others where the kernel has them.
    #[default]
    Auto,
    /// All of them.
    Strict,
    /// None is put on.
    Off,
}

/// Whether a layer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerState {
    /// The layer.
    pub layer: Layer,
    /// Why it does not hold, as one lower-case line; none: it holds.
    pub absent: Option<String>,
}

impl Layer {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Unprivileged,
        Self::NoNewPrivs,
        Self::Rlimits,
        Self::Descriptors,
        Self::Landlock,
        Self::Mdwe,
        Self::Seccomp,
        Self::OomScore,
        Self::Lifeline,
        Self::Undumpable,
    ];

    /// Its name, as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unprivileged => "unprivileged user",
            Self::NoNewPrivs => "no_new_privs",
            Self::Rlimits => "rlimits",
            Self::Descriptors => "closed descriptors",
            Self::Landlock => "Landlock",
            Self::Mdwe => "MDWE",
            Self::Seccomp => "seccomp",
            Self::OomScore => "oom_score_adj",
            Self::Lifeline => "lifeline",
            Self::Undumpable => "undumpable",
        }
    }

    /// What it keeps a worker from that a guest has taken over, as one lower-case line.
    #[must_use]
    pub fn stops(self) -> &'static str {
        match self {
            Self::Unprivileged => "whatever only root may do, and files of root",
            Self::NoNewPrivs => "more rights through set-user-ID programs",
            Self::Rlimits => "using up memory, files, processes; core dumps with data in them",
            Self::Descriptors => "reaching anything the host has open",
            Self::Landlock => "files, TCP, abstract sockets; signals to and tracing of other processes",
            Self::Mdwe => "code of its own in memory",
            Self::Seccomp => "starting processes, opening sockets and files, and most of the kernel",
            Self::OomScore => "the kernel ending the host, or others, for its memory",
            Self::Lifeline => "outliving the host",
            Self::Undumpable => "other processes of the same user reading its memory",
        }
    }

    /// Whether [`Mode::Auto`] cannot do without it.
    #[must_use]
    pub fn is_required(self) -> bool {
        match self {
            Self::NoNewPrivs | Self::Rlimits | Self::Descriptors | Self::Seccomp => true,
            Self::Unprivileged
            | Self::Landlock
            | Self::Mdwe
            | Self::OomScore
            | Self::Lifeline
            | Self::Undumpable => false,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Mode {
    /// Its name, as it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }

    /// Whether a worker without this layer is of no use.
    #[must_use]
    pub fn requires(self, layer: Layer) -> bool {
        match self {
            Self::Auto => layer.is_required(),
            Self::Strict => true,
            Self::Off => false,
        }
    }
}

impl LayerState {
    /// It holds.
    #[must_use]
    pub fn holds(layer: Layer) -> Self {
        Self { layer, absent: None }
    }

    /// It does not, and why.
    #[must_use]
    pub fn absent(layer: Layer, why: impl Into<String>) -> Self {
        Self { layer, absent: Some(why.into()) }
    }
}
