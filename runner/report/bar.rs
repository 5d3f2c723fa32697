//! Progress on a terminal: a bar where the number of items is known, a counter where it is not.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::lines::{Lines, say};
use super::summary::Ending;
use super::{Counts, Reporter, RunEvent, failures, rate, so_far};
use crate::item::ItemIndex;

/// A run shorter than this shows no bar, so that short ones do not flicker.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a drawn bar stays as it is at least.
const PAUSE: Duration = Duration::from_millis(100);

const BAR: &str = "[{bar:30}] {pos} of {len} items{msg}, {rate}, {eta} left";
const COUNTER: &str = "{spinner} {pos} items{msg}, {rate}";

/// Draws how far the run is.
#[derive(Debug)]
pub(super) struct Bar<W> {
    bar: ProgressBar,
    talk: W,
    /// What to draw on, until it is drawn on.
    target: Option<ProgressDrawTarget>,
    /// When it is time to draw.
    due: Option<Instant>,
    lines: Lines,
    ending: Ending,
    /// What an item has said of how far it is.
    item: Option<(ItemIndex, u32)>,
}

impl<W: Write> Bar<W> {
    /// A bar on `target`; all but the bar is written to `talk`, which is on the same terminal.
    pub(super) fn new(target: ProgressDrawTarget, talk: W, lines: Lines, ending: Ending) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar, talk, target: Some(target), due: None, lines, ending, item: None }
    }

    fn report_at(&mut self, event: RunEvent<'_>, now: Instant) {
        match event {
            RunEvent::Started { items, .. } => {
                self.bar.set_style(style(items));
                if let Some(items) = items {
                    self.bar.set_length(items);
                }
                self.bar.reset();
                self.due = Some(now + PATIENCE);
            }
            RunEvent::Progress { counts } => self.progress(counts, now),
            RunEvent::ItemProgress { item, millionths } => {
                // Shown with the next tick.
                self.item = Some((item, millionths));
            }
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
                    self.bar.suspend(|| say(&mut self.talk, &line));
                }
            }
            RunEvent::Finished { summary } => {
                self.bar.finish_and_clear();
                if let Some(text) = self.ending.text(summary) {
                    say(&mut self.talk, &text);
                }
            }
        }
    }

    fn progress(&mut self, counts: Counts, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now + PAUSE);
        if let Some(target) = self.target.take() {
            self.bar.set_draw_target(target);
        }
        // One that was told before and has ended meanwhile is not told again.
        let item = self
            .item
            .take()
            .map_or(String::new(), |(item, millionths)| format!(", {}", so_far(item, millionths)));
        self.bar.set_message(failures(counts) + &item);
        self.bar.set_position(counts.ended());
        self.bar.tick();
    }
}

impl<W: Write> Reporter for Bar<W> {
    fn report(&mut self, event: RunEvent<'_>) {
        self.report_at(event, Instant::now());
    }

    fn beside<'w>(&self, output: Box<dyn Write + 'w>) -> Box<dyn Write + 'w> {
        Box::new(Beside { bar: self.bar.clone(), output })
    }
}

/// A run that breaks off leaves no bar, though a writer beside it may live on.
impl<W> Drop for Bar<W> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Takes the bar away while it writes.
struct Beside<'w> {
    bar: ProgressBar,
    output: Box<dyn Write + 'w>,
}

impl Write for Beside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    /// At once and to the end: the bar must not come back in the middle of a line.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { bar, output } = self;
        bar.suspend(|| output.write_all(bytes).and_then(|()| output.flush()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn style(items: Option<u64>) -> ProgressStyle {
    let template = if items.is_some() { BAR } else { COUNTER };
    ProgressStyle::with_template(template)
        .expect("the templates are well-formed")
        .progress_chars("=> ")
        .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A rate that cannot be written is a bar without one.
            let _ = out.write_str(&rate(state.per_sec()));
        })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::report::Summary;

    /// A terminal that keeps the lines it shows; the cursor is in the last of them.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Screen {
        fn shown(&self) -> String {
            let lines = self.0.lock().unwrap();
            lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
        }

        fn put(&self, text: &str) {
            let mut lines = self.0.lock().unwrap();
            for (number, part) in text.split('\n').enumerate() {
                if number > 0 || lines.is_empty() {
                    lines.push(String::new());
                }
                let part = part.rsplit('\r').next().unwrap();
                lines.last_mut().unwrap().push_str(part);
            }
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
            assert_eq!(lines, 0, "the bar is one line");
            Ok(())
        }
        fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
            assert_eq!(lines, 0, "the bar is one line");
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(text);
            self.put("\n");
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().last_mut().map(String::clear);
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.put(str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const ENDING: Ending = Ending { summary: true, stats: false };

    struct Run {
        bar: Bar<Screen>,
        screen: Screen,
        start: Instant,
    }

    fn started(items: Option<u64>) -> Run {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut bar = Bar::new(target, screen.clone(), Lines::default(), ENDING);
        let start = Instant::now();
        bar.report_at(RunEvent::Started { workers: 2, items }, start);
        Run { bar, screen, start }
    }

    impl Run {
        fn progress(&mut self, after_ms: u64, ok: u64, failed: u64) {
            let counts = Counts { items: 100, ok, failed, ..Counts::default() };
            let now = self.start + Duration::from_millis(after_ms);
            self.bar.report_at(RunEvent::Progress { counts }, now);
        }

        #[track_caller]
        fn check_last_line_starts(&self, expected: &str) {
            let shown = self.screen.shown();
            let last = shown.lines().next_back().unwrap_or_default();
            assert!(last.starts_with(expected), "{shown}");
        }
    }

    #[test]
    fn a_run_of_known_length_has_a_bar() {
        let mut run = started(Some(100));
        run.progress(300, 49, 1);
        run.check_last_line_starts("[===============>              ] 50 of 100 items, 1 failed, ");
    }

    #[test]
    fn a_run_of_unknown_length_has_a_counter() {
        let mut run = started(None);
        run.progress(300, 5000, 0);
        assert!(run.screen.shown().contains(" 5000 items, "), "{}", run.screen.shown());
    }

    #[test]
    fn a_short_run_draws_nothing() {
        let mut run = started(Some(100));
        run.progress(100, 99, 0);
        assert_eq!(run.screen.shown(), "");
    }

    #[test]
    fn the_bar_is_drawn_anew_only_after_a_while() {
        let mut run = started(Some(100));
        run.progress(300, 10, 0);
        run.progress(350, 20, 0);
        run.check_last_line_starts("[===>                          ] 10 of 100");
        run.progress(400, 30, 0);
        run.check_last_line_starts("[=========>                    ] 30 of 100");
    }

    #[test]
    fn a_warning_stands_above_the_bar() {
        let mut run = started(Some(100));
        run.progress(300, 10, 0);
        let event = RunEvent::WorkerReplaced { worker: 1, pid: 7, reason: "was killed by SIGSEGV" };
        run.bar.report_at(event, run.start);
        assert!(
            run.screen.shown().starts_with("warning: worker 1 (pid 7) was killed by SIGSEGV; replaced\n[")
        );
    }

    #[test]
    fn results_on_the_same_terminal_stand_above_the_bar() {
        let mut run = started(Some(100));
        let mut output = run.bar.beside(Box::new(run.screen.clone()));
        output.write_all(b"one\n").unwrap();
        assert_eq!(run.screen.shown(), "one\n", "the bar is not drawn yet");
        run.progress(300, 10, 0);
        output.write_all(b"two\nthree\n").unwrap();
        assert!(run.screen.shown().starts_with("one\ntwo\nthree\n["), "{}", run.screen.shown());
    }

    #[test]
    fn the_summary_takes_the_place_of_the_bar() {
        let mut run = started(Some(100));
        run.progress(300, 10, 0);
        run.bar.report_at(RunEvent::Finished { summary: &Summary::default() }, run.start);
        let text = ENDING.text(&Summary::default()).expect("there is a summary");
        assert_eq!(run.screen.shown(), format!("{text}\n"));
    }

    #[test]
    fn a_run_that_breaks_off_leaves_no_bar() {
        let mut run = started(Some(100));
        let _output = run.bar.beside(Box::new(io::sink()));
        run.progress(300, 10, 0);
        drop(run.bar);
        assert_eq!(run.screen.shown(), "");
    }

    #[test]
    fn a_writer_that_outlives_its_bar_writes_on() {
        let written = Rc::new(RefCell::new(Vec::new()));
        struct Shared(Rc<RefCell<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let run = started(None);
        let mut output = run.bar.beside(Box::new(Shared(Rc::clone(&written))));
        drop(run);
        output.write_all(b"late\n").unwrap();
        assert_eq!(*written.borrow(), b"late\n");
    }
}
