//! The completion table: which of the admitted items have not ended.
//!
//! It has one writer, the dispatcher, and is the one place that knows whether an item has ended. Items are admitted
//! without a gap, so their number says which have been; what has not ended is kept as ranges, few of them, since items
//! end near the order of their admission.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::item::ItemIndex;

/// Which items have not ended.
#[derive(Debug)]
pub(super) struct Table {
    first: ItemIndex,
    /// Items below `known` that have not ended: where each range starts, and where it ends.
    open: BTreeMap<ItemIndex, ItemIndex>,
    /// One past the highest item that has ended.
    known: ItemIndex,
}

impl Table {
    /// The items from `first` on, none of which has ended.
    pub(super) fn starting_at(first: ItemIndex) -> Self {
        Self { first, open: BTreeMap::new(), known: first }
    }

    /// Takes note of an item's end; false if it has ended before.
    #[must_use]
    pub(super) fn end(&mut self, item: ItemIndex) -> bool {
        if item >= self.known {
            self.insert(self.known..item);
            self.known = item + 1;
            return true;
        }
        let Some((&start, &end)) = self.open.range(..=item).next_back().filter(|(_, end)| item < **end)
        else {
            return false;
        };
        self.open.remove(&start);
        self.insert(start..item);
        self.insert(item + 1..end);
        true
    }

    /// Whether this item has not ended, be it admitted or not.
    pub(super) fn is_open(&self, item: ItemIndex) -> bool {
        item >= self.known || self.open.range(..=item).next_back().is_some_and(|(_, end)| item < *end)
    }

    /// The first item that has not ended.
    pub(super) fn first_open(&self) -> ItemIndex {
        self.open.first_key_value().map_or(self.known, |(start, _)| *start)
    }

    /// What has not ended of the first `admitted` items of these, in order.
    pub(super) fn open(&self, admitted: u64) -> impl Iterator<Item = ItemIndex> + use<> {
        let open = self.open.clone();
        let end = self.known.max(self.first + admitted);
        open.into_iter().flat_map(|(start, end)| start..end).chain(self.known..end)
    }

    fn insert(&mut self, items: Range<ItemIndex>) {
        if !items.is_empty() {
            self.open.insert(items.start, items.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_item_ends_once() {
        let mut table = Table::starting_at(0);
        assert!(table.end(3));
        assert!(!table.end(3));
        assert!(table.end(1));
        assert!(!table.end(1));
        assert_eq!(table.open(6).collect::<Vec<_>>(), [0, 2, 4, 5]);
        assert_eq!(table.first_open(), 0);
    }

    #[test]
    fn items_before_the_first_are_none() {
        let mut table = Table::starting_at(7);
        assert_eq!(table.open(2).collect::<Vec<_>>(), [7, 8]);
        assert!(table.end(7));
        assert_eq!(table.open(1).count(), 0);
    }

    #[test]
    fn items_that_end_in_order_leave_nothing_behind() {
        let mut table = Table::starting_at(0);
        assert!((0..1000).all(|item| table.end(item)));
        assert_eq!((table.first_open(), table.open.len()), (1000, 0));
        assert_eq!(table.open(1000).count(), 0);
    }

    proptest! {
        #[test]
        fn it_is_a_set(items in proptest::collection::vec(0..60_u64, 0..150)) {
            let mut table = Table::starting_at(0);
            let mut ended = BTreeSet::new();
            for item in items {
                prop_assert_eq!(table.end(item), ended.insert(item));
                let open: Vec<_> = (0..70).filter(|item| !ended.contains(item)).collect();
                prop_assert_eq!(table.first_open(), open[0]);
                prop_assert_eq!(table.open(70).collect::<Vec<_>>(), open);
            }
        }
    }
}
