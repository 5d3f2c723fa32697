//! Which parts of a journal to look at for an item: remembered for blocks of neighbours, so that it takes a few bytes
//! for some thousand items.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::item::ItemIndex;

/// How many neighbours are remembered together.
pub(super) const BLOCK: u64 = 4096;

/// Parts of a file that are this close count as one.
const GAP: u64 = 64 << 10;

/// For each block the parts of the file that its records are in. There are others in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks(BTreeMap<u64, Vec<Range<u64>>>);

impl Blocks {
    /// There is a record of `count` items from `first` on in this part of the file, which is behind all that were
    /// added before.
    pub(super) fn add(&mut self, first: ItemIndex, count: u64, part: Range<u64>) {
        let last = first + count.saturating_sub(1);
        for block in first / BLOCK..=last / BLOCK {
            let parts = self.0.entry(block).or_default();
            match parts.last_mut() {
                Some(before) if part.start - before.end <= GAP => before.end = part.end,
                Some(_) | None => parts.push(part.clone()),
            }
        }
    }

    /// Takes out the parts for the block of an item.
    pub(super) fn take(&mut self, item: ItemIndex) -> Vec<Range<u64>> {
        self.0.remove(&(item / BLOCK)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_part_of_the_file() {
        let mut blocks = Blocks::default();
        blocks.add(0, 1, 20..120);
        blocks.add(BLOCK, 1, 120..200);
        blocks.add(BLOCK - 1, 1, 200..300);
        blocks.add(1, 1, 300 + GAP + 1..400 + GAP + 1);
        assert_eq!(blocks.take(5), [20..300, 300 + GAP + 1..400 + GAP + 1]);
        assert_eq!(blocks.take(BLOCK), std::slice::from_ref(&(120..200)));
        assert_eq!(blocks.take(5), []);
    }

    #[test]
    fn a_record_of_many_items_is_found_from_each() {
        let mut blocks = Blocks::default();
        blocks.add(BLOCK - 1, BLOCK + 2, 20..40);
        for item in [0, BLOCK, 2 * BLOCK] {
            assert_eq!(blocks.take(item), std::slice::from_ref(&(20..40)));
        }
        assert_eq!(blocks.take(3 * BLOCK), []);
    }
}
