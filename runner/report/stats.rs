//! What `--stats` says: figures of what varies within a run, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Summary, counted, summary};
use crate::record::escaped;
use crate::sandbox::Layer;

/// How times, work and failures were spread over a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How long items ran; none if none did.
    pub times: Option<ItemTimes>,
    /// What each stage did, in a run of several; none otherwise, and then `times` are those of all items.
    pub stages: Vec<StageStats>,
    /// What each worker slot did.
    pub workers: Vec<WorkerShare>,
    /// How many items failed, by status; only those that did.
    pub failures: BTreeMap<&'static str, u64>,
    /// How often workers broke the protocol, by the rule they broke.
    pub broken_rules: BTreeMap<String, u64>,
    /// The layers of protection that a worker lacked; none if no worker was ready.
    pub missing_layers: Option<BTreeSet<Layer>>,
    /// How many bytes of values, as JSON, and of text that guests printed came from items.
    pub result_bytes: u64,
    /// The most bytes of results that were held back at a time, for their order or to be merged.
    pub most_held_bytes: u64,
}

/// How long the last attempts of items ran, by the workers' clocks.
///
/// A percentile is the time that so many percent of them did not exceed, at most 1 % above the exact one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemTimes {
    /// The shortest time, exactly.
    pub min: Duration,
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest time, exactly.
    pub max: Duration,
    /// The mean, exactly.
    pub mean: Duration,
}

/// What one worker slot did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerShare {
    /// How many items ended there.
    pub items: u64,
    /// How long those ran, and the merges it did.
    pub busy: Duration,
}

/// What one of several stages did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageStats {
    /// What the user calls it.
    pub name: String,
    /// How many items ended there, not counting those that had ended before.
    pub items: u64,
    /// How long they ran; none if none did.
    pub times: Option<ItemTimes>,
}

/// Some lines, without the end of the last.
pub(super) fn text(summary: &Summary) -> String {
    #[rustfmt::skip]
    let Stats {
        times, stages, workers, failures, broken_rules, missing_layers, result_bytes, most_held_bytes,
    } = &summary.stats;
    let mut lines = Vec::new();
    lines.extend(times.as_ref().map(|times| format!("times   {}", times_text(times))));
    for StageStats { name, items, times } in stages {
        let times = times.as_ref().map_or_else(String::new, |times| format!(", {}", times_text(times)));
        lines.push(format!("stage   {}: {}{times}", escaped(name), counted(*items, "item")));
    }
    if !failures.is_empty() {
        let failures: Vec<_> = failures.iter().map(|(status, count)| format!("{count} {status}")).collect();
        lines.push(format!("failed  {}", failures.join(", ")));
    }
    if !broken_rules.is_empty() {
        let rules: Vec<_> = broken_rules.iter().map(|(rule, count)| format!("{count} {rule}")).collect();
        lines.push(format!("lies    {}", rules.join(", ")));
    }
    lines.push(format!(
        "output  {} of results, at most {} held back",
        counted(*result_bytes, "byte"),
        counted(*most_held_bytes, "byte")
    ));
    let running = summary.wall.saturating_sub(summary.start_up).as_secs_f64();
    for (slot, WorkerShare { items, busy }) in workers.iter().enumerate() {
        let mut line = format!("worker  {slot}: {}", counted(*items, "item"));
        if running > 0.0 {
            line += &format!(", {:.0}% busy", 100.0 * busy.as_secs_f64() / running);
        }
        lines.push(line);
    }
    lines.extend(missing_layers.as_ref().map(|missing| format!("sandbox {}", layers_text(missing))));
    lines.join("\n")
}

fn layers_text(missing: &BTreeSet<Layer>) -> String {
    // The descriptors are closed also where nothing else is put on.
    let put_on = Layer::ALL.into_iter().filter(|layer| !missing.contains(layer));
    if put_on.filter(|layer| ![Layer::Descriptors, Layer::Lifeline].contains(layer)).count() == 0 {
        return "off".to_owned();
    }
    match &*missing.iter().map(|layer| layer.name()).collect::<Vec<_>>() {
        [] => "all layers".to_owned(),
        names => format!("all layers but {}", names.join(", ")),
    }
}

fn times_text(times: &ItemTimes) -> String {
    let ItemTimes { min, p50, p90, p99, max, mean } = *times;
    [("min", min), ("p50", p50), ("p90", p90), ("p99", p99), ("max", max), ("mean", mean)]
        .map(|(name, time)| format!("{name} {}", duration(time)))
        .join(", ")
}

/// An item may be over in microseconds, a run is not.
fn duration(duration: Duration) -> String {
    match duration.as_micros() {
        0..1000 => format!("{:.1} µs", duration.as_secs_f64() * 1e6),
        _ => summary::duration(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let times = ItemTimes {
            min: Duration::from_nanos(12_300),
            p50: Duration::from_micros(1250),
            p90: Duration::from_millis(2),
            p99: Duration::from_millis(30),
            max: Duration::from_secs(2),
            mean: Duration::from_millis(3),
        };
        let stats = Stats {
            broken_rules: BTreeMap::new(),
            times: Some(times),
            stages: Vec::new(),
            workers: vec![
                WorkerShare { items: 400, busy: Duration::from_millis(990) },
                WorkerShare { items: 1, busy: Duration::from_millis(500) },
            ],
            failures: BTreeMap::from([("trap", 3), ("timeout", 1)]),
            missing_layers: Some(BTreeSet::new()),
            result_bytes: 1234,
            most_held_bytes: 1,
        };
        let (wall, start_up) = (Duration::from_millis(1100), Duration::from_millis(100));
        Summary { wall, start_up, stats, ..Summary::default() }
    }

    #[test]
    fn times_failures_output_and_workers_have_their_lines() {
        assert_eq!(
            text(&summary()),
            "times   min 12.3 µs, p50 1.2 ms, p90 2.0 ms, p99 30.0 ms, max 2.00 s, mean 3.0 ms\n\
             failed  1 timeout, 3 trap\n\
             output  1234 bytes of results, at most 1 byte held back\n\
             worker  0: 400 items, 99% busy\n\
             worker  1: 1 item, 50% busy\n\
             sandbox all layers"
        );
    }

    #[test]
    fn layers_that_are_missing_are_named() {
        let missing = |layers: &[Layer]| layers_text(&layers.iter().copied().collect());
        assert_eq!(missing(&[Layer::Mdwe, Layer::Landlock]), "all layers but Landlock, MDWE");
        let off: Vec<_> = Layer::ALL.into_iter().filter(|layer| *layer != Layer::Descriptors).collect();
        assert_eq!(missing(&off), "off");
    }

    #[test]
    fn each_stage_of_several_has_its_times() {
        let Summary { wall, start_up, stats, .. } = summary();
        let stage = |name: &str, items, times| StageStats { name: name.to_owned(), items, times };
        let stages = vec![stage("a.wasm#f", 1, stats.times), stage("b.wasm#g", 0, None)];
        let stats = Stats { times: None, stages, ..Stats::default() };
        let text = text(&Summary { wall, start_up, stats, ..Summary::default() });
        assert!(text.starts_with("stage   a.wasm#f: 1 item, min 12.3 µs, p50 "), "{text}");
        assert!(text.contains("\nstage   b.wasm#g: 0 items\n"), "{text}");
    }

    #[test]
    fn a_run_in_which_nothing_ran_has_no_times() {
        assert_eq!(text(&Summary::default()), "output  0 bytes of results, at most 0 bytes held back");
    }
}
