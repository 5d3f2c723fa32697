//! Each attack against each layer alone, and against all.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;

use super::super::{Layer, Profile};
use super::attacks::{ATTACKS, Attack, Targets};
use super::cell::{Fate, attempt, victim};

/// The layers that can stop an attack, beside being nobody. `no_new_privs` is of use only to who can start a program.
const LAYERS: [Layer; 5] = [Layer::Rlimits, Layer::Landlock, Layer::Mdwe, Layer::Seccomp, Layer::Undumpable];

/// What stops an attack.
struct Row {
    attack: &'static Attack,
    stopped_by: BTreeSet<Layer>,
    by_all: Fate,
}

fn rows(attacks: impl Iterator<Item = &'static Attack>) -> Vec<Row> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = || victim(&[]);
    let against = |attack: &'static Attack, layers: &[Layer]| {
        let targets = Targets { host: host(), sibling: victim(layers), port };
        attempt(layers, &Profile::Compute, || (attack.deed)(&targets))
    };
    attacks
        .map(|attack| {
            let mut stopped_by = BTreeSet::new();
            let bare = against(attack, &[]);
            if bare.is_stopped() {
                stopped_by.insert(Layer::Unprivileged);
            }
            for layer in LAYERS {
                let fate = against(attack, &[layer]);
                // What nobody can do anyway tells of another layer only if that answers in its own way.
                if fate.is_stopped() && fate != bare {
                    stopped_by.insert(layer);
                }
            }
            Row { attack, stopped_by, by_all: against(attack, &Layer::ALL) }
        })
        .collect()
}

/// Whether this kernel has all that the table of SECURITY.md is about.
fn has_all_layers() -> bool {
    let stops = |layer, name| {
        let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
        let targets = Targets { host: victim(&[]), sibling: victim(&[layer]), port: 0 };
        attempt(&[layer], &Profile::Compute, || (attack.deed)(&targets)).is_stopped()
    };
    stops(Layer::Landlock, "signal the host") && stops(Layer::Mdwe, "make memory executable")
}

/// The table of SECURITY.md.
fn table(rows: &[Row]) -> String {
    let columns: Vec<_> = [Layer::Unprivileged].into_iter().chain(LAYERS).collect();
    let names: Vec<_> = columns.iter().map(|layer| layer.name()).collect();
    let mut table =
        format!("| | attack | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(columns.len()));
    for Row { attack, stopped_by, .. } in rows {
        let marks: Vec<_> =
            columns.iter().map(|layer| if stopped_by.contains(layer) { "stops" } else { "" }).collect();
        let _ = writeln!(table, "| {} | {} | {} |", attack.case, attack.name, marks.join(" | "));
    }
    table
}

/// Each attack of a case is stopped by two layers, either of them alone, and by all together.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn check(case: &str) {
    let rows = rows(ATTACKS.iter().filter(|attack| attack.case == case));
    for Row { attack, stopped_by, by_all } in &rows {
        assert!(stopped_by.len() >= 2, "{}: only {stopped_by:?}", attack.name);
        assert!(by_all.is_stopped(), "{}: {by_all} against all layers", attack.name);
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
    let attack = ATTACKS.iter().find(|attack| attack.name == "execve").unwrap();
    for profile in [Profile::Compile, Profile::Compute, Profile::Files(Vec::new())] {
        for layers in [&[Layer::Seccomp][..], &Layer::ALL] {
            let targets = Targets { host: victim(&[]), sibling: victim(layers), port: 0 };
            let fate = attempt(layers, &profile, || (attack.deed)(&targets));
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

#[test]
fn the_table_of_attacks_is_what_happens() {
    let (shown, table) = (include_str!("../../../SECURITY.md"), table(&rows(ATTACKS.iter())));
    assert!(!has_all_layers() || shown.contains(&table), "SECURITY.md is to have this table:\n{table}");
}
