//! `wasmpool completions`: what a shell has to know to complete our commands and flags.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{exit, surroundings};
use crate::error::{Error, ExitCode};

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wasmpool completions bash > ~/.local/share/bash-completion/completions/wasmpool
  wasmpool completions zsh > ~/.zfunc/_wasmpool
  wasmpool completions fish > ~/.config/fish/completions/wasmpool.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints it for this command line.
    pub(super) fn execute(self, mut command: Command) -> Result<ExitCode, Error> {
        let name = command.get_name().to_owned();
        // What writes it panics where it cannot, and whoever reads it may stop.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        surroundings::standard_output()?.write_all(&script).map_err(exit::cannot_write)?;
        Ok(ExitCode::SUCCESS)
    }
}
