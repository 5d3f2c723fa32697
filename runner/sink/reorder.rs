//! Puts what ends in any order back into the order of the input.

use std::collections::VecDeque;

use crate::item::ItemIndex;

/// What has ended ahead of an item that has not.
///
/// It is as long as the farthest such item is ahead, which the window bounds.
#[derive(Debug)]
pub(crate) struct Reorder<T> {
    /// The first item that has not come out.
    next: ItemIndex,
    /// What has been put in for `next`, `next + 1`, …
    waiting: VecDeque<Option<T>>,
}

impl<T> Reorder<T> {
    pub(crate) fn new() -> Self {
        Self { next: 0, waiting: VecDeque::new() }
    }

    /// How many items have come out, which is the index of the one that is next.
    pub(crate) fn next(&self) -> ItemIndex {
        self.next
    }

    /// Puts in the item `index`.
    ///
    /// # Panics
    /// If it has been put in before.
    pub(crate) fn insert(&mut self, index: ItemIndex, value: T) {
        let ahead = index.checked_sub(self.next).unwrap_or_else(|| panic!("item {index} ended twice"));
        let place = usize::try_from(ahead).expect("the window keeps items near each other");
        if place >= self.waiting.len() {
            self.waiting.resize_with(place + 1, || None);
        }
        let before = self.waiting[place].replace(value);
        assert!(before.is_none(), "item {index} ended twice");
    }

    /// Takes out the next item in order, if it is there.
    pub(crate) fn pop(&mut self) -> Option<(ItemIndex, T)> {
        let value = self.waiting.front_mut()?.take()?;
        self.waiting.pop_front();
        let index = self.next;
        self.next += 1;
        Some((index, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_out_before_its_turn() {
        let mut reorder = Reorder::new();
        reorder.insert(1, 'b');
        assert_eq!(reorder.pop(), None);
        reorder.insert(0, 'a');
        assert_eq!(reorder.pop(), Some((0, 'a')));
        assert_eq!(reorder.pop(), Some((1, 'b')));
        assert_eq!(reorder.pop(), None);
        assert_eq!(reorder.next(), 2);
    }

    #[track_caller]
    fn check_panics(before: &[ItemIndex], index: ItemIndex) {
        let result = std::panic::catch_unwind(|| {
            let mut reorder = Reorder::new();
            before.iter().for_each(|index| reorder.insert(*index, ()));
            while reorder.pop().is_some() {}
            reorder.insert(index, ());
        });
        let message = result.expect_err("a second end is a bug");
        let message = message.downcast_ref::<String>().expect("a formatted message");
        assert_eq!(*message, format!("item {index} ended twice"));
    }

    #[test]
    fn an_item_that_ends_again_while_it_waits_is_a_bug() {
        check_panics(&[3], 3);
    }

    #[test]
    fn an_item_that_ends_again_after_it_came_out_is_a_bug() {
        check_panics(&[0, 1], 0);
    }
}
