//! Queues and pipes.

use std::time::Duration;

use wasmpool_guest::{PipeEnd, Queue, task};

use super::told;

/// Puts the numbers from `start` on into a queue, so many; how far it was ahead at most, as the queue tells.
#[task]
fn produce(queue: &str, start: u64, count: u64) -> Result<u64, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    let mut ahead = 0;
    for number in start..start + count {
        queue.put(&number).map_err(told)?;
        ahead = ahead.max(queue.len() as u64);
    }
    Ok(ahead)
}

/// Puts the numbers from 0 on into a queue, so many, and closes it.
#[task]
fn put_numbers(queue: &str, count: u64) -> Result<u64, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    for number in 0..count {
        queue.put(&number).map_err(told)?;
    }
    queue.close();
    Ok(count)
}

/// Takes numbers out of a queue up to its end; each with its square.
#[task]
fn consume(queue: &str) -> Result<Vec<(u64, u64)>, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    Ok(queue.iter().map(|number| (number, number * number)).collect())
}

/// Takes numbers out of a queue up to its end; how many there were, and their sum.
#[task]
fn consume_all(queue: &str) -> Result<(u64, u64), String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    Ok(queue.iter().fold((0, 0), |(count, sum), number| (count + 1, sum + number)))
}

/// Takes one number out of a queue, and then does nothing for so many milliseconds.
#[task]
fn take_one(queue: &str, milliseconds: u64) -> Result<Option<u64>, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    let number = queue.get();
    std::thread::sleep(Duration::from_millis(milliseconds));
    Ok(number)
}

/// Waits for a number, for so many milliseconds at most.
#[task]
fn await_one(queue: &str, milliseconds: u64) -> Result<Option<u64>, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    queue.get_timeout(Duration::from_millis(milliseconds)).map_err(told)
}

/// Closes a queue; how many messages are left in it.
#[task]
fn close_queue(queue: &str) -> Result<u64, String> {
    let queue = Queue::<u64>::open(queue).map_err(told)?;
    queue.close();
    Ok(queue.len() as u64)
}

/// Puts a text of so many bytes into a queue.
#[task]
fn put_text(queue: &str, bytes: u32) -> Result<bool, String> {
    let queue = Queue::<String>::open(queue).map_err(told)?;
    queue.put(&"x".repeat(bytes as usize)).map_err(told)?;
    Ok(true)
}

/// Sends numbers through a pipe and awaits their successors, so many times, then `QUIT`; how many came back right.
#[task]
fn ping(end: &str, times: u64) -> Result<u64, String> {
    let end = PipeEnd::<String>::open(end).map_err(told)?;
    let mut right = 0;
    for number in 0..times {
        end.send(&number.to_string()).map_err(told)?;
        let answer = end.recv().ok_or("the other end is closed")?;
        right += u64::from(answer == (number + 1).to_string());
    }
    end.send(&"QUIT".to_owned()).map_err(told)?;
    Ok(right)
}

/// Answers each number with its successor until `QUIT`, or the end of the pipe; how many there were.
#[task]
fn pong(end: &str) -> Result<u64, String> {
    let end = PipeEnd::<String>::open(end).map_err(told)?;
    let mut count = 0;
    while let Some(text) = end.recv().filter(|text| text != "QUIT") {
        let number: u64 = text.parse().map_err(told)?;
        end.send(&(number + 1).to_string()).map_err(told)?;
        count += 1;
    }
    Ok(count)
}
