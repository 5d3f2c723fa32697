//! What the documents show is what happens: their transcripts are run, their files are built, their targets exist.
//!
//! - A fenced block `console` is a transcript: lines from `$ ` on are typed (and `> ` continues them), the others are
//!   what comes back on both streams, to the byte; `…` stands for anything within a line. The transcripts of one
//!   section, up to the next `## `, are one session of a shell in one folder.
//! - A block in another language is a file of its section if the line above it ends with the file's name in
//!   backticks and a colon. `…/wasmpool` stands for this checkout in it.
//! - In a block `sh`, and in a transcript, `make` is not run, but its targets must exist.

mod blocks;

use std::fmt::Write;
use std::time::Duration;

use blocks::{Block, Command, Section, sections};

use crate::harness::{bash, checkout, without_word_of_root};

const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "SPECIFICATION.md"];

/// How long a session may take that builds a guest and all it stands on.
const BUILDS: Duration = Duration::from_secs(600);

fn read(name: &str) -> String {
    let path = checkout().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn all_sections() -> Vec<Section> {
    DOCUMENTS.into_iter().flat_map(|name| sections(name, &read(name))).collect()
}

#[test]
fn transcripts_show_what_happens() {
    let wrong: Vec<_> = all_sections().iter().flat_map(wrong_in).collect();
    assert!(wrong.is_empty(), "what the documents show is not what happens\n{}", wrong.join("\n"));
}

/// What comes back otherwise than a section shows it.
fn wrong_in(section: &Section) -> Vec<String> {
    let commands: Vec<_> = section.commands().filter(|command| !command.text.starts_with("make ")).collect();
    if commands.is_empty() {
        return Vec::new();
    }
    let found = outputs(section, &commands);
    let pairs = commands.iter().zip(&found);
    pairs.filter_map(|(command, found)| command.difference(found)).collect()
}

/// What each command gives back, in one session.
fn outputs(section: &Section, commands: &[Command<'_>]) -> Vec<String> {
    /// Stands behind the output of each command, and in none.
    const END: char = '\x1e';
    // Compiled guests are kept where they usually are, which is in the home of the session.
    let mut script = "exec 2>&1\nunset WASMPOOL_CACHE XDG_CACHE_HOME\n".to_owned();
    // The exit code of a command is there for the next one.
    let _ = writeln!(script, "ended() {{ local code=$?; printf '{END}'; return $code; }}");
    for command in commands {
        // Writing to a string cannot fail.
        let _ = writeln!(script, "{}\nended", command.text);
    }
    let mut session = bash(&script).stdout_is(|_| true);
    for (name, text) in section.files() {
        session = session.file(name, text.replace("…/wasmpool", &checkout().to_string_lossy()));
    }
    if section.files().any(|(name, _)| name == "Cargo.toml") {
        // So that cargo takes the versions that are there.
        session = session.file("Cargo.lock", read("guest-tasks/Cargo.lock"));
    }
    let ended = session.any_code().patience(BUILDS).check();
    let mut outputs: Vec<_> = ended.stdout.split(END).map(without_word_of_root).collect();
    outputs.pop();
    assert_eq!(outputs.len(), commands.len(), "{}: the session broke off\n{ended}", section.place());
    outputs
}

#[test]
fn a_document_builds_a_guest() {
    let builds = |section: &Section| {
        section.files().any(|(name, _)| name == "Cargo.toml")
            && section.commands().any(|command| command.text.starts_with("cargo build"))
    };
    assert!(all_sections().iter().any(builds), "no document shows how a guest is built");
}

#[test]
fn every_block_of_code_is_a_file_or_a_transcript() {
    let sections = all_sections();
    let blocks = sections.iter().flat_map(|section| &section.blocks);
    let unnamed = blocks.filter(|block| matches!(block.language.as_str(), "rust" | "toml" | "wit"));
    let wrong: Vec<_> = unnamed.filter(|block| block.file.is_none()).map(Block::place).collect();
    assert!(wrong.is_empty(), "end the line above with the file's name: `src/lib.rs`:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_built_is_where_the_readme_says_and_not_in_the_cache_of_guests() {
    let makefile = read("Makefile");
    let folder = makefile.lines().find_map(|line| line.strip_prefix("CARGO_TARGET_DIR ?= $(HOME)/"));
    let folder = folder.expect("it has a usual place");
    assert!(!folder.starts_with(".cache/wasmpool/"), "a cache with other things in it is not used");
    assert!(read("README.md").contains(&format!("`~/{folder}/release/wasmpool`")));
}

#[test]
fn the_targets_of_make_exist() {
    let makefile = read("Makefile");
    let targets: Vec<_> = makefile.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let sections = all_sections();
    let lines = sections.iter().flat_map(|section| &section.blocks).flat_map(Block::typed);
    let wrong: Vec<_> = lines
        .filter_map(|(place, line)| Some((place, line.strip_prefix("make ")?)))
        .flat_map(|(place, rest)| {
            let words = rest.split('#').next().unwrap_or_default().split_whitespace();
            words.map(|word| (place.clone(), word.to_owned())).collect::<Vec<_>>()
        })
        .filter(|(_, target)| !target.contains('=') && !targets.contains(&target.as_str()))
        .map(|(place, target)| format!("{place}: `make {target}`"))
        .collect();
    assert!(wrong.is_empty(), "the Makefile has no such targets\n{}", wrong.join("\n"));
}
