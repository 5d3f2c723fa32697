//! The help: short enough to be read, and true.

use crate::harness::{run, wasmpool};

fn help(line: &str) -> String {
    wasmpool(line).stdout_is(|_| true).check().stdout
}

#[test]
fn the_short_help_fits_on_a_screen_and_shows_three_examples() {
    let help = help("-h");
    assert!(help.lines().count() <= 24, "{help}");
    let (_, examples) = help.split_once("Examples:\n").expect("there are examples");
    assert_eq!(examples.lines().filter(|line| line.starts_with("  wasmpool ")).count(), 3);
}

#[test]
fn the_examples_of_the_help_work() {
    let help = help("-h");
    for example in help.lines().filter_map(|line| line.strip_prefix("  wasmpool ")) {
        // The shell would take the rest.
        let example = example.split(" >").next().unwrap_or_default();
        wasmpool(example)
            .file("notes.txt", "some words\n")
            .stdout_is(|stdout| !stdout.is_empty())
            .stderr_is(|_| true)
            .check();
    }
}

#[test]
fn the_help_of_a_command_fits_on_a_screen() {
    for command in ["run", "call", "inspect"] {
        let help = help(&format!("{command} -h"));
        assert!(help.lines().count() <= 40, "{help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    wasmpool("--version").stdout(concat!("wasmpool ", env!("CARGO_PKG_VERSION"), "\n")).check();
}

#[test]
fn every_flag_in_the_help_is_taken() {
    let help = help("run --help");
    let words = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let flags: Vec<_> =
        words.filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--"))).collect();
    assert!(flags.len() > 5, "{flags:?}");
    for flag in flags {
        let arguments = match flag {
            "--help" => continue,
            "--range" => "primes.wasm --range 0..10",
            "--lines" => "text.wasm analyze --lines notes.txt",
            "--step" => "primes.wasm --range 0..10 --step 5",
            "--workers" => "primes.wasm --range 0..10 --workers 1",
            "--timeout" => "primes.wasm --range 0..10 --timeout 30s",
            "--chunk" => "primes.wasm --range 0..10 --chunk 3",
            "--window" => "primes.wasm --range 0..10 --window 2",
            "--unordered" => "primes.wasm --range 0..10 --each --unordered",
            "--each" => "primes.wasm --range 0..10 --each",
            "--format" => "primes.wasm --range 0..10 --format text",
            "--meta" => "primes.wasm --range 0..10 --each --meta",
            "--progress" => "primes.wasm --range 0..10 --progress none",
            _ => panic!("`{flag}` is in the help and not in this test"),
        };
        wasmpool("run")
            .args(arguments)
            .file("notes.txt", "some words\n")
            .stdout_is(|stdout| !stdout.is_empty())
            .stderr_is(|_| true)
            .check();
    }
}

#[test]
fn no_arguments_is_wrong_usage_and_shows_the_help() {
    wasmpool("").stderr(help("-h")).code(2).check();
    run("").code(2).stderr_is(|stderr| stderr.starts_with("error: the following required arguments")).check();
}
