//! What the stages of a pipeline tell, as what one run would: each warning once, workers by numbers of their own, one
//! summary.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::outcome::Outcome;
use crate::report::{Reporter, RunEvent, StageStats, Stats, Summary};

/// What all stages tell.
pub(super) struct Told {
    state: Mutex<State>,
    labels: Vec<Arc<str>>,
}

struct State {
    /// Who says it.
    teller: Box<dyn Reporter + Send>,
    /// Warnings that hold for all stages, and have been said.
    said: BTreeSet<String>,
    summaries: Vec<Option<Summary>>,
}

/// What one stage tells.
pub(super) struct Voice {
    told: Arc<Told>,
    stage: usize,
    first_worker: u32,
}

impl Told {
    /// Of stages with these names and so many workers each, where the last has so many items, if that is known.
    pub(super) fn start(
        teller: Box<dyn Reporter + Send>,
        labels: Vec<Arc<str>>,
        workers: &[usize],
        items: Option<u64>,
    ) -> Arc<Self> {
        let mut teller = teller;
        teller.report(RunEvent::Started { workers: workers.iter().sum(), items });
        let summaries = workers.iter().map(|_| None).collect();
        Arc::new(Self { state: Mutex::new(State { teller, said: BTreeSet::new(), summaries }), labels })
    }

    /// All stages have ended, and beside what they counted these items.
    pub(super) fn finish(&self, rest: &[Outcome]) -> Summary {
        let mut state = self.lock();
        let is_known = state.summaries.last().is_some_and(Option::is_some);
        let summaries: Vec<_> =
            state.summaries.iter_mut().map(|summary| summary.take().unwrap_or_default()).collect();
        let mut summary = together(summaries, &self.labels);
        for outcome in rest {
            let counts = &mut summary.counts;
            counts.items += 1;
            match outcome {
                outcome if outcome.is_ok() => counts.ok += 1,
                Outcome::Cancelled => counts.cancelled += 1,
                outcome => {
                    counts.failed += 1;
                    *summary.stats.failures.entry(outcome.status()).or_default() += 1;
                }
            }
        }
        // A run that never began has no figures.
        if is_known {
            state.teller.report(RunEvent::Finished { summary: &summary });
        }
        summary
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked had changed all of it or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says what holds for all stages, once.
    fn say_once(&mut self, key: &str, event: RunEvent<'_>) {
        if self.said.insert(key.to_owned()) {
            self.teller.report(event);
        }
    }
}

impl Voice {
    pub(super) fn new(told: &Arc<Told>, stage: usize, first_worker: u32) -> Self {
        Self { told: Arc::clone(told), stage, first_worker }
    }

    /// The number of a worker among those of all stages.
    fn number(&self, worker: u32) -> u32 {
        worker.saturating_add(self.first_worker)
    }
}

impl Reporter for Voice {
    fn report(&mut self, event: RunEvent<'_>) {
        let mut state = self.told.lock();
        let is_last = self.stage + 1 == self.told.labels.len();
        match event {
            RunEvent::Started { .. } => {}
            // What has ended has passed all stages.
            RunEvent::Progress { .. } | RunEvent::ItemProgress { .. } if !is_last => {}
            RunEvent::Finished { summary } => state.summaries[self.stage] = Some(summary.clone()),
            RunEvent::SharedInstance => state.say_once("shared instance", event),
            RunEvent::NoSandbox => state.say_once("no sandbox", event),
            RunEvent::LayerMissing { layer, .. } => state.say_once(layer, event),
            RunEvent::SandboxHidden { .. } => state.say_once("hidden", event),
            RunEvent::WorkerReady { worker, pid } => {
                state.teller.report(RunEvent::WorkerReady { worker: self.number(worker), pid });
            }
            RunEvent::WorkerReplaced { worker, pid, reason } => {
                let worker = self.number(worker);
                state.teller.report(RunEvent::WorkerReplaced { worker, pid, reason });
            }
            RunEvent::WorkerMissing { worker, reason } => {
                state.teller.report(RunEvent::WorkerMissing { worker: self.number(worker), reason });
            }
            RunEvent::WorkerSaid { worker, line } => {
                state.teller.report(RunEvent::WorkerSaid { worker: self.number(worker), line });
            }
            RunEvent::Progress { .. }
            | RunEvent::ItemProgress { .. }
            | RunEvent::GuestPrinted { .. }
            | RunEvent::Recovered { .. }
            | RunEvent::Note { .. }
            | RunEvent::InputRemark { .. } => state.teller.report(event),
        }
    }
}

/// The figures of all stages as one: items are those that the last one ended, work is what all of them did.
fn together(summaries: Vec<Summary>, labels: &[Arc<str>]) -> Summary {
    let mut all = Summary::default();
    for (stage, label) in summaries.into_iter().zip(labels) {
        let Summary { counts, failed_merges, attempts, wall, cpu, busy, start_up, .. } = stage;
        all.counts = counts;
        all.failed_merges = failed_merges;
        all.attempts += attempts;
        all.wall = all.wall.max(wall);
        all.cpu = all.cpu.max(cpu);
        all.busy += busy;
        all.start_up = all.start_up.max(start_up);
        all.workers += stage.workers;
        all.steals += stage.steals;
        all.replaced += stage.replaced;
        join(&mut all.stats, stage.stats, label);
    }
    all
}

fn join(all: &mut Stats, stage: Stats, label: &Arc<str>) {
    let items = stage.workers.iter().map(|share| share.items).sum();
    all.stages.push(StageStats { name: label.to_string(), items, times: stage.times });
    all.workers.extend(stage.workers);
    all.failures = stage.failures;
    for (rule, times) in stage.broken_rules {
        *all.broken_rules.entry(rule).or_default() += times;
    }
    if let Some(layers) = stage.missing_layers {
        all.missing_layers.get_or_insert_default().extend(layers);
    }
    all.result_bytes = stage.result_bytes;
    all.most_held_bytes = all.most_held_bytes.max(stage.most_held_bytes);
}
