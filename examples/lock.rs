//! A lock whose holder is killed: it is given back, and the next to have it is told.
//!
//! `cargo run --release --example lock`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use wasmpool::{Lock, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let lock = Lock::new()?;
    let pool = Pool::builder("guests/sharing.wasm").workers(2).share("lock", &lock).build()?;
    let endless = pool.function("hold-forever")?.timeout(Duration::from_millis(100));
    println!("its holder: {}", endless.call::<Result<bool, String>>(("lock",)).expect_err("it never ends"));
    let guard = lock.lock();
    println!("ours; somebody was killed with it: {}", guard.recovered());
    Ok(())
}
