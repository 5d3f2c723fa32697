//! Locks that are held, and whose holders end in all ways.

use std::time::Duration;

use wasmpool_guest::{Array, Lock, Value, task};

use super::told;

/// Holds a lock for so many milliseconds; whether who held it before was killed.
#[task]
fn hold(lock: &str, milliseconds: u64) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    let guard = lock.lock();
    std::thread::sleep(Duration::from_millis(milliseconds));
    Ok(guard.recovered())
}

/// Waits for a lock, for so many milliseconds at most; whether who held it before was killed.
#[task]
fn try_lock(lock: &str, milliseconds: u64) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    let guard = lock.lock_timeout(Duration::from_millis(milliseconds)).map_err(told)?;
    Ok(guard.recovered())
}

/// Takes a lock and never gives it back.
#[task]
fn hold_forever(lock: &str) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    let guard = lock.lock();
    while !guard.recovered() || guard.recovered() {
        std::hint::spin_loop();
    }
    Ok(true)
}

/// Takes a lock, and traps.
#[task]
fn hold_and_trap(lock: &str) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    let _guard = lock.lock();
    panic!("with a lock in hand");
}

/// Takes a lock, and lets it slip.
#[task]
fn hold_and_forget(lock: &str) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    std::mem::forget(lock.lock());
    Ok(true)
}

/// Takes a lock twice.
#[task]
fn hold_twice(lock: &str) -> Result<bool, String> {
    let lock = Lock::open(lock).map_err(told)?;
    let _guard = lock.lock();
    Ok(lock.lock().recovered())
}

/// Locks a number, changes it, and never comes to an end.
#[task]
fn spin_with_value(value: &str) -> Result<i64, String> {
    let value = Value::<i64>::open(value).map_err(told)?;
    value.with_lock(|number| {
        loop {
            *number = std::hint::black_box(*number + 1);
        }
    })
}

/// Locks numbers, changes them, and never comes to an end.
#[task]
fn spin_with_array(array: &str) -> Result<f64, String> {
    let array = Array::<f64>::open(array).map_err(told)?;
    array.with_lock(|numbers| {
        loop {
            numbers.fill(std::hint::black_box(-1.0));
        }
    })
}
