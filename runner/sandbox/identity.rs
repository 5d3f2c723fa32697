//! Who a worker is: nobody in particular, with no rights that others do not have.

use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// The user and the group `nobody`, by the number that every Linux has for them.
const NOBODY: u32 = 65_534;

/// What becomes of a process that root has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// It becomes nobody.
    Leaves,
    /// It stays root by name, for folders that only root may enter.
    Stays,
}

/// Gives up every right. For the only thread there is.
///
/// # Errors
/// With what could not be given up, or was kept.
pub(super) fn give_up_rights(root: Root) -> Result<(), String> {
    let left = match root {
        _ if !geteuid().is_root() => Ok(()),
        Root::Leaves => leave_root(),
        Root::Stays => Err("root keeps its number, for its folders; it has no capability left".to_owned()),
    };
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // A kernel without ambient capabilities has none to clear.
    let _ = clear_ambient_capability_set();
    set_capabilities(None, none).map_err(|error| format!("capabilities cannot be given up: {error}"))?;
    left
}

fn leave_root() -> Result<(), String> {
    let has = capabilities(None).map_err(|error| format!("capabilities cannot be read: {error}"))?.effective;
    // Without the last, the host could not end a worker that is somebody else.
    for (right, name) in [
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
        (CapabilitySet::KILL, "CAP_KILL"),
    ] {
        if !has.contains(right) {
            return Err(format!("the host is root without {name}"));
        }
    }
    become_nobody().map_err(|error| format!("root cannot become nobody: {error}"))
}

fn become_nobody() -> Result<(), Errno> {
    let (group, user) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)
}
