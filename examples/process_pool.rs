//! Counts primes in a pool of processes: single calls, many calls, calls as they end, and one that never would.
//!
//! `cargo run --release --example process_pool guests/primes.wasm`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wasmpool::{Pool, as_completed};

fn main() -> Result<(), Box<dyn Error>> {
    // Workers are this program once more: they stop here.
    wasmpool::worker::init();

    let guest = std::env::args().nth(1).unwrap_or_else(|| "guests/primes.wasm".to_owned());
    let pool = Pool::builder(guest).workers(4).build()?;

    // One call, whose value is waited for.
    let primes = pool.submit::<u64>("count-primes", (0_u64, 100_000_u64))?;
    println!("primes below 100000: {}", primes.result()?);

    // Many calls, whose values come in order.
    let ranges = (0..8_u64).map(|part| (part * 100_000, (part + 1) * 100_000));
    let counts: Vec<u64> = pool.starmap("count-primes", ranges)?;
    println!("primes below 800000: {} = {}", listed(&counts), counts.iter().sum::<u64>());

    // Calls as they end.
    let calls = (1..=3_u64).map(|n| pool.submit::<u64>("count-divisors", (n * 5_000_000,)));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let mut divisors = Vec::new();
    for call in as_completed(calls) {
        divisors.push((call.index(), call.result()?));
    }
    divisors.sort_unstable();
    println!("divisors, by call: {divisors:?}");

    // A call that takes too long is ended, and its worker is not lost.
    let endless = pool.function("count-primes")?.timeout(Duration::from_millis(50));
    match endless.call::<u64>((0_u64, 1_000_000_000_000_u64)) {
        Ok(primes) => println!("primes below 10^12: {primes}"),
        Err(error) => println!("primes below 10^12: {error}"),
    }
    println!("primes below 100: {}", pool.submit::<u64>("count-primes", (0_u64, 100_u64))?.result()?);
    Ok(())
}

fn listed(counts: &[u64]) -> String {
    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" + ")
}
