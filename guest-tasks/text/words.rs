//! Words: split at Unicode white space, in lower case, measured in code points.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

use crate::bindings::exports::wasmpool::guests::text::{Analysis, Counts};

/// What there is to say about a text.
pub(crate) fn analyze(text: &str) -> Analysis {
    let lower = text.to_lowercase();
    let words = Words::of(&lower);
    Analysis {
        word_count: words.count,
        unique_words: length(words.vocabulary.len()),
        avg_word_length: average(words.letters, words.count),
    }
}

/// The counts of a piece of a text.
pub(crate) fn tally(text: &str) -> Counts {
    let lower = text.to_lowercase();
    let words = Words::of(&lower);
    let mut vocabulary: Vec<&str> = words.vocabulary.into_iter().collect();
    vocabulary.sort_unstable();
    Counts {
        words: words.count,
        letters: words.letters,
        vocabulary: vocabulary.into_iter().map(String::from).collect(),
    }
}

/// The counts of two pieces together.
pub(crate) fn merge(a: Counts, b: Counts) -> Counts {
    Counts {
        words: add(a.words, b.words),
        letters: add(a.letters, b.letters),
        vocabulary: union(a.vocabulary, b.vocabulary),
    }
}

/// What there is to say about the text that was counted.
pub(crate) fn finish(counts: &Counts) -> Analysis {
    Analysis {
        word_count: counts.words,
        unique_words: length(counts.vocabulary.len()),
        avg_word_length: average(counts.letters, counts.words),
    }
}

/// The words of a text that is in lower case already.
#[derive(Default)]
struct Words<'a> {
    count: u64,
    letters: u64,
    /// Hashed without a seed: the same text is the same work in every instance, and needs no randomness.
    vocabulary: HashSet<&'a str, FxBuildHasher>,
}

impl<'a> Words<'a> {
    fn of(lower: &'a str) -> Self {
        let mut words = Self::default();
        if lower.is_ascii() {
            // Most texts are, and then a byte is a character.
            let is_space = |c: char| matches!(c, '\t'..='\r' | ' ');
            lower
                .split(is_space)
                .filter(|word| !word.is_empty())
                .for_each(|word| words.add(word, word.len()));
        } else {
            lower.split_whitespace().for_each(|word| words.add(word, word.chars().count()));
        }
        words
    }

    fn add(&mut self, word: &'a str, letters: usize) {
        self.count += 1;
        self.letters += length(letters);
        self.vocabulary.insert(word);
    }
}

/// Everything in two sorted lists without duplicates, as one such list.
fn union(a: Vec<String>, b: Vec<String>) -> Vec<String> {
    let mut both = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        both.extend(match left.cmp(right) {
            Ordering::Less => a.next(),
            Ordering::Greater => b.next(),
            Ordering::Equal => {
                b.next();
                a.next()
            }
        });
    }
    both.extend(a);
    both.extend(b);
    both
}

/// A sum of counts. Two pieces come from anywhere, so that theirs fits is not certain.
fn add(a: u64, b: u64) -> u64 {
    a.checked_add(b).expect("the count fits 64 bits")
}

fn length(n: usize) -> u64 {
    u64::try_from(n).expect("no address has more than 64 bits")
}

fn average(letters: u64, words: u64) -> f64 {
    if words == 0 { 0.0 } else { letters as f64 / words as f64 }
}

#[cfg(test)]
mod tests {
    use super::{Counts, analyze, finish, merge, tally};

    #[track_caller]
    fn check(text: &str, word_count: u64, unique_words: u64, avg_word_length: f64) {
        let found = analyze(text);
        assert_eq!((found.word_count, found.unique_words), (word_count, unique_words));
        // The quotient of two whole numbers is the nearest there is, so it is the same every time.
        assert_eq!(found.avg_word_length.to_bits(), avg_word_length.to_bits());
    }

    fn in_full(counts: &Counts) -> (u64, u64, &[String]) {
        (counts.words, counts.letters, &counts.vocabulary)
    }

    #[test]
    fn a_word_counts_each_time_and_once_as_a_unique_one() {
        check("the cat and the dog", 5, 4, 3.0);
    }

    #[test]
    fn a_text_without_words_has_an_average_of_zero() {
        check("", 0, 0, 0.0);
        check(" \t\r\n", 0, 0, 0.0);
    }

    #[test]
    fn upper_and_lower_case_are_one_word() {
        check("Rust RUST rust", 3, 1, 4.0);
        check("ÄRGER ärger", 2, 1, 5.0);
    }

    #[test]
    fn letters_are_code_points_not_bytes() {
        check("naïve 日本語", 2, 2, 4.0);
    }

    #[test]
    fn letters_are_counted_in_lower_case() {
        // U+0130 becomes two code points.
        check("\u{130}", 1, 1, 2.0);
    }

    #[test]
    fn all_unicode_white_space_separates_words() {
        check("a\u{b}b\u{c}c", 3, 3, 1.0);
        check("a\u{85}b\u{a0}c\u{2003}d\u{3000}e", 5, 5, 1.0);
    }

    #[test]
    fn what_only_looks_like_white_space_does_not() {
        check("a\u{1f}b", 1, 1, 3.0);
        check("a\u{200b}b", 1, 1, 3.0);
    }

    #[test]
    fn a_vocabulary_is_sorted() {
        let counts = tally("pear Apple fig apple");
        assert_eq!(in_full(&counts), (4, 17, ["apple", "fig", "pear"].map(String::from).as_slice()));
    }

    #[test]
    fn pieces_together_are_the_whole() {
        let text = "the cat saw the dog and the dog saw the moon";
        for cut in text.match_indices(' ').map(|(position, _)| position) {
            let (left, right) = text.split_at(cut);
            assert_eq!(in_full(&merge(tally(left), tally(right))), in_full(&tally(text)));
        }
    }

    #[test]
    fn what_is_made_of_the_counts_is_the_analysis_of_the_whole() {
        let text = "So much depends upon a red wheel barrow so MUCH";
        let (left, right) = text.split_at(15);
        let analysis = finish(&merge(tally(left), tally(right)));
        check(text, analysis.word_count, analysis.unique_words, analysis.avg_word_length);
    }
}
