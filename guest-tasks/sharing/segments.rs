//! Memory that is shared.

use wasmpool_guest::{Numeric, SharedMemory, task};

use super::told;

/// Fills a writable segment with the numbers 0, 1/2, 1, 3/2, …; how many there are.
#[task]
fn fill_halves(segment: &str) -> Result<u64, String> {
    let memory = SharedMemory::open(segment).map_err(told)?;
    let count = memory.len() / size_of::<f64>();
    let mut half = 0.0;
    for index in 0..count {
        memory.store(index, half);
        half += 0.5;
    }
    Ok(count as u64)
}

/// The sum of all numbers of 64 bits with a binary point in a segment, whoever may write to it.
#[task]
fn sum_floats(segment: &str) -> Result<f64, String> {
    let memory = SharedMemory::open(segment).map_err(told)?;
    Ok(match memory.as_slice_of::<f64>() {
        Some(numbers) => numbers.iter().sum(),
        None => all::<f64>(&memory).sum(),
    })
}

fn all<T: Numeric>(memory: &SharedMemory) -> impl Iterator<Item = T> {
    (0..memory.len() / size_of::<T>()).map(|index| memory.load(index))
}

/// The sum of the integers of 64 bits in part `part` of `parts` of a sealed segment, wrapping around.
#[task]
fn sum_words(segment: &str, part: u64, parts: u64) -> Result<u64, String> {
    let memory = SharedMemory::open(segment).map_err(told)?;
    let words = memory.as_slice_of::<u64>().ok_or("the segment is not sealed")?;
    let place = |part: u64| usize::try_from(words.len() as u64 * part / parts).map_err(told);
    let words = words.get(place(part)?..place(part + 1)?).ok_or("there is no such part")?;
    Ok(words.iter().fold(0, |sum, word| sum.wrapping_add(*word)))
}

/// The byte at place `at` of a segment.
#[task]
fn peek(segment: &str, at: u64) -> Result<u8, String> {
    let memory = SharedMemory::open(segment).map_err(told)?;
    let mut byte = [0];
    memory.read(usize::try_from(at).map_err(told)?, &mut byte);
    Ok(byte[0])
}

/// Writes a byte to place `at` of a writable segment.
#[task]
fn poke(segment: &str, at: u64, byte: u8) -> Result<(), u8> {
    let Ok(memory) = SharedMemory::open(segment) else { return Err(1) };
    let Ok(at) = usize::try_from(at) else { return Err(2) };
    memory.write(at, &[byte]);
    Ok(())
}
