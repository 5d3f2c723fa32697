//! The flags that say what becomes of items that fail, and of the run.

use std::time::Duration;

use clap::Args;

use super::grants::Grants;
use super::parse;
use crate::error::Error;
use crate::limits::Policy;

/// How failures are met.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct PolicyArgs {
    /// How often an item that fails is run again
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value = "0",
        hide_short_help = true
    )]
    retries: String,
    /// How often an item that takes its worker with it is run again [default: 1; 0 with a folder that may be written to]
    #[arg(long, allow_negative_numbers = true, value_name = "N", hide_short_help = true)]
    crash_retries: Option<String>,
    /// Never start an item a second time, whatever becomes of it
    #[arg(long, hide_short_help = true)]
    at_most_once: bool,
    /// End the run at the first failure, or at so many of them
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        hide_short_help = true
    )]
    fail_fast: Option<String>,
    /// End the run after this time, such as 10m; what has not ended is cancelled
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TIME",
        default_value = "none",
        hide_short_help = true
    )]
    run_timeout: String,
    /// Replace a worker when it has run so many items
    #[arg(long, allow_negative_numbers = true, value_name = "N", hide_short_help = true)]
    max_items_per_worker: Option<String>,
}

impl PolicyArgs {
    /// What becomes of items that fail, of a guest that is given this.
    pub(super) fn policy(&self, grants: &Grants) -> Result<Policy, Error> {
        let retries = parse::number("--retries", &self.retries)?;
        let crash_retries = self.crash_retries.as_ref();
        let crash_retries = crash_retries.map(|n| parse::number("--crash-retries", n)).transpose()?;
        if self.at_most_once {
            only_none("--retries", Some(retries))?;
            only_none("--crash-retries", crash_retries)?;
        }
        let crash_retries = crash_retries.unwrap_or_else(|| grants.crash_retries());
        let fail_fast = self.fail_fast.as_ref().map(|n| parse::count("--fail-fast", n)).transpose()?;
        let most = self.max_items_per_worker.as_ref();
        let most = most.map(|n| parse::count("--max-items-per-worker", n)).transpose()?;
        Ok(Policy {
            retries,
            crash_retries: if self.at_most_once { 0 } else { crash_retries },
            at_most_once: self.at_most_once,
            fail_fast,
            max_items_per_worker: most,
        })
    }

    /// How long the whole run may take.
    pub(super) fn run_timeout(&self) -> Result<Option<Duration>, Error> {
        parse::time("--run-timeout", &self.run_timeout)
    }
}

/// An item that is started at most once is not run again.
fn only_none(flag: &str, retries: Option<u32>) -> Result<(), Error> {
    match retries {
        None | Some(0) => Ok(()),
        Some(_) => Err(Error::usage(
            format!("`--at-most-once` does not go with `{flag}`"),
            format!("leave one of them out, or write `{flag} 0`"),
        )),
    }
}
