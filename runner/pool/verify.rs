//! What the host itself sees of the layers around a worker. A worker's word counts for nothing that `/proc` can show.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::process::Process;
use crate::sandbox::{Layer, LayerState, Mode, Profile, filters};

/// How the host knows that a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It looked.
    Seen,
    /// The worker says so; the kernel shows it to nobody.
    Claimed,
}

/// Why a worker is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unprotected {
    /// What is wrong, as one line.
    pub(super) message: String,
}

/// What `/proc` shows of a process.
struct Facts {
    /// `status` of each thread.
    threads: Vec<String>,
    limits: String,
    oom_score_adj: String,
    /// Whom its files in `/proc` belong to.
    owner: u32,
}

/// Compares what a worker says of its layers with what can be seen, if there are to be any.
///
/// # Errors
/// If it says what is not so, or a layer does not hold that must. A worker that is gone is not judged: its end is told
/// otherwise.
pub(super) fn verify(process: &Process, claimed: &[LayerState]) -> Result<(), Unprotected> {
    let (mode, profile) = (process.start().mode, &process.start().profile);
    if mode == Mode::Off {
        return Ok(());
    }
    let told: Vec<_> = claimed.iter().map(|state| state.layer).collect();
    if told != Layer::ALL {
        return Err(Unprotected { message: "a worker does not say which layers it has".to_owned() });
    }
    let missing = claimed.iter().find(|state| state.absent.is_some() && mode.requires(state.layer));
    if let Some(LayerState { layer, absent }) = missing {
        let why = absent.as_deref().unwrap_or_default();
        return Err(Unprotected { message: format!("{layer} does not hold: {why}") });
    }
    let holding = claimed.iter().filter(|state| state.absent.is_none()).map(|state| state.layer);
    check(process.pid(), profile, holding)
}

/// As [`verify`], for a process that does not tell its layers: the required ones.
///
/// # Errors
/// If one of them cannot be seen.
pub(super) fn verify_required(process: &Process) -> Result<(), Unprotected> {
    let start = process.start();
    if start.mode == Mode::Off {
        return Ok(());
    }
    check(process.pid(), &start.profile, Layer::ALL.into_iter().filter(|layer| layer.is_required()))
}

/// How the host knows of a layer.
pub(super) fn evidence(layer: Layer) -> Evidence {
    match layer {
        Layer::Unprivileged
        | Layer::NoNewPrivs
        | Layer::Rlimits
        | Layer::Seccomp
        | Layer::OomScore
        | Layer::Undumpable => Evidence::Seen,
        Layer::Descriptors | Layer::Landlock | Layer::Mdwe | Layer::Lifeline => Evidence::Claimed,
    }
}

fn check(pid: u32, profile: &Profile, layers: impl Iterator<Item = Layer>) -> Result<(), Unprotected> {
    let facts = match Facts::read(pid) {
        Ok(facts) => facts,
        // What has ended shows nothing; a zombie has no threads.
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_gone(&error) => return Ok(()),
        Err(error) => {
            return Err(Unprotected {
                message: format!("a worker cannot be looked at: `/proc/{pid}`: {error}"),
            });
        }
    };
    for layer in layers {
        if !facts.show(layer, profile) {
            let message = format!("a worker says that {layer} holds, and the kernel shows that it does not");
            return Err(Unprotected { message });
        }
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

impl Facts {
    fn read(pid: u32) -> io::Result<Self> {
        let process = format!("/proc/{pid}");
        let mut threads = Vec::new();
        for thread in fs::read_dir(format!("{process}/task"))? {
            threads.push(fs::read_to_string(thread?.path().join("status"))?);
        }
        // Of one that ends meanwhile, less is shown than of one that lives.
        if threads.iter().any(|status| has(status, "State", |state| state.starts_with(['Z', 'X']))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self {
            threads,
            limits: fs::read_to_string(format!("{process}/limits"))?,
            oom_score_adj: fs::read_to_string(format!("{process}/oom_score_adj"))?,
            owner: fs::metadata(format!("{process}/status"))?.uid(),
        })
    }

    /// Whether a layer holds, as far as can be seen.
    fn show(&self, layer: Layer, profile: &Profile) -> bool {
        let every = |name, test: fn(&str) -> bool| self.threads.iter().all(|status| has(status, name, test));
        match layer {
            Layer::NoNewPrivs => every("NoNewPrivs", |value| value == "1"),
            Layer::Seccomp => {
                let count = filters(profile.kind());
                let enough = |value: &str| value.parse().is_ok_and(|number: usize| number >= count);
                every("Seccomp", |value| value == "2")
                    // Kernels before 5.9 do not count them.
                    && self.threads.iter().all(|status| {
                        field(status, "Seccomp_filters").is_none_or(enough)
                    })
            }
            Layer::Unprivileged => {
                let nobody = |value: &str| value.split_whitespace().all(|id| id != "0");
                every("Uid", nobody)
                    && ["CapInh", "CapPrm", "CapEff", "CapAmb"]
                        .into_iter()
                        .all(|name| every(name, |value| value.bytes().all(|digit| digit == b'0')))
            }
            Layer::Rlimits => {
                let open = match profile {
                    Profile::Compile | Profile::Compute => 0,
                    Profile::Files(_) => crate::sandbox::OPEN_FILES,
                };
                [("Max core file size", 0), ("Max processes", 0), ("Max open files", open)]
                    .into_iter()
                    .all(|(name, most)| self.limit(name).is_some_and(|limit| limit <= most))
            }
            Layer::OomScore => self.oom_score_adj.trim() == "1000",
            // What others of its user may not look at belongs to root, whoever it is.
            Layer::Undumpable => {
                let user = self.threads.first().and_then(|status| field(status, "Uid"));
                let user = user.and_then(|ids| ids.split_whitespace().next()?.parse().ok());
                user.is_some_and(|user: u32| user == 0 || user != self.owner)
            }
            Layer::Descriptors | Layer::Landlock | Layer::Mdwe | Layer::Lifeline => true,
        }
    }

    /// A limit that cannot be raised; none if there is none.
    fn limit(&self, name: &str) -> Option<u64> {
        let line = self.limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

/// What `/proc/PID/status` says of this.
fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn has(status: &str, name: &str, test: impl Fn(&str) -> bool) -> bool {
    field(status, name).is_some_and(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nState:\tS (sleeping)\nUid:\t65534\t65534\t65534\t65534\nCapInh:\t0000\n\
        CapPrm:\t0000\nCapEff:\t0000\nCapAmb:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t5\n";

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max core file size        0                    0                    bytes
Max processes             0                    0                    processes
Max open files            0                    0                    files
";

    fn facts() -> Facts {
        Facts {
            threads: vec![STATUS.to_owned(), STATUS.to_owned()],
            limits: LIMITS.to_owned(),
            oom_score_adj: "1000\n".to_owned(),
            owner: 0,
        }
    }

    #[track_caller]
    fn check_found_out(layer: Layer, change: impl FnOnce(&mut Facts)) {
        let mut facts = facts();
        assert!(facts.show(layer, &Profile::Compute), "{layer}");
        change(&mut facts);
        assert!(!facts.show(layer, &Profile::Compute), "{layer}");
    }

    #[test]
    fn w12_a_layer_that_one_thread_lacks_is_found_out() {
        let change = |from: &'static str, to: &'static str| {
            move |facts: &mut Facts| facts.threads[1] = STATUS.replace(from, to)
        };
        check_found_out(Layer::Seccomp, change("Seccomp:\t2", "Seccomp:\t0"));
        check_found_out(Layer::Seccomp, change("Seccomp_filters:\t5", "Seccomp_filters:\t1"));
        check_found_out(Layer::NoNewPrivs, change("NoNewPrivs:\t1", "NoNewPrivs:\t0"));
        check_found_out(Layer::NoNewPrivs, change("NoNewPrivs:\t1\n", ""));
        check_found_out(Layer::Unprivileged, change("Uid:\t65534\t65534", "Uid:\t65534\t0"));
        check_found_out(Layer::Unprivileged, change("CapEff:\t0000", "CapEff:\t0020"));
    }

    #[test]
    fn w12_a_layer_that_the_process_lacks_is_found_out() {
        let lift =
            |line: &'static str| move |facts: &mut Facts| facts.limits = LIMITS.replace(line, "Max nothing");
        check_found_out(Layer::Rlimits, lift("Max open files"));
        check_found_out(Layer::Rlimits, lift("Max processes"));
        let raise =
            |facts: &mut Facts| facts.limits = LIMITS.replace("0                    files", "9  files");
        check_found_out(Layer::Rlimits, raise);
        check_found_out(Layer::OomScore, |facts| facts.oom_score_adj = "0\n".to_owned());
        check_found_out(Layer::Undumpable, |facts| facts.owner = 65_534);
    }

    #[test]
    fn a_process_that_is_gone_is_not_judged() {
        assert_eq!(check(u32::MAX >> 1, &Profile::Compute, Layer::ALL.into_iter()), Ok(()));
    }

    #[test]
    fn w12_this_process_is_not_locked_in() {
        let error = check(std::process::id(), &Profile::Compute, [Layer::Seccomp].into_iter()).unwrap_err();
        assert_eq!(error.message, "a worker says that seccomp holds, and the kernel shows that it does not");
    }
}
