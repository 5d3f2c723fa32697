//! What the command inherits from whoever started it and changes before it starts anything: only the command line does
//! this, never the library, for it is the whole process's.

use std::io;
use std::sync::Arc;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGXFSZ;

use super::exit;
use crate::error::Error;
use crate::sandbox;

/// Makes this process one that can have workers.
///
/// # Errors
/// The system's, if it refuses.
pub(super) fn settle() -> anyhow::Result<()> {
    sandbox::heed_children().context("the ends of workers cannot be told")?;
    // A file that may not grow any more is then an error of who writes it, like a full disk.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).context("signals cannot be watched for")?;
    raise_open_files();
    Ok(())
}

/// Standard output, if there is one: what would be written to a closed one would be lost without a word.
///
/// # Errors
/// If it was closed when this process started.
pub(super) fn standard_output() -> Result<io::Stdout, Error> {
    match sandbox::output_was_closed() {
        false => Ok(io::stdout()),
        true => Err(exit::cannot_write(io::Error::other("it is closed"))),
    }
}

/// As many open files as this process may allow itself. The usual limit is low for the sake of programs that use
/// `select`, which this one does not.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, the pool says if it is too low.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
