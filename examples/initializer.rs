//! What each worker does first, and workers that are replaced: `initializer=`, `max_tasks_per_child=`.
//!
//! `cargo run --release --example initializer`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZero;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::builder("guests/primes.wasm")
        .workers(1)
        // It has nothing to prepare; what a guest of yours computes here its later calls find.
        .initializer("count-primes", (0_u64, 10_u64))
        .max_items_per_worker(NonZero::new(2).expect("it is not 0"))
        .build()?;
    let mut pids = BTreeSet::new();
    for number in 1..=6_u64 {
        pool.submit::<u64>("count-divisors", (number,))?.result()?;
        pids.extend(pool.pids());
    }
    println!("6 calls, 2 for each worker: {} or more processes", pids.len().min(3));
    Ok(())
}
