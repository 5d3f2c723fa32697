//! Ranges of integers: parts of one, or each of its numbers. Memory does not depend on how long they are.

use std::num::NonZero;

use super::{Next, Source};
use crate::chunk::{Chunk, Inputs};
use crate::error::Error;
use crate::item::MERGE_BIT;

/// A range of integers, cut into items.
#[derive(Debug)]
pub struct Range {
    whole: Inputs,
    rest: Option<Chunk>,
}

/// A range has more items than there are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than 2^63 items")]
pub struct TooManyItems;

impl Range {
    /// Parts `[start, start + step)`, `[start + step, start + 2 * step)`, … of `[start, end)`; the last one is
    /// shorter where `step` does not divide the range. No part if `end` is not above `start`.
    ///
    /// # Errors
    /// If there are more parts than item indices.
    pub fn spans(start: i128, end: i128, step: NonZero<u64>) -> Result<Self, TooManyItems> {
        end.max(start).checked_sub(start).ok_or(TooManyItems)?;
        Self::new(Inputs::Spans { start, end, step: step.get() })
    }

    /// Each number from `start` to the one before `end`.
    ///
    /// # Errors
    /// If there are more numbers than item indices.
    pub fn numbers(start: i128, end: i128) -> Result<Self, TooManyItems> {
        let count = end.max(start).checked_sub(start).and_then(|count| u64::try_from(count).ok());
        Self::new(Inputs::Numbers { start, count: count.ok_or(TooManyItems)? })
    }

    fn new(whole: Inputs) -> Result<Self, TooManyItems> {
        match whole.count() {
            0 => Ok(Self { whole, rest: None }),
            1..=MERGE_BIT => Ok(Self { rest: Some(Chunk::new(0, whole.clone())), whole }),
            _ => Err(TooManyItems),
        }
    }

    /// The inputs of all its items; their number is unbounded, the memory they take is not.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.whole
    }
}

impl Source for Range {
    fn next(&mut self, max_items: u64, _max_bytes: usize) -> Result<Option<Next>, Error> {
        let Some(mut chunk) = self.rest.take() else { return Ok(None) };
        self.rest = chunk.split_off(max_items);
        Ok(Some(Next::Inputs(chunk.inputs().clone())))
    }

    fn total(&self) -> Option<u64> {
        Some(self.whole.count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::Input;

    /// Every item of a source that is asked for `max_items` at a time.
    fn items(source: &mut Range, max_items: u64) -> Vec<String> {
        let mut items = Vec::new();
        while let Some(Next::Inputs(inputs)) = source.next(max_items, 0).unwrap() {
            assert!((1..=max_items).contains(&inputs.count()));
            items.extend((0..inputs.count()).map(|k| format!("{:?}", inputs.input(k).unwrap())));
        }
        items
    }

    fn step(step: u64) -> NonZero<u64> {
        NonZero::new(step).unwrap()
    }

    proptest! {
        #[test]
        fn how_many_items_are_asked_for_changes_no_item(
            start in any::<i64>(), numbers in 0..300_i128, size in 1..40_u64, max_items in 1..50_u64,
        ) {
            let (start, end) = (i128::from(start), i128::from(start) + numbers);
            let spans = || Range::spans(start, end, step(size)).unwrap();
            prop_assert_eq!(items(&mut spans(), max_items), items(&mut spans(), u64::MAX));
            let single = || Range::numbers(start, end).unwrap();
            prop_assert_eq!(items(&mut single(), max_items), items(&mut single(), u64::MAX));
        }

        #[test]
        fn a_source_has_as_many_items_as_it_says(start in any::<i64>(), numbers in 0..300_i128, size in 1..40_u64) {
            let mut source = Range::spans(start.into(), i128::from(start) + numbers, step(size)).unwrap();
            let total = source.total();
            prop_assert_eq!(Some(items(&mut source, 7).len() as u64), total);
        }
    }

    #[test]
    fn an_empty_range_has_no_items() {
        let mut source = Range::spans(5, 5, step(10)).unwrap();
        assert_eq!(source.total(), Some(0));
        assert_eq!(source.next(1, 1).unwrap(), None);
        assert_eq!(Range::numbers(5, 5).unwrap().next(1, 1).unwrap(), None);
    }

    #[test]
    fn a_million_million_items_are_named_and_not_stored() {
        let source = Range::numbers(-1, 1_000_000_000_000).unwrap();
        assert_eq!(source.total(), Some(1_000_000_000_001));
        assert_eq!(source.inputs().input(0), Some(Input::Number(-1)));
        assert_eq!(source.inputs().input(1_000_000_000_000), Some(Input::Number(999_999_999_999)));
        assert_eq!(source.inputs().input(1_000_000_000_001), None);
    }

    #[test]
    fn the_last_part_may_end_at_the_largest_u64() {
        let end = i128::from(u64::MAX);
        let mut source = Range::spans(end - 5, end, step(4)).unwrap();
        assert_eq!(
            items(&mut source, 1),
            [
                format!("Span {{ start: {}, end: {} }}", end - 5, end - 1),
                format!("Span {{ start: {}, end: {end} }}", end - 1),
            ]
        );
    }

    #[test]
    fn more_items_than_indices_are_refused() {
        let end = i128::from(u64::MAX);
        assert_eq!(Range::numbers(0, end).unwrap_err(), TooManyItems);
        assert_eq!(Range::spans(0, end, step(1)).unwrap_err(), TooManyItems);
        assert_eq!(Range::spans(i128::MIN, i128::MAX, step(u64::MAX)).unwrap_err(), TooManyItems);
        assert!(Range::spans(0, end, step(2)).is_ok());
    }
}
