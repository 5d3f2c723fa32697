//! A run from its first item to its close: the feeder pushes, drivers take, a worker dies and what it had goes back, the
//! dispatcher counts ends and asks for merges, and closes when nothing is outstanding.
//!
//! If an item were lost, or the close came too early or not at all, all threads would sleep at last, and loom reports
//! that as a deadlock.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread;

use super::run_state::RunState;
use crate::explore;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Meta, Outcome};
use crate::park::{Found, Parking, Sleeper, Wake};
use crate::parking::Bell;

/// Chunks of one item, with no stronger ordering than crossbeam's. Each is a bit, those of merges higher than others.
#[derive(Default)]
struct Queue(AtomicUsize);

impl Queue {
    /// The first bit of a merge.
    const MERGES: u32 = 8;

    fn push(&self, item: ItemIndex) {
        let place = item & !MERGE_BIT;
        let bit = if item == place { 1 << place } else { 1 << Self::MERGES << place };
        assert_eq!(self.0.fetch_or(bit, Ordering::Release) & bit, 0, "item {item} is in the queue once");
    }

    fn take(&self) -> Option<ItemIndex> {
        let without_lowest = |bits: usize| (bits > 0).then(|| bits & (bits - 1));
        let bits = self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, without_lowest).ok()?;
        let place = bits.trailing_zeros();
        Some(place.checked_sub(Self::MERGES).map_or(place.into(), |merge| MERGE_BIT | u64::from(merge)))
    }
}

/// What the dispatcher is told.
enum Event {
    Ended(ItemIndex),
    InputEnded { total: u64 },
}

pub(super) struct Scene {
    pub(super) parking: Parking,
    pub(super) bells: Vec<Arc<Bell>>,
    new: Queue,
    requeued: Queue,
}

impl Scene {
    pub(super) fn new(n_drivers: usize) -> Arc<Self> {
        let bells: Vec<_> = (0..n_drivers).map(|_| Arc::<Bell>::default()).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        let parking = Parking::new(wakers);
        Arc::new(Self { parking, bells, new: Queue::default(), requeued: Queue::default() })
    }

    pub(super) fn push(&self, item: ItemIndex) {
        self.new.push(item);
        self.parking.wake_one();
    }

    pub(super) fn push_front(&self, item: ItemIndex) {
        self.requeued.push(item);
        self.parking.wake_one();
    }

    pub(super) fn look(&self) -> Option<ItemIndex> {
        self.requeued.take().or_else(|| self.new.take())
    }

    fn feed(&self, items: u64, events: &Sender<Event>) {
        (0..items).for_each(|item| self.push(item));
        tell(events, Event::InputEnded { total: items });
    }

    /// A driver whose first `deaths` workers die of what they get.
    fn drive(&self, slot: usize, mut deaths: u32, events: &Sender<Event>) {
        let mut sleeper = Sleeper::new(slot);
        loop {
            match sleeper.look_or_announce(&self.parking, || self.look()) {
                Found::Work(item) if deaths > 0 => {
                    deaths -= 1;
                    self.push_front(item);
                }
                Found::Work(item) => tell(events, Event::Ended(item)),
                Found::Nothing => self.bells[slot].wait(),
                Found::Closed => return,
            }
        }
    }

    /// Runs until everything has ended. Each of the first `merges` items leads to a merge.
    fn dispatch(&self, merges: u64, events: &Receiver<Event>) {
        let mut state = RunState::default();
        let mut ended = Vec::new();
        while !state.is_over() {
            match events.recv().expect("senders live as long as the run") {
                Event::InputEnded { total } => state.input_ended(total),
                Event::Ended(item) => {
                    assert!(!ended.contains(&item), "item {item} ended twice");
                    ended.push(item);
                    state.ended(item, &completion());
                    state.accepted(u64::from(item & MERGE_BIT == 0), u64::from(item < merges));
                    if item < merges {
                        self.push_front(MERGE_BIT | item);
                    }
                }
            }
        }
        assert_eq!(self.look(), None);
        self.parking.close();
    }
}

pub(super) fn completion() -> Completion {
    let meta = Meta { attempts: 1, ..Meta::default() };
    Completion { meta: Box::new(meta), ..Completion::new(Outcome::Exit { code: 0 }) }
}

fn tell(events: &Sender<Event>, event: Event) {
    assert!(events.send(event).is_ok(), "the dispatcher lives as long as the run");
}

/// A run, with a driver for each of `deaths`, whose first so many workers die.
#[derive(Clone, Copy)]
struct Run<const N: usize> {
    items: u64,
    merges: u64,
    deaths: [u32; N],
}

impl<const N: usize> Run<N> {
    /// The feeder is a thread of its own.
    fn fed_meanwhile(self) {
        let (scene, sender, receiver) = self.scene();
        let threads = self.drivers(&scene, &sender);
        let feeder = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.feed(self.items, &sender))
        };
        scene.dispatch(self.merges, &receiver);
        join(threads);
        join([feeder]);
    }

    /// The dispatcher begins when the feeder has ended.
    fn fed_before(self) {
        let (scene, sender, receiver) = self.scene();
        let threads = self.drivers(&scene, &sender);
        scene.feed(self.items, &sender);
        scene.dispatch(self.merges, &receiver);
        join(threads);
    }

    fn scene(self) -> (Arc<Scene>, Sender<Event>, Receiver<Event>) {
        let (sender, receiver) = channel();
        (Scene::new(N), sender, receiver)
    }

    fn drivers(self, scene: &Arc<Scene>, sender: &Sender<Event>) -> Vec<thread::JoinHandle<()>> {
        let drivers = (0..).zip(self.deaths);
        drivers
            .map(|(slot, deaths)| {
                let (scene, sender) = (Arc::clone(scene), sender.clone());
                thread::spawn(move || scene.drive(slot, deaths, &sender))
            })
            .collect()
    }
}

pub(super) fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a model's threads do not panic");
    }
}

#[test]
fn a_run_without_items_ends() {
    explore(2, || Run { items: 0, merges: 0, deaths: [0, 0] }.fed_before());
}

#[test]
fn a_driver_whose_worker_dies_ends_the_run_alone() {
    explore(2, || Run { items: 2, merges: 0, deaths: [1] }.fed_meanwhile());
}

#[test]
fn what_a_dead_worker_had_is_taken_by_its_driver_or_by_one_that_sleeps() {
    explore(1, || Run { items: 1, merges: 0, deaths: [1, 0] }.fed_before());
}

#[test]
fn two_dying_workers_lose_and_double_nothing() {
    explore(1, || Run { items: 1, merges: 0, deaths: [1, 1] }.fed_before());
}

#[test]
fn a_merge_is_taken_by_a_driver_that_sleeps() {
    explore(1, || Run { items: 1, merges: 1, deaths: [0, 0] }.fed_before());
}

#[test]
fn a_merge_whose_worker_dies_is_taken_again() {
    explore(2, || Run { items: 1, merges: 1, deaths: [2] }.fed_meanwhile());
}
