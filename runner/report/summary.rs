//! The figures of a run that is over, for people.

use std::time::Duration;

use super::{Counts, Summary, counted, stats};

/// What is said when a run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Its figures.
    pub(super) summary: bool,
    /// How they are spread.
    pub(super) stats: bool,
}

impl Ending {
    /// Some lines, without the end of the last; none if nothing is to be said.
    pub(super) fn text(self, summary: &Summary) -> Option<String> {
        match (self.summary, self.stats) {
            (true, true) => Some(format!("{}\n{}", text(summary), stats::text(summary))),
            (true, false) => Some(text(summary)),
            (false, true) => Some(stats::text(summary)),
            (false, false) => None,
        }
    }
}

/// Three lines, without the end of the last.
pub(super) fn text(summary: &Summary) -> String {
    format!("items  {}\ntime   {}\npool   {}", items(summary), time(summary), pool(summary))
}

fn items(summary: &Summary) -> String {
    let Counts { items, ok, err, failed, cancelled } = summary.counts;
    let mut text = format!("{}: {ok} ok", counted(items, "item"));
    if err > 0 {
        text += &format!(" ({err} returned err)");
    }
    text += &format!(", {failed} failed");
    if cancelled > 0 {
        text += &format!(", {cancelled} cancelled");
    }
    text += &format!("; {}", counted(summary.attempts, "attempt"));
    if summary.failed_merges > 0 {
        text += &format!("; {} failed", counted(summary.failed_merges, "merge"));
    }
    text
}

/// The speed-up is against one worker that had run the same items one after another, once the guest was compiled.
fn time(summary: &Summary) -> String {
    let Summary { wall, start_up, cpu, busy, .. } = summary;
    let mut text = format!(
        "{} wall ({} start-up), {} cpu, {} busy",
        duration(*wall),
        duration(*start_up),
        duration(*cpu),
        duration(*busy)
    );
    let running = wall.saturating_sub(*start_up);
    // Less than one says that the items took no time beside the way to them, and nothing of the workers.
    if !running.is_zero() && *busy >= running {
        text += &format!(", {:.2}x speed-up", busy.as_secs_f64() / running.as_secs_f64());
    }
    text
}

fn pool(summary: &Summary) -> String {
    let workers = counted(summary.workers as u64, "worker");
    format!("{workers}, {}, {} replaced", counted(summary.steals, "steal"), summary.replaced)
}

/// Three digits or so, in the unit that suits.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        1..60 => format!("{:.2} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stats;

    fn summary() -> Summary {
        Summary {
            counts: Counts { items: 800, ok: 800, err: 0, failed: 0, cancelled: 0 },
            failed_merges: 0,
            attempts: 800,
            wall: Duration::from_millis(1250),
            start_up: Duration::from_millis(20),
            cpu: Duration::from_millis(2450),
            busy: Duration::from_millis(2423),
            workers: 2,
            steals: 3,
            replaced: 0,
            stats: Stats::default(),
        }
    }

    #[test]
    fn a_good_run_is_three_lines() {
        assert_eq!(
            text(&summary()),
            "items  800 items: 800 ok, 0 failed; 800 attempts\n\
             time   1.25 s wall (20.0 ms start-up), 2.45 s cpu, 2.42 s busy, 1.97x speed-up\n\
             pool   2 workers, 3 steals, 0 replaced"
        );
    }

    #[test]
    fn items_that_returned_an_err_are_told_among_the_ok_ones() {
        let counts = Counts { items: 800, ok: 800, err: 3, failed: 0, cancelled: 0 };
        assert_eq!(
            items(&Summary { counts, ..summary() }),
            "800 items: 800 ok (3 returned err), 0 failed; 800 attempts"
        );
    }

    #[test]
    fn each_part_of_the_ending_is_said_by_itself_too() {
        let ending = |summary, stats| Ending { summary, stats };
        let (figures, spread) = (text(&summary()), stats::text(&summary()));
        assert_eq!(ending(true, true).text(&summary()), Some(format!("{figures}\n{spread}")));
        assert_eq!(ending(true, false).text(&summary()), Some(figures));
        assert_eq!(ending(false, true).text(&summary()), Some(spread));
        assert_eq!(ending(false, false).text(&summary()), None);
    }

    #[test]
    fn one_of_each_is_singular_and_what_went_wrong_is_told() {
        let counts = Counts { items: 1, ok: 0, err: 0, failed: 0, cancelled: 1 };
        let one = Summary {
            counts,
            failed_merges: 1,
            attempts: 1,
            workers: 1,
            steals: 1,
            replaced: 1,
            ..summary()
        };
        let text = text(&one);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "items  1 item: 0 ok, 0 failed, 1 cancelled; 1 attempt; 1 merge failed");
        assert_eq!(lines[2], "pool   1 worker, 1 steal, 1 replaced");
    }

    #[test]
    fn a_run_that_took_no_time_has_no_speed_up() {
        let text = time(&Summary { wall: Duration::ZERO, start_up: Duration::ZERO, ..summary() });
        assert_eq!(text, "0.0 ms wall (0.0 ms start-up), 2.45 s cpu, 2.42 s busy");
    }

    #[test]
    fn durations_are_told_in_the_unit_that_suits() {
        for (millis, expected) in [
            (4, "4.0 ms"),
            (999, "999.0 ms"),
            (59_994, "59.99 s"),
            (61_500, "1 min 1 s"),
            (7_380_000, "2 h 3 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }
}
