//! The command line: what was typed becomes a plan, the plan is run, and how that went becomes an exit code.
//!
//! One file per subcommand holds what may be typed for it. Nothing here ends the process: `main` does, with the
//! [`Ending`] it is given.

use std::ffi::OsString;
use std::num::NonZero;
use std::thread;

use clap::{ColorChoice, CommandFactory, Parser, Subcommand};

use crate::error::ExitCode;

mod bench;
mod bindings;
mod cache;
mod call;
mod clash;
mod completions;
mod doctor;
mod exit;
mod figures;
mod grants;
mod input;
mod inspect;
mod job;
mod journal;
mod limits;
mod man;
mod parse;
mod pipeline;
mod policy;
mod protection;
mod replay;
mod run;
mod shares;
mod signals;
mod surroundings;
mod usage;

pub use exit::Ending;

const EXAMPLES: &str = "\
Examples:
  wasmpool run primes.wasm --range 1..800000
  wasmpool run text.wasm analyze --lines notes.txt > records.jsonl
  wasmpool call primes.wasm count-primes 1 100";

/// Runs WebAssembly functions over many inputs, in sandboxed processes on every core
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Colours: on terminals that take them unless NO_COLOR is set, always, or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_short_help = true
    )]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Pipeline(Box<pipeline::PipelineArgs>),
    Call(Box<call::CallArgs>),
    Replay(replay::ReplayArgs),
    Inspect(inspect::InspectArgs),
    Bench(Box<bench::BenchArgs>),
    Doctor(doctor::DoctorArgs),
    Cache(cache::CacheArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Does what the arguments, the program's own name first, ask for.
///
/// A worker process starts here too, and is told apart by its first argument.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Ending {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|first| first == crate::pool::WORKER_ARGUMENT) {
        return job::worker(&arguments);
    }
    if let Some(error) = usage::stray_number(&arguments) {
        return Err(error).into();
    }
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            match cli.color {
                ColorChoice::Auto => anstream::ColorChoice::Auto,
                ColorChoice::Always => anstream::ColorChoice::Always,
                ColorChoice::Never => anstream::ColorChoice::Never,
            }
            .write_global();
            cli.command.execute().into()
        }
        Err(answer) => exit::from_clap(&answer),
    }
}

impl Command {
    fn execute(self) -> anyhow::Result<ExitCode> {
        surroundings::settle()?;
        match self {
            Self::Run(args) => job::supervise(args.plan(usable_cpus())?),
            Self::Pipeline(args) => args.execute(usable_cpus()),
            Self::Call(args) => job::supervise(args.plan()?),
            Self::Replay(args) => args.execute(usable_cpus(), run_again),
            Self::Inspect(args) => Ok(args.execute()?),
            Self::Bench(args) => args.execute(usable_cpus()),
            Self::Doctor(args) => Ok(args.execute()?),
            Self::Cache(args) => Ok(args.execute()?),
            Self::Completions(args) => Ok(args.execute(Cli::command())?),
            Self::Man(args) => Ok(args.execute(Cli::command())?),
        }
    }
}

/// The `run` that a journal was written by.
fn run_again(command: &crate::journal::Invocation) -> Option<run::RunArgs> {
    let arguments = std::iter::once(OsString::from("wasmpool")).chain(command.arguments());
    match Cli::try_parse_from(arguments).ok()?.command {
        Command::Run(args) => Some(*args),
        Command::Pipeline(_)
        | Command::Call(_)
        | Command::Replay(_)
        | Command::Inspect(_)
        | Command::Bench(_)
        | Command::Doctor(_)
        | Command::Cache(_)
        | Command::Completions(_)
        | Command::Man(_) => None,
    }
}

/// As many as this process may use; one if the system does not tell.
fn usable_cpus() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(arguments: &[&str]) -> Ending {
        main(["wasmpool"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_short_help_fits_on_one_screen() {
        let mut command = Cli::command();
        let lines = |help: clap::builder::StyledStr| help.to_string().lines().count();
        assert!(lines(command.render_help()) <= 24);
        for subcommand in command.get_subcommands_mut() {
            let name = subcommand.get_name().to_owned();
            assert!(lines(subcommand.render_help()) <= 40, "{name}");
        }
    }

    #[test]
    fn no_arguments_is_wrong_usage_and_shows_the_help() {
        let ending = ending(&[]);
        assert_eq!(ending.code, ExitCode::USAGE);
        assert!(ending.talk.unwrap().contains("Examples:"));
    }

    #[test]
    fn an_unknown_flag_is_wrong_usage() {
        assert_eq!(ending(&["run", "g.wasm", "--no-such-flag"]).code, ExitCode::USAGE);
    }

    #[test]
    fn a_guest_that_is_missing_ends_with_its_own_code() {
        let ending = ending(&["inspect", "/no/such/guest.wasm"]);
        assert_eq!(ending.code, ExitCode::GUEST);
        assert!(ending.talk.unwrap().contains("`/no/such/guest.wasm` does not exist"));
    }
}
