//! One item: the arguments of a single call.

use super::{Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// One JSON array of arguments.
#[derive(Debug)]
pub struct Arguments {
    inputs: Option<Inputs>,
}

impl Arguments {
    /// The one item whose arguments are the JSON array `json`.
    #[must_use]
    pub fn new(json: &str) -> Self {
        Self { inputs: Some(Inputs::Arguments(Packed::from_iter([json.as_bytes()]))) }
    }

    /// The input of the item, as long as it has not been handed out.
    #[must_use]
    pub fn inputs(&self) -> Option<&Inputs> {
        self.inputs.as_ref()
    }
}

impl Source for Arguments {
    fn next(&mut self, _max_items: u64, _max_bytes: usize) -> Result<Option<Next>, Error> {
        Ok(self.inputs.take().map(Next::Inputs))
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
        let mut source = Arguments::new("[1,\"a\"]");
        let Some(Next::Inputs(inputs)) = source.next(9, 9).unwrap() else { panic!("inputs") };
        assert_eq!(inputs.count(), 1);
        assert_eq!(inputs.input(0), Some(Input::Arguments(b"[1,\"a\"]")));
        assert_eq!(source.next(9, 9).unwrap(), None);
    }
}
