//! The queues that chunks wait in, and the order in which a driver looks at them.
//!
//! A chunk is in exactly one queue or in one driver's hands. Whoever makes one visible wakes one sleeper for it, so a
//! chunk that moves from queue to queue cannot hide from a driver that looked while it was in neither.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};

use super::park::{Found, Parking, Sleeper, Wake};
use super::sync::{AtomicUsize, Mutex, Ordering, lock};

/// How many chunks a driver takes from the injector at once: one to run, one to follow it.
///
/// Taking costs nanoseconds and a chunk lasts milliseconds, so a longer batch would gain nothing; it would hold items
/// back in one deque that an idle driver, and the ordered sink, wait for.
const BATCH: usize = 2;

/// Work that can be cut in two.
#[expect(clippy::len_without_is_empty, reason = "work is never empty")]
pub trait Split: Sized + Send {
    /// The index of its first item; no two pieces of work share one.
    fn first(&self) -> u64;

    /// How many items it has, at least 1.
    fn len(&self) -> u64;

    /// Keeps the first half of the items and returns the second; `None` if there is one item only.
    fn split_half(&mut self) -> Option<Self>;
}

/// What all drivers, the feeder and the dispatcher share: work nobody has taken yet.
pub struct Scheduler<T> {
    /// Sorted by first index, the lowest last.
    requeued: Mutex<Vec<T>>,
    /// The length of `requeued`, so that a look takes the lock only when there is something. Written with the lock held.
    n_requeued: AtomicUsize,
    injector: Injector<T>,
    stealers: Vec<Stealer<T>>,
    steals: AtomicU64,
    parking: Parking,
}

/// One driver's end of the scheduler.
///
/// Dropping it gives the chunks in its deque back to the other drivers, and its wake-up to another sleeper.
#[derive(Debug)]
pub struct LocalQueue<T: Split> {
    view: View<T>,
    sleeper: Sleeper,
}

/// The queues, as one driver sees them.
#[derive(Debug)]
struct View<T> {
    scheduler: Arc<Scheduler<T>>,
    slot: usize,
    /// FIFO: results come back near input order, so the ordered sink holds few.
    deque: Deque<T>,
    /// Where the next search for something to steal starts; it moves on, so that victims take turns.
    next_victim: usize,
}

/// What a driver got.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Work, and which queue it was in.
    Chunk(T, Origin),
    /// Nothing now.
    Empty,
    /// Nothing, and nothing will ever come.
    Closed,
}

/// Which queue a chunk was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The chunks that came back from a worker that died, or from a driver that ended.
    Requeued,
    /// The driver's own deque.
    Own,
    /// The queue that the feeder and the dispatcher push to.
    Injector,
    /// The deque of another driver.
    Stolen,
}

impl<T: Split> Scheduler<T> {
    /// A scheduler with one queue for each of `wakers`; the waker at `i` ends the sleep of the driver that owns the
    /// queue at `i`.
    #[must_use]
    pub fn new(wakers: Vec<Arc<dyn Wake>>) -> (Arc<Self>, Vec<LocalQueue<T>>) {
        let deques: Vec<_> = wakers.iter().map(|_| Deque::new_fifo()).collect();
        let scheduler = Arc::new(Self {
            requeued: Mutex::new(Vec::new()),
            n_requeued: AtomicUsize::new(0),
            injector: Injector::new(),
            stealers: deques.iter().map(Deque::stealer).collect(),
            steals: AtomicU64::new(0),
            parking: Parking::new(wakers),
        });
        let queues = deques
            .into_iter()
            .enumerate()
            .map(|(slot, deque)| LocalQueue {
                view: View { scheduler: Arc::clone(&scheduler), slot, deque, next_victim: slot + 1 },
                sleeper: Sleeper::new(slot),
            })
            .collect();
        (scheduler, queues)
    }

    /// Adds work behind everything else, and wakes a driver if one sleeps.
    pub fn push(&self, chunk: T) {
        self.injector.push(chunk);
        self.parking.wake_one();
    }

    /// Adds work before everything else, and wakes as many drivers: for what a dead worker had taken, and for what
    /// else cannot wait.
    ///
    /// Of all that was added so, the lowest index goes first: the ordered sink waits for it.
    pub fn push_front(&self, chunks: Vec<T>) {
        let n_chunks = chunks.len();
        if n_chunks == 0 {
            return;
        }
        let mut requeued = lock(&self.requeued);
        requeued.extend(chunks);
        requeued.sort_by_key(|chunk| Reverse(chunk.first()));
        self.n_requeued.store(requeued.len(), Ordering::Relaxed);
        drop(requeued);
        for _ in 0..n_chunks {
            self.parking.wake_one();
        }
    }

    /// Wakes every driver that sleeps: more work than before may be handed out.
    pub fn wake_all(&self) {
        for _ in &self.stealers {
            self.parking.wake_one();
        }
    }

    /// Wakes every driver, idle or not: there is something to look at that is no work.
    pub fn rouse_all(&self) {
        self.parking.rouse_all();
    }

    /// Says that nothing will ever be pushed again, and wakes every driver, idle or not.
    ///
    /// Work that is still queued is handed out before [`Next::Closed`]. A driver that has seen `Closed` is gone, so
    /// close when no worker can die with work in its hands any more: when every item has ended, or when what comes
    /// back does not matter ([`Scheduler::drain`]).
    pub fn close(&self) {
        self.parking.close();
    }

    /// Takes everything that is queued, in no particular order: for a run that ends early.
    pub fn drain(&self) -> Vec<T> {
        let mut chunks: Vec<T> = std::iter::from_fn(|| self.pop_requeued()).collect();
        chunks.extend(std::iter::from_fn(|| settled(|| self.injector.steal())));
        for stealer in &self.stealers {
            chunks.extend(std::iter::from_fn(|| settled(|| stealer.steal())));
        }
        chunks
    }

    /// How many chunks were taken from another driver's deque so far.
    pub fn steals(&self) -> u64 {
        self.steals.load(Ordering::Relaxed)
    }

    /// Gathers all that is queued, and takes the chunk with the highest index or the lowest, if it is urgent.
    fn pop_urgent(&self, urgent: &impl Fn(&T) -> bool) -> Option<T> {
        let mut requeued = lock(&self.requeued);
        let before = requeued.len();
        requeued.extend(std::iter::from_fn(|| settled(|| self.injector.steal())));
        for stealer in &self.stealers {
            requeued.extend(std::iter::from_fn(|| settled(|| stealer.steal())));
        }
        let gathered = requeued.len() - before;
        if gathered > 0 {
            requeued.sort_by_key(|chunk| Reverse(chunk.first()));
        }
        let chunk = if requeued.first().is_some_and(urgent) {
            Some(requeued.remove(0))
        } else {
            requeued.pop_if(|lowest| urgent(lowest))
        };
        self.n_requeued.store(requeued.len(), Ordering::Relaxed);
        drop(requeued);
        // On their way they were in no queue, and the gate may have opened meanwhile.
        for _ in 0..gathered {
            self.parking.wake_one();
        }
        chunk
    }

    fn pop_requeued(&self) -> Option<T> {
        if self.n_requeued.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut requeued = lock(&self.requeued);
        let chunk = requeued.pop();
        self.n_requeued.store(requeued.len(), Ordering::Relaxed);
        chunk
    }
}

impl<T: Split> LocalQueue<T> {
    /// Takes the next chunk: what came back from dead workers, then this driver's own, then what is new, then half
    /// of what another driver has.
    ///
    /// A driver that is registered stays so if the answer is [`Next::Empty`]; otherwise it no longer is.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: `Empty` is not the end")]
    pub fn next(&mut self) -> Next<T> {
        let Self { view, sleeper } = self;
        let scheduler = Arc::clone(&view.scheduler);
        sleeper.look(&scheduler.parking, || view.find()).into()
    }

    /// As [`LocalQueue::next`], but on [`Next::Empty`] the driver is registered: a chunk that is pushed from now on
    /// wakes it, or one that waits longer. It may sleep then; awake, it clears its waker and calls this again.
    pub fn next_or_register(&mut self) -> Next<T> {
        let Self { view, sleeper } = self;
        let scheduler = Arc::clone(&view.scheduler);
        sleeper.look_or_announce(&scheduler.parking, || view.find()).into()
    }

    /// As [`LocalQueue::next_or_register`], but while `is_open` says no, only work that is `urgent` is handed out. Of
    /// that, the highest index and the lowest are looked for: what cannot wait is among merges, or is what all others
    /// wait for.
    ///
    /// Whoever changes what the two say calls [`Scheduler::wake_all`] after that.
    pub fn next_through_or_register(
        &mut self,
        is_open: impl Fn() -> bool,
        urgent: impl Fn(&T) -> bool,
    ) -> Next<T> {
        let Self { view, sleeper } = self;
        let scheduler = Arc::clone(&view.scheduler);
        let look = || if is_open() { view.find() } else { view.find_urgent(&urgent) };
        sleeper.look_or_announce(&scheduler.parking, look).into()
    }

    /// Takes back a registration, for a driver that has no use for work right now: its worker has enough, or is being
    /// replaced. A wake-up that was meant for it goes to another sleeper. Costs nothing if there is none.
    pub fn unregister(&mut self) {
        self.sleeper.withdraw(&self.view.scheduler.parking);
    }

    /// Keeps work for later in this driver's deque, where others can steal it meanwhile: for the rest of a chunk
    /// that is too long to be handed to the worker at once.
    pub fn push(&mut self, chunk: T) {
        self.view.keep(chunk);
    }

    /// Ends this queue: what is in its deque goes before everything else to the other drivers. So does dropping it.
    pub fn retire(self) {}
}

impl<T: Split> Drop for LocalQueue<T> {
    fn drop(&mut self) {
        self.unregister();
        let chunks = std::iter::from_fn(|| self.view.deque.pop()).collect();
        self.view.scheduler.push_front(chunks);
    }
}

impl<T: Split> View<T> {
    /// One look at every queue.
    fn find(&mut self) -> Option<(T, Origin)> {
        None.or_else(|| Some((self.scheduler.pop_requeued()?, Origin::Requeued)))
            .or_else(|| Some((self.deque.pop()?, Origin::Own)))
            .or_else(|| Some((self.take_new()?, Origin::Injector)))
            .or_else(|| Some((self.steal()?, Origin::Stolen)))
    }

    fn find_urgent(&self, urgent: &impl Fn(&T) -> bool) -> Option<(T, Origin)> {
        Some((self.scheduler.pop_urgent(urgent)?, Origin::Requeued))
    }

    fn take_new(&self) -> Option<T> {
        let chunk = settled(|| self.scheduler.injector.steal_batch_with_limit_and_pop(&self.deque, BATCH))?;
        if !self.deque.is_empty() {
            // On its way from the injector it was in neither queue.
            self.scheduler.parking.wake_one();
        }
        Some(chunk)
    }

    /// Takes a chunk from another driver, and offers the second half of it to the next thief.
    fn steal(&mut self) -> Option<T> {
        let stealers = &self.scheduler.stealers;
        let n_slots = stealers.len();
        let victims = (0..n_slots).map(|offset| (self.next_victim + offset) % n_slots);
        let mut others = victims.filter(|&victim| victim != self.slot);
        let (victim, mut chunk) =
            others.find_map(|victim| Some((victim, settled(|| stealers[victim].steal())?)))?;
        self.next_victim = victim + 1;
        self.scheduler.steals.fetch_add(1, Ordering::Relaxed);
        if let Some(second_half) = chunk.split_half() {
            self.keep(second_half);
        }
        Some(chunk)
    }

    fn keep(&self, chunk: T) {
        self.deque.push(chunk);
        self.scheduler.parking.wake_one();
    }
}

impl<T> From<Found<(T, Origin)>> for Next<T> {
    fn from(found: Found<(T, Origin)>) -> Self {
        match found {
            Found::Work((chunk, origin)) => Self::Chunk(chunk, origin),
            Found::Nothing => Self::Empty,
            Found::Closed => Self::Closed,
        }
    }
}

impl<T> fmt::Debug for Scheduler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("n_requeued", &self.n_requeued)
            .field("n_injected", &self.injector.len())
            .field("n_deques", &self.stealers.len())
            .field("steals", &self.steals)
            .field("parking", &self.parking)
            .finish()
    }
}

/// Steals until the answer holds: losing a race to another thief does not mean that the queue is empty.
fn settled<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(chunk) => return Some(chunk),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
