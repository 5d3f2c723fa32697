//! Calls as they end, each with what it was for: `as_completed(futures)`.
//!
//! `cargo run --release --example as_completed`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, as_completed};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::builder("guests/tour.wasm").workers(2).build()?;
    let ranges = [("slow", 3_000_000_000_u64), ("fast", 1_000), ("failing", 0)];
    let calls = ranges.map(|(_, end)| match end {
        // The sum of these does not fit 64 bits.
        0 => pool.submit::<u64>("sum", (u64::MAX - 2, u64::MAX)),
        end => pool.submit("sum", (0_u64, end)),
    });
    let calls = calls.into_iter().collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> = calls.iter().map(|call| call.index()).zip(ranges.map(|(name, _)| name)).collect();
    let mut ended: Vec<_> = Vec::new();
    for call in as_completed(calls) {
        let name = names.iter().find(|(index, _)| *index == call.index()).map_or("", |(_, name)| name);
        ended.push(format!("{name}: {}", if call.result().is_ok() { "ok" } else { "failed" }));
    }
    println!("last: {}", ended[2]);
    ended.sort();
    println!("{ended:?}");
    Ok(())
}
