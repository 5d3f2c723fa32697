//! One item of ten fails, and the others do not.
//!
//! `cargo run --release --example failures`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{CallError, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/tour.wasm")?;
    // 3,000,000,000² is more than 64 bits hold.
    let bases = (0..10_i64).map(|item| if item == 3 { 3_000_000_000_000 } else { item });
    let calls = bases.map(|base| pool.submit::<i64>("power", (base, 2_u32)));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    for call in calls {
        match call.result() {
            Ok(square) => println!("{}: {square}", call.index()),
            Err(CallError::Failed(_)) => println!("{}: failed", call.index()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
