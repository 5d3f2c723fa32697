//! Words: split at Unicode white space, in lower case, measured in code points.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::bindings::exports::wasmpool::guests::text::{Analysis, Counts};

/// Hashed with fixed keys: the same input does the same work in every instance, and no randomness is imported.
type Words<'a> = HashSet<&'a str, BuildHasherDefault<DefaultHasher>>;

/// What there is to say about a text.
pub(crate) fn analyze(text: &str) -> Analysis {
    let lower = text.to_lowercase();
    let (word_count, letters, vocabulary) = count(&lower);
    Analysis { word_count, unique_words: length(vocabulary.len()), avg_word_length: average(letters, word_count) }
}

/// The counts of a piece of a text.
pub(crate) fn tally(text: &str) -> Counts {
    let lower = text.to_lowercase();
    let (words, letters, vocabulary) = count(&lower);
    let mut vocabulary: Vec<String> = vocabulary.into_iter().map(str::to_owned).collect();
    vocabulary.sort_unstable();
    Counts { words, letters, vocabulary }
}

/// The counts of two pieces together.
pub(crate) fn merge(a: Counts, b: Counts) -> Counts {
    Counts {
        words: a.words + b.words,
        letters: a.letters + b.letters,
        vocabulary: union(a.vocabulary, b.vocabulary),
    }
}

/// Words, letters and the different words of a text in lower case.
fn count(lower: &str) -> (u64, u64, Words<'_>) {
    let mut words = 0;
    let mut letters = 0;
    let mut vocabulary = Words::default();
    for word in lower.split_whitespace() {
        words += 1;
        letters += length(word.chars().count());
        vocabulary.insert(word);
    }
    (words, letters, vocabulary)
}

/// Everything in two sorted lists without duplicates, as one such list.
fn union(a: Vec<String>, b: Vec<String>) -> Vec<String> {
    let mut both = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let order = left.cmp(right);
        if order != Ordering::Greater {
            both.extend(a.next());
        }
        if order != Ordering::Less {
            let right = b.next();
            if order == Ordering::Greater {
                both.extend(right);
            }
        }
    }
    both.extend(a);
    both.extend(b);
    both
}

fn length(n: usize) -> u64 {
    u64::try_from(n).expect("no machine has more than 64 bits of address")
}

fn average(letters: u64, words: u64) -> f64 {
    if words == 0 { 0.0 } else { letters as f64 / words as f64 }
}
