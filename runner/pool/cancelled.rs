//! Items that were cancelled one by one and have not ended. Drivers ask before they send an item, and while it runs.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chunk::Chunk;
use crate::item::ItemIndex;

/// Which items are cancelled. The dispatcher adds them, and takes out what has ended.
#[derive(Debug, Default)]
pub(super) struct Cancelled {
    /// Whether there are any, for who asks before every chunk.
    some: AtomicBool,
    items: Mutex<BTreeSet<ItemIndex>>,
}

/// The beginning of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// To be run.
    Wanted(Chunk),
    /// One cancelled item.
    Cancelled(Chunk),
}

impl Cancelled {
    /// These items are cancelled.
    pub(super) fn add(&self, items: impl Iterator<Item = ItemIndex>) {
        let mut cancelled = self.lock();
        cancelled.extend(items);
        self.some.store(!cancelled.is_empty(), Ordering::Release);
    }

    /// The item has ended.
    pub(super) fn ended(&self, item: ItemIndex) {
        if self.is_empty() {
            return;
        }
        let mut cancelled = self.lock();
        cancelled.remove(&item);
        self.some.store(!cancelled.is_empty(), Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.some.load(Ordering::Acquire)
    }

    pub(super) fn contains(&self, item: ItemIndex) -> bool {
        !self.is_empty() && self.lock().contains(&item)
    }

    /// The beginning of a chunk, of which all is wanted or nothing, and the rest of it.
    pub(super) fn head(&self, mut chunk: Chunk) -> (Head, Option<Chunk>) {
        let items = chunk.first()..chunk.first() + chunk.len();
        match self.first_in(items) {
            None => (Head::Wanted(chunk), None),
            Some(item) if item == chunk.first() => {
                let rest = chunk.split_off(1);
                (Head::Cancelled(chunk), rest)
            }
            Some(item) => {
                let rest = chunk.split_off(item - chunk.first());
                (Head::Wanted(chunk), rest)
            }
        }
    }

    fn first_in(&self, items: Range<ItemIndex>) -> Option<ItemIndex> {
        if self.is_empty() { None } else { self.lock().range(items).next().copied() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ItemIndex>> {
        // Whoever panicked had changed all of it or nothing.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Inputs;

    fn numbers(first: ItemIndex, count: u64) -> Chunk {
        Chunk::new(first, Inputs::Numbers { start: i128::from(first), count })
    }

    #[test]
    fn a_chunk_is_cut_around_what_is_cancelled() {
        let cancelled = Cancelled::default();
        cancelled.add([3, 5, 20].into_iter());
        let (head, rest) = cancelled.head(numbers(2, 4));
        assert_eq!(head, Head::Wanted(numbers(2, 1)));
        let (head, rest) = cancelled.head(rest.unwrap());
        assert_eq!(head, Head::Cancelled(numbers(3, 1)));
        let (head, rest) = cancelled.head(rest.unwrap());
        assert_eq!(head, Head::Wanted(numbers(4, 1)));
        assert_eq!(cancelled.head(rest.unwrap()), (Head::Cancelled(numbers(5, 1)), None));
    }

    #[test]
    fn what_has_ended_is_cancelled_no_more() {
        let cancelled = Cancelled::default();
        cancelled.add([3].into_iter());
        cancelled.ended(4);
        assert!(cancelled.contains(3));
        cancelled.ended(3);
        assert!(cancelled.is_empty());
        assert_eq!(cancelled.head(numbers(2, 4)), (Head::Wanted(numbers(2, 4)), None));
    }
}
