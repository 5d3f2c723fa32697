//! The figures of `wasmpool bench`: from runs to a table for people, or to JSON for programs.
//!
//! Nothing here runs, measures or prints anything.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::plan::Plan;
use crate::record::escaped;
use crate::report::{Summary, counted};

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people: a table.
    Text,
    /// For programs: one JSON object.
    Json,
}

/// All runs of a job, and what they have in common.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    guest: PathBuf,
    /// As it was typed.
    input: String,
    /// The function, with its types.
    pub(super) export: String,
    /// The values of the items are merged into one.
    pub(super) is_merged: bool,
    /// In the order in which they were run: one round after another.
    pub(super) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// How many workers were asked for.
    pub(super) workers: usize,
    /// Which run with so many workers it is, from 1.
    pub(super) round: u64,
    pub(super) summary: Summary,
    /// A digest of its records.
    pub(super) results: [u8; 32],
}

/// The runs with the same number of workers.
#[derive(Debug, Serialize)]
struct Row {
    workers: usize,
    /// In the order of the runs.
    times_s: Vec<f64>,
    median_s: f64,
    least_s: f64,
    most_s: f64,
    /// How many times as fast as one worker.
    speed_up: f64,
    /// The speed-up for each worker.
    efficiency: f64,
    items_per_second: f64,
}

/// The JSON form, versioned as records are.
#[derive(Serialize)]
struct Object<'a> {
    v: u32,
    guest: String,
    export: &'a str,
    input: &'a str,
    items: u64,
    merged: bool,
    start_up_s: f64,
    rows: Vec<Row>,
    /// Items, and merges, that did not end well, in the worst run.
    failed: u64,
    same_results: bool,
    /// The runs whose results are not those of the first.
    differing: Vec<Place>,
}

/// Which run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Place {
    workers: usize,
    run: u64,
}

impl Figures {
    /// For the runs of a plan that are to come.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            guest: plan.guest.clone(),
            input: plan.input.to_string(),
            export: String::new(),
            is_merged: false,
            runs: Vec::new(),
        }
    }

    /// Whether every item of every run ended well, and all runs had the same results.
    pub(super) fn is_good(&self) -> bool {
        self.failed() == 0 && self.differing().is_empty()
    }

    /// The whole output, with the end of its last line.
    pub(super) fn print(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => {
                let json = serde_json::to_string(&self.object()).expect("figures are numbers and text");
                json + "\n"
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let result = if self.is_merged { ", merged into one value" } else { "" };
        let items = counted(self.items(), "item");
        let runs = counted(self.rounds(), "run");
        let start_up = duration(self.start_up().as_secs_f64());
        for (name, value) in [
            ("guest", escaped(&self.guest.to_string_lossy()).into_owned()),
            ("export", escaped(&self.export).into_owned()),
            ("input", format!("{}: {items}{result}", escaped(&self.input))),
            (
                "start-up",
                format!("{start_up} to compile the guest, or find it in the cache; not in the times"),
            ),
            ("times", format!("median and spread of {runs} each")),
        ] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<9} {value}");
        }
        text.push('\n');
        self.table(&mut text);
        text.push('\n');
        self.verdict(&mut text);
        text
    }

    fn table(&self, text: &mut String) {
        let heads = ["workers", "time", "spread", "speed-up", "efficiency", "items/s"].map(str::to_owned);
        let rows = self.rows().into_iter().map(|row| row.cells());
        let lines: Vec<_> = std::iter::once(heads).chain(rows).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        });
        for line in &lines {
            let cells: Vec<_> =
                line.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            let _ = writeln!(text, "{}", cells.join("  "));
        }
    }

    /// What is to be known about the results.
    fn verdict(&self, text: &mut String) {
        let differing = self.differing();
        let failed = self.failed();
        if differing.is_empty() {
            let same = match self.runs.len() {
                1 => "of a single run: nothing to compare".to_owned(),
                runs => format!("the same in all {runs} runs"),
            };
            let _ = writeln!(text, "results   {same}");
        }
        for Place { workers, run } in &differing {
            let workers = counted(*workers as u64, "worker");
            let _ =
                writeln!(text, "results   run {run} with {workers} differs from the first run with 1 worker");
        }
        let in_each = if differing.is_empty() { "in each run" } else { "in the worst run" };
        if failed > 0 {
            let _ = writeln!(text, "failures  {failed} of {} {in_each}", counted(self.items(), "item"));
        }
        if self.failed_merges() > 0 {
            let _ = writeln!(text, "failures  {} {in_each}", counted(self.failed_merges(), "merge"));
        }
        let reason = match (differing.is_empty(), failed) {
            (true, _) => return,
            (false, 0) => {
                "a function that reads the clock or random numbers returns something else each time"
            }
            (false, _) => {
                "an item that needs about as long as its time limit ends in time in one run, and not in another"
            }
        };
        let _ = writeln!(text, "\nhint: {reason}");
    }

    fn object(&self) -> Object<'_> {
        let differing = self.differing();
        Object {
            v: 1,
            guest: self.guest.to_string_lossy().into_owned(),
            export: &self.export,
            input: &self.input,
            items: self.items(),
            merged: self.is_merged,
            start_up_s: self.start_up().as_secs_f64(),
            rows: self.rows(),
            failed: self.failed(),
            same_results: differing.is_empty(),
            differing,
        }
    }

    /// One for each number of workers, rising, so one worker first.
    fn rows(&self) -> Vec<Row> {
        let mut workers: Vec<_> = self.runs.iter().map(|run| run.workers).collect();
        workers.sort_unstable();
        workers.dedup();
        let times = |workers| -> Vec<Duration> {
            self.runs.iter().filter(|run| run.workers == workers).map(Run::time).collect()
        };
        let Some(alone) = workers.first().map(|first| median(&times(*first))) else { return Vec::new() };
        workers.into_iter().map(|workers| Row::new(workers, &times(workers), alone, self.items())).collect()
    }

    fn items(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.summary.counts.items)
    }

    fn rounds(&self) -> u64 {
        self.runs.iter().map(|run| run.round).max().unwrap_or_default()
    }

    fn start_up(&self) -> Duration {
        median(&self.runs.iter().map(|run| run.summary.start_up).collect::<Vec<_>>())
    }

    /// How many items failed in a run, at most.
    fn failed(&self) -> u64 {
        self.runs.iter().map(|run| run.summary.counts.failed).max().unwrap_or_default()
    }

    /// How many merges failed in a run, at most.
    fn failed_merges(&self) -> u64 {
        self.runs.iter().map(|run| run.summary.failed_merges).max().unwrap_or_default()
    }

    fn differing(&self) -> Vec<Place> {
        let Some(first) = self.runs.first() else { return Vec::new() };
        let differing = self.runs.iter().filter(|run| run.results != first.results);
        differing.map(|run| Place { workers: run.workers, run: run.round }).collect()
    }
}

impl Run {
    /// From the compiled guest to the last result.
    fn time(&self) -> Duration {
        self.summary.wall.saturating_sub(self.summary.start_up)
    }
}

impl Row {
    /// `times` is not empty; `alone` is the time of one worker.
    fn new(workers: usize, times: &[Duration], alone: Duration, items: u64) -> Self {
        // What ended within one tick of the clock did not take no time.
        let seconds = |time: Duration| time.as_secs_f64().max(1e-9);
        let median_s = seconds(median(times));
        let speed_up = seconds(alone) / median_s;
        Self {
            workers,
            times_s: times.iter().copied().map(seconds).collect(),
            median_s,
            least_s: times.iter().copied().map(seconds).fold(f64::INFINITY, f64::min),
            most_s: times.iter().copied().map(seconds).fold(0.0, f64::max),
            speed_up,
            efficiency: speed_up / workers as f64,
            items_per_second: items as f64 / median_s,
        }
    }

    fn cells(&self) -> [String; 6] {
        [
            self.workers.to_string(),
            duration(self.median_s),
            format!("{} to {}", duration(self.least_s), duration(self.most_s)),
            format!("{:.2}x", self.speed_up),
            format!("{:.0}%", self.efficiency * 100.0),
            rate(self.items_per_second),
        ]
    }
}

/// Of an even number of times, halfway between the two in the middle; of none, no time.
fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.len() / 2;
    match times.get(middle) {
        None => Duration::ZERO,
        Some(upper) if times.len().is_multiple_of(2) => (times[middle - 1] + *upper) / 2,
        Some(middle) => *middle,
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        ..100.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

    fn run(workers: usize, round: u64, milliseconds: u64) -> Run {
        let start_up = Duration::from_millis(20);
        let counts = Counts { items: 800, ok: 800, err: 0, failed: 0, cancelled: 0 };
        let wall = start_up + Duration::from_millis(milliseconds);
        Run {
            workers,
            round,
            summary: Summary { counts, wall, start_up, ..Summary::default() },
            results: [7; 32],
        }
    }

    fn figures(runs: Vec<Run>) -> Figures {
        Figures {
            guest: "primes.wasm".into(),
            input: "--range 1..800000".into(),
            export: "count-primes(start: u64, end: u64) -> u64".into(),
            is_merged: true,
            runs,
        }
    }

    /// Three runs with one worker and two each, which took these times.
    fn three() -> Figures {
        let times = [(1, 100), (2, 51), (1, 104), (2, 50), (1, 101), (2, 53)];
        let rounds = [1, 1, 2, 2, 3, 3];
        figures(
            times.iter().zip(rounds).map(|((workers, time), round)| run(*workers, round, *time)).collect(),
        )
    }

    /// The lines behind the table.
    #[track_caller]
    fn check_verdict(figures: &Figures, expected: &str) {
        let text = figures.text();
        assert_eq!(text.splitn(3, "\n\n").nth(2).expect("three parts"), expected);
        assert!(!figures.is_good());
    }

    #[test]
    fn a_table_says_what_was_timed_and_what_came_of_it() {
        assert_eq!(
            three().text(),
            "\
guest     primes.wasm
export    count-primes(start: u64, end: u64) -> u64
input     --range 1..800000: 800 items, merged into one value
start-up  20.0 ms to compile the guest, or find it in the cache; not in the times
times     median and spread of 3 runs each

workers      time                spread  speed-up  efficiency  items/s
      1  101.0 ms  100.0 ms to 104.0 ms     1.00x        100%     7921
      2   51.0 ms    50.0 ms to 53.0 ms     1.98x         99%    15686

results   the same in all 6 runs
"
        );
        assert!(three().is_good());
    }

    #[test]
    fn json_has_the_same_figures() {
        let json: serde_json::Value = serde_json::from_str(&three().print(Format::Json)).unwrap();
        assert_eq!(json["v"], 1);
        assert_eq!(json["items"], 800);
        assert_eq!(json["start_up_s"], 0.02);
        assert_eq!(json["rows"][1]["workers"], 2);
        assert_eq!(json["rows"][1]["times_s"], serde_json::json!([0.051, 0.05, 0.053]));
        assert_eq!(json["rows"][1]["median_s"], 0.051);
        assert_eq!((&json["same_results"], &json["failed"]), (&true.into(), &0.into()));
    }

    #[test]
    fn a_run_with_other_results_is_named() {
        let mut figures = three();
        figures.runs[3].results = [8; 32];
        check_verdict(
            &figures,
            "results   run 2 with 2 workers differs from the first run with 1 worker\n\
             \n\
             hint: a function that reads the clock or random numbers returns something else each time\n",
        );
    }

    #[test]
    fn failures_that_are_the_same_each_time_are_counted() {
        let mut figures = three();
        figures.runs.iter_mut().for_each(|run| run.summary.counts.failed = 1);
        check_verdict(&figures, "results   the same in all 6 runs\nfailures  1 of 800 items in each run\n");
    }

    #[test]
    fn results_that_differ_where_items_fail_may_do_so_for_their_time_limit() {
        let mut figures = three();
        figures.runs[5].results = [8; 32];
        figures.runs[5].summary.counts.failed = 2;
        check_verdict(
            &figures,
            "results   run 3 with 2 workers differs from the first run with 1 worker\n\
             failures  2 of 800 items in the worst run\n\
             \n\
             hint: an item that needs about as long as its time limit ends in time in one run, and not in another\n",
        );
    }

    #[test]
    fn the_median_of_an_even_number_is_halfway() {
        let times = [40, 10, 20, 30].map(Duration::from_millis);
        assert_eq!(median(&times), Duration::from_millis(25));
        assert_eq!(median(&times[..1]), Duration::from_millis(40));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn a_job_without_items_has_figures_too() {
        let mut none = run(1, 1, 0);
        none.summary.counts = Counts::default();
        let text = figures(vec![none]).text();
        assert!(text.contains("1.00x        100%      0.0\n"), "{text}");
    }
}
