//! The flags that say what an item may use.

use std::time::Duration;

use clap::Args;

use super::parse;
use crate::error::Error;
use crate::limits::{DETERMINISTIC_FUEL, GuestLimits, Limits};

/// What each item may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Wall time per item, such as 500ms or 1m30s, or none
    #[arg(long, allow_negative_numbers = true, value_name = "TIME", default_value = "60s")]
    timeout: String,
    /// CPU time per item, or none
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TIME",
        default_value = "none",
        hide_short_help = true
    )]
    cpu_time: String,
    /// Memory of the guest, such as 64MiB or 2GiB
    #[arg(long, allow_negative_numbers = true, value_name = "SIZE", default_value = "1GiB")]
    memory: String,
    /// Value, standard output and standard error of an item, together
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "SIZE",
        default_value = "16MiB",
        hide_short_help = true
    )]
    max_output: String,
    /// Instructions per item, about; counting them makes the guest slower
    #[arg(long, allow_negative_numbers = true, value_name = "N", hide_short_help = true)]
    fuel: Option<String>,
    /// How long the guest may take to compile, or none
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TIME",
        default_value = "5m",
        hide_short_help = true
    )]
    compile_timeout: String,
    /// Make every run the same: limit by fuel, seed random numbers, stop the clocks
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        hide_short_help = true
    )]
    deterministic: Option<String>,
}

impl LimitArgs {
    /// How long each item may take.
    pub(super) fn limits(&self) -> Result<Limits, Error> {
        Ok(Limits {
            wall: parse::time("--timeout", &self.timeout)?,
            cpu: parse::time("--cpu-time", &self.cpu_time)?,
        })
    }

    /// What else it may use.
    pub(super) fn guest_limits(&self) -> Result<GuestLimits, Error> {
        let fuel = self.fuel.as_ref().map(|fuel| parse::count("--fuel", fuel)).transpose()?;
        Ok(GuestLimits {
            memory: parse::size("--memory", &self.memory, parse::MAX_MEMORY)?.get(),
            output: parse::size("--max-output", &self.max_output, parse::MAX_OUTPUT)?.get(),
            fuel: match fuel {
                Some(fuel) => Some(fuel.get()),
                None => self.deterministic.is_some().then_some(DETERMINISTIC_FUEL),
            },
        })
    }

    /// How long the guest may take to compile.
    pub(super) fn compile_timeout(&self) -> Result<Option<Duration>, Error> {
        parse::time("--compile-timeout", &self.compile_timeout)
    }

    /// What random numbers and clocks come from, if every run is to be the same.
    pub(super) fn seed(&self) -> Result<Option<u64>, Error> {
        self.deterministic.as_ref().map(|seed| parse::number("--deterministic", seed)).transpose()
    }
}
