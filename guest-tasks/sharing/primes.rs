//! A producer, consumers and their results: counting primes.

use wasmpool_guest::{Queue, task};

use super::told;
use super::trial_division::count_primes;

/// Ranges of 10,000 numbers each, so many of them, from 10,000 on.
#[task]
fn prime_tasks(count: u64) -> Vec<(u64, u64)> {
    (1..=count).map(|task| (task * 10_000, (task + 1) * 10_000)).collect()
}

/// Puts the ranges of `prime_tasks` into a queue, each with its number, and closes it.
#[task]
fn put_prime_tasks(queue: &str, count: u64) -> Result<u64, String> {
    let queue = Queue::<(u64, u64, u64)>::open(queue).map_err(told)?;
    for (number, (start, end)) in (0..).zip(prime_tasks(count)) {
        queue.put(&(number, start, end)).map_err(told)?;
    }
    queue.close();
    Ok(count)
}

/// Takes ranges out of a queue up to its end, and puts into another who it is, which task it was, and how many primes
/// there are; how many tasks it had.
#[task]
fn count_queued_primes(tasks: &str, results: &str, consumer: u64) -> Result<u64, String> {
    let tasks = Queue::<(u64, u64, u64)>::open(tasks).map_err(told)?;
    let results = Queue::<(u64, u64, u64)>::open(results).map_err(told)?;
    let mut count = 0;
    for (number, start, end) in &tasks {
        results.put(&(consumer, number, count_primes(start, end))).map_err(told)?;
        count += 1;
    }
    Ok(count)
}
