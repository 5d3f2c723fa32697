//! The `wasmpool` command: runs it, says what went wrong, and exits.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ending = wasmpool::cli::main(std::env::args_os());
    if let Some(talk) = ending.talk {
        // Whoever closed standard error still gets the exit code.
        let _ = anstream::stderr().write_all(talk.as_bytes());
    }
    ending.code.code().into()
}
