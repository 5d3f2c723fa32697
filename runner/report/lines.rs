//! What is said about workers, one line each: not more of them than a person reads, and none that controls the
//! terminal, for a guest may have had a hand in it.

use std::io::Write;

use super::RunEvent;
use crate::color::{self, Color};
use crate::record::escaped;

/// So many replaced workers are told one by one; the summary counts all.
const MOST_REPLACED: u32 = 5;

/// So many lines of workers are shown.
const MOST_SAID: u32 = 20;

/// So many characters of a worker's line are shown.
const LONGEST: usize = 500;

/// What is not promised of items that share an instance.
const SHARED_INSTANCE: &str = "the items of a worker share its instance: what one leaves in memory the next finds, so \
                               results can depend on how the work is shared out";

/// What is given up by who switches the layers off.
const NO_SANDBOX: &str =
    "the sandbox around workers is off: a guest that breaks out of WebAssembly has your rights";

/// Words events about workers, as long as there are few.
#[derive(Debug, Default)]
pub(super) struct Lines {
    replaced: u32,
    missing: u32,
    said: u32,
    recovered: u32,
    color: Color,
}

impl Lines {
    pub(super) fn new(color: Color) -> Self {
        Self { color, ..Self::default() }
    }

    /// What to say about the event, if anything.
    pub(super) fn about(&mut self, event: RunEvent<'_>) -> Option<String> {
        let color = self.color;
        match event {
            RunEvent::WorkerReplaced { worker, pid, reason } => {
                let line =
                    || warning(color, &format!("worker {worker} (pid {pid}) {}; replaced", escaped(reason)));
                let last = || warning(color, "more workers were replaced; they are counted, not named");
                limited(&mut self.replaced, MOST_REPLACED, line, last)
            }
            RunEvent::WorkerMissing { worker, reason } => {
                let line = || {
                    let reason = escaped(reason);
                    warning(color, &format!("worker {worker} cannot be started: {reason}; the others go on"))
                };
                let last = || warning(color, "more workers cannot be started");
                limited(&mut self.missing, MOST_REPLACED, line, last)
            }
            RunEvent::GuestPrinted { stream, text } => {
                let lines: Vec<_> = text.lines().map(|line| format!("{stream}: {}", escaped(line))).collect();
                (!lines.is_empty()).then(|| lines.join("\n"))
            }
            RunEvent::WorkerSaid { worker, line } => {
                let line = || format!("worker {worker}: {}", shortened(&escaped(line)));
                let last = || warning(color, "more lines of workers are not shown");
                limited(&mut self.said, MOST_SAID, line, last)
            }
            RunEvent::Recovered { pid, name, what } => {
                let line = || {
                    let (name, what) = (escaped(name), escaped(what));
                    warning(color, &format!("shared `{name}`: a worker (pid {pid}) is gone: {what}"))
                };
                let last = || warning(color, "more was taken back from workers that are gone");
                limited(&mut self.recovered, MOST_REPLACED, line, last)
            }
            RunEvent::SharedInstance => Some(warning(color, SHARED_INSTANCE)),
            RunEvent::NoSandbox => Some(warning(color, NO_SANDBOX)),
            RunEvent::LayerMissing { layer, why } => {
                Some(warning(color, &format!("the sandbox lacks {layer}: {}", escaped(why))))
            }
            RunEvent::SandboxHidden { why } => {
                Some(warning(color, &format!("the sandbox cannot be verified: {}", escaped(why))))
            }
            RunEvent::Note { line } => Some(escaped(line).into_owned()),
            RunEvent::InputRemark { line } => Some(warning(color, &escaped(line))),
            RunEvent::Started { .. }
            | RunEvent::Progress { .. }
            | RunEvent::WorkerReady { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::Finished { .. } => None,
        }
    }
}

/// Writes a line of talk. Talk that cannot be written is lost: a run does not fail because nobody listens.
pub(super) fn say<W: Write>(talk: &mut W, line: &str) {
    let _ = writeln!(talk, "{line}").and_then(|()| talk.flush());
}

fn warning(color: Color, text: &str) -> String {
    format!("{} {text}", color.paint(color::WARNING, "warning:"))
}

/// The line while there were less than `most`, then once `last`, then nothing.
fn limited(
    count: &mut u32,
    most: u32,
    line: impl FnOnce() -> String,
    last: impl FnOnce() -> String,
) -> Option<String> {
    *count = count.saturating_add(1);
    match *count {
        number if number <= most => Some(line()),
        number if number == most + 1 => Some(last()),
        _ => None,
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLACED: RunEvent<'_> =
        RunEvent::WorkerReplaced { worker: 3, pid: 123, reason: "was killed by SIGKILL" };

    #[test]
    fn a_replaced_worker_is_a_warning() {
        let line = Lines::default().about(REPLACED);
        assert_eq!(line.as_deref(), Some("warning: worker 3 (pid 123) was killed by SIGKILL; replaced"));
    }

    #[test]
    fn a_warning_is_the_same_text_in_colours() {
        let line = Lines::new(Color::On).about(REPLACED).expect("something is said");
        assert!(line.starts_with("\u{1b}["), "{line:?}");
        assert_eq!(
            anstream::adapter::strip_str(&line).to_string(),
            Lines::default().about(REPLACED).expect("something is said")
        );
    }

    #[test]
    fn many_replaced_workers_are_told_only_at_first() {
        let mut lines = Lines::default();
        let told: Vec<_> = (0..100).filter_map(|_| lines.about(REPLACED)).collect();
        assert_eq!(told.len(), 6);
        assert_eq!(told[5], "warning: more workers were replaced; they are counted, not named");
    }

    #[test]
    fn what_a_worker_says_cannot_control_the_terminal() {
        let line = Lines::default().about(RunEvent::WorkerSaid { worker: 0, line: "\u{1b}]0;hi\u{7}" });
        assert_eq!(line.as_deref(), Some(r"worker 0: \u{1b}]0;hi\u{7}"));
    }

    #[test]
    fn a_long_line_of_a_worker_is_cut() {
        let long = "é".repeat(LONGEST + 1);
        let line = Lines::default().about(RunEvent::WorkerSaid { worker: 0, line: &long });
        assert_eq!(line, Some(format!("worker 0: {}…", "é".repeat(LONGEST))));
    }

    #[test]
    fn a_chatty_worker_is_not_listened_to_for_ever() {
        let mut lines = Lines::default();
        let say = |_| lines.about(RunEvent::WorkerSaid { worker: 0, line: "hi" });
        assert_eq!((0..100).filter_map(say).count(), 21);
    }

    #[test]
    fn all_that_the_guest_of_a_call_printed_is_said_line_by_line() {
        let event = RunEvent::GuestPrinted { stream: "stderr", text: "one\n\u{1b}[2Jtwo\n" };
        assert_eq!(Lines::default().about(event).unwrap(), "stderr: one\nstderr: \\u{1b}[2Jtwo");
    }
}
