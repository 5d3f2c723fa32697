//! A lock is had by one at a time, and by everybody who waits for it in the end, wherever its holder is killed.
//!
//! If a wake-up were lost, all threads would sleep at last, and loom reports that as a deadlock.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::thread;

use super::explore;
use super::shm::declared::Holder;
use super::shm::protocol::lock::Lock;
use super::shm::protocol::sync::{Word, end_time, live, step};

/// A lock and something that it protects.
#[derive(Default)]
struct Scene {
    word: Word,
    taken_back: Word,
    protected: UnsafeCell<()>,
    /// Whether somebody is at what is protected, or was killed there. Not a part of the model.
    is_half_changed: AtomicBool,
}

impl Scene {
    fn lock(&self) -> Lock<'_> {
        Lock { word: &self.word, taken_back: &self.taken_back }
    }

    /// Changes what is protected, with the lock held; loom reports who does that at the same time. Whether the holder
    /// before was killed; none, if the time was over.
    fn visit(&self, who: Holder, until: Option<Instant>) -> Option<bool> {
        let held = self.lock().acquire(who, until).ok()?;
        let was_half_changed = self.is_half_changed.swap(true, Relaxed);
        assert!(held.recovered || !was_half_changed, "nobody was told");
        self.protected.with_mut(|_| {});
        step();
        self.is_half_changed.store(false, Relaxed);
        self.lock().release(who);
        Some(held.recovered)
    }
}

pub(crate) fn spawn<S: 'static, R: 'static>(
    scene: &Arc<S>,
    run: impl FnOnce(&S) -> R + 'static,
) -> thread::JoinHandle<R> {
    let scene = Arc::clone(scene);
    thread::spawn(move || run(&scene))
}

pub(crate) fn join<R>(thread: thread::JoinHandle<R>) -> R {
    thread.join().expect("a model's threads do not panic")
}

/// Different ones.
pub(crate) fn holder(number: u32) -> Holder {
    Holder::from_number(number + 2).expect("it is not 0")
}

#[test]
fn everybody_has_the_lock_in_the_end_and_nobody_at_the_same_time() {
    explore(3, || {
        let scene = Arc::<Scene>::default();
        let others = [0, 1].map(|number| spawn(&scene, move |scene| scene.visit(holder(number), None)));
        assert_eq!(scene.visit(Holder::HOST, None), Some(false));
        assert_eq!(others.map(join), [Some(false); 2]);
    });
}

#[test]
fn wherever_its_holder_is_killed_the_others_have_it_then() {
    // A visit without contention takes 3 steps, one with a sleep more.
    for steps in 0..10 {
        explore(2, move || {
            let scene = Arc::<Scene>::default();
            let victim = spawn(&scene, move |scene| live(steps, || scene.visit(holder(0), None)));
            let others = [1, 2].map(|number| spawn(&scene, move |scene| scene.visit(holder(number), None)));
            let lived = join(victim);
            let was_held = !lived && scene.lock().recover(holder(0));
            let told = others.map(join).iter().filter(|told| **told == Some(true)).count();
            let told_now = usize::from(scene.visit(Holder::HOST, None) == Some(true));
            assert_eq!(told + told_now, usize::from(was_held), "one is told of each that was killed");
        });
    }
}

#[test]
fn who_gives_up_takes_nobodys_wake_up_along() {
    explore(2, || {
        let scene = Arc::<Scene>::default();
        let hasty = spawn(&scene, |scene| scene.visit(holder(0), Some(Instant::now())));
        let patient = spawn(&scene, |scene| scene.visit(holder(1), None));
        let clock = spawn(&scene, |scene| end_time([&scene.word]));
        assert_eq!(scene.visit(Holder::HOST, None), Some(false));
        assert_eq!(join(patient), Some(false));
        join(hasty);
        join(clock);
    });
}
