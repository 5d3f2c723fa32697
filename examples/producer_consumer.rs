//! A producer, three consumers and their results, over queues between them.
//!
//! `cargo run --release --example producer_consumer`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use wasmpool::{Pool, Queue};

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let tasks = Queue::<(u64, u64, u64)>::bounded(20)?;
    let results = Queue::<(u64, u64, u64)>::bounded(20)?;
    let pool =
        Pool::builder("guests/sharing.wasm").workers(4).share("tasks", &tasks).share("results", &results);
    let pool = pool.build()?;
    let producer = pool.submit::<Result<u64, String>>("put-prime-tasks", ("tasks", 50_u64))?;
    let consumers = (1..=3_u64)
        .map(|name| pool.submit::<Result<u64, String>>("count-queued-primes", ("tasks", "results", name)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut counts = BTreeMap::new();
    while counts.len() < 50 {
        let (_consumer, task, count) = results.get()?.ok_or("the queue is open")?;
        counts.insert(task, count);
    }
    let mut done = 0;
    for consumer in consumers {
        done += consumer.result()??;
    }
    println!("{} tasks put, {done} done", producer.result()??);
    println!("{} primes; first {}, last {}", counts.values().sum::<u64>(), counts[&0], counts[&49]);
    Ok(())
}
