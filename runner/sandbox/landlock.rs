//! Which files, sockets and processes a worker can reach: none, but for what lies below the guest's folders.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::layers::{Layer, LayerState};
use super::start::Access;

/// The first that knows all we ask for: the newest of these is about signals and abstract sockets (Linux 6.12).
const WANTED: ABI = ABI::V6;

/// The runtime opens it itself, while it is loaded, and reads it after each item.
const PAGEMAP: &str = "/proc/self/pagemap";

/// What a guest may do in a folder that it can only read.
const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// What a guest may do in a folder that it can write to: no programs, no devices, no sockets.
const WRITING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
});

/// What has to stay open until the worker has opened its files.
#[derive(Debug)]
pub(super) struct Kept {
    /// The rule is for this very file, which another of its name is not.
    pagemap: Option<PathFd>,
}

/// Confines this thread, and those that it will start, as far as the kernel can. `dirs` are the folders that it can reach.
pub(super) fn confine<'a>(dirs: impl Iterator<Item = (BorrowedFd<'a>, Access)>) -> (Kept, LayerState) {
    let kept = Kept { pagemap: PathFd::new(PAGEMAP).ok() };
    let state = match restrict(dirs, &kept) {
        Ok(status) => judge(status),
        Err(error) => LayerState::absent(Layer::Landlock, error.to_string()),
    };
    (kept, state)
}

/// Every kernel that has a part of it has the one about files.
fn judge(status: RulesetStatus) -> LayerState {
    match status {
        RulesetStatus::FullyEnforced => LayerState::holds(Layer::Landlock),
        RulesetStatus::PartiallyEnforced => LayerState::partial(
            Layer::Landlock,
            "the kernel knows only a part of it, which is about files: all of it takes Linux 6.12",
        ),
        RulesetStatus::NotEnforced => {
            LayerState::absent(Layer::Landlock, "the kernel does not have it, or it is switched off")
        }
    }
}

fn restrict<'a>(
    dirs: impl Iterator<Item = (BorrowedFd<'a>, Access)>,
    kept: &Kept,
) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?
        .create()?;
    for (dir, access) in dirs {
        let allowed = match access {
            Access::Read => READING,
            Access::Write => WRITING,
        };
        rules = rules.add_rule(PathBeneath::new(dir, allowed))?;
    }
    if let Some(pagemap) = &kept.pagemap {
        rules = rules.add_rule(PathBeneath::new(pagemap, AccessFs::ReadFile))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_it_is_less_than_all_and_more_than_nothing() {
        assert_eq!(judge(RulesetStatus::FullyEnforced), LayerState::holds(Layer::Landlock));
        assert!(judge(RulesetStatus::PartiallyEnforced).partly);
        let nothing = judge(RulesetStatus::NotEnforced);
        assert!(nothing.absent.is_some() && !nothing.partly);
    }
}
