//! One item: the arguments of a single call.

use super::Source;
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// One JSON array of arguments.
#[derive(Debug)]
pub struct Arguments {
    json: Option<Box<str>>,
}

impl Arguments {
    /// The one item whose arguments are the JSON array `json`.
    #[must_use]
    pub fn new(json: String) -> Self {
        Self { json: Some(json.into()) }
    }
}

impl Source for Arguments {
    fn next(&mut self, _max_items: u64, _max_bytes: usize) -> Result<Option<Inputs>, Error> {
        let packed = |json: Box<str>| Packed::from_iter([json.as_bytes()]);
        Ok(self.json.take().map(packed).map(Inputs::Arguments))
    }

    fn total(&self) -> Option<u64> {
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Input;

    #[test]
    fn the_arguments_of_a_call_are_one_item() {
        let mut source = Arguments::new("[1,\"a\"]".to_owned());
        let inputs = source.next(9, 9).unwrap().unwrap();
        assert_eq!(inputs.count(), 1);
        assert_eq!(inputs.input(0), Some(Input::Arguments(b"[1,\"a\"]")));
        assert_eq!(source.next(9, 9).unwrap(), None);
    }
}
