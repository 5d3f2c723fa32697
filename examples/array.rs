//! Numbers that four workers change: `Array(c_double, […])`.
//!
//! `cargo run --release --example array`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Array, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let numbers = Array::<f64>::from([1.0, 2.0, 3.0])?;
    let pool = Pool::builder("guests/sharing.wasm").workers(4).share("numbers", &numbers).build()?;
    let calls = (1..=4).map(|worker| ("numbers", f64::from(worker), 1_000_u64));
    pool.starmap::<Result<Vec<f64>, String>, _>("add-to-all", calls)?;
    println!("{:?}", numbers.to_vec());
    Ok(())
}
