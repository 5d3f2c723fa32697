//! The layers of protection around a worker, as plain data that host and worker share.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::start::Profile;

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
///
/// ```no_run
/// use wasmpool::{Pool, SandboxMode};
///
/// // Rather no pool than one on a kernel without one of the layers.
/// let pool = Pool::builder("guest.wasm").sandbox(SandboxMode::Strict).build()?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxMode {
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
    /// Why it does not hold as a whole, as one lower-case line; none: it does.
    pub absent: Option<String>,
    /// Whether the kernel has the part of it that came first, and lacks what came later.
    pub partly: bool,
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

    /// Whether [`SandboxMode::Auto`] cannot do without it, for a worker of this profile.
    ///
    /// One with folders may open files, by paths that no filter of system calls can look at: nothing but Landlock keeps
    /// it in its folders.
    #[must_use]
    pub fn is_required(self, profile: &Profile) -> bool {
        match self {
            Self::NoNewPrivs | Self::Rlimits | Self::Descriptors | Self::Seccomp => true,
            Self::Landlock => matches!(profile, Profile::Files(_)),
            Self::Unprivileged | Self::Mdwe | Self::OomScore | Self::Lifeline | Self::Undumpable => false,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SandboxMode {
    /// Its name, as it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }

    /// Whether a worker of this profile without this layer is of no use.
    #[must_use]
    pub fn requires(self, layer: Layer, profile: &Profile) -> bool {
        match self {
            Self::Auto => layer.is_required(profile),
            Self::Strict => true,
            Self::Off => false,
        }
    }

    /// Whether a worker of this profile, with the layer in this state, is of use.
    ///
    /// What is first of Landlock is about files, which is what it is required for.
    #[must_use]
    pub fn accepts(self, state: &LayerState, profile: &Profile) -> bool {
        state.absent.is_none() || state.partly && self == Self::Auto || !self.requires(state.layer, profile)
    }

    /// The first layer that a worker of this profile must have and lacks, as one line.
    #[must_use]
    pub fn lacking(self, layers: &[LayerState], profile: &Profile) -> Option<String> {
        let LayerState { layer, absent, .. } = layers.iter().find(|state| !self.accepts(state, profile))?;
        let why = absent.as_deref().unwrap_or_default();
        let whose = if self == Self::Auto && !layer.is_required(&Profile::Compute) {
            ", and `--dir` needs it"
        } else {
            ""
        };
        Some(format!("{layer} does not hold{whose}: {why}"))
    }
}

impl LayerState {
    /// It holds.
    #[must_use]
    pub fn holds(layer: Layer) -> Self {
        Self { layer, absent: None, partly: false }
    }

    /// It does not, and why.
    #[must_use]
    pub fn absent(layer: Layer, why: impl Into<String>) -> Self {
        Self { layer, absent: Some(why.into()), partly: false }
    }

    /// It holds in part, and why not as a whole.
    #[must_use]
    pub fn partial(layer: Layer, why: impl Into<String>) -> Self {
        Self { partly: true, ..Self::absent(layer, why) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::super::start::Access;
    use super::*;

    fn files() -> Profile {
        Profile::Files(vec![Access::Read])
    }

    #[track_caller]
    fn check(mode: SandboxMode, state: LayerState, profile: &Profile, lacking: Option<&str>) {
        let layers = [LayerState::holds(Layer::NoNewPrivs), state];
        assert_eq!(mode.lacking(&layers, profile).as_deref(), lacking);
    }

    #[test]
    fn folders_are_given_only_where_landlock_is() {
        let absent = || LayerState::absent(Layer::Landlock, "it is old");
        check(SandboxMode::Auto, absent(), &Profile::Compute, None);
        check(SandboxMode::Auto, absent(), &Profile::Compile(NonZeroUsize::MIN), None);
        let why = "Landlock does not hold, and `--dir` needs it: it is old";
        check(SandboxMode::Auto, absent(), &files(), Some(why));
        check(SandboxMode::Strict, absent(), &files(), Some("Landlock does not hold: it is old"));
        check(SandboxMode::Off, absent(), &files(), None);
    }

    #[test]
    fn what_landlock_first_was_is_enough_for_folders_unless_all_is_required() {
        let partial = || LayerState::partial(Layer::Landlock, "it is old");
        for profile in [Profile::Compute, files()] {
            check(SandboxMode::Auto, partial(), &profile, None);
            check(SandboxMode::Strict, partial(), &profile, Some("Landlock does not hold: it is old"));
        }
    }

    #[test]
    fn what_every_worker_needs_folders_need_too() {
        let absent = LayerState::absent(Layer::Seccomp, "it is old");
        check(SandboxMode::Auto, absent, &files(), Some("seccomp does not hold: it is old"));
    }
}
