//! Each attack against each layer alone, and against all.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

use nix::libc;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::super::{Access, Layer, Profile};
use super::attacks::{ATTACKS, Attack, FOLDER_ATTACKS, PAGE, Targets, call};
use super::cell::{Fate, Handed, attempt_while_loading, attempt_with, victim};
use super::profiles;
use super::trees::Tree;

/// The layers that can stop an attack, beside being nobody. `no_new_privs` is of use only to who can start a program.
const LAYERS: [Layer; 5] = [Layer::Rlimits, Layer::Landlock, Layer::Mdwe, Layer::Seccomp, Layer::Undumpable];

/// What stops an attack.
pub(super) struct Row {
    case: &'static str,
    pub(super) name: &'static str,
    pub(super) stopped_by: BTreeSet<Layer>,
    pub(super) by_all: Fate,
}

/// Attacks that one layer alone stops, in a worker without folders: the filter. No other knows of these calls.
const STOPPED_BY_ONE: [&str; 5] = [
    "look at a file",
    "read a link",
    "change the times of a file",
    "run what stands behind its code",
    "take huge pages",
];

/// What a worker with folders can do: it needs the calls, and Landlock does not cover them.
const POSSIBLE_WITH_FOLDERS: [&str; 2] = ["look at a file", "read a link"];

/// Where attacks are tried.
struct Range {
    port: u16,
    _listener: TcpListener,
    code: NonNull<c_void>,
}

impl Range {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = memfd_create("code", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 2 * LENGTH as u64).unwrap();
        // SAFETY: it is a new mapping, at a place that the kernel chooses, of a file that nobody else has.
        let code = unsafe {
            mmap(std::ptr::null_mut(), LENGTH, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, file, 0)
        };
        Self { port, _listener: listener, code: NonNull::new(code.unwrap()).expect("a mapping is somewhere") }
    }

    fn attempt(&self, attack: &Attack, layers: &[Layer], profile: &Profile) -> Fate {
        let tree = Tree::new();
        let dirs = match profile {
            Profile::Compile(_) | Profile::Compute => Vec::new(),
            Profile::Files(accesses) => accesses.iter().map(|_| tree.open_inside()).collect(),
        };
        let targets = Targets {
            host: victim(&[]),
            sibling: victim(layers),
            port: self.port,
            code: self.code.addr().get().cast_signed() as i64,
            file: tree.outside("secret"),
            link: tree.outside("link"),
            dir: dirs.first().map_or(-1, |dir: &OwnedFd| dir.as_raw_fd().into()),
        };
        attempt_with(layers, profile, &Handed { dirs, ..Handed::default() }, || (attack.deed)(&targets))
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and nothing refers to it any more.
        unsafe { munmap(self.code.as_ptr(), LENGTH) }.unwrap();
    }
}

/// The same, as lengths are written.
const LENGTH: usize = 4096;
const _: () = assert!(PAGE == 4096, "they are the same");

fn rows<'a>(attacks: impl Iterator<Item = &'a Attack>, profile: &Profile) -> Vec<Row> {
    let range = Range::new();
    rows_by(attacks, |attack, layers| range.attempt(attack, layers, profile))
}

/// What stops these attacks, one row each.
pub(super) fn rows_by<'a, T: 'a>(
    attacks: impl Iterator<Item = &'a Attack<T>>,
    attempt: impl Fn(&Attack<T>, &[Layer]) -> Fate,
) -> Vec<Row> {
    attacks
        .map(|attack| {
            let mut stopped_by = BTreeSet::new();
            let bare = attempt(attack, &[]);
            if bare.is_stopped() {
                stopped_by.insert(Layer::Unprivileged);
            }
            for layer in LAYERS {
                let fate = attempt(attack, &[layer]);
                // What nobody can do anyway tells of another layer only if that answers in its own way.
                if fate.is_stopped() && fate != bare {
                    stopped_by.insert(layer);
                }
            }
            Row { case: attack.case, name: attack.name, stopped_by, by_all: attempt(attack, &Layer::ALL) }
        })
        .collect()
}

fn named(name: &str) -> &'static Attack {
    ATTACKS.iter().find(|attack| attack.name == name).unwrap()
}

/// Whether this kernel has all that the tables of SECURITY.md are about.
fn has_all_layers() -> bool {
    let range = Range::new();
    let stops = |layer, name| range.attempt(named(name), &[layer], &Profile::Compute).is_stopped();
    stops(Layer::Landlock, "signal the host") && stops(Layer::Mdwe, "make memory executable")
}

/// A table of SECURITY.md.
pub(super) fn table(rows: &[Row]) -> String {
    let columns: Vec<_> = [Layer::Unprivileged].into_iter().chain(LAYERS).collect();
    let names: Vec<_> = columns.iter().map(|layer| layer.name()).collect();
    let mut table =
        format!("| | attack | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(columns.len()));
    for Row { case, name, stopped_by, .. } in rows {
        let marks: Vec<_> =
            columns.iter().map(|layer| if stopped_by.contains(layer) { "stops" } else { "" }).collect();
        let _ = writeln!(table, "| {case} | {name} | {} |", marks.join(" | "));
    }
    table
}

/// Each attack of a case is stopped by two layers, either of them alone, or by one if there is no other; and by all
/// together.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn check(case: &str) {
    let rows = rows(ATTACKS.iter().filter(|attack| attack.case == case), &Profile::Compute);
    for Row { name, stopped_by, by_all, .. } in &rows {
        if STOPPED_BY_ONE.contains(name) {
            assert_eq!(*stopped_by, BTreeSet::from([Layer::Seccomp]), "{name}");
        } else {
            assert!(stopped_by.len() >= 2, "{name}: only {stopped_by:?}");
        }
        assert!(by_all.is_stopped(), "{name}: {by_all} against all layers");
    }
    let least = rows.iter().map(|row| row.stopped_by.len()).min().expect("a case has attacks");
    println!("figure: {case} {} attacks, each stopped by {least} layers or more, one at a time", rows.len());
}

#[test]
fn w21_a_locked_process_starts_no_other() {
    check("W21");
}

#[test]
fn h23_a_locked_process_cannot_become_wasmpool_or_any_other_program() {
    let range = Range::new();
    for profile in profiles() {
        for layers in [&[Layer::Seccomp][..], &Layer::ALL] {
            let fate = range.attempt(named("execve"), layers, &profile);
            assert!(fate.is_filtered(), "{profile:?}, {layers:?}: {fate}");
        }
    }
}

#[test]
fn w22_a_locked_process_has_no_sockets_and_rings() {
    check("W22");
}

#[test]
fn w23_a_locked_process_opens_no_file() {
    check("W23");
}

#[test]
fn w24_a_locked_process_reads_no_other() {
    check("W24");
}

#[test]
fn w25_a_locked_process_signals_no_other() {
    check("W25");
}

#[test]
fn w26_a_locked_process_has_no_new_code() {
    check("W26");
}

#[test]
fn w27_a_locked_process_keeps_its_limits() {
    check("W27");
}

/// Before its limits, a process has nothing but the first filter to keep it from that.
#[test]
fn w21_a_process_that_loads_starts_no_other() {
    let start = |number, first: i64| move || call(number, [first, 0, 0, 0, 0, 0]).map(drop);
    for profile in profiles() {
        for number in [libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork, libc::SYS_execve, libc::SYS_execveat]
        {
            let fate =
                attempt_while_loading(&profile, &Handed::default(), start(number, libc::SIGCHLD.into()));
            assert!(fate.is_filtered(), "{profile:?}, {number}: {fate}");
        }
        let fate = attempt_while_loading(&profile, &Handed::default(), start(libc::SYS_clone3, 0));
        assert_eq!(fate, Fate::Refused(libc::ENOSYS), "{profile:?}");
    }
}

/// All attacks, on a worker with one folder.
fn rows_with_folder(access: Access) -> Vec<Row> {
    rows(ATTACKS.iter(), &Profile::Files(vec![access]))
}

/// With folders, fewer layers stop some attacks, but all together stop each that any can.
#[track_caller]
fn check_with_folder(rows: &[Row]) {
    for Row { name, stopped_by, by_all, .. } in rows {
        let possible = POSSIBLE_WITH_FOLDERS.contains(name);
        assert_eq!(stopped_by.is_empty(), possible, "{name}: {stopped_by:?} {by_all}");
        assert_eq!(!by_all.is_stopped(), possible, "{name}: {by_all} against all layers");
    }
}

#[test]
fn a_locked_process_with_a_folder_to_be_read_is_stopped_like_others() {
    check_with_folder(&rows_with_folder(Access::Read));
}

#[test]
fn a_locked_process_with_a_folder_to_be_written_to_is_stopped_like_others() {
    check_with_folder(&rows_with_folder(Access::Write));
}

#[test]
fn g23_a_locked_process_changes_nothing_in_a_folder_to_be_read() {
    check_with_folder(&rows(FOLDER_ATTACKS.iter(), &Profile::Files(vec![Access::Read])));
}

#[test]
fn the_table_of_attacks_is_what_happens() {
    check_shown(&table(&rows(ATTACKS.iter(), &Profile::Compute)));
}

#[test]
fn the_table_of_attacks_with_folders_is_what_happens() {
    let folder = rows(FOLDER_ATTACKS.iter(), &Profile::Files(vec![Access::Read]));
    let written = rows_with_folder(Access::Write);
    let all: Vec<_> = written.into_iter().chain(folder).collect();
    check_shown(&table(&all));
}

#[test]
fn what_stops_an_attack_where_a_folder_is_written_to_stops_it_where_it_is_read() {
    let [read, written] = [Access::Read, Access::Write].map(rows_with_folder);
    for (read, written) in read.iter().zip(&written) {
        assert!(read.stopped_by.is_superset(&written.stopped_by), "{}", read.name);
    }
}

#[track_caller]
pub(super) fn check_shown(table: &str) {
    let shown = include_str!("../../../SECURITY.md");
    assert!(!has_all_layers() || shown.contains(table), "SECURITY.md is to have this table:\n{table}");
}
