//! Arguments that do not fit are refused before anything runs, with the type expected and the type found.
//!
//! `cargo run --release --example types`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/primes.wasm")?;
    let refused = pool.submit::<u64>("count-divisors", ("many",));
    println!("{}", refused.err().ok_or("it is refused")?);
    Ok(())
}
