//! The names of files whose items have not ended: what the record of an item says that no worker gives back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chunk::Packed;
use crate::item::ItemIndex;

/// Names of files, by the first item of those that were admitted together.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<ItemIndex, Packed>>);

impl Names {
    /// The items from `first` on have these names.
    pub(super) fn keep(&self, first: ItemIndex, names: Packed) {
        self.lock().insert(first, names);
    }

    /// The name of an item's file, if it has one.
    pub(super) fn of(&self, item: ItemIndex) -> Option<Box<[u8]>> {
        let names = self.lock();
        let (first, names) = names.range(..=item).next_back()?;
        names.get(item - first).map(Into::into)
    }

    /// All items below this one have ended.
    pub(super) fn forget_below(&self, item: ItemIndex) {
        let mut names = self.lock();
        while let Some(oldest) =
            names.first_entry().filter(|oldest| oldest.key() + oldest.get().count() <= item)
        {
            oldest.remove();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ItemIndex, Packed>> {
        // Whoever panicked had changed all of it or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(names: &[&str]) -> Packed {
        let mut packed = Packed::default();
        names.iter().for_each(|name| packed.push(name.as_bytes()).unwrap());
        packed
    }

    #[test]
    fn a_name_is_there_until_all_that_were_admitted_with_it_have_ended() {
        let names = Names::default();
        names.keep(0, packed(&["a", "b"]));
        names.keep(5, packed(&["c"]));
        let all =
            || [0, 1, 2, 5, 6].map(|item| names.of(item).map(|name| String::from_utf8(name.into()).unwrap()));
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(all(), [some("a"), some("b"), None, some("c"), None]);
        names.forget_below(1);
        assert_eq!(all()[0], some("a"));
        names.forget_below(2);
        assert_eq!(all(), [None, None, None, some("c"), None]);
    }
}
