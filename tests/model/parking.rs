//! Nobody sleeps while there is work. Loom reports a model whose threads all sleep as a deadlock, so a lost wake-up
//! fails the test without an assertion.

use std::sync::Arc;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use super::park::{Found, Parking, Sleeper, Wake};

/// What an eventfd is to a driver; it also wakes up for no reason, as poll does for a pipe.
#[derive(Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify();
    }
}

/// A queue of chunks that are all alike, with no stronger ordering than crossbeam's: a look may miss a push unless
/// something else orders the two.
#[derive(Default)]
struct Queue(AtomicUsize);

impl Queue {
    fn push(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn take(&self) -> Option<()> {
        let take_one = |n_chunks: usize| n_chunks.checked_sub(1);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, take_one).ok().map(drop)
    }
}

/// Drivers with two queues between them.
struct Scene {
    parking: Parking,
    bells: Vec<Arc<Bell>>,
    queues: [Queue; 2],
}

impl Scene {
    fn new(n_drivers: usize) -> Arc<Self> {
        let bells: Vec<_> = (0..n_drivers).map(|_| Arc::<Bell>::default()).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        Arc::new(Self { parking: Parking::new(wakers), bells, queues: Default::default() })
    }

    fn push(&self, queue: usize) {
        self.queues[queue].push();
        self.parking.wake_one();
    }

    fn look(&self) -> Option<()> {
        self.queues[0].take().or_else(|| self.queues[1].take())
    }

    /// Sleeps until there is a chunk, and takes it; false once closed.
    fn take(&self, slot: usize, sleeper: &mut Sleeper) -> bool {
        loop {
            match sleeper.look_or_announce(&self.parking, || self.look()) {
                Found::Work(()) => return true,
                Found::Nothing => self.bells[slot].wait(),
                Found::Closed => return false,
            }
        }
    }

    /// A driver that takes `n_chunks` chunks, one after the other, and then is busy for ever.
    fn take_some(&self, slot: usize, n_chunks: usize) {
        let mut sleeper = Sleeper::new(slot);
        for _ in 0..n_chunks {
            assert!(self.take(slot, &mut sleeper), "nobody closes");
        }
    }

    /// A driver that goes on until the close; how many chunks it took.
    fn take_all(&self, slot: usize) -> usize {
        let mut sleeper = Sleeper::new(slot);
        std::iter::from_fn(|| self.take(slot, &mut sleeper).then_some(())).count()
    }
}

fn spawn<R: 'static>(scene: &Arc<Scene>, run: impl FnOnce(&Scene) -> R + 'static) -> thread::JoinHandle<R> {
    let scene = Arc::clone(scene);
    thread::spawn(move || run(&scene))
}

fn join<R>(thread: thread::JoinHandle<R>) -> R {
    thread.join().expect("a model's threads do not panic")
}

#[test]
fn a_push_while_the_driver_announces_itself_is_not_lost() {
    explore(5, || {
        let scene = Scene::new(1);
        let driver = spawn(&scene, |scene| scene.take_some(0, 1));
        scene.push(0);
        join(driver);
    });
}

#[test]
fn two_pushers_do_not_lose_a_chunk_of_either() {
    explore(2, || {
        let scene = Scene::new(1);
        let driver = spawn(&scene, |scene| scene.take_some(0, 2));
        let other = spawn(&scene, |scene| scene.push(1));
        scene.push(0);
        join(driver);
        join(other);
    });
}

#[test]
fn a_driver_that_found_work_by_itself_passes_its_wake_up_on() {
    explore(2, || {
        let scene = Scene::new(2);
        let first = spawn(&scene, |scene| scene.take_some(0, 1));
        let second = spawn(&scene, |scene| scene.take_some(1, 1));
        scene.push(0);
        scene.push(1);
        join(first);
        join(second);
    });
}

#[test]
fn two_pushers_feed_two_sleepers() {
    explore(2, || {
        let scene = Scene::new(2);
        let first = spawn(&scene, |scene| scene.take_some(0, 1));
        let second = spawn(&scene, |scene| scene.take_some(1, 1));
        let other = spawn(&scene, |scene| scene.push(1));
        scene.push(0);
        join(first);
        join(second);
        join(other);
    });
}

#[test]
fn a_chunk_on_its_way_between_two_queues_is_found() {
    explore(2, || {
        let scene = Scene::new(1);
        scene.queues[1].push();
        let driver = spawn(&scene, |scene| scene.take_some(0, 1));
        // The driver looks at queue 0 first, so it can miss the chunk in both.
        if scene.queues[1].take().is_some() {
            scene.push(0);
        }
        join(driver);
    });
}

#[test]
fn a_driver_that_gives_up_passes_its_wake_up_on() {
    explore(2, || {
        let scene = Scene::new(2);
        let steady = spawn(&scene, |scene| scene.take_some(0, 1));
        let fickle = spawn(&scene, |scene| {
            let mut sleeper = Sleeper::new(1);
            match sleeper.look_or_announce(&scene.parking, || scene.look()) {
                Found::Work(()) => scene.push(1),
                Found::Nothing => sleeper.withdraw(&scene.parking),
                Found::Closed => unreachable!("nobody closes"),
            }
        });
        scene.push(0);
        join(steady);
        join(fickle);
    });
}

#[test]
fn a_close_ends_every_sleep_and_loses_no_chunk_pushed_before_it() {
    explore(2, || {
        let scene = Scene::new(2);
        let first = spawn(&scene, |scene| scene.take_all(0));
        let second = spawn(&scene, |scene| scene.take_all(1));
        scene.push(0);
        scene.parking.close();
        assert_eq!(join(first) + join(second), 1);
    });
}
