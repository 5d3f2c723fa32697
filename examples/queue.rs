//! Two consumers of one queue, which is closed instead of filled with sentinels: `Queue(maxsize)`.
//!
//! `cargo run --release --example queue`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, Queue};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let queue = Queue::<u64>::bounded(20)?;
    let pool = Pool::builder("guests/sharing.wasm").workers(2).share("queue", &queue).build()?;
    let consumers = [(); 2].map(|()| pool.submit::<Result<Vec<(u64, u64)>, String>>("consume", ("queue",)));
    for number in 0..100 {
        // Waits while 20 are in it.
        queue.put(&number)?;
    }
    queue.close();
    let mut results = Vec::new();
    for consumer in consumers {
        results.extend(consumer?.result()??);
    }
    results.sort_unstable();
    println!("{} items; the last is {:?}", results.len(), results[99]);
    Ok(())
}
