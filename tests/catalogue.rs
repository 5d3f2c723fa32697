//! That the catalogue of faults is what is tested: each case has its tests, each test its case, and SPECIFICATION.md has
//! them all. `make faults` runs them, and makes the table.

mod cases;

use std::collections::{BTreeMap, BTreeSet};

use cases::{CASES, PENDING};

use crate::tidy::source::{files, read};

/// The tests of each case, by its number.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut tests = BTreeMap::<String, Vec<String>>::new();
    for file in ["runner", "tests"].into_iter().flat_map(|folder| files(folder, &["rs"])) {
        for name in file.code().lines().filter_map(test_name) {
            if let Some(id) = id_of(name) {
                tests.entry(id).or_default().push(format!("{}: {name}", file.path));
            }
        }
    }
    tests
}

/// The name of the function that a line defines, if it may be a test.
fn test_name(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("fn ")?.split('(').next()
}

/// The case that a test is for, by its name: `W29` for `w29_a_page_that_lies`.
fn id_of(name: &str) -> Option<String> {
    let (id, _) = name.split_once('_')?;
    let number = id.strip_prefix(|letter: char| "mgwhcji".contains(letter))?;
    let is_number = !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit());
    is_number.then(|| id.to_uppercase())
}

#[test]
fn every_case_is_pending_or_has_tests() {
    let tests = tests();
    let is_tested = |id: &str| tests.contains_key(id);
    let missing: Vec<_> = CASES
        .iter()
        .filter(|case| !PENDING.contains(&case.id) && !is_tested(case.id))
        .map(|case| format!("{}: {}", case.id, case.fault))
        .collect();
    assert!(missing.is_empty(), "write tests for these cases\n{}", missing.join("\n"));
    let done: Vec<_> = PENDING.into_iter().filter(|id| is_tested(id)).collect();
    assert!(done.is_empty(), "these have tests, so they are pending no more: {done:?}");
}

#[test]
fn every_test_of_a_case_is_of_one_there_is() {
    let there: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
    let wrong: Vec<_> = tests().into_iter().filter(|(id, _)| !there.contains(&**id)).collect();
    assert!(wrong.is_empty(), "there are no such cases: {wrong:?}");
    assert_eq!(there.len(), CASES.len(), "no case is there twice");
    assert!(PENDING.iter().all(|id| there.contains(id)), "what is pending is a case");
}

#[test]
fn the_specification_has_every_case_as_it_is_here() {
    let text = read("SPECIFICATION.md");
    let listed: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|row| row.split(" | ").take(3).map(str::trim).collect())
        .filter(|cells: &Vec<_>| CASES.iter().any(|case| cells[0] == case.id))
        .collect();
    let expected: Vec<_> = CASES.iter().map(|case| vec![case.id, case.fault, case.end]).collect();
    assert_eq!(listed, expected, "run `make faults`, which writes the table");
}

#[test]
fn the_specification_names_tests_that_are_there() {
    let names: BTreeSet<String> = ["runner", "tests"]
        .into_iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .flat_map(|file| file.code().lines().filter_map(test_name).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let text = read("SPECIFICATION.md");
    let is_name =
        |word: &&str| word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let gone: Vec<_> =
        text.split('`').skip(1).step_by(2).filter(is_name).filter(|name| !names.contains(*name)).collect();
    assert!(gone.is_empty(), "there are no such tests: {gone:?}");
}
