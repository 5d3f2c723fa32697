//! Files that are named twice: one that is written must be none of the others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Error;
use crate::plan::{InputKind, Plan};
use crate::sandbox::Access;

/// Refuses a plan that would write to a file that it reads, or to one file twice.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    let written = written(plan);
    let read = read(plan);
    for (position, (flag, path)) in written.iter().enumerate() {
        let others = written[..position].iter().chain(&read);
        if let Some((other, _)) = others.into_iter().find(|(_, other)| is_same(path, other)) {
            return Err(Error::usage(
                format!("`{flag}` and {other} are the same file, `{}`", path.display()),
                "name another file for one of them",
            ));
        }
    }
    Ok(())
}

/// What is written, and by which flag.
fn written(plan: &Plan) -> Vec<(&'static str, &Path)> {
    let journal = plan.kept.journal.as_ref().map(|journal| journal.path.as_path());
    let files =
        [("-o", plan.output.as_deref()), ("--journal", journal), ("--joblog", plan.kept.joblog.as_deref())];
    let shared = plan.shares.iter().filter(|share| share.access == Access::Write);
    let shared = shared.map(|share| ("--share", share.file.as_path()));
    files.into_iter().filter_map(|(flag, path)| Some((flag, path?))).chain(shared).collect()
}

/// What is read, in words.
fn read(plan: &Plan) -> Vec<(&'static str, &Path)> {
    let inputs: Vec<&Path> = match &plan.input {
        InputKind::Lines { path, .. } | InputKind::Jsonl(path) | InputKind::Blocks { path, .. } => vec![path],
        InputKind::Files { paths, .. } => paths.iter().map(AsRef::as_ref).collect(),
        InputKind::Range { .. } | InputKind::Items(_) | InputKind::Arguments(_) => Vec::new(),
    };
    let inputs = inputs.into_iter().map(|path| ("the input", path));
    let shared = plan.shares.iter().filter(|share| share.access == Access::Read);
    let shared = shared.map(|share| ("what is shared", share.file.as_path()));
    std::iter::once(("the guest", plan.guest.as_path())).chain(inputs).chain(shared).collect()
}

/// Whether two names are of one file, which a device is not. One that is not there yet has its name alone.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        (Err(_), Err(_)) => matches!(
            (std::path::absolute(one), std::path::absolute(other)),
            (Ok(one), Ok(other)) if one == other
        ),
    }
}
