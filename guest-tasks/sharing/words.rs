//! Words to whoever watches.

use wasmpool_guest::{Level, log, progress, task};

/// Says something at once; `level` is its first letter.
#[task]
fn say(level: char, text: &str) -> bool {
    let level = match level {
        'd' => Level::Debug,
        'w' => Level::Warning,
        'e' => Level::Error,
        _ => Level::Info,
    };
    log(level, text);
    true
}

/// Tells of each of so many steps.
#[task]
fn step(steps: u64) -> u64 {
    for done in 0..=steps {
        progress(done, steps);
    }
    steps
}
