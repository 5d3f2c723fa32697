//! What the kernel shows of a process, and what that says about each layer.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::geteuid;

use super::super::process::Process;
use crate::sandbox::{self, Layer, Profile};

/// How often the threads of a process are counted, if they come and go.
const COUNTS: u32 = 64;

/// What is shown of one process, and what has to be known of this one to judge by it.
pub(super) struct Facts {
    /// `status` of each thread that runs.
    threads: Vec<String>,
    limits: String,
    oom_score_adj: String,
    /// Whom its files in `/proc` belong to.
    owner: u32,
    /// What its descriptors stand for; none if that is not shown.
    open: Option<Vec<PathBuf>>,
    /// The pipes between it and this process, as [`Facts::open`] has them.
    pipes: Vec<PathBuf>,
    host: Host,
}

/// What a worker inherits, or gives up.
struct Host {
    is_root: bool,
    /// Its own filters, if the kernel counts them; workers have them, too.
    filters: Option<usize>,
    /// There is no filter around it.
    is_free: bool,
    /// There is a root where it is, whom files can be seen to belong to.
    sees_root: bool,
}

impl Facts {
    /// Looks; none if the process has ended.
    pub(super) fn read(process: &Process) -> io::Result<Option<Self>> {
        let Some(place) = place(process.pidfd())? else { return Ok(None) };
        let threads = threads(&place)?;
        if threads.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            threads,
            limits: fs::read_to_string(place.join("limits"))?,
            oom_score_adj: fs::read_to_string(place.join("oom_score_adj"))?,
            owner: fs::metadata(place.join("status"))?.uid(),
            // To be seen by root, and then not by every one.
            open: open(&place).ok(),
            pipes: process.pipes().map(pipe_name).collect::<io::Result<_>>()?,
            host: Host::read()?,
        }))
    }

    /// Whether a layer holds; none if that is not to be seen.
    pub(super) fn show(&self, layer: Layer, profile: &Profile) -> Option<bool> {
        match layer {
            Layer::Unprivileged => Some(self.is_nobody()),
            Layer::NoNewPrivs => Some(self.every("NoNewPrivs", |value| value == "1")),
            Layer::Rlimits => Some(self.has_little(profile)),
            Layer::Descriptors => self.open.as_deref().map(|open| self.are_of_the_table(open, profile)),
            Layer::Seccomp => self.is_filtered(),
            Layer::OomScore => Some(self.oom_score_adj.trim() == "1000"),
            Layer::Undumpable => self.is_undumpable(),
            Layer::Landlock | Layer::Mdwe | Layer::Lifeline => None,
        }
    }

    /// Whether this is so of each thread.
    fn every(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        self.threads.iter().all(|status| field(status, name).is_some_and(&test))
    }

    fn is_nobody(&self) -> bool {
        let is_one_of_no_rights = |ids: &str| {
            let mut ids = ids.split_whitespace();
            ids.next().is_some_and(|first| first != "0" && ids.all(|id| id == first))
        };
        let left_groups = !self.host.is_root
            || self.every("Gid", is_one_of_no_rights) && self.every("Groups", str::is_empty);
        self.every("Uid", is_one_of_no_rights) && left_groups && self.has_no_capability()
    }

    /// Whether it could do nothing that only root may do, whoever it is.
    pub(super) fn has_no_capability(&self) -> bool {
        ["CapInh", "CapPrm", "CapEff", "CapAmb"]
            .into_iter()
            .all(|name| self.every(name, |rights| rights.bytes().all(|digit| digit == b'0')))
    }

    fn has_little(&self, profile: &Profile) -> bool {
        let files = sandbox::files(profile);
        let most = [
            ("Max core file size", 0),
            ("Max stack size", sandbox::STACK),
            ("Max processes", 0),
            ("Max open files", files.open),
            ("Max file size", files.length),
        ];
        most.into_iter().all(|(name, most)| self.limit(name).is_some_and(|limit| limit <= most))
            // How much it has depends on the guest.
            && self.limit("Max data size").is_some()
    }

    /// A limit that cannot be raised; none if there is none.
    fn limit(&self, name: &str) -> Option<u64> {
        let line = self.limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    fn are_of_the_table(&self, open: &[PathBuf], profile: &Profile) -> bool {
        let dirs = match profile {
            Profile::Compile(_) | Profile::Compute => 0,
            Profile::Files(dirs) => dirs.len(),
        };
        let is_known = |place: &&PathBuf| {
            let name = place.to_string_lossy();
            name == "/dev/null"
                || name.starts_with("/memfd:wasmpool-")
                || self.pipes.contains(place)
                // What the runtime finds changed pages with.
                || name.starts_with("/proc/") && name.ends_with("/pagemap")
        };
        open.iter().filter(|place| !is_known(place)).count() <= dirs
    }

    fn is_filtered(&self) -> Option<bool> {
        if !self.every("Seccomp", |mode| mode == "2") {
            return Some(false);
        }
        let counts = self.threads.iter().map(|status| field(status, "Seccomp_filters"));
        let Some(counts) = counts.collect::<Option<Vec<_>>>() else {
            // Kernels before 5.9 do not count. Then it may be the host's own filter that is seen.
            return self.host.is_free.then_some(true);
        };
        let least = self.host.filters.unwrap_or_default() + sandbox::FILTERS;
        Some(counts.into_iter().all(|count| count.parse().is_ok_and(|count: usize| count >= least)))
    }

    /// What others of its user may not look at belongs to root.
    fn is_undumpable(&self) -> Option<bool> {
        let ids = self.threads.first().and_then(|status| field(status, "Uid"))?;
        let user: u32 = ids.split_whitespace().nth(1)?.parse().ok()?;
        match user {
            0 => None,
            _ if user != self.owner => Some(true),
            // Where there is no root, what belongs to him seems to be nobody's.
            _ => self.host.sees_root.then_some(false),
        }
    }
}

impl Host {
    fn read() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        // Where the file is missing, there is one space of users for all.
        let users = fs::read_to_string("/proc/self/uid_map").ok();
        Ok(Self {
            is_root: geteuid().is_root(),
            filters: field(&status, "Seccomp_filters").and_then(|count| count.parse().ok()),
            is_free: field(&status, "Seccomp") == Some("0"),
            sees_root: users
                .is_none_or(|users| users.lines().any(|line| line.split_whitespace().next() == Some("0"))),
        })
    }
}

/// Where a process is in `/proc`, which may number processes otherwise than this one does; none if it has ended.
fn place(pidfd: &impl AsRawFd) -> io::Result<Option<PathBuf>> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    match field(&about, "Pid") {
        Some("-1") => Ok(None),
        Some("0") | None => Err(io::ErrorKind::NotFound.into()),
        Some(number) => Ok(Some(Path::new("/proc").join(number))),
    }
}

/// `status` of each thread that runs. A thread that ends meanwhile may have started another just before, so then all
/// are read again.
fn threads(place: &Path) -> io::Result<Vec<String>> {
    for _ in 0..COUNTS {
        if let Some(statuses) = count_threads(place)? {
            let runs =
                |status: &String| field(status, "State").is_some_and(|state| !state.starts_with(['Z', 'X']));
            return Ok(statuses.into_iter().filter(runs).collect());
        }
    }
    Err(io::Error::other("its threads come and go"))
}

fn count_threads(place: &Path) -> io::Result<Option<Vec<String>>> {
    let mut statuses = Vec::new();
    for thread in fs::read_dir(place.join("task"))? {
        match fs::read_to_string(thread?.path().join("status")) {
            Ok(status) => statuses.push(status),
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(statuses))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

fn open(place: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(place.join("fd"))?.map(|entry| fs::read_link(entry?.path())).collect()
}

/// What a link in `/proc/PID/fd` to the other end of this pipe says.
fn pipe_name(end: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let inode = rustix::fs::fstat(end.as_fd())?.st_ino;
    Ok(PathBuf::from(format!("pipe:[{inode}]")))
}

/// What `/proc` says of this, in lines of a name, a colon and a value.
fn field<'s>(text: &'s str, name: &str) -> Option<&'s str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests;
