//! Folders that a guest is given, and its environment: what they may be called, how many there may be, which are refused.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::limits::Policy;
use crate::pool::Folder;
use crate::sandbox::Access;
use crate::wire::msg::GuestDir;

mod kernel;

/// A worker holds each folder open, twice, and may not have many files open.
const MOST_DIRS: usize = 16;

/// The most bytes of names and values together: a worker is told of them in one message, ahead of need.
const MOST_BYTES: usize = 32 << 10;

/// A folder of the host that the guest may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDir {
    /// The folder.
    pub host: PathBuf,
    /// The guest's name for it.
    pub guest: String,
    /// What the guest may do in it.
    pub access: Access,
}

impl HostDir {
    /// What a worker is told of it.
    pub(crate) fn guest_dir(&self) -> GuestDir {
        GuestDir { path: self.guest.clone(), access: self.access }
    }
}

/// Checks what a guest is given, in a run whose random numbers come from this seed, if from any.
pub(crate) fn check(dirs: &[HostDir], env: &[(String, String)], seed: Option<u64>) -> Result<(), Error> {
    check_names(dirs, env)?;
    check_size(dirs, env)?;
    if seed.is_some() && may_write(dirs) {
        return Err(Error::usage(
            "`--deterministic` does not go with a folder that may be written to: what an item finds would depend on \
             which were before it",
            "take `:rw` away, or leave `--deterministic` out",
        ));
    }
    Ok(())
}

/// How often an item that takes its worker with it is run again, unless that is said: not at all if it may have left
/// something behind.
pub(crate) fn crash_retries(dirs: &[HostDir]) -> u32 {
    if may_write(dirs) { 0 } else { Policy::default().crash_retries }
}

fn may_write(dirs: &[HostDir]) -> bool {
    dirs.iter().any(|dir| dir.access == Access::Write)
}

fn check_names(dirs: &[HostDir], env: &[(String, String)]) -> Result<(), Error> {
    let folders: Vec<_> = dirs.iter().map(|dir| bare(&dir.guest)).collect();
    if let Some(name) = repeated(&folders) {
        return Err(Error::usage(
            format!("two folders are called `{name}`"),
            "give one of them another name: `--dir HOST::NAME`",
        ));
    }
    let variables: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(name) = repeated(&variables) {
        return Err(Error::usage(format!("`--env {name}=…` is given twice"), "give it once"));
    }
    Ok(())
}

fn check_size(dirs: &[HostDir], env: &[(String, String)]) -> Result<(), Error> {
    if dirs.len() > MOST_DIRS {
        return Err(Error::usage(
            format!("`--dir` is given {} times, which is more than {MOST_DIRS}", dirs.len()),
            "give a folder that has them in it",
        ));
    }
    let names = dirs.iter().map(|dir| dir.guest.len());
    let variables = env.iter().map(|(name, value)| name.len() + value.len());
    let bytes: usize = names.chain(variables).sum();
    if bytes > MOST_BYTES {
        return Err(Error::usage(
            format!(
                "the names of folders and the environment take {bytes} bytes, which is more than {MOST_BYTES}"
            ),
            "put what is long into a file, and give its folder with `--dir`",
        ));
    }
    Ok(())
}

/// Opens it, unless it shows the guest more than files.
pub(crate) fn open(HostDir { host, guest: _, access }: &HostDir) -> Result<Folder, Error> {
    if *access == Access::Write
        && let Some(place) = kernel::within(host)
    {
        return Err(shows_the_kernel(host, &place));
    }
    // Root's workers keep root's number where they have folders, and so may open their own memory.
    if rustix::process::geteuid().is_root()
        && let Some(place) = kernel::processes_within(host)
    {
        return Err(shows_processes(host, &place));
    }
    Folder::open(host, *access).map_err(|source| Error::Input {
        name: format!("the folder `{}`", host.display()),
        hint: match source.kind() {
            io::ErrorKind::NotADirectory => {
                Some("`--dir` gives a whole folder: name the one that it is in".into())
            }
            io::ErrorKind::NotFound if host.to_str().is_some_and(looks_like_access) => {
                Some("an access is `:ro` or `:rw`, and nothing else".into())
            }
            io::ErrorKind::NotFound => Some("`--dir` makes no folder: make it first".into()),
            _ => None,
        },
        source,
    })
}

/// Why a folder is not given to be written to.
fn shows_the_kernel(folder: &Path, place: &Path) -> Error {
    let (folder, place) = (folder.display(), place.display());
    let what = "shows the kernel, whose settings would be a guest's to change";
    if place.to_string() == folder.to_string() {
        Error::usage(format!("`{folder}` {what}"), "leave out `:rw`")
    } else {
        Error::usage(
            format!("`{folder}` has `{place}` in it, which {what}"),
            "name the folder that is to be written to, or leave out `:rw`",
        )
    }
}

fn shows_processes(folder: &Path, place: &Path) -> Error {
    let (folder, place) = (folder.display(), place.display());
    Error::usage(
        format!("`{folder}` shows root's guests, in `{place}`, the memory of their own workers"),
        "name folders that do not have that in them, or run this as an ordinary user",
    )
}

/// Whether a name ends in what can only be meant as an access, such as `:rx`. With an access behind it, it is a name all
/// the same.
pub(crate) fn looks_like_access(name: &str) -> bool {
    const LONGEST: usize = 3;
    name.rsplit_once(':').is_some_and(|(_, end)| {
        (1..=LONGEST).contains(&end.len()) && end.bytes().all(|byte| b"rwxo".contains(&byte))
    })
}

/// The name of a folder, without what makes no difference to guests.
fn bare(name: &str) -> &str {
    let bare = without_slashes(name);
    bare.strip_prefix("./").unwrap_or(bare)
}

/// The name of a folder without slashes at its end, with which the libraries of guests would not find it.
pub(crate) fn without_slashes(name: &str) -> &str {
    let bare = name.trim_end_matches('/');
    if bare.is_empty() && !name.is_empty() { "/" } else { bare }
}

/// A name that is there more than once.
pub(crate) fn repeated<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
