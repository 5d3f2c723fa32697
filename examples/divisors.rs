//! A function that only computes, in one process and in several.
//!
//! `cargo run --release --example divisors`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    for workers in [1, 4] {
        let pool = Pool::builder("guests/primes.wasm").workers(workers).build()?;
        let divisors: Vec<u64> = pool.map("count-divisors", 5_000_000..=5_000_007_u64)?;
        println!("{workers}: {divisors:?}");
    }
    Ok(())
}
