//! Calls whose values are asked for later: `executor.submit(f, x)`.
//!
//! `cargo run --release --example futures`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, wit_type};

wit_type! {
    struct Analysis {
        word_count: u64,
        unique_words: u64,
        avg_word_length: f64,
    }
}

const TEXTS: [&str; 5] = [
    "several processes divide the numbers among all four cores",
    "every worker fetches another item when idle again",
    "results return ordered although workers finish at random",
    "memory stays private unless several guests share it",
    "",
];

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/text.wasm")?;
    let calls = TEXTS.map(|text| pool.submit::<Analysis>("analyze", (text,)));
    for call in calls {
        let Analysis { word_count, unique_words, avg_word_length } = call?.result()?;
        println!("{word_count} {unique_words} {avg_word_length:.3}");
    }
    Ok(())
}
