//! `wasmpool doctor`: which protection layers hold around workers on this machine.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use clap::Args;
use serde::Serialize;

use super::figures::Format;
use super::protection::ProtectionArgs;
use super::{exit, surroundings};
use crate::error::{Error, ExitCode};
use crate::pool::{self, Evidence, Protection};
use crate::record::escaped;
use crate::sandbox::syscalls::{Answer, Kind, Phase, calls};
use crate::sandbox::{Access, Layer, LayerState, Profile, SandboxMode};

/// Tell which protection layers hold on this machine
///
/// A worker is started that locks itself in, with no guest in it, and looked at from outside. The exit code is 5 if it
/// lacks a layer that --sandbox requires.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wasmpool doctor
  wasmpool doctor --format json")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    protection: ProtectionArgs,

    /// How the layers are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", help_heading = "Output")]
    format: Format,
}

/// What was found, and by what it is judged.
struct Findings {
    protection: Protection,
    mode: SandboxMode,
    /// The version of the kernel, if it tells.
    kernel: Option<String>,
}

/// [`Findings`] as JSON.
#[derive(Serialize)]
struct Object<'f> {
    v: u32,
    kernel: Option<&'f str>,
    sandbox: &'static str,
    /// Whether everything holds that has to.
    holds: bool,
    layers: Vec<Row<'f>>,
    /// How many system calls a worker may make; none: any.
    system_calls: Option<SystemCalls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contradiction: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<&'f str>,
}

/// A layer as JSON.
#[derive(Serialize)]
struct Row<'f> {
    layer: &'static str,
    /// Whether the host saw it, or the worker says so; none: it does not hold.
    holds: Option<&'static str>,
    required: bool,
    /// Whether `--dir` is refused without it.
    required_for_folders: bool,
    stops: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<&'f str>,
}

/// How many of them each profile has.
#[derive(Clone, Copy, Serialize)]
struct SystemCalls {
    compile: usize,
    compute: usize,
    files_ro: usize,
    files_rw: usize,
}

impl DoctorArgs {
    pub(super) fn execute(self) -> Result<ExitCode, Error> {
        let mode = self.protection.mode();
        let findings = Findings {
            protection: pool::probe(None, mode)?,
            mode,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").ok(),
        };
        let text = match self.format {
            Format::Text => findings.text(),
            Format::Json => findings.json(),
        };
        surroundings::standard_output()?.write_all(text.as_bytes()).map_err(exit::cannot_write)?;
        Ok(if findings.holds() { ExitCode::SUCCESS } else { ExitCode::PROTECTION })
    }
}

impl Findings {
    /// Whether everything holds that has to.
    fn holds(&self) -> bool {
        let Self { protection: Protection { layers, contradiction, hidden, .. }, mode, .. } = self;
        let lacks = |state: &LayerState| !mode.accepts(state, &Profile::Compute);
        let may_be_hidden = match mode {
            SandboxMode::Auto | SandboxMode::Off => true,
            SandboxMode::Strict => hidden.is_none(),
        };
        may_be_hidden && contradiction.is_none() && !layers.iter().any(lacks)
    }

    fn text(&self) -> String {
        let protection = &self.protection;
        let mut text = String::from("layer               holds  stops\n");
        for state in &protection.layers {
            let holds = protection.evidence(state).map_or("no", word);
            let _ = writeln!(text, "{:<20}{holds:<7}{}", state.layer.name(), state.layer.stops());
            if let Some(why) = &state.absent {
                let how = if state.partly { "it holds in part" } else { "it does not hold" };
                let _ = writeln!(text, "{:<27}{how}: {}{}", "", escaped(why), self.need(state));
            }
        }
        text.push('\n');
        if let Some(contradiction) = &protection.contradiction {
            let _ = writeln!(text, "What the worker says is not so: {}.", escaped(contradiction));
        }
        if let Some(hidden) = &protection.hidden {
            let _ = writeln!(text, "What the worker says is not verified: {}.", escaped(hidden));
        }
        let _ = writeln!(text, "{}", self.calls_in_words());
        if let Some(kernel) = self.kernel() {
            let _ = writeln!(text, "The kernel is Linux {}.", escaped(kernel));
        }
        text + "\"seen\" is what the host found in /proc; of \"yes\" the worker's word is all there is.\n"
    }

    /// Who needs a layer that is missing.
    fn need(&self, state: &LayerState) -> &'static str {
        if self.mode.requires(state.layer, &Profile::Compute) {
            ", and it is required"
        } else if !self.mode.accepts(state, &folders()) {
            ", and `--dir` needs it"
        } else {
            ""
        }
    }

    fn calls_in_words(&self) -> String {
        match self.system_calls() {
            Some(SystemCalls { compile, compute, files_ro, files_rw }) => format!(
                "A worker may make {compute} kinds of system calls, with folders {files_ro}, with one that is written to \
                 {files_rw}; one that compiles, {compile}."
            ),
            None => "A worker may make any system call.".to_owned(),
        }
    }

    fn json(&self) -> String {
        let Protection { layers, contradiction, hidden, .. } = &self.protection;
        let object = Object {
            v: 1,
            kernel: self.kernel(),
            sandbox: self.mode.name(),
            holds: self.holds(),
            layers: layers.iter().map(|state| self.row(state)).collect(),
            system_calls: self.system_calls(),
            contradiction: contradiction.as_deref(),
            hidden: hidden.as_deref(),
        };
        serde_json::to_string(&object).expect("layers are text") + "\n"
    }

    fn row<'f>(&self, state: &'f LayerState) -> Row<'f> {
        Row {
            layer: state.layer.name(),
            holds: self.protection.evidence(state).map(word),
            required: self.mode.requires(state.layer, &Profile::Compute),
            required_for_folders: self.mode.requires(state.layer, &folders()),
            stops: state.layer.stops(),
            absent: state.absent.as_deref(),
        }
    }

    fn kernel(&self) -> Option<&str> {
        self.kernel.as_deref().map(str::trim)
    }

    /// How many system calls the table leaves workers, if they have the filter that is made of it.
    fn system_calls(&self) -> Option<SystemCalls> {
        let is_filtered = |state: &LayerState| state.layer == Layer::Seccomp && state.absent.is_none();
        let [compile, compute, files_ro, files_rw] = Kind::ALL.map(allowed);
        let calls = SystemCalls { compile, compute, files_ro, files_rw };
        self.protection.layers.iter().any(is_filtered).then_some(calls)
    }
}

/// The worker of a guest with a folder.
fn folders() -> Profile {
    Profile::Files(vec![Access::Read])
}

/// How it is known that a layer holds, as it is printed.
fn word(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Seen => "seen",
        Evidence::Claimed => "yes",
    }
}

/// How many system calls the table leaves a worker of this kind.
fn allowed(kind: Kind) -> usize {
    let allowed = calls(kind, Phase::Always).filter(|call| call.answer == Answer::Allow);
    let mut numbers: Vec<_> = allowed.map(|call| call.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(absent: &[Layer], mode: SandboxMode) -> Findings {
        let state = |layer| {
            if absent.contains(&layer) {
                LayerState::absent(layer, "it is old")
            } else {
                LayerState::holds(layer)
            }
        };
        let protection = Protection {
            layers: Layer::ALL.map(state).to_vec(),
            seen: vec![Layer::Rlimits],
            contradiction: None,
            hidden: None,
        };
        Findings { protection, mode, kernel: Some("6.1.0\n".to_owned()) }
    }

    #[test]
    fn each_layer_has_a_line_and_each_that_is_missing_a_reason() {
        let text = findings(&[Layer::Landlock], SandboxMode::Strict).text();
        for layer in Layer::ALL {
            assert!(text.contains(&format!("\n{}", layer.name())), "{text}");
        }
        assert!(text.contains("\nrlimits             seen   "), "{text}");
        assert!(text.contains("\nMDWE                yes    "), "{text}");
        assert!(text.contains("it does not hold: it is old, and it is required\n"), "{text}");
        assert!(text.contains("\nThe kernel is Linux 6.1.0.\n"), "{text}");
    }

    #[test]
    fn who_wants_folders_is_told_what_they_need() {
        let text = findings(&[Layer::Landlock, Layer::Mdwe], SandboxMode::Auto).text();
        assert_eq!(text.matches("it is old, and `--dir` needs it\n").count(), 1, "{text}");
        let mut partial = findings(&[], SandboxMode::Auto);
        let landlock = partial.protection.layers.iter_mut().find(|state| state.layer == Layer::Landlock);
        *landlock.unwrap() = LayerState::partial(Layer::Landlock, "it is old");
        let text = partial.text();
        assert!(partial.holds() && text.contains("it holds in part: it is old\n"), "{text}");
    }

    #[test]
    fn without_the_filter_no_call_is_refused() {
        assert!(
            findings(&[Layer::Seccomp], SandboxMode::Auto)
                .text()
                .contains("\nA worker may make any system call.\n")
        );
    }

    #[test]
    fn programs_get_the_same() {
        let json = findings(&[Layer::Landlock], SandboxMode::Auto).json();
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["sandbox"], "auto");
        assert_eq!(object["holds"], true);
        assert_eq!(object["layers"].as_array().map(Vec::len), Some(Layer::ALL.len()));
        let layer = |name: &str| {
            object["layers"]
                .as_array()
                .and_then(|layers| layers.iter().find(|row| row["layer"] == name))
                .unwrap()
        };
        assert_eq!(layer("rlimits")["holds"], "seen");
        assert_eq!(layer("Landlock")["holds"], serde_json::Value::Null);
        assert_eq!(layer("Landlock")["absent"], "it is old");
        assert_eq!(layer("seccomp")["required"], true);
        assert_eq!(layer("Landlock")["required"], false);
        assert_eq!(layer("Landlock")["required_for_folders"], true);
    }

    #[test]
    fn what_is_missing_fails_if_it_is_required() {
        assert!(findings(&[], SandboxMode::Strict).holds());
        assert!(findings(&[Layer::Landlock], SandboxMode::Auto).holds());
        assert!(!findings(&[Layer::Landlock], SandboxMode::Strict).holds());
        assert!(!findings(&[Layer::Seccomp], SandboxMode::Auto).holds());
        assert!(findings(&[Layer::Seccomp], SandboxMode::Off).holds());
    }

    #[test]
    fn a_worker_that_lies_fails_and_one_that_is_hidden_where_all_is_required() {
        let mut lying = findings(&[], SandboxMode::Auto);
        lying.protection.contradiction = Some("it lies".to_owned());
        assert!(!lying.holds());
        assert!(lying.text().contains(": it lies.\n"));
        for (mode, holds) in [(SandboxMode::Auto, true), (SandboxMode::Strict, false)] {
            let mut hidden = findings(&[], mode);
            hidden.protection.hidden = Some("it is dark".to_owned());
            assert_eq!(hidden.holds(), holds, "{mode:?}");
        }
    }
}
