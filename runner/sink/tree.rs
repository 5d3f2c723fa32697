//! The tree in which values are merged. Its shape follows from the number of items alone.
//!
//! A node of level 0 is the value of an item, at the position of the item's index. [`FAN_IN`] consecutive nodes of a
//! level, the first at a multiple of [`FAN_IN`], are one merge; its value is the node of the next level at the
//! position of the group. The last group of a level may have fewer nodes, and a group of one passes up as it is,
//! without a merge. The level that has one node in all holds the result. So neither timing nor chunks nor workers
//! can change which values are merged with which, and a merge of floats gives the same bytes every time.
//!
//! Merges are items, and their index holds their place: [`MERGE_BIT`], 7 bits of level, 56 bits of group. So they
//! are ordered by level, then by position, and a merge comes after all those whose values it needs.
//!
//! Held are the values of groups that are not full, at most [`FAN_IN`] a level and those of items that ended ahead
//! of others, and the size of what is being merged.

use std::collections::BTreeMap;

use crate::chunk::{Chunk, Inputs, Packed, TooLong};
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Outcome, Output};

/// How many values a merge folds: few enough that a job of some dozen items merges on more than one worker and that a
/// merge of the longest values fits into memory, and enough that merges are few beside items.
pub(super) const FAN_IN: u64 = 8;

const GROUP_BITS: u32 = 56;

/// What one value costs in memory beside its text.
const VALUE_OVERHEAD: u64 = 32;

/// Gathers values until a merge can start, and asks for it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// How many items there are, once that is known.
    total: Option<u64>,
    /// Values whose group is not full, by the index of the merge.
    open: BTreeMap<ItemIndex, Group>,
    /// The merges that have been asked for, with the bytes they fold.
    running: BTreeMap<ItemIndex, u64>,
    held_bytes: u64,
    /// No merge from this index on can change what is printed.
    limit: Option<ItemIndex>,
    failure: Option<Failure>,
    result: Option<Output>,
}

/// The first merge, by index, that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The first item it was to merge.
    pub(super) first: ItemIndex,
    /// One past the last item it was to merge.
    pub(super) end: ItemIndex,
    /// How it ended.
    pub(super) completion: Completion,
}

/// The values of a group, by their place in it.
#[derive(Debug, Default)]
struct Group {
    values: Vec<Option<Output>>,
    filled: u64,
    bytes: u64,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    level: u32,
    position: u64,
}

impl Tree {
    /// Puts in the value of an item.
    pub(super) fn insert(&mut self, index: ItemIndex, value: Output) -> Result<Option<Chunk>, TooLong> {
        self.place(Node { level: 0, position: index }, value)
    }

    /// Takes the end of a merge.
    ///
    /// # Panics
    /// If the merge is not running.
    pub(super) fn merged(
        &mut self,
        merge: ItemIndex,
        completion: Completion,
    ) -> Result<Option<Chunk>, TooLong> {
        let bytes = self.running.remove(&merge);
        self.held_bytes -= bytes.unwrap_or_else(|| panic!("merge {merge:#x} ended and was not running"));
        if self.is_idle(merge) {
            return Ok(None);
        }
        match completion.outcome {
            Outcome::Ok(value) => self.place(Node::of(merge), value),
            Outcome::Trap { .. }
            | Outcome::Exit { .. }
            | Outcome::Timeout { .. }
            | Outcome::Memory { .. }
            | Outcome::Output { .. }
            | Outcome::Input { .. }
            | Outcome::Denied { .. }
            | Outcome::Crash { .. }
            | Outcome::Protocol { .. }
            | Outcome::Cancelled => {
                self.fail(merge, completion);
                Ok(None)
            }
        }
    }

    /// Takes note that there are `total` items; groups that can get no more values are merged.
    pub(super) fn input_ended(&mut self, total: u64) -> Result<Vec<Chunk>, TooLong> {
        self.total = Some(total);
        let mut work = Vec::new();
        let complete = |(merge, group): (&ItemIndex, &Group)| {
            (group.filled == group_size(Some(total), Node::of(*merge))).then_some(*merge)
        };
        for merge in self.open.iter().filter_map(complete).collect::<Vec<_>>() {
            let group =
                self.open.remove(&merge).expect("it was just seen, and closing a group closes no other");
            work.extend(self.close(merge, group)?);
        }
        Ok(work)
    }

    /// Drops all values, and starts no merge from now on: there will be no result.
    pub(super) fn abandon(&mut self) {
        self.stop_from(MERGE_BIT);
        self.failure = None;
    }

    /// Whether no merge is running.
    pub(super) fn is_settled(&self) -> bool {
        self.running.is_empty()
    }

    /// How many bytes of values are held, and of values that are being merged.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// The merged value of all items, if all has been merged.
    pub(super) fn result(&self) -> Option<&Output> {
        self.result.as_ref()
    }

    /// The first merge that failed. It is the same in every run, once no merge is running.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn place(&mut self, node: Node, value: Output) -> Result<Option<Chunk>, TooLong> {
        if self.total.is_some_and(|total| level_size(total, node.level) == 1) {
            self.result = Some(value);
            return Ok(None);
        }
        let merge = node.merge();
        if self.is_idle(merge) {
            return Ok(None);
        }
        let group = self.open.entry(merge).or_default();
        self.held_bytes += group.put(node.position % FAN_IN, value);
        if group.filled < group_size(self.total, Node::of(merge)) {
            return Ok(None);
        }
        let group = self.open.remove(&merge).expect("it was just filled");
        self.close(merge, group)
    }

    /// Does what becomes of a group that has all its values.
    fn close(&mut self, merge: ItemIndex, group: Group) -> Result<Option<Chunk>, TooLong> {
        let Group { values, filled, bytes } = group;
        let mut values = values.into_iter().flatten();
        if filled == 1 {
            self.held_bytes -= bytes;
            return self.place(Node::of(merge), values.next().expect("a group of one holds one value"));
        }
        self.running.insert(merge, bytes);
        let mut packed = Packed::default();
        packed.push(&json_array(values, bytes))?;
        Ok(Some(Chunk::new(merge, Inputs::Folds(packed))))
    }

    /// Whether `merge` is of no use any more.
    fn is_idle(&self, merge: ItemIndex) -> bool {
        self.limit.is_some_and(|limit| merge >= limit)
    }

    /// Merges before the failed one go on: one of them may fail too, and then it is the one to tell, whichever of the
    /// two failed sooner by the clock.
    fn fail(&mut self, merge: ItemIndex, completion: Completion) {
        self.stop_from(merge);
        let Node { level, position } = Node::of(merge);
        let span = FAN_IN.saturating_pow(level);
        let end = (position + 1).saturating_mul(span).min(self.total.unwrap_or(u64::MAX));
        self.failure = Some(Failure { first: position * span, end, completion });
    }

    fn stop_from(&mut self, limit: ItemIndex) {
        self.limit = Some(limit);
        let dropped = self.open.split_off(&limit);
        self.held_bytes -= dropped.values().map(|group| group.bytes).sum::<u64>();
    }
}

impl Group {
    /// Puts a value at its place; how many bytes that takes.
    fn put(&mut self, place: u64, value: Output) -> u64 {
        let place = usize::try_from(place).expect("a place is less than FAN_IN");
        if place >= self.values.len() {
            self.values.resize_with(place + 1, || None);
        }
        let bytes = value.json().len() as u64 + VALUE_OVERHEAD;
        let before = self.values[place].replace(value);
        assert!(before.is_none(), "a value was put twice into place {place} of a merge");
        self.filled += 1;
        self.bytes += bytes;
        bytes
    }
}

impl Node {
    /// The node that a merge makes.
    fn of(merge: ItemIndex) -> Self {
        let place = merge & !MERGE_BIT;
        let below = u32::try_from(place >> GROUP_BITS).expect("7 bits are left");
        Self { level: below + 1, position: place & ((1 << GROUP_BITS) - 1) }
    }

    /// The merge that this node is a value of.
    fn merge(self) -> ItemIndex {
        let group = self.position / FAN_IN;
        assert!(group < 1 << GROUP_BITS, "a merged run has fewer than 2^62 items");
        MERGE_BIT | u64::from(self.level) << GROUP_BITS | group
    }
}

/// How many nodes a level has, of `total` items.
fn level_size(total: u64, level: u32) -> u64 {
    let span = FAN_IN.checked_pow(level);
    span.map_or(total.min(1), |span| total.div_ceil(span))
}

/// How many nodes below `parent` are folded into it.
fn group_size(total: Option<u64>, parent: Node) -> u64 {
    let below = total.map_or(u64::MAX, |total| level_size(total, parent.level - 1));
    below.saturating_sub(parent.position * FAN_IN).min(FAN_IN)
}

fn json_array(values: impl Iterator<Item = Output>, bytes: u64) -> Vec<u8> {
    let mut json = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    json.push(b'[');
    for (place, value) in values.enumerate() {
        if place > 0 {
            json.push(b',');
        }
        json.extend_from_slice(value.json().as_bytes());
    }
    json.push(b']');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_index_holds_its_place() {
        for node in [
            Node { level: 1, position: 0 },
            Node { level: 1, position: 17 },
            Node { level: 10, position: (1 << GROUP_BITS) - 1 },
        ] {
            let below = Node { level: node.level - 1, position: node.position * FAN_IN + 5 };
            assert_eq!(Node::of(below.merge()), node);
        }
    }

    #[test]
    fn a_merge_comes_after_those_it_needs() {
        let low = Node { level: 0, position: 1 << 40 };
        let high = Node { level: 1, position: 0 };
        assert!(low.merge() < high.merge());
        assert!(low.merge() >= MERGE_BIT);
    }

    #[test]
    fn a_level_has_as_many_nodes_as_the_level_below_has_groups() {
        for total in [0, 1, 2, 7, 8, 9, 64, 65, 4096, 4097, 1 << 62] {
            for level in 0..12 {
                let below = level_size(total, level);
                assert_eq!(level_size(total, level + 1), below.div_ceil(FAN_IN), "{total} {level}");
            }
        }
    }

    #[test]
    fn only_the_last_group_of_a_level_is_small() {
        let parent = |position| Node { level: 1, position };
        assert_eq!(group_size(Some(18), parent(1)), 8);
        assert_eq!(group_size(Some(18), parent(2)), 2);
        assert_eq!(group_size(None, parent(2)), 8);
    }
}
