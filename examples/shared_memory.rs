//! Memory that two workers have, without a copy: `SharedMemory(create=True, size=…)`.
//!
//! `cargo run --release --example shared_memory`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, SharedMemory};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let numbers = SharedMemory::create(1_000 * size_of::<f64>())?;
    let pool = Pool::builder("guests/sharing.wasm").workers(2).share("numbers", &numbers).build()?;
    let filled = pool.submit::<Result<u64, String>>("fill-halves", ("numbers",))?.result()??;
    let sum = pool.submit::<Result<f64, String>>("sum-floats", ("numbers",))?.result()??;
    println!("{filled} numbers, {sum} together");
    let mut last = [0; 8];
    numbers.read_at(999 * 8, &mut last)?;
    println!("the last is {}", f64::from_le_bytes(last));

    // What is sealed nobody can change: guests have it as an ordinary slice.
    let words: Vec<_> = (1..=100_u64).flat_map(u64::to_le_bytes).collect();
    let words = SharedMemory::from_bytes(&words)?;
    let pool = Pool::builder("guests/sharing.wasm").share("words", &words).build()?;
    let sum = pool.submit::<Result<u64, String>>("sum-words", ("words", 0_u64, 1_u64))?.result()??;
    println!("1 + … + 100 = {sum}");
    Ok(())
}
