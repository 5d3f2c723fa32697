//! Values in the order in which calls end: `pool.imap_unordered`.
//!
//! `cargo run --release --example imap_unordered`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;
use std::error::Error;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/primes.wasm")?;
    let divisors = pool.imap_unordered::<u64, _>("count-divisors", 1..=12_u64)?;
    let set = divisors.collect::<Result<BTreeSet<_>, _>>()?;
    println!("{set:?}");
    Ok(())
}
