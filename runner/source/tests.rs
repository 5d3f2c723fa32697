use std::collections::VecDeque;
use std::error::Error as _;
use std::io::{self, Read};

use proptest::prelude::*;

use super::{Next, Refused, Source};
use crate::error::Error;
use crate::item::Input;

/// Gives one piece per read, an error of kind `Interrupted` before each, and at last maybe a real error.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    interrupted: bool,
    end: Option<io::ErrorKind>,
}

impl Pieces {
    pub(super) fn new(pieces: Vec<Vec<u8>>) -> Self {
        Self { pieces: pieces.into(), interrupted: false, end: None }
    }

    pub(super) fn failing(self, kind: io::ErrorKind) -> Self {
        Self { end: Some(kind), ..self }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some(mut piece) = self.pieces.pop_front() else {
            return self.end.map_or(Ok(0), |kind| Err(kind.into()));
        };
        let read = piece.as_slice().read(buffer)?;
        if read < piece.len() {
            self.pieces.push_front(piece.split_off(read));
        }
        Ok(read)
    }
}

/// What arrives at once, again and again: each piece matches `pattern`.
pub(super) fn pieces(pattern: &'static str) -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(pattern.prop_map(String::into_bytes), 0..30)
}

/// The bytes of the items' inputs.
#[track_caller]
pub(super) fn texts(next: &Next) -> Vec<Vec<u8>> {
    let Next::Inputs(inputs) = next else { panic!("inputs, not {next:?}") };
    let text = |k| match inputs.input(k) {
        Some(Input::Text(text) | Input::Json { text, .. }) => text.to_vec(),
        other => panic!("a text, not {other:?}"),
    };
    (0..inputs.count()).map(text).collect()
}

/// Every item up to the end or an error.
#[track_caller]
pub(super) fn items(
    source: &mut dyn Source,
    max_items: u64,
    max_bytes: usize,
) -> (Vec<Vec<u8>>, Option<Error>) {
    let mut items = Vec::new();
    loop {
        match source.next(max_items, max_bytes) {
            Ok(Some(next)) => {
                let texts = texts(&next);
                assert!((1..=max_items).contains(&(texts.len() as u64)));
                items.extend(texts);
            }
            Ok(None) => return (items, None),
            Err(error) => return (items, Some(error)),
        }
    }
}

/// Every item, of a source without errors.
#[track_caller]
pub(super) fn drain(source: &mut dyn Source) -> Vec<Vec<u8>> {
    let (items, error) = items(source, 9, 99);
    assert!(error.is_none(), "{error:?}");
    items
}

/// The file and the reason of a refusal.
#[track_caller]
pub(super) fn refusal(next: Result<Option<Next>, Error>) -> (Option<Box<[u8]>>, String) {
    match next {
        Ok(Some(Next::Refused(Refused { file, error }))) => (file, error),
        next => panic!("a refusal, not {next:?}"),
    }
}

/// The error and its cause, as the user reads them.
pub(super) fn error_text(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
