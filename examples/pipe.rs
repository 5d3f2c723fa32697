//! Two workers that talk with each other: `Pipe()`.
//!
//! `cargo run --release --example pipe`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pipe, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let (left, right) = Pipe::<String>::new()?;
    let pool = Pool::builder("guests/sharing.wasm").workers(2).share("left", &left).share("right", &right);
    let pool = pool.build()?;
    let ping = pool.submit::<Result<u64, String>>("ping", ("left", 100_u64))?;
    let pong = pool.submit::<Result<u64, String>>("pong", ("right",))?;
    println!("{} pings, {} pongs, then QUIT", ping.result()??, pong.result()??);
    Ok(())
}
