//! The gate, one step at a time.

use super::gate::Gate;
use crate::item::MERGE_BIT;

#[test]
fn h15_it_closes_at_its_cap_and_opens_below() {
    let gate = Gate::new(100);
    gate.add(99);
    assert!(gate.is_open());
    gate.add(1);
    assert!(!gate.is_open());
    assert!(gate.take(30, (0, 20), 0));
    assert!(gate.is_open());
}

#[test]
fn what_the_sink_holds_keeps_it_closed() {
    let gate = Gate::new(100);
    gate.add(100);
    assert!(gate.take(100, (0, 100), 0));
    assert!(!gate.is_open());
    assert!(gate.take(0, (100, 0), 0));
    assert!(gate.is_open());
}

#[test]
fn a_closed_gate_lets_merges_and_what_is_waited_for_through() {
    let gate = Gate::new(0);
    gate.take(0, (0, 0), 7);
    assert!(!gate.is_open());
    assert!(gate.lets_through(7));
    assert!(gate.lets_through(MERGE_BIT | 1));
    assert!(!gate.lets_through(8));
}
