//! What must hold for the text of the project. A rule that can be read off the files is a test here, so that it
//! holds tomorrow too; each says in its message what to do instead.

pub(crate) mod source;

use std::collections::BTreeSet;

use source::{SourceFile, files, mentions, read};

/// Files longer than this hold more than one thing.
const MOST_LINES: usize = 600;

/// Crates that read WebAssembly. What they read is hostile, so it is read in a worker process.
const WASM_CRATES: [&str; 6] = [
    "wasmtime",
    "wasmtime_wasi",
    "wasmparser",
    "wit_component",
    "wit_parser",
    "wasi_preview1_component_adapter_provider",
];

/// The only places with unsafe code.
const UNSAFE: [&str; 4] =
    ["runner/sandbox/", "runner/shm/", "runner/worker/load.rs", "runner/worker/memory.rs"];

/// Where the types are that programs and guests use.
const LIBRARY: [&str; 15] = [
    "guest-tasks/sdk/errors.rs",
    "guest-tasks/sdk/memory.rs",
    "guest-tasks/sdk/queues.rs",
    "guest-tasks/sdk/values.rs",
    "guest-tasks/sdk/watching.rs",
    "runner/api/",
    "runner/shm/array.rs",
    "runner/shm/lock.rs",
    "runner/shm/memory.rs",
    "runner/shm/message.rs",
    "runner/shm/pipe.rs",
    "runner/shm/queue.rs",
    "runner/shm/shared.rs",
    "runner/shm/value.rs",
    "runner/worker/init.rs",
];

fn runner() -> Vec<SourceFile> {
    files("runner", &["rs"])
}

/// Everything in Rust, guests too.
fn all_rust() -> Vec<SourceFile> {
    ["runner", "tests", "guest-tasks"].into_iter().flat_map(|folder| files(folder, &["rs"])).collect()
}

/// `path:line: text` of each line of `code` that holds one of `patterns`.
fn found(file: &SourceFile, code: &str, patterns: &[&str]) -> Vec<String> {
    let is_found = |line: &str| patterns.iter().any(|pattern| mentions(line, pattern));
    let lines = code.lines().zip(file.text.lines()).zip(1..);
    lines
        .filter(|((code, _), _)| is_found(code))
        .map(|((_, text), number)| format!("{}:{number}: {}", file.path, text.trim()))
        .collect()
}

/// Nothing is in `wrong`, or else `rule` is told with it.
#[track_caller]
fn check(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}\n{}", wrong.join("\n"));
}

/// In what is shipped of the runner, the patterns are only in files whose path starts with one of `places`.
#[track_caller]
fn check_only_in(places: &[&str], patterns: &[&str]) {
    let is_elsewhere = |file: &SourceFile| !places.iter().any(|place| file.path.starts_with(place));
    let wrong: Vec<_> = runner()
        .iter()
        .filter(|file| is_elsewhere(file))
        .flat_map(|file| found(file, &file.shipped_code(), patterns))
        .collect();
    check(&format!("{patterns:?} belongs only in {places:?}"), &wrong);
}

/// The patterns are in no Rust file below these folders, tests or not.
#[track_caller]
fn check_nowhere(folders: &[&str], patterns: &[&str]) {
    let wrong: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .flat_map(|file| found(&file, &file.code(), patterns))
        .collect();
    check(&format!("{patterns:?} belongs nowhere"), &wrong);
}

#[test]
fn only_the_worker_reads_webassembly() {
    check_only_in(&["runner/worker/"], &WASM_CRATES);
}

#[test]
fn the_host_reaches_the_worker_through_its_process_alone() {
    check_only_in(&["runner/worker/", "runner/cli/job.rs", "runner/plan/typed.rs"], &["crate::worker"]);
}

#[test]
fn only_the_scheduler_names_its_queue() {
    check_only_in(&["runner/scheduler/"], &["crossbeam_deque"]);
}

#[test]
fn processes_start_in_one_file() {
    check_only_in(
        &["runner/pool/spawn.rs"],
        &["process::Command", "Command::new", "CommandExt", ".spawn()", "fork()", "posix_spawn", "execve"],
    );
}

#[test]
fn only_sinks_and_the_command_line_write_standard_output() {
    check_only_in(
        // A worker looks at its descriptors, and writes none of the first three.
        &["runner/sink/", "runner/cli/", "runner/sandbox/fds.rs", "runner/sandbox/inherited.rs"],
        &["stdout()", "println!", "print!", "libc::STDOUT_FILENO"],
    );
}

#[test]
fn only_reporters_and_main_write_standard_error() {
    check_only_in(
        // `job.rs` asks whether it is a terminal.
        &[
            "runner/report/",
            "runner/main.rs",
            "runner/cli/job.rs",
            "runner/sandbox/fds.rs",
            "runner/worker/init.rs",
        ],
        &["stderr()", "eprintln!", "eprint!", "libc::STDERR_FILENO"],
    );
}

#[test]
fn only_main_ends_the_process() {
    check_only_in(
        &["runner/main.rs", "runner/worker/init.rs"],
        &["process::exit", "process::abort", "libc::_exit", "exit_group"],
    );
}

#[test]
fn only_the_command_line_handles_signals() {
    check_only_in(&["runner/cli/", "runner/sandbox/signals.rs"], &["signal_hook", "sigaction", "SigHandler"]);
}

#[test]
fn h11_signals_go_through_descriptors_and_never_to_a_number() {
    let numbers = ["kill_process", "kill_process_group", "signal::kill", "libc::kill", "tgkill", "killpg"];
    check_only_in(&[], &numbers);
    check_only_in(&["runner/pool/process.rs", "runner/pool/roster.rs"], &["pidfd_send_signal"]);
}

#[test]
fn h20_no_deadline_hangs_on_the_time_of_day() {
    // Guests may ask for it, people read it, and files have it.
    let elsewhere = [
        "runner/worker/",
        "runner/sink/",
        "runner/report/",
        "runner/cli/",
        "runner/journal/joblog.rs",
        "runner/cache/",
    ];
    check_only_in(&elsewhere, &["SystemTime", "ClockId::Realtime", "CLOCK_REALTIME", "UNIX_EPOCH"]);
}

#[test]
fn only_the_dispatcher_calls_sinks() {
    check_only_in(&["runner/pool/dispatcher.rs", "runner/sink/"], &["sink.accept", "sink.input_ended"]);
}

#[test]
fn only_the_thread_of_the_dispatcher_calls_reporters() {
    check_only_in(&["runner/pool/dispatcher.rs", "runner/pool/mod.rs"], &["reporter.report"]);
}

#[test]
fn the_protocol_itself_does_no_system_calls() {
    let wrong: Vec<_> = files("runner/wire", &["rs"])
        .iter()
        .flat_map(|file| {
            found(file, &file.shipped_code(), &["rustix", "nix", "std::fs", "std::os", "std::net"])
        })
        .collect();
    check("the protocol reads and writes through `Read` and `Write`", &wrong);
}

#[test]
fn the_protocol_is_never_on_the_standard_streams() {
    let table = read("runner/sandbox/fds.rs");
    let numbers: Vec<u32> = table
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": RawFd = ")?.1.strip_suffix(';'))
        .map(|number| number.parse().expect("a descriptor is a number"))
        .collect();
    assert!(!numbers.is_empty() && numbers.iter().all(|number| *number > 2), "{numbers:?}");
}

#[test]
fn nothing_waits_by_sleeping() {
    check_nowhere(&["runner", "tests"], &["thread::sleep", "sleep(Duration", "nanosleep", "park_timeout"]);
}

#[test]
fn nothing_is_unfinished_or_silenced() {
    check_nowhere(&["runner", "tests", "guest-tasks"], &["todo!", "unimplemented!", "dbg!"]);
    check_nowhere(&["runner", "tests"], &["#[allow", "#![allow"]);
}

#[test]
fn no_test_is_skipped_or_passes_by_panicking() {
    check_nowhere(&["runner", "tests", "guest-tasks"], &["#[ignore", "#[should_panic"]);
}

#[test]
fn only_tests_unwrap() {
    let wrong: Vec<_> = all_rust()
        .iter()
        .flat_map(|file| found(file, &file.shipped_code(), &[".unwrap()", ".unwrap_err()"]))
        .collect();
    check("say with `expect` why it cannot fail", &wrong);
}

#[test]
fn what_programs_and_guests_use_has_an_example() {
    let wrong: Vec<_> = all_rust()
        .iter()
        .filter(|file| LIBRARY.iter().any(|place| file.path.starts_with(place)))
        .flat_map(without_example)
        .collect();
    check("write an example into its documentation, or `#[doc(hidden)]` above it", &wrong);
}

/// The public items whose documentation has no code.
fn without_example(file: &SourceFile) -> Vec<String> {
    const ITEMS: [&str; 4] = ["pub fn ", "pub struct ", "pub enum ", "pub trait "];
    let code = file.shipped_code();
    let lines: Vec<_> = file.text.lines().collect();
    let is_above = |line: &&&str| line.trim_start().starts_with("///") || line.trim_start().starts_with("#[");
    let is_shown = |at: usize| {
        let mut above = lines[..at].iter().rev().take_while(is_above);
        above.any(|line| line.contains("```") || line.contains("doc(hidden)"))
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| ITEMS.iter().any(|item| line.trim_start().starts_with(item)))
        .filter(|(at, _)| !is_shown(*at))
        .map(|(at, line)| format!("{}:{}: {}", file.path, at + 1, line.trim()))
        .collect()
}

#[test]
fn unsafe_code_is_where_it_is_expected() {
    check_only_in(&UNSAFE, &["unsafe"]);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let wrong: Vec<_> = all_rust().iter().flat_map(undocumented).collect();
    check("write `// SAFETY:` above it, and answer what the callee asks", &wrong);
}

/// The unsafe blocks and implementations without a reason in the lines above them.
fn undocumented(file: &SourceFile) -> Vec<String> {
    /// From the reason's first line to the block; a reason has several, and a statement may have begun above.
    const NEAR: usize = 8;
    let lines: Vec<_> = file.text.lines().collect();
    let has_reason = |at: usize| {
        lines[at.saturating_sub(NEAR)..at].iter().any(|line| line.trim_start().starts_with("// SAFETY: "))
    };
    let code = file.code();
    code.lines()
        .enumerate()
        .filter(|(_, line)| mentions(line, "unsafe {") || mentions(line, "unsafe impl"))
        .filter(|(at, _)| !has_reason(*at))
        .map(|(at, _)| format!("{}:{}", file.path, at + 1))
        .collect()
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<_> = all_rust()
        .into_iter()
        // The tests of a module are about that module.
        .filter(|file| !(file.is_test() && file.path.starts_with("runner/")))
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    check("start it with `//!`: what it is, for whom, what it refuses", &wrong);
}

#[test]
fn files_are_short() {
    let wrong: Vec<_> = all_rust()
        .iter()
        .map(|file| (&file.path, file.text.lines().count()))
        .filter(|(path, lines)| *lines > if *path == "runner/main.rs" { 40 } else { MOST_LINES })
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    check("part it", &wrong);
}

#[test]
fn types_and_functions_have_names_that_tell() {
    let wrong: Vec<_> = all_rust()
        .iter()
        // A task is what guests call theirs.
        .filter(|file| !file.path.starts_with("guest-tasks/"))
        .flat_map(|file| {
            let code = file.code();
            let names = code.lines().zip(1..).filter(|(line, _)| has_vague_name(line));
            names.map(|(line, number)| format!("{}:{number}: {}", file.path, line.trim())).collect::<Vec<_>>()
        })
        .collect();
    check("ARCHITECTURE.md has a word for each thing", &wrong);
}

/// Whether the line defines a type that could be anything, or a function whose name starts with `get_`.
fn has_vague_name(line: &str) -> bool {
    const VAGUE: [&str; 6] = ["Task", "Manager", "Helper", "Utils", "Data", "Info"];
    let words: Vec<_> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    words.windows(2).any(|pair| match pair {
        ["struct" | "enum" | "trait" | "type" | "union", name] => {
            VAGUE.iter().any(|vague| name.ends_with(vague))
        }
        // What Python calls `get(timeout=…)` keeps its name.
        ["fn", name] => name.starts_with("get_") && *name != "get_timeout",
        _ => false,
    })
}

#[test]
fn every_file_has_its_line_in_the_architecture() {
    let listed = listed_in_architecture();
    let there = documented_files();
    let missing: Vec<_> = there.difference(&listed).cloned().collect();
    let dead: Vec<_> = listed.difference(&there).cloned().collect();
    check("give each of these files a line in ARCHITECTURE.md", &missing);
    check("ARCHITECTURE.md has lines for files that are not there", &dead);
}

fn documented_files() -> BTreeSet<String> {
    ["runner", "tests", "guest-tasks", "wit"]
        .into_iter()
        .flat_map(|folder| files(folder, &["rs", "wit", "md"]))
        .map(|file| file.path)
        .collect()
}

/// The files named in the tables of ARCHITECTURE.md: a heading names a folder, a row starts with a file in it.
fn listed_in_architecture() -> BTreeSet<String> {
    let text = read("ARCHITECTURE.md");
    let mut folder = None;
    let mut listed = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('#') {
            folder = in_backticks(line).filter(|name| name.ends_with('/'));
        } else if let (Some(folder), Some(row)) = (folder, line.strip_prefix("| `"))
            && let Some((name, purpose)) = row.split_once("` |")
        {
            assert!(purpose.trim_matches([' ', '|']).contains(' '), "`{folder}{name}` has no purpose");
            assert!(listed.insert(format!("{folder}{name}")), "`{folder}{name}` is listed twice");
        }
    }
    listed
}

fn in_backticks(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

#[test]
fn every_exit_code_is_in_the_readme_and_no_other() {
    let errors = read("runner/error.rs");
    let constants = errors.lines().filter_map(|line| line.split_once(": Self = Self(")?.1.strip_suffix(");"));
    // 128 + SIGHUP, SIGINT and SIGTERM.
    let codes: BTreeSet<u8> = constants.chain(["129", "130", "143"]).map(number).collect();

    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Exit codes\n").expect("the README has a section for them");
    let section = section.split("\n## ").next().unwrap_or_default();
    let first_cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let documented: BTreeSet<u8> = first_cells
        .flat_map(|cell| cell.split(", "))
        .map(str::trim)
        .filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        .map(number)
        .collect();
    assert_eq!(documented, codes);
}

fn number(text: &str) -> u8 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no exit code"))
}

#[test]
fn every_flag_is_in_the_readme() {
    let readme = read("README.md");
    let flags: Vec<String> = files("runner/cli", &["rs"]).iter().flat_map(flags).collect();
    assert!(!flags.is_empty(), "the command line has flags");
    let missing: Vec<_> = flags.into_iter().filter(|flag| !readme.contains(&format!("`{flag}"))).collect();
    check("describe these flags in README.md", &missing);
}

/// The long flags that a file of the command line defines: fields behind an `#[arg(… long …)]`.
fn flags(file: &SourceFile) -> Vec<String> {
    let code = file.shipped_code();
    let mut flags = Vec::new();
    let mut is_flag = false;
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[arg(") {
            is_flag = mentions(line, "long");
        } else if let Some((name, _)) = line.split_once(':').filter(|_| is_flag) {
            flags.push(format!("--{}", name.trim_start_matches("pub(super) ").replace('_', "-")));
            is_flag = false;
        }
    }
    flags
}

#[test]
fn every_dependency_is_used() {
    let code: String = ["runner", "tests"].into_iter().flat_map(|folder| files(folder, &["rs"])).fold(
        String::new(),
        |mut code, file| {
            code.push_str(&file.code());
            code
        },
    );
    let manifest = read("Cargo.toml");
    let unused: Vec<_> = dependencies(&manifest)
        .filter(|name| {
            let name = name.replace('-', "_");
            !mentions(&code, &format!("{name}::")) && !mentions(&code, &format!("use {name};"))
        })
        .map(str::to_owned)
        .collect();
    check("take these out of Cargo.toml", &unused);
}

fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.ends_with("dependencies]");
            return None;
        }
        let (name, _) = line.split_once(" = ").filter(|_| inside)?;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
    })
}
