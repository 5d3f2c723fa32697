//! Guests that are in a cache, or get into it; code from there that no worker loads.

use tempfile::TempDir;
use wasmpool::cache::{Cache, Usage};
use wasmpool::pool::Job;

use super::{Compiler, Fake, Ran, Script, Start, job, numbers};

/// A place for a cache.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A cache that has the fake guest in it.
    fn with_guest() -> Self {
        let place = Self::new();
        place.fake(Script::default()).run(one_worker()).check_ok_but(12, &[]);
        assert_eq!(place.usage().entries, 1);
        place
    }

    fn cache(&self) -> Cache {
        Cache::at(self.0.path().join("cache"))
    }

    fn usage(&self) -> Usage {
        self.cache().usage().unwrap()
    }

    fn fake(&self, script: Script) -> Fake {
        Fake::new(script).with_cache(self.cache())
    }

    fn run(&self, script: Script) -> Ran {
        self.fake(script).run(one_worker())
    }
}

fn one_worker() -> Job {
    Job { workers: 1, ..job(numbers(12)) }
}

fn unloadable() -> Script {
    Script { start: Start::Unloadable, ..Script::default() }
}

#[test]
fn a_kept_guest_needs_no_compile_worker() {
    let place = Place::with_guest();
    let ran = place.run(Script { compiler: Compiler::Exit(1), ..Script::default() });
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.processes, 1);
    assert!(ran.heard.notes.is_empty(), "{:?}", ran.heard.notes);
}

#[test]
fn a_kept_guest_is_described_without_any_process() {
    let place = Place::with_guest();
    let description = place.fake(Script { compiler: Compiler::Exit(1), ..Script::default() }).describe();
    assert_eq!(description.unwrap().exports[0].to_string(), "f(n: u64) -> u64");
}

#[test]
fn a_guest_that_is_only_described_is_not_kept() {
    let place = Place::new();
    place.fake(Script::default()).describe().unwrap();
    assert_eq!(place.usage().entries, 0);
}

#[test]
fn a_guest_that_cannot_be_compiled_is_not_kept() {
    for compiler in [Compiler::Refuse, Compiler::ExitMidCode, Compiler::DescribeTwice, Compiler::Garbage] {
        let place = Place::new();
        place.run(Script { compiler, ..Script::default() }).error();
        assert_eq!(place.usage().entries, 0, "{compiler:?}");
    }
}

#[test]
fn a_guest_whose_compile_worker_was_killed_is_kept_as_a_whole() {
    let place = Place::new();
    place.run(Script { compiler: Compiler::KilledOnce, ..Script::default() }).check_ok_but(12, &[]);
    let usage = place.usage();
    let honest = Place::with_guest().usage();
    assert_eq!(usage, honest);
}

#[test]
fn kept_code_that_no_worker_loads_is_forgotten_and_the_hint_says_what_to_do() {
    let place = Place::with_guest();
    let ran = place.run(unloadable());
    assert_eq!(ran.error().to_string(), "`fake.wasm` cannot be loaded: it is odd");
    let hint = "its code was in the cache, and is not any more: run it again";
    assert_eq!(ran.error().hint(), Some(hint));
    assert_eq!(place.usage().entries, 0);
    place.run(Script::default()).check_ok_but(12, &[]);
}

#[test]
fn new_code_that_no_worker_loads_is_not_kept() {
    let place = Place::new();
    let ran = place.run(unloadable());
    assert_eq!(ran.error().hint(), None);
    assert_eq!(place.usage().entries, 0);
}

#[test]
fn a_kept_guest_that_is_refused_for_another_reason_stays() {
    let place = Place::with_guest();
    let ran = place.run(Script { start: Start::Refuse, ..Script::default() });
    assert_eq!((ran.error().to_string().as_str(), ran.error().hint()), ("`fake.wasm` is no good", None));
    assert_eq!(place.usage().entries, 1);
}

#[test]
fn what_is_wrong_with_a_cache_is_told_once_and_costs_nothing() {
    let ran = Fake::new(Script::default()).with_cache(Cache::at("here")).run(one_worker());
    ran.check_ok_but(12, &[]);
    assert_eq!(ran.heard.notes, ["cache: `here` is not an absolute path; nothing is kept"]);
}

#[test]
fn code_that_cannot_be_stored_is_told_at_the_end_and_costs_nothing() {
    let ran = Fake::new(Script::default()).with_cache(Cache::at("/proc/wasmpool/cache")).run(one_worker());
    ran.check_ok_but(12, &[]);
    let [note] = &ran.heard.notes[..] else { panic!("{:?}", ran.heard.notes) };
    assert!(note.starts_with("cache: `/proc/wasmpool/cache` cannot be used: "), "{note}");
}
