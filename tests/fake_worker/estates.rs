//! Workers that end with something shared in their hands.

use std::time::Duration;

use rustix::process::Signal;
use wasmpool::pool::Job;
use wasmpool::shm::Lock;

use super::fake::wall;
use super::{Death, Fake, Misdeed, Page, Ran, Script, When, job, numbers};

/// The item under which workers end.
const BAD: u64 = 6;

/// Workers that share a lock, which the first has from its start to its end.
struct Scene {
    lock: Lock,
    fake: Fake,
}

impl Scene {
    fn new(misdeed: Option<Misdeed>) -> Self {
        let misdeed = misdeed.map(|misdeed| (When::First(BAD), misdeed));
        let lock = Lock::new().unwrap();
        let fake = Fake::new(Script { hold: true, page: Page::Honest, misdeed, ..Script::default() })
            .with_shared("l", &lock);
        Self { lock, fake }
    }

    /// Runs items with so many workers; the lock is free then.
    #[track_caller]
    fn run(&self, workers: usize) -> Ran {
        let limits = wall(Duration::from_secs(1));
        let ran = self.fake.run(Job { workers, limits, ..job(numbers(12)) });
        assert_eq!(self.lock.holder(), None);
        ran
    }
}

/// A worker that does this loses the lock, and the user is told.
#[track_caller]
fn check_told(misdeed: Misdeed) {
    let ran = Scene::new(Some(misdeed)).run(1);
    assert_eq!(ran.heard.recovered, ["l: while it held the lock, which is free again"], "{:?}", ran.heard);
}

#[test]
fn what_a_worker_held_that_was_killed_is_taken_back() {
    check_told(Misdeed::Die(Death::Signal(Signal::KILL.as_raw())));
}

#[test]
fn what_a_worker_held_that_ended_by_itself_is_taken_back() {
    check_told(Misdeed::Die(Death::Exit(0)));
}

#[test]
fn what_a_worker_held_whose_item_used_up_its_time_is_taken_back() {
    check_told(Misdeed::Hang);
}

#[test]
fn what_workers_hold_at_the_end_of_a_run_is_taken_back() {
    let ran = Scene::new(None).run(2);
    ran.check_ok_but(12, &[]);
}

#[test]
fn what_workers_hold_that_are_never_used_is_taken_back() {
    let scene = Scene::new(None);
    scene.fake.open_and_drop();
    assert_eq!(scene.lock.holder(), None);
}

#[test]
fn what_several_pools_share_is_taken_back_by_each() {
    let scene = Scene::new(Some(Misdeed::Die(Death::Exit(0))));
    for _ in 0..2 {
        scene.run(1);
    }
}
