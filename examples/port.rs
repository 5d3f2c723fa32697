//! A program of Python's `concurrent.futures`, ported by changing names.
//!
//! `cargo run --release --example port`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    wasmpool::worker::init();
    let pool = Pool::builder("guests/primes.wasm").workers(4).build()?;
    let ranges = (0..800_000_u64).step_by(100_000).map(|n| (n, n + 100_000));
    let futures = ranges.map(|r| pool.submit::<u64>("count-primes", r)).collect::<Result<Vec<_>, _>>()?;
    let counts = futures.iter().map(|future| future.result_timeout(Duration::from_secs(60)));
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    println!("{counts:?} {}", counts.iter().sum::<u64>());
    Ok(())
}
