//! A number that four workers count with: `Value(c_int, 0)` and `get_lock()`.
//!
//! `cargo run --release --example value`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, Value};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let counter = Value::<i64>::new(0)?;
    let pool = Pool::builder("guests/sharing.wasm").workers(4).share("counter", &counter).build()?;
    pool.starmap::<Result<i64, String>, _>("increment", [("counter", 10_000_u64); 4])?;
    println!("{}", counter.get());
    counter.with_lock(|number| *number *= 2);
    println!("{}", counter.get());
    Ok(())
}
