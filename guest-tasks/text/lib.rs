//! `text.wasm`: statistics of the words of a text, see `wit/text.wit`.
#![cfg_attr(target_os = "wasi", no_std)]

extern crate alloc;

mod words;

use alloc::string::String;

use bindings::exports::wasmpool::guests::text::{Analysis, Counts, Guest};

wasmpool_guest::bare!();
wasmpool_guest::world!("../../wit", "text-guest", Text);

struct Text;

impl Guest for Text {
    fn analyze(text: String) -> Analysis {
        words::analyze(&text)
    }

    fn tally(text: String) -> Counts {
        words::tally(&text)
    }

    fn merge_tally(a: Counts, b: Counts) -> Counts {
        words::merge(a, b)
    }

    fn finish_tally(merged: Counts) -> Analysis {
        words::finish(&merged)
    }
}
