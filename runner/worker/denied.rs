//! What was denied to a guest, in words: it is told of an item that fails afterwards.
//!
//! The functions of WASI that may deny something are met twice: by the runtime's own, and in its place by one of these,
//! which calls that, and takes note of what it says. What only an open file is asked for is not among them: a file that
//! may not be changed cannot be opened for it either.

mod components;
mod modules;

pub(super) use components::{watch_files, watch_network};
pub(super) use modules::watch_files as watch_module_files;

use super::trap::printable;
use super::wasi::State;

/// Characters of a path that are told.
const LONGEST_PATH: usize = 200;

impl State {
    /// Takes note that the guest was denied what is called so: `opening a file`. The last one counts: it is the nearest
    /// to what became of the item.
    fn deny(&mut self, asked: &str) {
        self.denied = Some(format!("{asked} is not allowed"));
    }
}

/// Opening a file, if it may be read.
fn opening(path: &str) -> String {
    format!("opening `{}`", shown(path))
}

/// Opening a file, if it may be changed.
fn writing(path: &str) -> String {
    format!("writing to `{}`", shown(path))
}

/// A path of the guest's making, as part of a line.
fn shown(path: &str) -> String {
    let shown = printable(path, LONGEST_PATH);
    if path.chars().nth(LONGEST_PATH).is_some() { shown + "…" } else { shown }
}
