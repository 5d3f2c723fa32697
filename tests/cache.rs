//! Compiled guests that are kept: used again, refused where they could be anybody's, and never a reason for a run to
//! fail. `wasmpool cache`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Running, Wasmpool, bash, guest, run, wasmpool};
use crate::host_limits::with_mounts;

const PRIMES: &str = "primes.wasm --range 1..100";

/// Less time than it takes to compile any guest.
const NO_TIME: &str = "--compile-timeout 1ms";

/// A place for a cache, outside of the folders that commands run in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a place for temporary files"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// `wasmpool run` with this cache.
    fn run(&self, line: &str) -> Wasmpool {
        run(line).with_cache_at(&self.path())
    }

    /// Any command with this cache.
    fn wasmpool(&self, line: &str) -> Wasmpool {
        wasmpool(line).with_cache_at(&self.path())
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path()).expect("there is a cache");
        files.map(|file| file.expect("it can be listed").path()).collect()
    }

    fn entries(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|path| !path.ends_with("secret")).collect()
    }

    /// A cache that has `primes.wasm` in it, and the file of that.
    fn with_primes() -> (Self, PathBuf) {
        let place = Self::new();
        place.run(PRIMES).stdout("25\n").check();
        let entry = place.entries().remove(0);
        (place, entry)
    }

    /// Runs `primes.wasm`, with this on standard error.
    #[track_caller]
    fn check_primes(&self, note: &str) {
        self.run(PRIMES).stdout("25\n").stderr(note).check();
    }

    /// `primes.wasm` is in the cache: there would be no time to compile it.
    #[track_caller]
    fn check_kept(&self) {
        self.run(PRIMES).args(NO_TIME).stdout("25\n").check();
    }
}

fn damaged(fault: &str) -> String {
    format!("cache: the code kept of this guest {fault}; it is compiled anew\n")
}

fn unusable(place: &Path, problem: &str) -> String {
    format!("cache: `{}` {problem}; nothing is kept\n", place.display())
}

#[test]
fn a_guest_is_compiled_once() {
    let place = Place::new();
    place.run(PRIMES).args(NO_TIME).refused(3, "error: `primes.wasm` takes longer than 1 ms to compile\n\nhint: `--compile-timeout` gives it more time\n");
    place.check_primes("");
    place.check_kept();
}

#[test]
fn every_command_uses_what_is_kept() {
    let (place, _) = Place::with_primes();
    let fast = |line: &str| place.wasmpool(line).args(NO_TIME);
    fast("call primes.wasm count-primes 1 100").stdout("25\n").check();
    fast("bench primes.wasm --range 1..100 --runs 1")
        .stdout_is(|stdout| stdout.contains("the same in all 2 runs"))
        .stderr_is(|_| true)
        .check();
    place.run(PRIMES).args("--journal j").args(NO_TIME).stdout("25\n").check();
}

#[test]
fn records_are_the_same_whether_the_guest_was_compiled_or_kept() {
    let place = Place::new();
    let line = "hostile.wasm echo-u64 --range 0..20 --deterministic";
    let compiled = place.run(line).stdout_is(|_| true).check().stdout;
    place.run(line).args(NO_TIME).stdout(compiled).check();
}

#[test]
fn a_kept_guest_is_described_as_a_compiled_one() {
    let (place, _) = Place::with_primes();
    let described = wasmpool("inspect primes.wasm").stdout_is(|_| true).check().stdout;
    place.wasmpool("inspect primes.wasm").stdout(described).check();
}

#[test]
fn a_plan_that_does_not_fit_a_kept_guest_is_refused_as_ever() {
    let (place, _) = Place::with_primes();
    let line = "primes.wasm no-such --range 1..100";
    let refusal = run(line).stderr_is(|_| true).code(3).check().stderr;
    place.run(line).refused(3, &refusal);
}

#[test]
fn c1_an_entry_that_was_cut_off_is_compiled_anew_and_replaced() {
    let (place, entry) = Place::with_primes();
    let whole = fs::read(&entry).expect("it was stored");
    for len in [0, 1, 55, 56, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&entry, &whole[..len]).expect("it is ours");
        place.check_primes(&damaged("is cut off or too long"));
        place.check_kept();
    }
    assert_eq!(fs::read(&entry).expect("it was replaced").len(), whole.len());
}

#[test]
fn c1_an_entry_with_a_bit_flipped_is_compiled_anew_and_replaced() {
    let (place, entry) = Place::with_primes();
    let whole = fs::read(&entry).expect("it was stored");
    for at in [60, 4096, whole.len() / 2, whole.len() - 33, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&entry, bytes).expect("it is ours");
        place.check_primes(&damaged("is not what was stored"));
        place.check_kept();
    }
}

#[test]
fn c1_a_damaged_entry_is_told_by_the_run_that_replaces_it() {
    let (place, entry) = Place::with_primes();
    fs::write(&entry, "nonsense").expect("it is ours");
    place.wasmpool("inspect primes.wasm").stdout_is(|stdout| stdout.contains("count-primes")).check();
    place.check_primes(&damaged("is cut off or too long"));
    place.check_primes("");
}

#[test]
fn c2_a_directory_that_others_can_enter_is_not_used() {
    let (place, _) = Place::with_primes();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    place.check_primes(&unusable(&place.path(), "is open to other users"));
}

#[test]
fn c2_a_cache_of_another_user_is_not_used() {
    let (place, _) = Place::with_primes();
    let Some(nobody) = place.run(PRIMES).by_nobody() else { return };
    // So that he can see whose it is.
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    nobody.stdout("25\n").stderr(unusable(&place.path(), "belongs to another user")).check();
}

#[test]
fn c2_a_link_to_a_cache_is_not_used() {
    let (place, _) = Place::with_primes();
    let link = place.0.path().join("link");
    symlink(place.path(), &link).expect("the folder is ours");
    let note = unusable(&link, "is no directory, but a link or a file");
    run(PRIMES).with_cache_at(&link).stdout("25\n").stderr(note).check();
}

#[test]
fn c2_a_bench_of_many_runs_tells_once_what_is_wrong() {
    let (place, _) = Place::with_primes();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let ended = place
        .wasmpool("bench primes.wasm --range 1..100 --runs 2")
        .stdout_is(|_| true)
        .stderr_is(|_| true)
        .check();
    assert_eq!(ended.stderr.matches("is open to other users").count(), 1, "{ended}");
}

#[test]
fn c3_each_kind_of_code_is_kept_for_itself() {
    let place = Place::new();
    for (flags, entries) in [("", 1), ("--fuel 1000000", 2), ("--deterministic", 3), ("--fuel 9999999", 3)] {
        place.run(PRIMES).args(flags).stdout("25\n").check();
        assert_eq!(place.entries().len(), entries, "{flags}");
    }
}

#[test]
fn c3_code_of_another_program_is_not_used() {
    let (place, _) = Place::with_primes();
    // A copy of the program is none that has compiled anything.
    place.run(PRIMES).copied().args(NO_TIME).stderr_is(|_| true).code(3).check();
    place.run(PRIMES).copied().stdout("25\n").check();
    assert_eq!(place.entries().len(), 2);
}

#[test]
fn c4_entries_that_have_changed_their_names_are_refused() {
    let (place, primes) = Place::with_primes();
    let sums = || place.run("tour.wasm add --item [1,2]").stdout_is(|stdout| stdout.contains("\"value\":3"));
    sums().check();
    let tour = place.entries().into_iter().find(|path| *path != primes).expect("there are two");
    let aside = place.0.path().join("aside");
    fs::rename(&primes, &aside).expect("the folder is ours");
    fs::rename(&tour, &primes).expect("the folder is ours");
    fs::rename(&aside, &tour).expect("the folder is ours");
    let note = damaged("is that of another guest or build");
    place.check_primes(&note);
    sums().stderr(note).check();
    place.check_kept();
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn c6_sixteen_that_compile_one_guest_at_once_leave_one_entry() {
    let place = Place::new();
    let started = Instant::now();
    let running: Vec<_> = (0..16).map(|_| place.run(PRIMES).args("-j 1").stdout("25\n").start()).collect();
    running.into_iter().for_each(|running| drop(running.check()));
    println!("figure: C6 16 processes, one entry, {} ms", started.elapsed().as_millis());
    assert_eq!(place.files().len(), 2, "{:?}", place.files());
    place.check_kept();
}

#[test]
fn c7_a_full_cache_costs_no_run_anything() {
    let full = "mkdir cache; mount -t tmpfs -o size=32k,mode=700 none cache";
    let Some(job) = with_mounts(full, &format!("wasmpool run --progress none {PRIMES}")) else { return };
    job.with_cache()
        .stdout("25\n")
        .stderr_is(|stderr| {
            stderr.ends_with("cannot be used: No space left on device (os error 28); nothing is kept\n")
                && stderr.lines().count() == 1
        })
        .check();
}

#[test]
fn c7_a_cache_that_can_only_be_read_is_read() {
    let read_only = format!(
        "wasmpool run --progress none {PRIMES}; mount -o bind,ro cache cache; \
         wasmpool run --progress none {NO_TIME} {PRIMES}"
    );
    let other = "wasmpool run --progress none tour.wasm add --item [1,2]";
    let Some(job) = with_mounts(&read_only, other) else { return };
    job.with_cache()
        .stdout_is(|stdout| stdout.starts_with("25\n25\n"))
        .stderr_is(|stderr| {
            stderr.contains("cannot be used: Read-only file system") && stderr.lines().count() == 1
        })
        .check();
}

#[test]
fn c7_a_cache_that_vanishes_during_a_run_costs_it_nothing() {
    let (place, _) = Place::with_primes();
    let mut running = spinning(&place);
    fs::remove_dir_all(place.path()).expect("it is ours");
    kill_workers(&mut running);
    running.check();
}

#[test]
fn c7_without_a_home_nothing_is_kept_and_nothing_is_said() {
    for variables in ["-u HOME", "HOME=/no/such/home", "HOME=/dev/null", "HOME=here"] {
        let line = format!("run --progress none {PRIMES}");
        bash(&format!("exec env -u WASMPOOL_CACHE -u XDG_CACHE_HOME {variables} wasmpool {line}"))
            .stdout("25\n")
            .check();
    }
}

/// Starts a run of a guest that is in the cache; every second item never ends.
fn spinning(place: &Place) -> Running {
    let line = "hostile.wasm spin --range 0..4 -j 2 --chunk 1 --timeout 3s";
    place.run("hostile.wasm spin --item 0").stdout_is(|_| true).check();
    let mut running = place.run(line).args(NO_TIME).stdout_is(|_| true).stderr_is(|_| true).code(1).start();
    running.line();
    running
}

/// Kills the workers: others have to load the same code.
fn kill_workers(running: &mut Running) {
    let workers = running.workers();
    assert!(!workers.is_empty() && !running.ends_within(Duration::ZERO));
    workers.iter().for_each(|worker| worker.kill(Signal::KILL));
}

#[test]
fn c8_a_run_goes_on_when_the_cache_is_cleaned() {
    let place = Place::new();
    let mut running = spinning(&place);
    place
        .wasmpool("cache clean")
        .stdout_is(|stdout| stdout.starts_with("removed 1 compiled guest, "))
        .check();
    kill_workers(&mut running);
    let ended = running.check();
    let ends = |status: &str| ended.stdout.matches(&format!("\"status\":\"{status}\"")).count();
    assert_eq!([ends("ok"), ends("timeout")], [2, 2], "{ended}");
}

#[test]
fn a_cache_is_where_the_environment_says() {
    let run = format!("wasmpool run --progress none {PRIMES}");
    bash(&format!(
        "unset WASMPOOL_CACHE XDG_CACHE_HOME; {run}; XDG_CACHE_HOME=$PWD/caches {run}; \
         WASMPOOL_CACHE=$PWD/own {run}; WASMPOOL_CACHE=off {run}; XDG_CACHE_HOME=relative {run}; \
         find . -name secret | sort"
    ))
    .stdout("25\n25\n25\n25\n25\n./.cache/wasmpool/secret\n./caches/wasmpool/secret\n./own/secret\n")
    .check();
}

#[test]
fn a_value_that_is_no_place_is_told() {
    let note = "cache: `on` is not an absolute path; nothing is kept\n";
    run(PRIMES).with_cache_at(Path::new("on")).stdout("25\n").stderr(note).check();
    wasmpool("cache info").with_cache_at(Path::new("on")).refused(
        2,
        "error: the cache `on` is not an absolute path\n\n\
         hint: `WASMPOOL_CACHE` takes an absolute path, or `off` for no cache\n",
    );
}

#[test]
fn what_is_kept_is_shown_and_removed() {
    let place = Place::new();
    let info = |entries: &str, size: &str| {
        let directory = place.path();
        format!(
            "directory  {}\nentries    {entries}\nsize       {size} of at most 1.0 GiB\n",
            directory.display()
        )
    };
    place.wasmpool("cache info").stdout(info("0", "0 bytes")).check();
    place.check_primes("");
    place.wasmpool("cache info").stdout_is(|stdout| stdout.contains("\nentries    1\nsize       ")).check();
    place
        .wasmpool("cache clean")
        .stdout_is(|stdout| stdout.starts_with("removed 1 compiled guest, "))
        .check();
    place.wasmpool("cache info").stdout(info("0", "0 bytes")).check();
    place.wasmpool("cache clean").stdout("removed 0 compiled guests, 0 bytes\n").check();
}

#[test]
fn a_directory_that_is_no_cache_is_not_cleaned() {
    let job = wasmpool("cache clean").file("cache/letter", "dear");
    let path = job.path("cache");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let error = format!(
        "error: the cache `{}` is no cache: there are other things in it\n\n\
         hint: `WASMPOOL_CACHE` names another directory\n",
        path.display()
    );
    job.with_cache().refused(2, &error);
}

#[test]
fn without_a_cache_there_is_nothing_to_show() {
    for command in ["cache info", "cache clean"] {
        wasmpool(command).stdout("there is no cache: `WASMPOOL_CACHE` is `off`\n").check();
        wasmpool(command)
            .with_empty_environment()
            .stdout(
                "there is no cache: neither `WASMPOOL_CACHE`, nor `XDG_CACHE_HOME`, nor `HOME` names a directory\n",
            )
            .check();
    }
}

#[test]
fn a_guest_that_is_built_again_is_compiled_again() {
    let place = Place::new();
    let value =
        |number: u32| format!("(module (func (export \"f\") (param i64) (result i64) i64.const {number}))");
    for number in [1, 2] {
        let record = format!("{{\"v\":1,\"index\":0,\"input\":0,\"status\":\"ok\",\"value\":{number}}}\n");
        place.run("g.wasm f --range 0..1").wat("g.wasm", &value(number)).stdout(record).check();
    }
}

#[test]
fn the_name_of_a_guest_does_not_matter() {
    let (place, _) = Place::with_primes();
    place
        .run("other.wasm --range 1..100")
        .link(&guest("primes.wasm"), "other.wasm")
        .args(NO_TIME)
        .stdout("25\n")
        .check();
}
