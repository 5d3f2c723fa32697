//! Several arguments for each call: `pool.starmap(add, [(1, 2), …])`.
//!
//! `cargo run --release --example starmap`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/tour.wasm")?;
    let sums: Vec<i64> = pool.starmap("add", [(1_i64, 2_i64), (3, 4), (5, 6)])?;
    println!("{sums:?}");
    Ok(())
}
