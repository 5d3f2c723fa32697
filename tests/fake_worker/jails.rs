//! Workers that say more of the layers around them than is so: the host looks for itself, and gives them nothing to do.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};
use wasmpool::error::{Error, ExitCode};
use wasmpool::sandbox::fds::FIRST_SHARED;
use wasmpool::sandbox::{FILTERS, Layer, STACK, SandboxMode};

use super::{Fake, Locked, Ran, Script, Start, job, numbers};

/// The layers without which there is no run, unless it is asked for.
const REQUIRED: [Layer; 4] = [Layer::NoNewPrivs, Layer::Rlimits, Layer::Descriptors, Layer::Seccomp];

/// Closes what is not in the table, as every worker does: whoever started the tests may have left something open.
pub(super) fn close_inherited() {
    let numbers = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let numbers: Vec<i32> = numbers.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    for number in numbers.into_iter().filter(|number| *number >= FIRST_SHARED) {
        // The folder that has been listed is among them, and closed already.
        let _ = nix::unistd::close(number);
    }
}

/// Puts on what is required, as far as it can be seen: the filters let everything through.
pub(super) fn lock() {
    for resource in [Resource::Core, Resource::Nproc, Resource::Nofile, Resource::Fsize] {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    }
    setrlimit(Resource::Stack, Rlimit { current: Some(STACK), maximum: Some(STACK) }).unwrap();
    let much = Some(8 << 30);
    setrlimit(Resource::Data, Rlimit { current: much, maximum: much }).unwrap();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter =
        SeccompFilter::new(BTreeMap::new(), SeccompAction::Allow, SeccompAction::KillProcess, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    for _ in 0..FILTERS {
        // That is also where this process gives up new privileges.
        apply_filter_all_threads(&program).unwrap();
    }
}

fn run(mode: SandboxMode, locked: Locked, claims: Option<Vec<Layer>>) -> Ran {
    Fake::new(Script { locked, claims, ..Script::default() }).with_sandbox(mode).run(job(numbers(12)))
}

#[track_caller]
fn check_error(error: &Error, message: &str) {
    assert_eq!(error.to_string(), format!("a worker is not locked in: {message}"));
    assert_eq!(error.exit_code(), ExitCode::PROTECTION);
    let hint = error.hint().expect("something can be done");
    assert!(hint.contains("`wasmpool doctor`") && hint.contains("`--sandbox off`"), "{hint}");
}

/// The run ends for this reason before any worker has an item.
#[track_caller]
fn check_found_out(ran: &Ran, message: &str) {
    check_error(ran.error(), message);
    assert!(ran.ends.is_empty(), "{:?}", ran.ends);
    // It may have been seen through before there was anything to report.
    if let Some(finished) = &ran.heard.finished {
        assert_eq!(finished.attempts, 0);
    }
}

fn not_so(layer: Layer) -> String {
    format!("the kernel shows no {layer}, whatever the worker says")
}

#[test]
fn w12_a_compile_worker_that_is_not_locked_in_is_not_believed() {
    for mode in [SandboxMode::Auto, SandboxMode::Strict] {
        let ran = run(mode, Locked::None, None);
        assert_eq!(ran.error().exit_code(), ExitCode::PROTECTION, "{:?}", ran.error());
    }
    let fake = Fake::new(Script::default()).with_sandbox(SandboxMode::Auto);
    check_error(&fake.describe().unwrap_err(), &not_so(Layer::NoNewPrivs));
}

#[test]
fn w12_a_worker_that_has_none_of_the_layers_it_claims_gets_nothing_to_do() {
    let ran = run(SandboxMode::Auto, Locked::Compiling, Some(Layer::ALL.to_vec()));
    let first = if geteuid().is_root() { Layer::Unprivileged } else { Layer::NoNewPrivs };
    check_found_out(&ran, &not_so(first));
}

#[test]
fn w12_each_required_layer_that_is_claimed_is_looked_for() {
    let ran = run(SandboxMode::Auto, Locked::Compiling, Some(REQUIRED.to_vec()));
    check_found_out(&ran, &not_so(Layer::NoNewPrivs));
}

#[test]
fn w12_a_layer_beyond_those_that_are_required_is_looked_for_too() {
    let claiming = |layer| {
        let claims = REQUIRED.into_iter().chain([layer]).collect();
        run(SandboxMode::Auto, Locked::All, Some(claims))
    };
    check_found_out(&claiming(Layer::OomScore), &not_so(Layer::OomScore));
    if geteuid().is_root() {
        check_found_out(&claiming(Layer::Unprivileged), &not_so(Layer::Unprivileged));
    } else {
        check_found_out(&claiming(Layer::Undumpable), &not_so(Layer::Undumpable));
    }
}

#[test]
fn w12_a_worker_that_says_that_it_lacks_what_is_required_gets_nothing_to_do() {
    let claims = REQUIRED.into_iter().filter(|layer| *layer != Layer::Seccomp).collect();
    check_found_out(
        &run(SandboxMode::Auto, Locked::All, Some(claims)),
        "seccomp does not hold: it is a fake",
    );
    let ran = run(SandboxMode::Strict, Locked::All, Some(REQUIRED.to_vec()));
    // A strict compile worker has to have all layers, too.
    assert_eq!(ran.error().exit_code(), ExitCode::PROTECTION, "{:?}", ran.error());
}

#[test]
fn w12_a_worker_that_has_kept_the_rights_of_root_gets_nothing_to_do() {
    if geteuid().is_root() {
        let ran = run(SandboxMode::Auto, Locked::AllButRights, Some(REQUIRED.to_vec()));
        check_error(ran.error(), "it has kept capabilities");
    }
}

#[test]
fn w12_a_worker_that_says_nothing_of_layers_gets_nothing_to_do() {
    check_found_out(&run(SandboxMode::Auto, Locked::All, None), "it does not say which layers it has");
}

#[test]
fn a_worker_that_has_what_it_says_works_and_what_it_lacks_is_told_once() {
    let ran = run(SandboxMode::Auto, Locked::All, Some(REQUIRED.to_vec()));
    ran.check_ok_but(12, &[]);
    let lacks: Vec<_> = Layer::ALL
        .into_iter()
        .filter(|layer| !REQUIRED.contains(layer))
        .map(|layer| format!("no {layer}: it is a fake"))
        .collect();
    assert_eq!(ran.heard.sandbox, lacks);
}

#[test]
fn without_a_sandbox_nothing_is_looked_for_and_that_is_told_once() {
    let ran = run(SandboxMode::Off, Locked::None, None);
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.heard.sandbox, ["off"]);
}

#[test]
fn w12_a_liar_that_ends_at_once_is_one_that_ended_or_that_lied() {
    let script = Script {
        locked: Locked::Compiling,
        claims: Some(Layer::ALL.to_vec()),
        start: Start::ReadyThenExit,
        ..Script::default()
    };
    let ran = Fake::new(script).with_sandbox(SandboxMode::Auto).run(job(numbers(12)));
    assert!(ran.ends.is_empty(), "{:?}", ran.ends);
    let code = ran.error().exit_code();
    assert!([ExitCode::PROTECTION, ExitCode::POOL].contains(&code), "{:?}", ran.error());
}
