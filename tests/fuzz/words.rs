//! The words of the command line.

use std::num::NonZero;
use std::time::Duration;

use super::parse;
use crate::Target;

/// What is typed for flags.
pub const WORDS: Target =
    Target { name: "words", corpus: words, mend: None, run: read_words, memory: 1 << 14 };

fn read_words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = &*text;
    if let Ok((start, end)) = parse::range(text) {
        assert!(start <= end, "a range does not end before it starts");
    }
    if let Ok(size) = parse::size("--memory", text, parse::MAX_MEMORY) {
        assert!(size.get() <= parse::MAX_MEMORY, "a size is within its bound");
    }
    if let Ok(Some(time)) = parse::time("--timeout", text) {
        assert!(time > Duration::ZERO, "a limit leaves some time");
    }
    if let Ok(workers) = parse::workers(text, NonZero::new(8).expect("it is not 0")) {
        assert!(workers.get() <= 1024, "there is a most of workers");
    }
    // That these do not panic is all there is to say.
    let _ = (
        parse::count("--window", text),
        parse::count_or_auto("--chunk", text),
        parse::number::<u32>("--retries", text),
        parse::block_size(text),
    );
}

fn words() -> Vec<Vec<u8>> {
    const WORDS: [&str; 16] = [
        "1..800000",
        "-5..=5",
        "0..18446744073709551615",
        "1_000..2_000",
        "170141183460469231731687303715884105727..=170141183460469231731687303715884105727",
        "auto",
        "none",
        "4",
        "50%",
        "64KiB",
        "1GiB",
        "18446744073709551615",
        "500ms",
        "1m30s",
        "99999999999999999999h",
        "",
    ];
    WORDS.iter().map(|word| word.as_bytes().to_owned()).collect()
}
