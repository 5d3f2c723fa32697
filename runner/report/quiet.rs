//! No progress: warnings, and a summary unless that is too much.

use std::io::Write;

use super::lines::{Lines, say};
use super::{Reporter, RunEvent, summary};

/// Says what must be said.
#[derive(Debug)]
pub(super) struct Quiet<W> {
    talk: W,
    ending: Ending,
    lines: Lines,
}

/// What is said when a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its figures.
    Summary,
    /// Nothing.
    Silence,
}

impl<W: Write> Quiet<W> {
    pub(super) fn new(ending: Ending, talk: W) -> Self {
        Self { talk, ending, lines: Lines::default() }
    }
}

impl<W: Write> Reporter for Quiet<W> {
    fn report(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Started { .. } | RunEvent::Progress { .. } => {}
            RunEvent::WorkerReplaced { .. } | RunEvent::WorkerSaid { .. } | RunEvent::InputRemark { .. } => {
                if let Some(line) = self.lines.about(event) {
                    say(&mut self.talk, &line);
                }
            }
            RunEvent::Finished { summary } => match self.ending {
                Ending::Summary => say(&mut self.talk, &summary::text(summary)),
                Ending::Silence => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, Summary};

    fn said(ending: Ending) -> String {
        let mut talk = Vec::new();
        let mut quiet = Quiet::new(ending, &mut talk);
        quiet.report(RunEvent::Started { workers: 2, items: Some(9) });
        quiet.report(RunEvent::Progress { counts: Counts::default() });
        quiet.report(RunEvent::WorkerReplaced { worker: 0, pid: 7, reason: "exited with code 1" });
        quiet.report(RunEvent::Finished { summary: &Summary::default() });
        String::from_utf8(talk).unwrap()
    }

    const WARNING: &str = "warning: worker 0 (pid 7) exited with code 1; replaced\n";

    #[test]
    fn warnings_are_said_without_a_summary_too() {
        assert_eq!(said(Ending::Silence), WARNING);
    }

    #[test]
    fn the_summary_is_all_else_that_is_said() {
        assert_eq!(said(Ending::Summary), format!("{WARNING}{}\n", summary::text(&Summary::default())));
    }
}
