//! A call that never ends, and a limit that ends it: more than `future.result(timeout=10)`.
//!
//! `cargo run --release --example timeout`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wasmpool::{CallError, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/primes.wasm")?;
    let call = pool.submit::<u64>("count-primes", (0_u64, 1_u64 << 40))?;
    let waited = call.result_timeout(Duration::from_millis(50));
    println!("not done: {}", matches!(waited, Err(CallError::NotDone)));
    println!("cancelled: {}", call.cancel());
    let limited = pool.function("count-primes")?.timeout(Duration::from_millis(50));
    println!("{}", limited.call::<u64>((0_u64, 1_u64 << 40)).expect_err("it cannot be done in that time"));
    Ok(())
}
