//! `wasmpool cache`: what is in the cache of compiled guests, and its end.

use std::io::Write;

use clap::{Args, Subcommand};

use super::inspect::size;
use super::{exit, surroundings};
use crate::cache::{Cache, NoPlace, Usage};
use crate::error::{Error, ExitCode};
use crate::record::escaped;
use crate::report::counted;

/// Show or clean the cache of compiled guests
///
/// Guests are compiled once and kept in `wasmpool` in $XDG_CACHE_HOME, or in ~/.cache where that is not set.
/// $WASMPOOL_CACHE names another directory, or is `off`. What has not been used for the longest time is removed by
/// itself when there is more than 1 GiB.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  wasmpool cache info
  wasmpool cache clean"
)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// Show where it is and what is in it
    Info,
    /// Remove what is in it; runs that use it go on
    Clean,
}

impl CacheArgs {
    pub(super) fn execute(self) -> Result<ExitCode, Error> {
        let text = match (Cache::of_environment(), self.action) {
            (Err(reason), _) => none(reason),
            (Ok(cache), Action::Info) => info(&cache, cache.usage()?),
            (Ok(cache), Action::Clean) => cleaned(cache.clean()?),
        };
        // What was asked for is done, whether it can be told or not.
        surroundings::standard_output()?.write_all(text.as_bytes()).map_err(exit::cannot_write)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn none(reason: NoPlace) -> String {
    format!("there is no cache: {reason}\n")
}

fn info(cache: &Cache, Usage { entries, bytes }: Usage) -> String {
    let directory = cache.directory().to_string_lossy();
    let lines = [
        ("directory", escaped(&directory).into_owned()),
        ("entries", entries.to_string()),
        ("size", format!("{} of at most {}", size(bytes), size(cache.limit()))),
    ];
    lines.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

fn cleaned(Usage { entries, bytes }: Usage) -> String {
    format!("removed {}, {}\n", counted(entries, "compiled guest"), size(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_cache_is_told_without_what_controls_a_terminal() {
        let text = info(&Cache::at("/tmp/\x1b[2J"), Usage { entries: 3, bytes: 1_300_000 });
        let expected = "\
directory  /tmp/\\u{1b}[2J
entries    3
size       1.2 MiB of at most 1.0 GiB
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_was_removed_is_told() {
        assert_eq!(cleaned(Usage { entries: 1, bytes: 2048 }), "removed 1 compiled guest, 2.0 KiB\n");
        assert_eq!(cleaned(Usage::default()), "removed 0 compiled guests, 0 bytes\n");
    }

    #[test]
    fn that_there_is_none_is_told_with_the_reason() {
        assert_eq!(none(NoPlace::Off), "there is no cache: `WASMPOOL_CACHE` is `off`\n");
    }
}
