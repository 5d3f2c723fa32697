//! What the host itself sees of the layers around a worker. A worker's word counts for nothing that `/proc` can show.

mod facts;

use std::io;
use std::time::Duration;

use self::facts::Facts;
use super::process::Process;
use crate::sandbox::{Layer, LayerState, Profile, SandboxMode, Start};

/// Longer than the end of a process takes that has begun.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// How the host knows that a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It looked.
    Seen,
    /// The worker says so; the kernel does not show it to the host.
    Claimed,
}

/// What the host saw of a worker that it found nothing wrong with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// The layers that it saw itself.
    pub(super) seen: Vec<Layer>,
    /// Why it could see nothing, if so, as one line.
    pub(super) hidden: Option<String>,
}

/// Why a worker is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unprotected {
    /// What is wrong, as one line.
    pub(super) message: String,
}

/// Compares what a worker says of its layers with what can be seen, if there are to be any. None: it has ended, and is
/// not judged.
///
/// # Errors
/// If it says what is not so, or a layer does not hold that must.
pub(super) fn verify(process: &Process, claimed: &[LayerState]) -> Result<Option<Sight>, Unprotected> {
    let Start { mode, profile, .. } = process.start();
    if *mode == SandboxMode::Off {
        return Ok(Some(Sight::default()));
    }
    let sight = compare(process, claimed)?;
    if let Some(message) = mode.lacking(claimed, profile) {
        return Err(Unprotected { message });
    }
    sight.map(|sight| judged(sight, *mode)).transpose()
}

/// As [`verify`], for a process that does not tell its layers: those that it must have.
///
/// # Errors
/// If one of them can be seen not to hold.
pub(super) fn verify_required(process: &Process) -> Result<Option<Sight>, Unprotected> {
    let Start { mode, profile, .. } = process.start();
    if *mode == SandboxMode::Off {
        return Ok(Some(Sight::default()));
    }
    let required: Vec<_> = Layer::ALL.into_iter().filter(|layer| mode.requires(*layer, profile)).collect();
    look(process, &required)?.map(|sight| judged(sight, *mode)).transpose()
}

/// Compares what a worker says of its layers with what can be seen, whichever have to hold.
///
/// # Errors
/// If it says what is not so.
pub(super) fn compare(process: &Process, claimed: &[LayerState]) -> Result<Option<Sight>, Unprotected> {
    let told: Vec<_> = claimed.iter().map(|state| state.layer).collect();
    if told != Layer::ALL {
        return Err(Unprotected { message: "it does not say which layers it has".to_owned() });
    }
    let holding: Vec<_> =
        claimed.iter().filter(|state| state.absent.is_none()).map(|state| state.layer).collect();
    look(process, &holding)
}

/// Where every layer is required, so is that they can be seen.
fn judged(sight: Sight, mode: SandboxMode) -> Result<Sight, Unprotected> {
    match (sight.hidden, mode) {
        (Some(message), SandboxMode::Strict) => Err(Unprotected { message }),
        (hidden, _) => Ok(Sight { hidden, ..sight }),
    }
}

/// Looks for these layers; none: the process has ended.
fn look(process: &Process, layers: &[Layer]) -> Result<Option<Sight>, Unprotected> {
    let Start { profile, mode, .. } = process.start();
    let found = match Facts::read(process) {
        Ok(Some(facts)) => seen(&facts, profile, layers).and_then(|seen| {
            // With them, the other layers are worth little, and a worker that is still root by number has them if it
            // could not give them up.
            if *mode == SandboxMode::Off || facts.has_no_capability() {
                Ok(seen)
            } else {
                Err("it has kept capabilities".to_owned())
            }
        }),
        Ok(None) => return Ok(None),
        Err(error) if is_hidden(&error) && process.ends_within(Duration::ZERO) => return Ok(None),
        Err(error) if is_hidden(&error) => {
            let hidden = Some(format!("`/proc` does not show workers to this user: {error}"));
            return Ok(Some(Sight { hidden, ..Sight::default() }));
        }
        Err(error) => Err(format!("it cannot be looked at: {error}")),
    };
    match found {
        Ok(seen) => Ok(Some(Sight { seen, hidden: None })),
        // Of one that is about to end, less is shown than of one that lives.
        Err(_) if process.ends_within(LAST_BREATH) => Ok(None),
        Err(message) => Err(Unprotected { message }),
    }
}

/// Whether this is how a `/proc` that is mounted with `hidepid` answers.
fn is_hidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Those of the layers that can be seen.
fn seen(facts: &Facts, profile: &Profile, layers: &[Layer]) -> Result<Vec<Layer>, String> {
    let mut seen = Vec::new();
    for layer in layers {
        match facts.show(*layer, profile) {
            Some(true) => seen.push(*layer),
            None => {}
            Some(false) => {
                return Err(format!("the kernel shows no {layer}, whatever the worker says"));
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_enough_unless_every_layer_is_required() {
        let hidden = || Sight { hidden: Some("it is dark".to_owned()), ..Sight::default() };
        assert_eq!(judged(hidden(), SandboxMode::Auto), Ok(hidden()));
        assert_eq!(judged(hidden(), SandboxMode::Strict).unwrap_err().message, "it is dark");
        assert_eq!(judged(Sight::default(), SandboxMode::Strict), Ok(Sight::default()));
    }
}
