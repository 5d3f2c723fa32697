//! The layers, put on one after the other, and what became of each.

use std::fmt::Display;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::DumpableBehavior;

use super::identity::{self, Root};
use super::landlock::{self, Kept};
use super::layers::{Layer, LayerState, SandboxMode};
use super::start::{Access, Profile, Shares, Start};
use super::{Enforced, SetupError, filter, own, rlimit};

/// What a process has been locked into so far.
#[derive(Debug)]
pub(super) struct Jail {
    profile: Profile,
    shares: Shares,
    mode: SandboxMode,
    /// Those that are to be put on.
    wanted: Vec<Layer>,
    states: Vec<LayerState>,
    /// What tells how much memory the process has, opened while it could be.
    memory: Option<File>,
    kept: Option<Kept>,
}

impl Jail {
    /// A process with nothing around it but the descriptors of the table.
    pub(super) fn new(start: &Start) -> Self {
        let wanted = match start.mode {
            SandboxMode::Auto | SandboxMode::Strict => Layer::ALL.to_vec(),
            SandboxMode::Off => Vec::new(),
        };
        Self::of(start, wanted)
    }

    /// As [`Jail::new`], for these layers alone.
    pub(super) fn of(start: &Start, wanted: Vec<Layer>) -> Self {
        let Start { profile, mode, shares, .. } = start.clone();
        let memory = rlimit::status();
        Self {
            profile,
            shares,
            mode,
            wanted,
            states: vec![LayerState::holds(Layer::Descriptors)],
            memory,
            kept: None,
        }
    }

    /// Puts on what can be put on before anything is loaded: by the only thread there is, before it has read a byte
    /// that somebody else chose.
    ///
    /// # Errors
    /// If the host is gone.
    pub(super) fn close_in(
        &mut self,
        host: u32,
        lifeline: &OwnedFd,
        dirs: &[OwnedFd],
    ) -> Result<(), SetupError> {
        self.put_on(Layer::OomScore, own::be_first_to_go);
        let root = match self.profile {
            Profile::Compile(_) | Profile::Compute => Root::Leaves,
            Profile::Files(_) => Root::Stays,
        };
        self.put_on(Layer::Unprivileged, || identity::give_up_rights(root));
        // A change of user undoes it.
        own::die_with(host)?;
        // That also closes the process's own page map to it. What cannot be undone here costs time, not safety.
        let _ = own::set_dumpable(DumpableBehavior::Dumpable);
        self.put_on(Layer::NoNewPrivs, || rustix::thread::set_no_new_privs(true));
        if self.wants(Layer::Landlock) {
            let dirs = dirs.iter().map(AsFd::as_fd).zip(accesses(&self.profile));
            let (kept, state) = landlock::confine(dirs);
            self.kept = Some(kept);
            self.states.push(state);
        } else {
            self.leave_out(Layer::Landlock);
        }
        self.tell(Layer::Lifeline, own::end_with(lifeline.as_fd()));
        if self.wants(Layer::Seccomp)
            && let Err(error) = filter::start(self.profile.kind(), self.shares)
        {
            self.states.push(LayerState::absent(Layer::Seccomp, error.to_string()));
        }
        Ok(())
    }

    /// Puts on the rest, for all threads, when everything is loaded. The process gets `memory` more bytes that it can
    /// write to; if none are named, as many as before.
    ///
    /// # Errors
    /// If the memory cannot be limited.
    pub(super) fn shut(mut self, memory: Option<u64>) -> Result<Enforced, SetupError> {
        let has = self.memory.take();
        let data_limit = memory.map(|more| rlimit::data(more, has)).transpose();
        let data_limit = data_limit.map_err(SetupError::system("limit its memory"))?;
        let (profile, shares) = (self.profile.clone(), self.shares);
        self.put_on(Layer::Rlimits, || rlimit::leave_little(&profile));
        self.put_on(Layer::Mdwe, own::refuse_new_code);
        self.put_on(Layer::Undumpable, || own::set_dumpable(DumpableBehavior::NotDumpable));
        self.kept = None;
        if self.states.iter().all(|state| state.layer != Layer::Seccomp) {
            self.put_on(Layer::Seccomp, || filter::finish(profile.kind(), shares));
        }
        self.states.sort_by_key(|state| state.layer);
        Ok(Enforced { layers: self.states, data_limit })
    }

    /// Which layers have to hold, and for whom.
    pub(super) fn requirements(&self) -> (SandboxMode, Profile) {
        (self.mode, self.profile.clone())
    }

    fn wants(&self, layer: Layer) -> bool {
        self.wanted.contains(&layer)
    }

    fn put_on<E: Display>(&mut self, layer: Layer, act: impl FnOnce() -> Result<(), E>) {
        if self.wants(layer) {
            self.tell(layer, act());
        } else {
            self.leave_out(layer);
        }
    }

    fn leave_out(&mut self, layer: Layer) {
        self.states.push(LayerState::absent(layer, "switched off"));
    }

    fn tell(&mut self, layer: Layer, done: Result<(), impl Display>) {
        self.states.push(match done {
            Ok(()) => LayerState::holds(layer),
            Err(why) => LayerState::absent(layer, why.to_string()),
        });
    }
}

fn accesses(profile: &Profile) -> impl Iterator<Item = Access> {
    match profile {
        Profile::Compile(_) | Profile::Compute => &[][..],
        Profile::Files(dirs) => dirs,
    }
    .iter()
    .copied()
}
