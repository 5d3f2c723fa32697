//! Progress for logs: a line every few seconds.

use std::io::Write;
use std::time::{Duration, Instant};

use super::lines::{Lines, say};
use super::summary::Ending;
use super::{Counts, Reporter, RunEvent, counted, failures, rate, so_far};
use crate::item::ItemIndex;

/// How long nothing is said between two lines of progress.
const PAUSE: Duration = Duration::from_secs(5);

/// Says how far the run is.
#[derive(Debug)]
pub(super) struct Plain<W> {
    talk: W,
    items: Option<u64>,
    /// When the run started, and when it is time for the next line.
    times: Option<(Instant, Instant)>,
    lines: Lines,
    ending: Ending,
}

impl<W: Write> Plain<W> {
    pub(super) fn new(talk: W, lines: Lines, ending: Ending) -> Self {
        Self { talk, items: None, times: None, lines, ending }
    }

    fn report_at(&mut self, event: RunEvent<'_>, now: Instant) {
        match event {
            RunEvent::Started { items, .. } => {
                self.items = items;
                self.times = Some((now, now + PAUSE));
            }
            RunEvent::Progress { counts } => self.progress(counts, now),
            RunEvent::ItemProgress { item, millionths } => self.item_progress(item, millionths, now),
            RunEvent::WorkerReady { .. } => {}
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

    /// Where items take long, they are what there is to say.
    fn item_progress(&mut self, item: ItemIndex, millionths: u32, now: Instant) {
        let Some((started, _)) = self.times.filter(|(_, due)| now >= *due) else { return };
        self.times = Some((started, now + PAUSE));
        say(&mut self.talk, &format!("progress: {}", so_far(item, millionths)));
    }

    fn progress(&mut self, counts: Counts, now: Instant) {
        let Some((started, due)) = self.times else { return };
        if now < due {
            return;
        }
        self.times = Some((started, now + PAUSE));
        let speed = rate(counts.ended() as f64 / (now - started).as_secs_f64());
        let done = match self.items {
            Some(items) => format!("{} of {}", counts.ended(), counted(items, "item")),
            None => counted(counts.ended(), "item"),
        };
        say(&mut self.talk, &format!("progress: {done}{}, {speed}", failures(counts)));
    }
}

impl<W: Write> Reporter for Plain<W> {
    fn report(&mut self, event: RunEvent<'_>) {
        self.report_at(event, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(items: Option<u64>, progress: &[(u64, Counts)]) -> String {
        let mut talk = Vec::new();
        let mut plain = Plain::new(&mut talk, Lines::default(), Ending::default());
        let start = Instant::now();
        plain.report_at(RunEvent::Started { workers: 2, items }, start);
        for (seconds, counts) in progress {
            plain.report_at(RunEvent::Progress { counts: *counts }, start + Duration::from_secs(*seconds));
        }
        String::from_utf8(talk).unwrap()
    }

    fn ok(ok: u64) -> Counts {
        Counts { items: 9000, ok, ..Counts::default() }
    }

    #[test]
    fn there_is_one_line_in_five_seconds() {
        assert_eq!(
            said(Some(8000), &[(0, ok(1)), (4, ok(70)), (5, ok(100)), (6, ok(300)), (10, ok(1000))]),
            "progress: 100 of 8000 items, 20 items/s\nprogress: 1000 of 8000 items, 100 items/s\n"
        );
    }

    #[test]
    fn items_that_say_how_far_they_are_are_told_as_seldom() {
        let mut talk = Vec::new();
        let mut plain = Plain::new(&mut talk, Lines::default(), Ending::default());
        let start = Instant::now();
        plain.report_at(RunEvent::Started { workers: 1, items: Some(1) }, start);
        for seconds in [1, 5, 6, 9] {
            let event = RunEvent::ItemProgress { item: 0, millionths: 42_999 + 10_000 * seconds };
            plain.report_at(event, start + Duration::from_secs(seconds.into()));
        }
        assert_eq!(String::from_utf8(talk).unwrap(), "progress: item 0 is at 9 %\n");
    }

    #[test]
    fn failures_are_told_if_there_are_any() {
        let counts = Counts { failed: 2, cancelled: 1, ..ok(7) };
        assert_eq!(said(Some(1), &[(5, counts)]), "progress: 10 of 1 item, 2 failed, 2.0 items/s\n");
    }

    #[test]
    fn without_a_total_there_is_only_how_many() {
        assert_eq!(said(None, &[(10, ok(1))]), "progress: 1 item, 0.1 items/s\n");
    }
}
