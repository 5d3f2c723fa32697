//! Guests that nobody wrote: random modules and components, each through the whole command, with a compile worker and
//! a worker of its own. Whatever they are, each comes to one of the ends that guests come to, and the host to its own.
//!
//! The command is taken from the folder that this test was built in: `make build` puts it there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Component, Config, Module};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};
use wasmpool_fuzz::drive::Random;

/// How long the command may take, in seconds: far longer than all of its limits together.
const PATIENCE: &str = "120";

/// What a guest is made of, in bytes of chance.
const CHANCE: usize = 32 << 10;

/// What functions that are to be called take and return.
const SIGNATURES: [&str; 5] = [
    "(param i64) (result i64)",
    "(param i32 f64) (result f32)",
    "(param f32 i64 i32 i32) (result i32)",
    "(result f64)",
    "(param i64)",
];

/// How many ended how.
type Histogram = BTreeMap<String, u64>;

/// A guest, and what to call of it.
struct Sample {
    binary: Vec<u8>,
    export: String,
    arguments: usize,
}

#[test]
fn m14_modules_that_nobody_wrote_come_to_one_of_the_usual_ends() {
    let count = if std::env::var_os("WASMPOOL_SOAK").is_some() { 10_000 } else { 60 };
    let folder = std::env::temp_dir().join(format!("wasmpool-modules-{}", std::process::id()));
    fs::create_dir(&folder).expect("it is new");
    let (next, ends) = (AtomicU64::new(0), Mutex::new(Histogram::new()));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, ends) = (&next, &ends);
            let path = folder.join(format!("{worker}.wasm"));
            scope.spawn(move || {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < count)
                {
                    let end = end_of(seed, &path);
                    *ends.lock().expect("no holder panics").entry(end).or_default() += 1;
                }
            });
        }
    });
    fs::remove_dir_all(&folder).expect("it is ours");
    tell(count, started, &ends.into_inner().expect("no holder panics"));
}

#[expect(clippy::print_stdout, reason = "the histogram is the figure of this case")]
fn tell(count: u64, started: Instant, ends: &Histogram) {
    assert_eq!(ends.values().sum::<u64>(), count, "each has one end");
    let classes: Vec<_> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    let seconds = started.elapsed().as_secs();
    println!("figure: M14 {count} modules in {seconds} s, host crashes 0: {}", classes.join(", "));
}

/// Runs the guest of this seed; how that ended.
fn end_of(seed: u64, path: &Path) -> String {
    let sample = sample(seed);
    fs::write(path, &sample.binary).expect("the folder is ours");
    let output = Command::new("timeout")
        .arg(PATIENCE)
        .arg(command())
        .args(["call", "--format", "jsonl", "--timeout", "300ms", "--memory", "64MiB"])
        .args(["--compile-timeout", "30s", "--"])
        .arg(path)
        .arg(&sample.export)
        .args(vec!["1"; sample.arguments])
        // None of them is ever run again.
        .env("WASMPOOL_CACHE", "off")
        .stdin(Stdio::null())
        .output()
        .expect("the command can be started");
    class(&output).unwrap_or_else(|| panic!("the guest of seed {seed} ends with {output:?}"))
}

/// How a guest ended, if it is a way that guests end.
fn class(output: &Output) -> Option<String> {
    const ENDS: [&str; 8] = ["ok", "trap", "exit", "timeout", "memory", "output", "input", "denied"];
    if String::from_utf8_lossy(&output.stderr).contains("panicked") {
        return None;
    }
    match output.status.code()? {
        // A value is printed as it is, or in a record.
        0 => Some("ok".to_owned()),
        1 => {
            let record: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            let status = record["status"].as_str()?;
            ENDS.contains(&status).then(|| status.to_owned())
        }
        3 => Some("refused".to_owned()),
        _ => None,
    }
}

/// The command that was built with this test.
fn command() -> PathBuf {
    let this = std::env::current_exe().expect("a test has a path");
    let folder = this.ancestors().nth(2).expect("tests are in `deps`, below the folder of the command");
    let command = folder.join("wasmpool");
    assert!(command.is_file(), "{} is missing: run `make build` first", command.display());
    command
}

fn sample(seed: u64) -> Sample {
    let mut random = Random::new(seed);
    let chance: Vec<u8> = (0..CHANCE / 8).flat_map(|_| random.draw().to_le_bytes()).collect();
    let mut chance = Unstructured::new(&chance);
    if random.below(10) == 0 {
        let component = Component::arbitrary(&mut chance).expect("there is chance enough");
        return Sample { binary: component.to_bytes(), export: "f".into(), arguments: 0 };
    }
    let mut config = Config::arbitrary(&mut chance).expect("there is chance enough");
    config.min_types = config.max_types.min(4);
    config.min_funcs = config.max_funcs.min(4);
    if random.below(8) > 0 {
        // Most are to be run, not refused.
        config.exports = Some(SIGNATURES[random.below(SIGNATURES.len())]).map(|signature| {
            let example = format!("(module (func (export \"f\") {signature} unreachable))");
            wat::parse_str(example).expect("it is a module")
        });
        config.max_imports = 0;
        config.min_imports = 0;
        config.gc_enabled = false;
        config.exceptions_enabled = random.below(4) == 0;
        config.memory64_enabled = false;
        config.threads_enabled = false;
        config.shared_everything_threads_enabled = false;
        config.custom_page_sizes_enabled = false;
        config.custom_descriptors_enabled = false;
        config.max_memory32_bytes = 32 << 20;
        config.max_memories = 1;
    }
    let module = Module::new(config, &mut chance).expect("there is chance enough");
    let binary = module.to_bytes();
    let (export, arguments) = callable(&binary).unwrap_or_else(|| ("f".into(), 0));
    Sample { binary, export, arguments }
}

/// The first export that takes numbers and gives one or nothing, and how many it takes.
fn callable(binary: &[u8]) -> Option<(String, usize)> {
    let (mut types, mut functions, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(binary) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                let groups = section.into_iter().filter_map(Result::ok);
                types.extend(groups.flat_map(wasmparser::RecGroup::into_types));
            }
            Payload::ImportSection(section) => {
                let imports = section.into_imports().filter_map(Result::ok);
                functions.extend(imports.filter_map(|import| match import.ty {
                    TypeRef::Func(ty) => Some(ty),
                    _ => None,
                }));
            }
            Payload::FunctionSection(section) => functions.extend(section.into_iter().filter_map(Result::ok)),
            Payload::ExportSection(section) => {
                let functions = section.into_iter().filter_map(Result::ok);
                exports.extend(functions.filter(|export| export.kind == ExternalKind::Func));
            }
            _ => {}
        }
    }
    exports.into_iter().find_map(|export| {
        let ty = *functions.get(export.index as usize)?;
        let ty = types.get(ty as usize)?;
        let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
        // No name with a NUL in it can be typed.
        (takes_numbers(ty) && !export.name.contains('\0'))
            .then(|| (export.name.to_owned(), ty.params().len()))
    })
}

fn takes_numbers(ty: &FuncType) -> bool {
    let is_number = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
    ty.params().iter().all(is_number) && ty.results().iter().all(is_number) && ty.results().len() <= 1
}
