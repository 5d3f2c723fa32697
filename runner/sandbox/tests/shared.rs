//! What a worker can do to what it shares with others, and what it cannot.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use nix::libc;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::super::fds::FIRST_SHARED;
use super::super::{Access, Layer, Profile, Shares};
use super::attacks::{Attack, CODE, DATA, PAGE, attacks, call, done};
use super::cell::{Fate, Handed, attempt_while_loading, attempt_with};
use super::matrix::{Row, check_shown, rows_by, table};

/// One of each, in the order of the table.
const SHARES: Shares = Shares { segments: 1, objects: 1, sealed: 1 };
const SEGMENT: i64 = FIRST_SHARED as i64;
const OBJECT: i64 = SEGMENT + 1;
const SEALED: i64 = SEGMENT + 2;
/// Memory like that, which was not declared.
const OTHER: i64 = SEGMENT + 3;

const IN_PLACE: i32 = libc::MAP_SHARED | libc::MAP_FIXED;

/// On what is shared, by a worker that has run a guest.
const ATTACKS: &[Attack<()>] = attacks! {
    "W30" "share what was not declared" |()| map(OTHER, DATA, IN_PLACE);
    "W30" "share a segment without a place for it" |()| done(mmap(0, SEGMENT, DATA, libc::MAP_SHARED));
    "W30" "share a lock once more" |()| map(OBJECT, DATA, IN_PLACE);
    "W30" "run a segment" |()| map(SEGMENT, CODE, IN_PLACE);
    "W30" "run a segment that it writes to" |()| map(SEGMENT, DATA | CODE, IN_PLACE);
    "W30" "make a segment executable" |()| {
        let place = mapped(SEGMENT, DATA, IN_PLACE)?;
        done(call(libc::SYS_mprotect, [place, PAGE, CODE, 0, 0, 0]))
    };
    "W30" "write to a sealed segment, for all" |()| map(SEALED, DATA, IN_PLACE);
    "W30" "shorten a segment" |()| done(call(libc::SYS_ftruncate, [SEGMENT, 0, 0, 0, 0, 0]));
    "W30" "seal a segment" |()| {
        let seals = SealFlags::FUTURE_WRITE.bits().into();
        done(call(libc::SYS_fcntl, [SEGMENT, libc::F_ADD_SEALS.into(), seals, 0, 0, 0]))
    };
};

/// Attacks that the filter alone stops.
const STOPPED_BY_ONE: [&str; 4] = [
    "share what was not declared",
    "share a segment without a place for it",
    "share a lock once more",
    "run a segment",
];

/// Maps a page of a file in the place of another.
fn mapped(file: i64, protection: i64, flags: i32) -> io::Result<i64> {
    let place =
        call(libc::SYS_mmap, [0, PAGE, DATA, i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), -1, 0])?;
    mmap(place, file, protection, flags)
}

fn mmap(place: i64, file: i64, protection: i64, flags: i32) -> io::Result<i64> {
    call(libc::SYS_mmap, [place, PAGE, protection, flags.into(), file, 0])
}

fn map(file: i64, protection: i64, flags: i32) -> io::Result<()> {
    done(mapped(file, protection, flags))
}

/// Memory that keeps its length, as everything shared does.
fn memory(seals: SealFlags) -> OwnedFd {
    /// Beyond any number that a worker has.
    const HIGH: i32 = 100;
    let memory = memfd_create("wasmpool-test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, PAGE.unsigned_abs()).unwrap();
    fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL | seals).unwrap();
    rustix::io::fcntl_dupfd_cloexec(&memory, HIGH).unwrap()
}

fn handed(shares: Shares) -> Handed {
    let seals = [SealFlags::empty(), SealFlags::empty(), SealFlags::WRITE, SealFlags::empty()];
    Handed { dirs: Vec::new(), shares, shared: seals.map(memory).into() }
}

fn attempt(layers: &[Layer], profile: &Profile, deed: impl FnOnce() -> io::Result<()>) -> Fate {
    attempt_with(layers, profile, &handed(SHARES), deed)
}

/// Workers that serve guests. What their folders are does not matter here.
fn profiles() -> [Profile; 3] {
    let files = |access| Profile::Files(vec![access]);
    [Profile::Compute, files(Access::Read), files(Access::Write)]
}

fn rows() -> Vec<Row> {
    rows_by(ATTACKS.iter(), |attack, layers| attempt(layers, &Profile::Compute, || (attack.deed)(&())))
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn w30_a_locked_process_does_with_what_is_shared_what_was_declared() {
    let rows = rows();
    for Row { name, stopped_by, by_all, .. } in &rows {
        if STOPPED_BY_ONE.contains(name) {
            assert_eq!(*stopped_by, BTreeSet::from([Layer::Seccomp]), "{name}");
        } else {
            assert!(stopped_by.len() >= 2, "{name}: only {stopped_by:?}");
        }
        assert!(by_all.is_stopped(), "{name}: {by_all} against all layers");
    }
    println!(
        "figure: W30 {} attacks, {} of them stopped by one layer alone",
        rows.len(),
        STOPPED_BY_ONE.len()
    );
}

/// One that has folders may call more, of which some is for any descriptor.
#[test]
fn w30_a_locked_process_with_folders_does_no_more_with_what_is_shared() {
    for profile in profiles() {
        for attack in ATTACKS {
            let fate = attempt(&Layer::ALL, &profile, || (attack.deed)(&()));
            assert!(fate.is_stopped(), "{profile:?}, {}: {fate}", attack.name);
        }
    }
}

#[test]
fn the_table_of_attacks_on_what_is_shared_is_what_happens() {
    check_shown(&table(&rows()));
}

#[test]
fn a_locked_process_has_segments_in_the_place_of_its_memory() {
    for profile in profiles() {
        let in_place = attempt(&Layer::ALL, &profile, || map(SEGMENT, DATA, IN_PLACE));
        let copied =
            attempt(&Layer::ALL, &profile, || map(SEALED, DATA, libc::MAP_PRIVATE | libc::MAP_FIXED));
        assert_eq!([in_place, copied], [Fate::Worked; 2], "{profile:?}");
    }
}

#[test]
fn a_process_that_loads_has_locks_and_queues_where_there_is_room() {
    let share = || done(mmap(0, OBJECT, DATA, libc::MAP_SHARED));
    for profile in profiles() {
        let fate = attempt_while_loading(&profile, &handed(SHARES), share);
        assert_eq!(fate, Fate::Worked, "{profile:?}");
        let fate = attempt(&Layer::ALL, &profile, share);
        assert!(fate.is_filtered(), "{profile:?}: {fate}");
    }
}

#[test]
fn a_process_that_loads_has_nothing_else_where_there_is_room() {
    for file in [SEGMENT, SEALED, OTHER] {
        let share = || done(mmap(0, file, DATA, libc::MAP_SHARED));
        let fate = attempt_while_loading(&Profile::Compute, &handed(SHARES), share);
        assert!(fate.is_filtered(), "{file}: {fate}");
    }
}

#[test]
fn w30_a_locked_process_that_shares_nothing_has_no_segments() {
    for shares in [Shares::default(), Shares { segments: 0, ..SHARES }] {
        let handed = handed(shares);
        let fate = attempt_with(&Layer::ALL, &Profile::Compute, &handed, || map(SEGMENT, DATA, IN_PLACE));
        assert!(fate.is_filtered(), "{shares:?}: {fate}");
    }
}
