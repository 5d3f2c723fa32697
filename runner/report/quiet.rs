//! No progress: warnings, and figures at the end unless those are too much.

use std::io::Write;

use super::lines::{Lines, say};
use super::summary::Ending;
use super::{Reporter, RunEvent};

/// Says what must be said.
#[derive(Debug)]
pub(super) struct Quiet<W> {
    talk: W,
    lines: Lines,
    ending: Ending,
}

impl<W: Write> Quiet<W> {
    pub(super) fn new(talk: W, lines: Lines, ending: Ending) -> Self {
        Self { talk, lines, ending }
    }
}

impl<W: Write> Reporter for Quiet<W> {
    fn report(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Started { .. }
            | RunEvent::Progress { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::WorkerReady { .. } => {}
            RunEvent::WorkerReplaced { .. }
            | RunEvent::WorkerMissing { .. }
            | RunEvent::WorkerSaid { .. }
            | RunEvent::Recovered { .. }
            | RunEvent::GuestPrinted { .. }
            | RunEvent::SharedInstance
            | RunEvent::NoSandbox
            | RunEvent::LayerMissing { .. }
            | RunEvent::SandboxHidden { .. }
            | RunEvent::Note { .. }
            | RunEvent::InputRemark { .. } => {
                if let Some(line) = self.lines.about(event) {
                    say(&mut self.talk, &line);
                }
            }
            RunEvent::Finished { summary } => {
                if let Some(text) = self.ending.text(summary) {
                    say(&mut self.talk, &text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Summary};

    fn said(ending: Ending) -> String {
        let mut talk = Vec::new();
        let mut quiet = Quiet::new(&mut talk, Lines::default(), ending);
        quiet.report(RunEvent::Started { workers: 2, items: Some(9) });
        quiet.report(RunEvent::Progress { counts: Counts::default() });
        quiet.report(RunEvent::WorkerReplaced { worker: 0, pid: 7, reason: "exited with code 1" });
        quiet.report(RunEvent::Finished { summary: &Summary::default() });
        String::from_utf8(talk).unwrap()
    }

    const WARNING: &str = "warning: worker 0 (pid 7) exited with code 1; replaced\n";

    #[test]
    fn warnings_are_said_without_a_summary_too() {
        assert_eq!(said(Ending::default()), WARNING);
    }

    #[test]
    fn the_ending_is_all_else_that_is_said() {
        let ending = Ending { summary: true, stats: false };
        let text = ending.text(&Summary::default()).expect("there is a summary");
        assert_eq!(said(ending), format!("{WARNING}{text}\n"));
    }
}
