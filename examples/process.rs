//! Four processes, each with one call: Python's `Process(target=f, args=…)`, `start`, `join`.
//!
//! `cargo run --release --example process`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use wasmpool::Process;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let sum = || Process::<u64>::spawn("guests/tour.wasm", "sum", (0_u64, 1_000_000_u64));
    let processes = (0..4).map(|_| sum()).collect::<Result<Vec<_>, _>>()?;
    let mut pids = BTreeSet::new();
    for process in processes {
        println!("{}", process.join_timeout(Duration::from_secs(60))?);
        pids.extend(process.pid());
    }
    println!("{} processes", pids.len());
    Ok(())
}
