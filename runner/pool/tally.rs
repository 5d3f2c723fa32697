//! Gathers what `--stats` tells, in constant memory: some additions for each item.

use std::time::Duration;

use super::histogram::Histogram;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Outcome};
use crate::report::{Stats, WorkerShare};
use crate::sandbox::LayerState;

/// Figures of a run, as it goes.
#[derive(Debug)]
pub(super) struct Tally {
    times: Histogram,
    /// All but the times, which are figured out at the end.
    stats: Stats,
}

impl Tally {
    /// For so many worker slots.
    pub(super) fn new(workers: usize) -> Self {
        let workers = vec![WorkerShare::default(); workers];
        Self { times: Histogram::default(), stats: Stats { workers, ..Stats::default() } }
    }

    /// An item or a merge has ended.
    pub(super) fn ended(&mut self, item: ItemIndex, completion: &Completion) {
        let is_merge = item & MERGE_BIT != 0;
        let Completion { outcome, meta, stdout, stderr, .. } = completion;
        // What never started ran nowhere.
        if meta.attempts > 0 {
            self.ran(meta.worker, meta.wall, is_merge);
        }
        if is_merge {
            return;
        }
        let value = match outcome {
            Outcome::Ok(value) => value.json().len(),
            failure => {
                *self.stats.failures.entry(failure.status()).or_default() += 1;
                0
            }
        };
        self.stats.result_bytes += (value + stdout.len() + stderr.len()) as u64;
    }

    /// A worker is locked in like this.
    pub(super) fn locked(&mut self, layers: &[LayerState]) {
        let missing = self.stats.missing_layers.get_or_insert_default();
        missing.extend(layers.iter().filter(|state| state.absent.is_some()).map(|state| state.layer));
    }

    /// A worker broke this rule of the protocol.
    pub(super) fn broke(&mut self, rule: String) {
        // The words are ours, but some name a number that is not.
        const MOST_RULES: usize = 64;
        let rules = &mut self.stats.broken_rules;
        if rules.len() < MOST_RULES || rules.contains_key(&rule) {
            *rules.entry(rule).or_default() += 1;
        }
    }

    /// The sink holds back so many bytes.
    pub(super) fn holds(&mut self, bytes: u64) {
        self.stats.most_held_bytes = self.stats.most_held_bytes.max(bytes);
    }

    pub(super) fn into_stats(self) -> Stats {
        Stats { times: self.times.times(), ..self.stats }
    }

    fn ran(&mut self, worker: u32, time: Duration, is_merge: bool) {
        let slot = usize::try_from(worker).ok().and_then(|slot| self.stats.workers.get_mut(slot));
        if let Some(share) = slot {
            share.items += u64::from(!is_merge);
            share.busy = share.busy.saturating_add(time);
        }
        // How long an item ran that took its worker with it is not known.
        if !is_merge && !time.is_zero() {
            self.times.add(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Meta, Output};

    fn completion(outcome: Outcome, attempts: u32, worker: u32) -> Completion {
        let meta = Meta { attempts, worker, wall: Duration::from_millis(2), ..Meta::default() };
        Completion { meta: Box::new(meta), ..Completion::new(outcome) }
    }

    fn ok() -> Outcome {
        Outcome::Ok(Output::from_untrusted(b"123").unwrap())
    }

    fn stats(ends: impl IntoIterator<Item = (ItemIndex, Completion)>) -> Stats {
        let mut tally = Tally::new(2);
        ends.into_iter().for_each(|(item, completion)| tally.ended(item, &completion));
        tally.into_stats()
    }

    #[test]
    fn each_worker_has_its_items_and_its_time() {
        let ends = [(0, completion(ok(), 1, 1)), (1, completion(ok(), 1, 1)), (2, completion(ok(), 1, 0))];
        let share = |items| WorkerShare { items, busy: Duration::from_millis(2 * items) };
        assert_eq!(stats(ends).workers, [share(1), share(2)]);
    }

    #[test]
    fn a_merge_is_work_and_no_item() {
        let stats = stats([(MERGE_BIT, completion(ok(), 1, 0))]);
        assert_eq!(stats.workers[0], WorkerShare { items: 0, busy: Duration::from_millis(2) });
        assert_eq!((stats.times, stats.result_bytes), (None, 0));
    }

    #[test]
    fn an_item_that_never_started_ran_nowhere() {
        let stats = stats([(0, completion(Outcome::Input { error: String::new() }, 0, 0))]);
        assert_eq!((stats.workers[0].items, stats.times), (0, None));
        assert_eq!(stats.failures.into_iter().collect::<Vec<_>>(), [("input", 1)]);
    }

    #[test]
    fn values_and_what_guests_printed_are_results() {
        let printed = Completion { stdout: b"four".as_slice().into(), ..completion(ok(), 1, 0) };
        assert_eq!(stats([(0, printed)]).result_bytes, 7);
    }

    #[test]
    fn the_most_that_was_held_is_kept() {
        let mut tally = Tally::new(1);
        [3, 9, 4].into_iter().for_each(|bytes| tally.holds(bytes));
        assert_eq!(tally.into_stats().most_held_bytes, 9);
    }
}
