//! Items that are given one by one, as JSON.

use super::{Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// JSON for each item.
#[derive(Debug)]
pub struct Items {
    /// All of them, as what they are inputs of shows them.
    whole: Inputs,
    texts: Packed,
    next: u64,
}

impl Items {
    /// An item for each of the texts `json`.
    ///
    /// # Panics
    /// If they are more than 4 GiB together.
    #[must_use]
    pub fn new(json: Vec<String>) -> Self {
        let texts: Packed = json.iter().map(String::as_bytes).collect();
        Self { whole: Inputs::Json { line: 0, texts: texts.clone() }, texts, next: 0 }
    }

    /// The inputs of all items.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.whole
    }
}

impl Source for Items {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        let mut texts = Packed::default();
        while texts.count() < max_items && texts.bytes().len() < max_bytes.max(1) {
            let Some(text) = self.texts.get(self.next) else { break };
            texts.push(text).expect("a part is no longer than the whole");
            self.next += 1;
        }
        Ok((texts.count() > 0).then_some(Next::Inputs(Inputs::Json { line: 0, texts })))
    }

    fn total(&self) -> Option<u64> {
        Some(self.whole.count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{drain, items};
    use super::*;
    use crate::item::Input;

    proptest! {
        #[test]
        fn how_many_are_asked_for_changes_no_item(
            json in proptest::collection::vec("[0-9]{0,5}", 0..30), max_items in 1..9_u64, max_bytes in 0..20_usize,
        ) {
            let expected: Vec<_> = json.iter().map(|text| text.as_bytes().to_vec()).collect();
            let mut source = Items::new(json);
            prop_assert_eq!(source.total(), Some(expected.len() as u64));
            prop_assert_eq!(items(&mut source, max_items, max_bytes).0, expected);
        }
    }

    #[test]
    fn items_are_on_no_line() {
        let mut source = Items::new(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(source.inputs().input(1), Some(Input::Json { line: 0, text: b"2" }));
        let Some(Next::Inputs(inputs)) = source.next(9, 9).unwrap() else { panic!("inputs") };
        assert_eq!(inputs, *source.inputs());
    }

    #[test]
    fn no_items_are_no_items() {
        assert_eq!(drain(&mut Items::new(Vec::new())), Vec::<Vec<u8>>::new());
    }
}
