//! The whole scheduler with real threads: a feeder behind a window, drivers that sleep, split, lose workers and end.

use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::super::Window;
use super::*;

const N_ITEMS: u64 = 20_000;
const N_DRIVERS: usize = 4;
/// Only a lost wake-up lasts this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an eventfd is to a driver.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        let (mut rung, wait) = self.changed.wait_timeout_while(rung, DEADLINE, |rung| !*rung).unwrap();
        assert!(!wait.timed_out(), "a driver sleeps for ever");
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

struct Stage {
    scheduler: Arc<Scheduler<Run>>,
    window: Window,
    /// How often each item was finished.
    finished: Vec<AtomicU64>,
    n_left: AtomicU64,
}

impl Stage {
    fn feed(&self) {
        let mut first = 0;
        let mut wanted = 1;
        while first < N_ITEMS {
            let n_items = self.window.wait_admissible(wanted).unwrap().min(wanted).min(N_ITEMS - first);
            self.window.acquire(n_items, n_items).unwrap();
            self.scheduler.push(Run(first..first + n_items));
            first += n_items;
            wanted = wanted % 13 + 1;
        }
    }

    fn finish(&self, chunk: Run) {
        let n_items = chunk.len();
        for item in chunk.0 {
            self.finished[usize::try_from(item).unwrap()].fetch_add(1, Ordering::Relaxed);
        }
        self.window.release(n_items);
        if self.n_left.fetch_sub(n_items, Ordering::AcqRel) == n_items {
            self.scheduler.close();
        }
    }

    /// Takes chunks until the close, or until it has taken `most`.
    fn drive(&self, mut queue: LocalQueue<Run>, bell: &Bell, most: usize) {
        let mut n_taken = 0;
        while n_taken < most {
            match queue.next_or_register() {
                Next::Empty => bell.wait(),
                Next::Closed => return,
                Next::Chunk(chunk, _) => {
                    n_taken += 1;
                    self.handle(&mut queue, chunk, n_taken);
                }
            }
        }
    }

    fn handle(&self, queue: &mut LocalQueue<Run>, mut chunk: Run, n_taken: usize) {
        let second_half = chunk.split_half();
        match (second_half, n_taken % 7) {
            (Some(second_half), 1 | 4) => queue.push(second_half),
            (Some(second_half), 2) => return self.scheduler.push_front(vec![second_half, chunk]),
            (Some(second_half), _) => self.finish(second_half),
            (None, _) => {}
        }
        self.finish(chunk);
    }
}

#[test]
fn every_item_is_finished_once_by_threads_that_split_steal_die_and_sleep() {
    let bells: Vec<_> = (0..N_DRIVERS).map(|_| Arc::<Bell>::default()).collect();
    let (scheduler, queues) =
        Scheduler::new(bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect());
    let stage = Stage {
        scheduler,
        window: Window::new(100, 1_000),
        finished: (0..N_ITEMS).map(|_| AtomicU64::new(0)).collect(),
        n_left: AtomicU64::new(N_ITEMS),
    };
    thread::scope(|scope| {
        scope.spawn(|| stage.feed());
        for (driver, (queue, bell)) in queues.into_iter().zip(&bells).enumerate() {
            let most = if driver == 0 { 50 } else { usize::MAX };
            let stage = &stage;
            scope.spawn(move || stage.drive(queue, bell, most));
        }
    });
    assert!(stage.finished.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}
