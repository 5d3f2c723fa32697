//! Results that wait for an item before them close the gate, and it opens again: nobody sleeps for good behind it, in
//! whatever order drivers, who count what they have read, and the dispatcher, who takes it, come.
//!
//! If a driver missed that the gate has opened, or that it is its item's turn, all threads would sleep at last, and loom
//! reports that as a deadlock.

use std::collections::BTreeSet;
use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread;

use super::gate::Gate;
use super::hand_over::join;
use crate::explore;
use crate::item::ItemIndex;
use crate::park::{Found, Parking, Sleeper, Wake};
use crate::parking::Bell;

/// What drivers and dispatcher share.
struct Scene {
    parking: Parking,
    bells: Vec<Arc<Bell>>,
    gate: Gate,
    /// A bit for each item that waits to be run.
    queue: AtomicUsize,
}

impl Scene {
    /// A run whose first `items` items wait; the gate is closed from so many results on, each of them a byte.
    fn new(n_drivers: usize, items: u64, cap: u64) -> Arc<Self> {
        let bells: Vec<_> = (0..n_drivers).map(|_| Arc::<Bell>::default()).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        let queue = AtomicUsize::new((1 << items) - 1);
        Arc::new(Self { parking: Parking::new(wakers), bells, gate: Gate::new(cap), queue })
    }

    /// The lowest item, if it may be sent.
    fn look(&self) -> Option<ItemIndex> {
        let is_open = self.gate.is_open();
        let lowest = |bits: usize| ItemIndex::from(bits.trailing_zeros());
        let may_go = |bits: usize| bits > 0 && (is_open || self.gate.lets_through(lowest(bits)));
        let without = |bits: usize| may_go(bits).then(|| bits & (bits - 1));
        self.queue.fetch_update(Ordering::Acquire, Ordering::Relaxed, without).ok().map(lowest)
    }

    fn drive(&self, slot: usize, events: &Sender<ItemIndex>) {
        let mut sleeper = Sleeper::new(slot);
        loop {
            match sleeper.look_or_announce(&self.parking, || self.look()) {
                Found::Work(item) => {
                    self.gate.add(1);
                    assert!(events.send(item).is_ok(), "the dispatcher lives as long as the run");
                }
                Found::Nothing => self.bells[slot].wait(),
                Found::Closed => return,
            }
        }
    }

    /// Takes results, and holds those back whose turn it is not, until all are through.
    fn dispatch(&self, items: u64, events: &Receiver<ItemIndex>) {
        let (mut turn, mut held) = (0, BTreeSet::new());
        while turn < items {
            let before = held.len() as u64;
            let item = events.recv().expect("senders live as long as the run");
            assert!(held.insert(item), "item {item} ended twice");
            while held.remove(&turn) {
                turn += 1;
            }
            if self.gate.take(1, (before, held.len() as u64), turn) {
                self.bells.iter().for_each(|_| self.parking.wake_one());
            }
        }
        assert!(self.gate.is_open(), "nothing waits any more");
        self.parking.close();
    }
}

/// A run of so many items with a driver for each slot.
fn run(n_drivers: usize, items: u64, cap: u64) {
    let scene = Scene::new(n_drivers, items, cap);
    let (sender, receiver) = channel();
    let drivers: Vec<_> = (0..n_drivers)
        .map(|slot| {
            let (scene, sender) = (Arc::clone(&scene), sender.clone());
            thread::spawn(move || scene.drive(slot, &sender))
        })
        .collect();
    scene.dispatch(items, &receiver);
    join(drivers);
}

#[test]
fn a_driver_that_finds_the_gate_closed_is_woken_when_it_opens() {
    explore(3, || run(1, 3, 1));
}

#[test]
fn results_that_wait_for_each_other_let_the_item_through_whose_turn_it_is() {
    explore(1, || run(2, 2, 1));
}
