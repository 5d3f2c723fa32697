//! Chunks: consecutive items that travel together. Where they are cut changes nothing a user sees but speed.

use crate::item::{Input, ItemIndex};
use crate::limits::Terms;

/// Consecutive items and their inputs. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    first: ItemIndex,
    inputs: Inputs,
    terms: Terms,
}

/// The inputs of a chunk's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Parts of a range: item `k` is `start + k * step` up to the smaller of `start + (k + 1) * step` and `end`.
    Spans {
        /// Where the first part starts.
        start: i128,
        /// Where the last part ends; greater than `start`.
        end: i128,
        /// How many numbers a part has, at least 1.
        step: u64,
    },
    /// Single numbers: item `k` is `start + k`.
    Numbers {
        /// The first number.
        start: i128,
        /// How many there are, at least 1.
        count: u64,
    },
    /// A text for each item.
    Texts(Packed),
    /// A file for each item: as many names as contents.
    Files {
        /// The files' names.
        names: Packed,
        /// What is in them.
        contents: Packed,
    },
    /// A JSON array of arguments for each item.
    Arguments(Packed),
    /// JSON for each item.
    Json {
        /// The line of the first, from 1, if each stands on a line of its own, one behind the other; else 0.
        line: u64,
        /// The JSON.
        texts: Packed,
    },
    /// A JSON array of values to merge for each item.
    Folds(Packed),
}

/// Byte strings behind one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    /// Where each byte string ends; ascending, the last is `bytes.len()`.
    ends: Vec<u32>,
}

/// The byte strings together are longer than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than 4 GiB of input in one chunk")]
pub struct TooLong;

impl Chunk {
    /// A chunk whose first item has index `first`.
    ///
    /// # Panics
    /// If `inputs` is empty.
    #[must_use]
    pub fn new(first: ItemIndex, inputs: Inputs) -> Self {
        let chunk = Self { first, inputs, terms: Terms::default() };
        assert!(chunk.len() > 0, "a chunk has at least one item");
        chunk
    }

    /// The same items on these terms.
    #[must_use]
    pub fn on(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// What holds for its items alone.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The index of its first item.
    #[must_use]
    pub fn first(&self) -> ItemIndex {
        self.first
    }

    /// How many items it has; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a chunk is never empty")]
    pub fn len(&self) -> u64 {
        self.inputs.count()
    }

    /// The inputs of its items.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The input of the item `first + position`.
    #[must_use]
    pub fn input(&self, position: u64) -> Option<Input<'_>> {
        self.inputs.input(position)
    }

    /// The names of the files that the items come from, if they come from files.
    #[must_use]
    pub fn files(&self) -> Option<&Packed> {
        match &self.inputs {
            Inputs::Files { names, .. } => Some(names),
            Inputs::Spans { .. }
            | Inputs::Numbers { .. }
            | Inputs::Texts(_)
            | Inputs::Arguments(_)
            | Inputs::Json { .. }
            | Inputs::Folds(_) => None,
        }
    }

    /// The name of the file that the item `first + position` comes from, if it comes from one.
    #[must_use]
    pub fn file(&self, position: u64) -> Option<Box<[u8]>> {
        self.files()?.get(position).map(Into::into)
    }

    /// How many bytes of input it holds in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.inputs {
            Inputs::Spans { .. } | Inputs::Numbers { .. } => 0,
            Inputs::Texts(packed)
            | Inputs::Arguments(packed)
            | Inputs::Json { texts: packed, .. }
            | Inputs::Folds(packed) => packed.bytes.len(),
            Inputs::Files { names, contents } => names.bytes.len() + contents.bytes.len(),
        }
    }

    /// A chunk of the item `first + position` alone; none if there is no such item.
    #[must_use]
    pub fn only(&self, position: u64) -> Option<Self> {
        let inputs = self.inputs.only(position)?;
        Some(Self { first: self.first + position, inputs, terms: self.terms })
    }

    /// Cuts the chunk: it keeps its first `at` items, the others are returned; none if `at` leaves none over.
    ///
    /// # Panics
    /// If `at` is 0.
    #[must_use]
    pub fn split_off(&mut self, at: u64) -> Option<Self> {
        assert!(at > 0, "a chunk keeps at least one item");
        if at >= self.len() {
            return None;
        }
        let inputs = self.inputs.split_off(at);
        Some(Self { first: self.first + at, inputs, terms: self.terms })
    }
}

impl Inputs {
    /// How many items these are inputs of.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Spans { start, end, step } => {
                let numbers = end.saturating_sub(*start).max(0).unsigned_abs();
                u64::try_from(numbers.div_ceil(u128::from((*step).max(1)))).unwrap_or(u64::MAX)
            }
            Self::Numbers { count, .. } => *count,
            Self::Texts(packed)
            | Self::Files { contents: packed, .. }
            | Self::Arguments(packed)
            | Self::Json { texts: packed, .. }
            | Self::Folds(packed) => packed.count(),
        }
    }

    /// The input at `position`, counted from 0.
    #[must_use]
    pub fn input(&self, position: u64) -> Option<Input<'_>> {
        if position >= self.count() {
            return None;
        }
        Some(match self {
            Self::Spans { start, end, step } => {
                let from = start + i128::from(position) * i128::from(*step);
                Input::Span { start: from, end: (from + i128::from(*step)).min(*end) }
            }
            Self::Numbers { start, .. } => Input::Number(start + i128::from(position)),
            Self::Texts(packed) => Input::Text(packed.get(position)?),
            Self::Files { names, contents } => {
                Input::File { name: names.get(position)?, content: contents.get(position)? }
            }
            Self::Arguments(packed) => Input::Arguments(packed.get(position)?),
            Self::Json { line, texts } => {
                let line = if *line == 0 { 0 } else { line.saturating_add(position) };
                Input::Json { line, text: texts.get(position)? }
            }
            Self::Folds(packed) => Input::Fold(packed.get(position)?),
        })
    }

    fn only(&self, position: u64) -> Option<Self> {
        let pack = |packed: &Packed| packed.get(position).into_iter().collect::<Packed>();
        Some(match (self, self.input(position)?) {
            (Self::Spans { step, .. }, Input::Span { start, end }) => Self::Spans { start, end, step: *step },
            (Self::Texts(packed), _) => Self::Texts(pack(packed)),
            (Self::Files { names, contents }, _) => {
                Self::Files { names: pack(names), contents: pack(contents) }
            }
            (Self::Arguments(packed), _) => Self::Arguments(pack(packed)),
            (Self::Json { texts, .. }, Input::Json { line, .. }) => Self::Json { line, texts: pack(texts) },
            (Self::Folds(packed), _) => Self::Folds(pack(packed)),
            (Self::Numbers { start, .. }, _) => {
                Self::Numbers { start: start + i128::from(position), count: 1 }
            }
            (Self::Spans { .. } | Self::Json { .. }, _) => return None,
        })
    }

    /// Cuts them: the first `at` stay, which are fewer than all.
    pub(crate) fn split_off(&mut self, at: u64) -> Self {
        match self {
            Self::Spans { start, end, step } => {
                let middle = *start + i128::from(at) * i128::from(*step);
                let rest = Self::Spans { start: middle, end: *end, step: *step };
                *end = middle;
                rest
            }
            Self::Numbers { start, count } => {
                let rest = Self::Numbers { start: *start + i128::from(at), count: *count - at };
                *count = at;
                rest
            }
            Self::Texts(packed) => Self::Texts(packed.split_off(at)),
            Self::Files { names, contents } => {
                Self::Files { names: names.split_off(at), contents: contents.split_off(at) }
            }
            Self::Arguments(packed) => Self::Arguments(packed.split_off(at)),
            Self::Json { line, texts } => {
                let rest = if *line == 0 { 0 } else { line.saturating_add(at) };
                Self::Json { line: rest, texts: texts.split_off(at) }
            }
            Self::Folds(packed) => Self::Folds(packed.split_off(at)),
        }
    }
}

impl Packed {
    /// The byte strings that end at `ends` in `bytes`; none unless the ends ascend and the last is the end of `bytes`.
    #[must_use]
    pub fn from_parts(bytes: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let last = ends.last().map_or(0, |end| *end as usize);
        (ends.is_sorted() && last == bytes.len()).then_some(Self { bytes, ends })
    }

    /// Appends one byte string.
    ///
    /// # Errors
    /// If all together would pass 4 GiB; nothing is appended then.
    pub fn push(&mut self, item: &[u8]) -> Result<(), TooLong> {
        let end = self.bytes.len() + item.len();
        self.ends.push(u32::try_from(end).map_err(|_| TooLong)?);
        self.bytes.extend_from_slice(item);
        Ok(())
    }

    /// How many byte strings there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ends.len() as u64
    }

    /// All bytes, one string behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each byte string ends in [`Packed::bytes`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The byte string at `position`.
    #[must_use]
    pub fn get(&self, position: u64) -> Option<&[u8]> {
        let position = usize::try_from(position).ok()?;
        let end = *self.ends.get(position)? as usize;
        let start = match position.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    fn split_off(&mut self, at: u64) -> Self {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.ends.len());
        let Some(before) = at.checked_sub(1) else {
            return std::mem::take(self);
        };
        let cut = self.ends[before];
        let ends = self.ends.split_off(at);
        Self {
            bytes: self.bytes.split_off(cut as usize),
            ends: ends.into_iter().map(|end| end - cut).collect(),
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for Packed {
    /// # Panics
    /// If the byte strings together pass 4 GiB.
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(items: I) -> Self {
        let mut packed = Self::default();
        for item in items {
            packed.push(item).expect("the caller keeps chunks below 4 GiB");
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What an input is, in a form that outlives its chunk.
    fn owned(chunk: &Chunk) -> Vec<(ItemIndex, String)> {
        (0..chunk.len())
            .map(|position| {
                let input = chunk.input(position).expect("position is below len");
                (chunk.first() + position, format!("{input:?}"))
            })
            .collect()
    }

    fn inputs() -> impl Strategy<Value = Inputs> {
        let texts = || proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 1..40);
        let pack = |texts: Vec<Vec<u8>>| texts.iter().map(Vec::as_slice).collect::<Packed>();
        prop_oneof![
            (any::<i64>(), 1..500_i128, 1..70_u64).prop_map(|(start, numbers, step)| {
                let start = i128::from(start);
                Inputs::Spans { start, end: start + numbers, step }
            }),
            (any::<i64>(), 1..200_u64)
                .prop_map(|(start, count)| Inputs::Numbers { start: start.into(), count }),
            texts().prop_map(move |t| Inputs::Texts(pack(t))),
            texts().prop_map(move |t| Inputs::Files { names: pack(t.clone()), contents: pack(t) }),
            texts().prop_map(move |t| Inputs::Arguments(pack(t))),
            (0..9_u64, texts()).prop_map(move |(line, t)| Inputs::Json { line, texts: pack(t) }),
            texts().prop_map(move |t| Inputs::Folds(pack(t))),
        ]
    }

    proptest! {
        #[test]
        fn cutting_a_chunk_neither_loses_nor_changes_an_item(inputs in inputs(), first in 0..1_u64 << 40, cuts in proptest::collection::vec(1..50_u64, 0..9)) {
            let whole = Chunk::new(first, inputs);
            let mut rest = Some(whole.clone());
            let mut seen = Vec::new();
            for cut in cuts {
                let Some(mut head) = rest.take() else { break };
                rest = head.split_off(cut);
                prop_assert!(head.len() <= cut);
                seen.extend(owned(&head));
            }
            seen.extend(rest.iter().flat_map(owned));
            prop_assert_eq!(seen, owned(&whole));
        }

        #[test]
        fn an_item_alone_is_the_item_in_its_chunk(inputs in inputs(), first in 0..1_u64 << 40, at in 0..50_u64) {
            let whole = Chunk::new(first, inputs);
            match whole.only(at) {
                Some(alone) => {
                    let of_item = owned(&whole).into_iter().filter(|(index, _)| *index == first + at);
                    prop_assert_eq!(owned(&alone), of_item.collect::<Vec<_>>());
                }
                None => prop_assert!(at >= whole.len()),
            }
        }

        #[test]
        fn the_spans_of_a_range_cover_it_without_gap_or_overlap(start in any::<i64>(), numbers in 1..100_000_i128, step in 1..5_000_u64) {
            let start = i128::from(start);
            let chunk = Chunk::new(0, Inputs::Spans { start, end: start + numbers, step });
            let mut next = start;
            for position in 0..chunk.len() {
                let Some(Input::Span { start, end }) = chunk.input(position) else { panic!("a span") };
                prop_assert_eq!(start, next);
                prop_assert!(end > start && end - start <= i128::from(step));
                next = end;
            }
            prop_assert_eq!(next, start + numbers);
        }
    }

    #[test]
    fn a_span_at_the_very_end_of_u64_does_not_wrap() {
        let end = i128::from(u64::MAX);
        let chunk = Chunk::new(0, Inputs::Spans { start: end - 5, end, step: 3 });
        assert_eq!(chunk.len(), 2);
        assert_eq!(chunk.input(1), Some(Input::Span { start: end - 2, end }));
    }

    #[test]
    fn an_input_past_the_end_is_none() {
        let chunk = Chunk::new(7, Inputs::Texts([b"a".as_slice()].into_iter().collect()));
        assert_eq!(chunk.input(0), Some(Input::Text(b"a")));
        assert_eq!(chunk.input(1), None);
    }
}
