//! Ends a run when a signal asks for it: gently at first, then at once.
//!
//! The run has a thread of its own; the main thread waits for whichever comes first, the end of the run or a
//! signal. The first signal cancels the run, which then has [`GRACE`] to end by itself; when that is over, or at
//! a second signal, it is not waited for any longer.
//!
//! At Ctrl-Z the workers, which a terminal does not reach, are stopped first, then this process; when it goes on, so do
//! they. Only the command line does this, never the library.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::error::{Error, ExitCode, system_hint};
use crate::pool::Pauser;
use crate::sandbox;

/// How long a cancelled run may take to end by itself: a second for what its workers have begun, and one to print it.
const GRACE: Duration = Duration::from_secs(2);

/// Runs `run`; at a signal, calls `cancel` with its number. What `pauser` pauses stops and goes on with this process.
/// A run that should end itself after `limit` and cannot, because nobody reads what it writes, is not waited for.
///
/// When this returns although the run has not ended, its thread is still there: the process should exit.
///
/// # Errors
/// Those of the run; [`Error::Interrupted`] or [`Error::Deadline`] if it was not waited for; [`Error::Pool`] if the
/// system refuses a thread.
pub(super) fn supervise(
    run: impl FnOnce() -> Result<ExitCode, Error> + Send + 'static,
    cancel: impl FnOnce(i32),
    pauser: Pauser,
    limit: Option<Duration>,
) -> anyhow::Result<ExitCode> {
    let (sender, events) = mpsc::channel();
    watch(heeded(), sender.clone(), pauser.clone())
        .map_err(|error| refused("signals cannot be watched for", &error))?;
    let run = move || {
        let _announced = AtEnd(sender);
        run()
    };
    let thread = thread::Builder::new()
        .name("run".into())
        .spawn(run)
        .map_err(|error| refused("a run cannot be started", &error))?;
    let deadline = limit.map(|limit| (limit, Box::new(pauser.timer(limit + GRACE)) as Left));
    match wait(&events, cancel, GRACE, deadline) {
        // The panic itself has been reported where it happened.
        Ended::ByItself => Ok(thread.join().unwrap_or(Ok(ExitCode::INTERNAL))?),
        Ended::Abandoned { signal } => Err(Error::Interrupted { signal }.into()),
        Ended::TooLate { limit } => Err(Error::Deadline { limit }.into()),
    }
}

/// The system refuses this process a thread.
fn refused(what: &str, error: &io::Error) -> Error {
    Error::Pool { message: format!("{what}: {error}"), hint: system_hint(error) }
}

/// What the main thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Signal(i32),
    /// The run has returned, or panicked.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    ByItself,
    Abandoned { signal: i32 },
    TooLate { limit: Duration },
}

/// How much time is left before a run is not waited for any longer.
type Left = Box<dyn Fn() -> Duration>;

/// Sends [`Event::Over`] when it is dropped.
struct AtEnd(Sender<Event>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        // Nobody waits for a run that was abandoned.
        let _ = self.0.send(Event::Over);
    }
}

fn wait(
    events: &Receiver<Event>,
    cancel: impl FnOnce(i32),
    grace: Duration,
    deadline: Option<(Duration, Left)>,
) -> Ended {
    let signal = match first(events, deadline) {
        Ok(signal) => signal,
        Err(ended) => return ended,
    };
    let deadline = Instant::now() + grace;
    cancel(signal);
    match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Event::Over) | Err(RecvTimeoutError::Disconnected) => Ended::ByItself,
        Ok(Event::Signal(_)) | Err(RecvTimeoutError::Timeout) => Ended::Abandoned { signal },
    }
}

/// The first signal, or else how the run ended without one.
fn first(events: &Receiver<Event>, deadline: Option<(Duration, Left)>) -> Result<i32, Ended> {
    loop {
        let event = match &deadline {
            None => events.recv().map_err(|mpsc::RecvError| RecvTimeoutError::Disconnected),
            Some((_, left)) => events.recv_timeout(left()),
        };
        match (event, &deadline) {
            (Ok(Event::Signal(signal)), _) => return Ok(signal),
            // It may have been stopped meanwhile, and then there is time left.
            (Err(RecvTimeoutError::Timeout), Some((limit, left))) if left().is_zero() => {
                return Err(Ended::TooLate { limit: *limit });
            }
            (Err(RecvTimeoutError::Timeout), _) => {}
            (Ok(Event::Over) | Err(RecvTimeoutError::Disconnected), _) => return Err(Ended::ByItself),
        }
    }
}

/// Passes on every one of these signals, or stops this process, from a thread that lives as long as the process.
fn watch(heeded: Vec<i32>, events: Sender<Event>, pauser: Pauser) -> io::Result<()> {
    let mut signals = Signals::new(heeded)?;
    let watch = move || {
        for signal in signals.forever() {
            if signal == SIGTSTP {
                stop(&pauser);
            } else if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    Ok(())
}

/// The signals that end or stop a run, but for those that whoever started this process wants ignored, as `nohup` does.
fn heeded() -> Vec<i32> {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    [SIGINT, SIGTERM, SIGHUP, SIGTSTP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// Stops the workers and this process; returns when it goes on.
fn stop(pauser: &Pauser) {
    pauser.pause();
    // If this process cannot be stopped, it just goes on.
    let _ = sandbox::stop_this_process();
    pauser.resume();
}

/// The set of ignored signals in `/proc/self/status`, signal 1 in the lowest bit.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than any test waits.
    const LONG: Duration = Duration::from_secs(600);

    /// How a run ends when these events come, and whether it was cancelled with which signal.
    fn end(events: &[Event], grace: Duration) -> (Ended, Option<i32>) {
        let (sender, receiver) = mpsc::channel();
        for event in events {
            sender.send(*event).unwrap();
        }
        let mut cancelled = None;
        let ended = wait(&receiver, |signal| cancelled = Some(signal), grace, None);
        (ended, cancelled)
    }

    #[test]
    fn a_run_that_ends_by_itself_is_not_cancelled() {
        assert_eq!(end(&[Event::Over], LONG), (Ended::ByItself, None));
    }

    #[test]
    fn h5_a_cancelled_run_may_end_by_itself() {
        assert_eq!(end(&[Event::Signal(SIGINT), Event::Over], LONG), (Ended::ByItself, Some(SIGINT)));
    }

    #[test]
    fn h5_a_cancelled_run_is_not_waited_for_longer_than_the_grace() {
        let (ended, cancelled) = end(&[Event::Signal(SIGTERM)], Duration::ZERO);
        assert_eq!((ended, cancelled), (Ended::Abandoned { signal: SIGTERM }, Some(SIGTERM)));
    }

    #[test]
    fn h6_a_second_signal_ends_the_waiting_at_once() {
        let (ended, cancelled) = end(&[Event::Signal(SIGINT), Event::Signal(SIGTERM)], LONG);
        assert_eq!((ended, cancelled), (Ended::Abandoned { signal: SIGINT }, Some(SIGINT)));
    }

    #[test]
    fn the_result_of_a_run_is_handed_on() {
        let ended = supervise(|| Ok(ExitCode::ITEMS_FAILED), |_| (), Pauser::default(), None);
        assert_eq!(ended.unwrap(), ExitCode::ITEMS_FAILED);
    }

    #[test]
    fn h9_a_run_that_panics_is_an_internal_error() {
        let ended = supervise(|| panic!("on purpose"), |_| (), Pauser::default(), None);
        assert_eq!(ended.unwrap(), ExitCode::INTERNAL);
    }

    #[test]
    fn a_run_that_cannot_end_at_its_deadline_is_not_waited_for() {
        let (_sender, receiver) = mpsc::channel();
        let limit = Duration::from_secs(3);
        let deadline = Some((limit, Box::new(|| Duration::ZERO) as Left));
        assert_eq!(wait(&receiver, |_| (), LONG, deadline), Ended::TooLate { limit });
    }

    #[test]
    fn a_signal_reaches_the_waiting_thread() {
        use signal_hook::consts::SIGUSR2;
        let (sender, events) = mpsc::channel();
        watch(vec![SIGUSR2], sender, Pauser::default()).unwrap();
        signal_hook::low_level::raise(SIGUSR2).unwrap();
        assert_eq!(events.recv_timeout(LONG), Ok(Event::Signal(SIGUSR2)));
    }

    #[test]
    fn h25_signals_that_are_ignored_from_the_start_are_told_by_their_bits() {
        let status = "Name:\twasmpool\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored("Name:\twasmpool\n"), 0);
    }
}
