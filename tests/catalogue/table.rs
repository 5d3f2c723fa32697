//! `make faults`: runs the tests of every case of the catalogue, and writes what came of them into SPECIFICATION.md.
//!
//! A test tells a figure in a line `figure: H1 …` on its standard output.

#![expect(clippy::print_stdout, reason = "the table is what was asked for")]

mod cases;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{fs, io};

use cases::{CASES, Case, PENDING};

/// Between these lines of SPECIFICATION.md stands the table.
const START: &str = "<!-- make faults -->\n";
const END: &str = "<!-- end -->\n";

/// The tests of the catalogue, as nextest selects them.
const SELECTED: &str = r"test(/(^|::)[mgwhcji][0-9]+_[a-z0-9_]+$/)";

/// What came of the tests of one case.
#[derive(Default)]
struct Came {
    passed: u32,
    failed: Vec<String>,
    seconds: f64,
    figures: Vec<String>,
}

fn main() -> io::Result<ExitCode> {
    let mut came = BTreeMap::new();
    for package in ["wasmpool", "wasmpool-fuzz"] {
        take(&run(package)?, &mut came);
    }
    let table = table(&came);
    println!("{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SPECIFICATION.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(START).expect("the specification has a place for the table");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    fs::write(path, format!("{before}{START}{table}{END}{after}"))?;
    let is_well = CASES.iter().all(|case| {
        let tests = came.get(case.id);
        PENDING.contains(&case.id) || tests.is_some_and(|tests| tests.failed.is_empty() && tests.passed > 0)
    });
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that the tests of a package say.
fn run(package: &str) -> io::Result<String> {
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--release", "--locked", "--no-fail-fast", "--color", "never"]).args([
        "--success-output",
        "immediate",
        "--package",
        package,
        "-E",
        SELECTED,
    ]);
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("Summary ["), "the tests could not be run\n{said}");
    Ok(said)
}

/// Takes what came of tests out of what they said.
fn take(said: &str, came: &mut BTreeMap<String, Came>) {
    for line in said.lines().map(str::trim) {
        if let Some((id, figure)) = line.strip_prefix("figure: ").and_then(|line| line.split_once(' ')) {
            came.entry(id.to_uppercase()).or_default().figures.push(figure.to_owned());
        } else if let Some((passed, seconds, name)) = end_of_test(line) {
            let id = name.split('_').next().unwrap_or_default().to_uppercase();
            let case = came.entry(id).or_default();
            case.seconds += seconds;
            if passed {
                case.passed += 1;
            } else if !case.failed.contains(&name.to_owned()) {
                case.failed.push(name.to_owned());
            }
        }
    }
}

/// `PASS [   0.197s] (4/9) wasmpool::wasmpool promises::g5_an_item`: whether it passed, how long it took, its name.
fn end_of_test(line: &str) -> Option<(bool, f64, &str)> {
    let passed = line.starts_with("PASS [");
    if !passed && !["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGKILL ["].iter().any(|end| line.starts_with(end)) {
        return None;
    }
    let (seconds, rest) = line.split_once('[')?.1.split_once("s]")?;
    let name = rest.split_whitespace().last()?.rsplit("::").next()?;
    Some((passed, seconds.trim().parse().ok()?, name))
}

fn table(came: &BTreeMap<String, Came>) -> String {
    let mut table = String::from("\n| id | case | must end as | outcome | figure |\n|---|---|---|---|---|\n");
    for Case { id, fault, end } in &CASES {
        let none = Came::default();
        let tests = came.get(*id).unwrap_or(&none);
        let outcome = match (PENDING.contains(id), tests) {
            (true, _) => "pending".to_owned(),
            (false, Came { failed, .. }) if !failed.is_empty() => format!("FAILED: {}", failed.join(", ")),
            (false, Came { passed: 0, .. }) => "no test".to_owned(),
            (false, Came { passed: 1, seconds, .. }) => format!("1 test passed, {seconds:.1} s"),
            (false, Came { passed, seconds, .. }) => format!("{passed} tests passed, {seconds:.1} s"),
        };
        let figures = tests.figures.join("; ");
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {id} | {fault} | {end} | {outcome} | {figures} |");
    }
    table.push('\n');
    table
}
