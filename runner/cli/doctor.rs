//! `wasmpool doctor`: which protection layers hold around workers on this machine.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Args;

use super::exit;
use super::protection::ProtectionArgs;
use crate::error::{Error, ExitCode};
use crate::pool::{self, Evidence, Protection};
use crate::record::escaped;
use crate::sandbox::syscalls::{Answer, Kind, Phase, calls};
use crate::sandbox::{LayerState, Mode};

/// Tell which protection layers hold on this machine
///
/// A worker is started that locks itself in, with no guest in it, and looked at from outside. The exit code is 5 if it
/// lacks a layer that --sandbox requires.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wasmpool doctor
  wasmpool doctor --sandbox strict")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    protection: ProtectionArgs,
}

impl DoctorArgs {
    pub(super) fn execute(self) -> Result<ExitCode, Error> {
        // Every layer is told, so none is required before that.
        let mode = self.protection.mode();
        let protection = match mode {
            Mode::Auto | Mode::Strict => pool::probe(None, Mode::Auto),
            Mode::Off => pool::probe(None, Mode::Off),
        }?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(text(&protection, mode).as_bytes()).map_err(exit::cannot_write)?;
        Ok(if lacking(&protection, mode) { ExitCode::PROTECTION } else { ExitCode::SUCCESS })
    }
}

fn lacking(protection: &Protection, mode: Mode) -> bool {
    let lacks = |state: &LayerState| state.absent.is_some() && mode.requires(state.layer);
    protection.contradiction.is_some() || protection.layers.iter().any(lacks)
}

fn text(protection: &Protection, mode: Mode) -> String {
    let mut text = String::from("layer               holds  stops\n");
    for state in &protection.layers {
        let holds = match protection.evidence(state) {
            Some(Evidence::Seen) => "seen",
            Some(Evidence::Claimed) => "yes",
            None => "no",
        };
        let _ = writeln!(text, "{:<20}{holds:<7}{}", state.layer.name(), state.layer.stops());
        if let Some(why) = &state.absent {
            let required = if mode.requires(state.layer) { ", and it is required" } else { "" };
            let _ = writeln!(text, "{:<27}it does not hold: {}{required}", "", escaped(why));
        }
    }
    if let Some(contradiction) = &protection.contradiction {
        let _ = writeln!(text, "\n{}", escaped(contradiction));
    }
    let _ = writeln!(text, "\n{}", system_calls());
    let seen = "\"seen\" is what the host found in /proc; of \"yes\" the worker's word is all there is.";
    let _ = writeln!(text, "{seen}");
    text
}

/// How many system calls the table leaves a worker.
fn system_calls() -> String {
    let count = |kind| {
        let answered = calls(kind, Phase::Always).filter(|call| call.answer == Answer::Allow);
        let mut numbers: Vec<_> = answered.map(|call| call.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    };
    let [compile, compute, files] = Kind::ALL.map(count);
    format!(
        "A worker may make {compute} kinds of system calls, with folders {files}; one that compiles, {compile}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Layer;

    fn protection(absent: &[Layer]) -> Protection {
        let state = |layer| {
            if absent.contains(&layer) {
                LayerState::absent(layer, "it is old")
            } else {
                LayerState::holds(layer)
            }
        };
        Protection { layers: Layer::ALL.map(state).to_vec(), contradiction: None }
    }

    #[test]
    fn each_layer_has_a_line_and_each_that_is_missing_a_reason() {
        let text = text(&protection(&[Layer::Landlock]), Mode::Strict);
        for layer in Layer::ALL {
            assert!(text.contains(&format!("\n{}", layer.name())), "{text}");
        }
        assert!(text.contains("it does not hold: it is old, and it is required\n"), "{text}");
    }

    #[test]
    fn what_is_missing_fails_if_it_is_required() {
        assert!(!lacking(&protection(&[]), Mode::Strict));
        assert!(!lacking(&protection(&[Layer::Landlock]), Mode::Auto));
        assert!(lacking(&protection(&[Layer::Landlock]), Mode::Strict));
        assert!(lacking(&protection(&[Layer::Seccomp]), Mode::Auto));
        assert!(!lacking(&protection(&[Layer::Seccomp]), Mode::Off));
        let lying = Protection { contradiction: Some("it lies".to_owned()), ..protection(&[]) };
        assert!(lacking(&lying, Mode::Auto));
    }
}
