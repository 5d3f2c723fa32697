//! A worker with nothing in it: what of the protection layers is to be had on this machine.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::link::{Link, Received};
use super::roster::Roster;
use super::spawn::Launcher;
use super::verify::{self, Evidence, Sight};
use crate::error::{Error, no_shared_memory};
use crate::sandbox::{Layer, LayerState, SandboxMode};
use crate::sealed;
use crate::wire::msg::{Load, Refusal, Request, Response};

/// Longer than any machine takes to start a process.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message of a worker that has nothing to do.
const MAX_MESSAGE: usize = 1 << 16;

/// What holds for a worker on this machine.
#[derive(Clone, Debug)]
pub struct Protection {
    /// Each layer, and whether it holds.
    pub layers: Vec<LayerState>,
    /// Those of them that the host saw to hold.
    pub seen: Vec<Layer>,
    /// What the host found that contradicts that, if anything.
    pub contradiction: Option<String>,
    /// Why the host could see nothing, if so.
    pub hidden: Option<String>,
}

impl Protection {
    /// How the host knows that a layer holds; none if it does not.
    #[must_use]
    pub fn evidence(&self, state: &LayerState) -> Option<Evidence> {
        state
            .absent
            .is_none()
            .then(|| if self.seen.contains(&state.layer) { Evidence::Seen } else { Evidence::Claimed })
    }
}

/// Starts a worker that locks itself in as far as it can, unless layers are switched off, and looks at it. What it
/// lacks is told, whatever `sandbox` requires.
///
/// # Errors
/// If it cannot be started, or does not answer.
pub fn probe(worker_executable: Option<PathBuf>, sandbox: SandboxMode) -> Result<Protection, Error> {
    // It lives on the thread that starts it, which is this one.
    let launcher =
        Launcher::new(worker_executable, Arc::<Roster>::default(), sandbox, Vec::new(), Arc::default());
    let guest = nothing().map_err(|error| no_shared_memory("a worker cannot be started", &error))?;
    let process = launcher.start(&guest).map_err(cannot_start)?;
    process.send_first(&Request::Load(Load::Probe)).map_err(cannot_start)?;
    let mut link = Link::new(MAX_MESSAGE);
    let started = Instant::now();
    loop {
        while let Some(message) = link.decoder.next_message().map_err(|error| broken(&error))? {
            match Response::parse(message).map_err(|error| broken(&error))? {
                Response::Hello(_) => {}
                Response::Ready(ready) => {
                    let looked = verify::compare(&process, &ready.layers);
                    let (sight, contradiction) = match looked {
                        Ok(Some(sight)) => (sight, None),
                        Ok(None) => return Err(broken(&"it ended")),
                        Err(unprotected) => (Sight::default(), Some(unprotected.message)),
                    };
                    let Sight { seen, hidden } = sight;
                    return Ok(Protection { layers: ready.layers, seen, contradiction, hidden });
                }
                Response::Refused(refused) if refused.about == Refusal::Protection => {
                    return Err(Error::protection(refused.message));
                }
                Response::Refused(refused) if refused.about == Refusal::Machine => {
                    return Err(broken(&refused.message));
                }
                _ => return Err(broken(&"an answer to another question")),
            }
        }
        match link.read(&process.results) {
            Received::Some => {}
            Received::Nothing => wait(&process.results, started)?,
            Received::End => return Err(broken(&"it ended")),
        }
    }
}

/// A guest of no bytes, sealed as any.
fn nothing() -> io::Result<File> {
    let memory = sealed::create("wasmpool-nothing")?;
    sealed::seal(&memory)?;
    Ok(memory)
}

fn wait(results: &impl std::os::fd::AsFd, started: Instant) -> Result<(), Error> {
    let left = PATIENCE.saturating_sub(started.elapsed());
    if left.is_zero() {
        return Err(broken(&"it does not answer"));
    }
    let timeout = Timespec::try_from(left).ok();
    match poll(&mut [PollFd::new(results, PollFlags::IN)], timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(cannot_start(error.into())),
    }
}

fn cannot_start(error: io::Error) -> Error {
    Launcher::error("a worker", &error)
}

fn broken(rule: &dyn std::fmt::Display) -> Error {
    Error::Pool {
        message: format!("a worker that is to be looked at does not become ready: {rule}"),
        hint: None,
    }
}
