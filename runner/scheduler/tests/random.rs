//! Random steps of the feeder, the drivers and dying workers, one at a time, against a model that knows where every
//! item is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::Origin;
use super::*;

const N_DRIVERS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The feeder pushes a chunk of so many items.
    Push(u64),
    /// A driver looks for work.
    Look(usize),
    /// A driver looks for work and means to sleep if there is none.
    Sleep(usize),
    /// A driver has no use for work.
    GiveUp(usize),
    /// A driver keeps the second half of a chunk for later.
    Keep(usize),
    /// A driver's worker finishes a chunk.
    Finish(usize),
    /// A driver's worker dies with all it has.
    Die(usize),
    /// A driver ends.
    Retire(usize),
}

struct World {
    scheduler: Arc<Scheduler<Run>>,
    drivers: Vec<Option<LocalQueue<Run>>>,
    flags: Vec<Arc<Flag>>,
    /// The drivers that sleep unless their flag is up.
    asleep: [bool; N_DRIVERS],
    /// What each driver's worker has.
    hands: [Vec<Run>; N_DRIVERS],
    /// The first indexes of what workers had when they died, and nobody took yet.
    came_back: BTreeSet<u64>,
    n_pushed: u64,
    finished: BTreeSet<u64>,
}

impl World {
    fn new() -> Self {
        let (scheduler, queues, flags) = scheduler(N_DRIVERS);
        Self {
            scheduler,
            drivers: queues.into_iter().map(Some).collect(),
            flags,
            asleep: Default::default(),
            hands: Default::default(),
            came_back: BTreeSet::new(),
            n_pushed: 0,
            finished: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push(n_items) => {
                self.scheduler.push(Run(self.n_pushed..self.n_pushed + n_items));
                self.n_pushed += n_items;
            }
            Step::Look(driver) => {
                self.look(driver, LocalQueue::next);
            }
            Step::Sleep(driver) => {
                let next = self.look(driver, LocalQueue::next_or_register);
                self.asleep[driver] = next == Some(Next::Empty);
            }
            Step::GiveUp(driver) => {
                self.asleep[driver] = false;
                self.drivers[driver].as_mut().map(LocalQueue::unregister);
            }
            Step::Keep(driver) => self.keep(driver),
            Step::Finish(driver) => self.finish(driver),
            Step::Die(driver) => {
                let chunks = std::mem::take(&mut self.hands[driver]);
                self.came_back.extend(chunks.iter().map(Split::first));
                self.scheduler.push_front(chunks);
            }
            Step::Retire(driver) => {
                self.asleep[driver] = false;
                self.drivers[driver] = None;
            }
        }
    }

    fn look(
        &mut self,
        driver: usize,
        look: impl FnOnce(&mut LocalQueue<Run>) -> Next<Run>,
    ) -> Option<Next<Run>> {
        // A driver clears its waker before it looks.
        if self.flags[driver].take() {
            self.asleep[driver] = false;
        }
        let next = look(self.drivers[driver].as_mut()?);
        if let Next::Chunk(chunk, origin) = &next {
            self.asleep[driver] = false;
            self.check_order(chunk, *origin);
            self.hands[driver].push(chunk.clone());
        }
        Some(next)
    }

    /// What came back goes before everything else, the lowest index first.
    fn check_order(&mut self, chunk: &Run, origin: Origin) {
        if let Some(&lowest) = self.came_back.first() {
            assert_eq!(origin, Origin::Requeued);
            assert!(chunk.first() <= lowest);
        }
        self.came_back.remove(&chunk.first());
    }

    fn keep(&mut self, driver: usize) {
        let Some(queue) = self.drivers[driver].as_mut() else { return };
        let Some(chunk) = self.hands[driver].last_mut() else { return };
        if let Some(second_half) = chunk.split_half() {
            queue.push(second_half);
        }
    }

    fn finish(&mut self, driver: usize) {
        let Some(chunk) = self.hands[driver].pop() else { return };
        for item in chunk.0 {
            assert!(self.finished.insert(item), "item {item} is handed out once");
        }
    }

    /// While there is work, at least one driver that could take it is awake or has been woken.
    fn check_awake(&self) {
        let in_hand: u64 = self.hands.iter().flatten().map(Split::len).sum();
        let n_finished = u64::try_from(self.finished.len()).expect("a count fits");
        let n_queued = self.n_pushed - in_hand - n_finished;
        let is_awake = |driver: usize| !self.asleep[driver] || self.flags[driver].is_up();
        let mut present = (0..N_DRIVERS).filter(|&driver| self.drivers[driver].is_some()).peekable();
        assert!(n_queued == 0 || present.peek().is_none() || present.any(is_awake));
    }

    /// Lets everyone finish, and checks that every item was finished.
    fn end(mut self) {
        self.scheduler.close();
        for driver in 0..N_DRIVERS {
            self.step(Step::Die(driver));
        }
        for driver in 0..N_DRIVERS {
            while let Some(Next::Chunk(..)) = self.look(driver, LocalQueue::next_or_register) {
                self.finish(driver);
            }
        }
        self.hands[0] = self.scheduler.drain();
        while !self.hands[0].is_empty() {
            self.finish(0);
        }
        assert!(self.finished.into_iter().eq(0..self.n_pushed));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let driver = || 0..N_DRIVERS;
    prop_oneof![
        6 => (1..9_u64).prop_map(Step::Push),
        4 => driver().prop_map(Step::Look),
        8 => driver().prop_map(Step::Sleep),
        1 => driver().prop_map(Step::GiveUp),
        4 => driver().prop_map(Step::Keep),
        4 => driver().prop_map(Step::Finish),
        1 => driver().prop_map(Step::Die),
        1 => driver().prop_map(Step::Retire),
    ]
}

proptest! {
    #[test]
    fn every_item_is_handed_out_once_and_no_work_waits_while_all_sleep(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check_awake();
        }
        world.end();
    }
}
