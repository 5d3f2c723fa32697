//! Locked processes of our own, and what they still can do.

#![expect(unsafe_code, reason = "makes processes, and asks the kernel for what no library would")]

mod attacks;
mod cell;
mod document;
mod ends;
mod matrix;
mod numbers;
mod rules;
mod shared;
mod trees;

use std::num::NonZeroUsize;

use super::{Access, Profile, SetupError, own};

/// One of each kind of worker.
fn profiles() -> [Profile; 4] {
    let files = |access| Profile::Files(vec![access]);
    [Profile::Compile(NonZeroUsize::MIN), Profile::Compute, files(Access::Read), files(Access::Write)]
}

#[test]
fn a_process_whose_parent_is_another_is_an_orphan() {
    let myself = std::process::id();
    assert!(matches!(own::die_with(myself), Err(SetupError::Orphan)));
    // A test process outlives whoever runs it.
    rustix::process::set_parent_process_death_signal(None).unwrap();
}
