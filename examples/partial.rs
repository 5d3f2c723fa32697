//! One argument that is always the same: `functools.partial(power, exp=2)`.
//!
//! `cargo run --release --example partial`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/tour.wasm")?;
    let squares: Vec<i64> = pool.bind("power", "exp", &2_u32)?.map(0..10_i64)?;
    println!("{squares:?}");
    Ok(())
}
