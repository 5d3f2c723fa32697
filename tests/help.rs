//! The help: short enough to be read, and true.

use std::path::Path;

use crate::harness::{bash, run, wasmpool};

fn help(line: &str) -> String {
    wasmpool(line).stdout_is(|_| true).check().stdout
}

/// The commands in the help.
pub(crate) fn commands() -> Vec<String> {
    let help = help("-h");
    let (_, commands) = help.split_once("Commands:\n").expect("there are commands");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

/// The long flags in the whole help of a command.
pub(crate) fn flags(command: &str) -> Vec<String> {
    let help = help(&format!("{command} --help"));
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let flags = lines.filter_map(|line| line.split([' ', ',', '[']).find(|word| word.starts_with("--")));
    flags.map(str::to_owned).collect()
}

/// The command lines at the end of a help.
fn examples(help: &str) -> Vec<&str> {
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
    examples.lines().map(str::trim).filter(|line| line.starts_with("wasmpool ")).collect()
}

#[test]
fn the_short_help_fits_on_a_screen_and_shows_three_examples() {
    let help = help("-h");
    assert!(help.lines().count() <= 30, "{help}");
    assert_eq!(examples(&help).len(), 3);
}

#[test]
fn the_help_of_a_command_fits_on_a_screen() {
    for command in commands() {
        let help = help(&format!("{command} -h"));
        assert!(help.lines().count() <= 40, "{help}");
    }
}

#[test]
fn the_help_of_run_shows_three_examples() {
    assert_eq!(examples(&help("run -h")).len(), 3);
}

#[test]
fn the_examples_of_every_help_work() {
    let helps: Vec<_> = std::iter::once(help("-h"))
        .chain(commands().iter().map(|command| help(&format!("{command} -h"))))
        .collect();
    let examples: Vec<_> = helps.iter().flat_map(|help| examples(help)).collect();
    assert!(examples.len() > 6, "{examples:?}");
    for example in examples {
        // Where an example writes to, there is a folder.
        let target = example.split_once("> ").map_or("", |(_, target)| target).to_owned();
        let folder = Path::new(&target).parent().map(Path::to_string_lossy).unwrap_or_default();
        bash(&format!("set -euo pipefail; mkdir -p . {folder}; {example}"))
            .file("notes.txt", "some words\n")
            .stdout_is(move |stdout| stdout.is_empty() != target.is_empty())
            .stderr_is(|_| true)
            .check();
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    wasmpool("--version").stdout(concat!("wasmpool ", env!("CARGO_PKG_VERSION"), "\n")).check();
}

#[test]
fn every_flag_in_the_help_is_taken() {
    for command in ["run", "bench"] {
        let flags = flags(command);
        assert!(flags.len() > 5, "{flags:?}");
        for flag in flags {
            let arguments = match flag.as_str() {
                "--help" => continue,
                "--range" => "primes.wasm --range 0..10",
                "--lines" => "text.wasm analyze --lines notes.txt",
                "--step" => "primes.wasm --range 0..10 --step 5",
                "--workers" => "primes.wasm --range 0..10 --workers 1",
                "--runs" => "primes.wasm --range 0..10 --runs 1",
                "--timeout" => "primes.wasm --range 0..10 --timeout 30s",
                "--cpu-time" => "primes.wasm --range 0..10 --cpu-time 30s",
                "--compile-timeout" => "primes.wasm --range 0..10 --compile-timeout 1m",
                "--run-timeout" => "primes.wasm --range 0..10 --run-timeout 1m",
                "--retries" => "primes.wasm --range 0..10 --retries 1",
                "--crash-retries" => "primes.wasm --range 0..10 --crash-retries 2",
                "--at-most-once" => "primes.wasm --range 0..10 --at-most-once",
                "--dir" => "files.wasm count-lines --item d/notes.txt --dir d",
                "--bind" => "tour.wasm power --bind exp=2 --range 0..10",
                "--init" => "primes.wasm count-primes --init count-divisors=6 --range 0..10",
                "--env" => "primes.wasm --range 0..10 --env A=1",
                "--share" => "primes.wasm --range 0..10 --share n=notes.txt",
                "--sandbox" => "primes.wasm --range 0..10 --sandbox off",
                "--fail-fast" => "primes.wasm --range 0..10 --fail-fast",
                "--max-items-per-worker" => "primes.wasm --range 0..10 --max-items-per-worker 3",
                "--memory" => "primes.wasm --range 0..10 --memory 64MiB",
                "--max-output" => "primes.wasm --range 0..10 --max-output 1KiB",
                "--fuel" => "primes.wasm --range 0..10 --fuel 1_000_000",
                "--deterministic" => "primes.wasm --range 0..10 --deterministic=7",
                "--isolation" => "primes.wasm --range 0..10 --isolation worker",
                "--chunk" => "primes.wasm --range 0..10 --chunk 3",
                "--window" => "primes.wasm --range 0..10 --window 2",
                "--unordered" => "primes.wasm --range 0..10 --each --unordered",
                "--each" => "primes.wasm --range 0..10 --each",
                "--format" => "primes.wasm --range 0..10 --format text",
                "--meta" => "primes.wasm --range 0..10 --each --meta",
                "--jsonl" => "tour.wasm add --jsonl items.jsonl",
                "--blocks" => "text.wasm --blocks notes.txt",
                "--block-size" => "text.wasm --blocks notes.txt --block-size 64KiB",
                "--files" => "text.wasm --files notes.txt",
                "--null" => "text.wasm --files notes.txt --null",
                "--item" => "tour.wasm add --item [1,2]",
                "--crlf" => "text.wasm --lines notes.txt --crlf",
                "--unsigned" => "same.wasm f --range 0..3 --unsigned",
                "--journal" => "primes.wasm --range 0..10 --journal journal",
                "--resume" => "primes.wasm --range 0..10 --journal journal --resume",
                "--retry-failed" => "primes.wasm --range 0..10 --journal journal --retry-failed",
                "--joblog" => "primes.wasm --range 0..10 --joblog joblog",
                "--merge" => "text.wasm --lines notes.txt --merge",
                "--output" => "primes.wasm --range 0..10 --output /dev/stdout",
                "--stats" => "primes.wasm --range 0..10 --stats",
                "--color" => "primes.wasm --range 0..10 --color always",
                "--progress" => "primes.wasm --range 0..10 --progress none",
                _ => panic!("`{flag}` is in the help of `{command}` and not in this test"),
            };
            wasmpool(command)
                .args(arguments)
                .file("notes.txt", "some words\n")
                .file("d/notes.txt", "some words\n")
                .file("items.jsonl", "[1,2]\n")
                .wat("same.wasm", r#"(module (func (export "f") (param i64) (result i64) local.get 0))"#)
                .stdout_is(|stdout| !stdout.is_empty())
                .stderr_is(|_| true)
                .check();
        }
    }
}

#[test]
fn every_flag_in_the_help_of_a_pipeline_is_taken() {
    const NUMBERS: &str = "primes.wasm#count-primes primes.wasm#count-divisors --range 0..10";
    const TEXTS: &str = "tour.wasm#sum-bytes primes.wasm#count-divisors";
    for flag in flags("pipeline") {
        let arguments = match flag.as_str() {
            "--help" => continue,
            "--range" => NUMBERS.to_owned(),
            "--merge" => "tour.wasm#split primes.wasm#count-primes --item [0,9,3] --merge".to_owned(),
            "--unordered" | "--meta" | "--stats" | "--at-most-once" | "--fail-fast" => {
                format!("{NUMBERS} {flag}")
            }
            "--step" | "--queue" | "--chunk" | "--window" | "--retries" | "--crash-retries" => {
                format!("{NUMBERS} {flag} 2")
            }
            "--max-items-per-worker" => format!("{NUMBERS} {flag} 3"),
            "--workers" => format!("{NUMBERS} --workers 1,2"),
            "--timeout" | "--cpu-time" | "--compile-timeout" | "--run-timeout" => {
                format!("{NUMBERS} {flag} 1m")
            }
            "--memory" | "--max-output" => format!("{NUMBERS} {flag} 64MiB"),
            "--fuel" => format!("{NUMBERS} --fuel 1_000_000"),
            "--deterministic" => format!("{NUMBERS} --deterministic=7"),
            "--isolation" => format!("{NUMBERS} --isolation worker"),
            "--env" => format!("{NUMBERS} --env A=1"),
            "--share" => format!("{NUMBERS} --share n=notes.txt"),
            "--sandbox" => format!("{NUMBERS} --sandbox off"),
            "--format" => format!("{NUMBERS} --format csv"),
            "--output" => format!("{NUMBERS} --output /dev/stdout"),
            "--progress" => format!("{NUMBERS} --progress none"),
            "--color" => format!("{NUMBERS} --color always"),
            "--lines" | "--files" | "--blocks" => format!("{TEXTS} {flag} notes.txt"),
            "--crlf" => format!("{TEXTS} --lines notes.txt --crlf"),
            "--null" => format!("{TEXTS} --files notes.txt --null"),
            "--block-size" => format!("{TEXTS} --blocks notes.txt --block-size 64KiB"),
            "--item" => format!("{TEXTS} --item [1,2]"),
            "--jsonl" => "tour.wasm#sum primes.wasm#count-divisors --jsonl items.jsonl".to_owned(),
            "--dir" => {
                "files.wasm#count-lines hostile.wasm#count-calls --item d/notes.txt --dir d".to_owned()
            }
            "--unsigned" => "same.wasm#f same.wasm#f --range 0..3 --unsigned".to_owned(),
            _ => panic!("`{flag}` is in the help of `pipeline` and not in this test"),
        };
        wasmpool("pipeline")
            .args(&arguments)
            .file("notes.txt", "some words\n")
            .file("d/notes.txt", "some words\n")
            .file("items.jsonl", "[1,2]\n")
            .wat("same.wasm", r#"(module (func (export "f") (param i64) (result i64) local.get 0))"#)
            .stdout_is(|stdout| !stdout.is_empty())
            .stderr_is(|_| true)
            .check();
    }
}

#[test]
fn no_arguments_is_wrong_usage_and_shows_the_help() {
    wasmpool("").stderr(help("-h")).code(2).check();
    run("").refused(
        2,
        "error: `GUEST` is missing\n\nhint: write `wasmpool run [OPTIONS] GUEST [EXPORT] INPUT`\n",
    );
}
