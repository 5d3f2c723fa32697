//! `wasmpool man`: the manual pages, made of the help.

use std::io::{self, Write};

use clap::{Args, Command};

use super::{exit, surroundings};
use crate::error::{Error, ExitCode};

/// Print a manual page
///
/// The page is in the format of man(1): that of a command, or else that of wasmpool, which lists the commands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wasmpool man > wasmpool.1
  wasmpool man run > wasmpool-run.1")]
pub(super) struct ManArgs {
    /// The command that the page is about
    command: Option<String>,
}

impl ManArgs {
    /// Prints the page about this command line, or about a command of it.
    pub(super) fn execute(self, mut program: Command) -> Result<ExitCode, Error> {
        program.build();
        let command = match &self.command {
            None => &program,
            Some(name) => program.find_subcommand(name).ok_or_else(|| no_such(&program, name))?,
        };
        let mut output = surroundings::standard_output()?;
        let print = |page: String| output.write_all(page.as_bytes());
        page(command.clone()).and_then(print).map_err(exit::cannot_write)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn page(command: Command) -> io::Result<String> {
    // The short help leaves out what is seldom asked for; a manual does not.
    let command = command.mut_args(|argument| argument.hide_short_help(false));
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command).source(concat!("wasmpool ", env!("CARGO_PKG_VERSION")));
    man.render(&mut page)?;
    let page = String::from_utf8(page).map_err(io::Error::other)?;
    // What stands behind the flags in our help is examples and nothing else.
    Ok(page.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n"))
}

fn no_such(program: &Command, name: &str) -> Error {
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<_> = commands.map(|command| format!("`{}`", command.get_name())).collect();
    Error::usage(format!("there is no command `{name}`"), format!("there are {}", names.join(", ")))
}
