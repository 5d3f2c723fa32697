//! Numbers that are shared.

use wasmpool_guest::{Array, Value, task};

use super::told;

/// Adds 1 to a number so many times; what the number is afterwards.
#[task]
fn increment(value: &str, times: u64) -> Result<i64, String> {
    let value = Value::<i64>::open(value).map_err(told)?;
    for _ in 0..times {
        value.add(1);
    }
    Ok(value.get())
}

/// As `increment`, under the number's lock.
#[task]
fn increment_locked(value: &str, times: u64) -> Result<i64, String> {
    let value = Value::<i64>::open(value).map_err(told)?;
    for _ in 0..times {
        value.with_lock(|number| *number += 1);
    }
    Ok(value.get())
}

/// Adds `number` to all numbers of an array so many times; what they are afterwards.
#[task]
fn add_to_all(array: &str, number: f64, times: u64) -> Result<Vec<f64>, String> {
    let array = Array::<f64>::open(array).map_err(told)?;
    for _ in 0..times {
        array.with_lock(|numbers| numbers.iter_mut().for_each(|element| *element += number));
    }
    Ok(array.to_vec())
}

/// The numbers of an array.
#[task]
fn read_array(array: &str) -> Result<Vec<f64>, String> {
    Array::<f64>::open(array).map(|array| array.to_vec()).map_err(told)
}
