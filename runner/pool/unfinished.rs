//! What is known of items that have been started and have not ended: how they failed, if they are run again, and how
//! often they were started. That is what is told of them when the run ends first.

use std::collections::BTreeMap;

use crate::item::ItemIndex;
use crate::outcome::{Completion, Outcome};

/// Items that were started and have not ended, as far as there is something to tell.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    failures: BTreeMap<ItemIndex, Completion>,
    /// Bytes of these.
    held_bytes: u64,
    starts: BTreeMap<ItemIndex, u32>,
}

impl Unfinished {
    /// These items failed, and are run again.
    pub(super) fn failed(&mut self, items: Vec<(ItemIndex, Completion)>) {
        for (item, failure) in items {
            self.held_bytes += failure.held_bytes();
            let before = self.failures.insert(item, failure);
            self.held_bytes -= before.map_or(0, |before| before.held_bytes());
        }
    }

    /// These items were started so often, and nobody will run them any more.
    pub(super) fn started(&mut self, starts: impl IntoIterator<Item = (ItemIndex, u32)>) {
        self.starts.extend(starts);
    }

    /// An item has ended after all.
    pub(super) fn ended(&mut self, item: ItemIndex) {
        self.forget(item);
    }

    /// How an item ends that nobody will run any more: as it failed last, or as cancelled.
    pub(super) fn take(&mut self, item: ItemIndex) -> Completion {
        let mut end = self.forget(item).unwrap_or_else(|| Completion::new(Outcome::Cancelled));
        if let Some(starts) = self.starts.remove(&item) {
            end.meta.attempts = starts;
        }
        end
    }

    fn forget(&mut self, item: ItemIndex) -> Option<Completion> {
        let failure = self.failures.remove(&item)?;
        self.held_bytes -= failure.held_bytes();
        Some(failure)
    }

    /// Bytes of results that are kept here.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Meta;

    fn exit(code: i32) -> Completion {
        let meta = Box::new(Meta { attempts: 1, ..Meta::default() });
        Completion { stdout: b"said"[..].into(), meta, ..Completion::new(Outcome::Exit { code }) }
    }

    #[track_caller]
    fn check(unfinished: &mut Unfinished, item: ItemIndex, outcome: &Outcome, attempts: u32) {
        let end = unfinished.take(item);
        assert_eq!((&end.outcome, end.meta.attempts), (outcome, attempts));
    }

    #[test]
    fn what_was_started_and_did_not_fail_is_cancelled() {
        let mut unfinished = Unfinished::default();
        unfinished.started([(3, 2)]);
        check(&mut unfinished, 3, &Outcome::Cancelled, 2);
        check(&mut unfinished, 4, &Outcome::Cancelled, 0);
    }

    #[test]
    fn what_was_to_be_run_again_ends_as_it_failed_last() {
        let mut unfinished = Unfinished::default();
        unfinished.failed(vec![(3, exit(1)), (4, exit(2))]);
        unfinished.failed(vec![(3, exit(5))]);
        unfinished.started([(3, 7)]);
        check(&mut unfinished, 3, &Outcome::Exit { code: 5 }, 7);
        check(&mut unfinished, 4, &Outcome::Exit { code: 2 }, 1);
    }

    #[test]
    fn a_failure_is_kept_until_the_item_ends() {
        let mut unfinished = Unfinished::default();
        unfinished.failed(vec![(3, exit(1)), (4, exit(1))]);
        assert_eq!(unfinished.held_bytes(), 8);
        unfinished.failed(vec![(3, exit(1))]);
        assert_eq!(unfinished.held_bytes(), 8);
        unfinished.ended(3);
        unfinished.ended(5);
        assert_eq!(unfinished.held_bytes(), 4);
        check(&mut unfinished, 3, &Outcome::Cancelled, 0);
    }
}
