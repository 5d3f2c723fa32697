//! What becomes of the items of one worker: one that it runs and one that was sent ahead, while it answers, crashes,
//! answers twice, or answers when its time is up, and while another driver takes whatever goes back to the queue.
//!
//! In every interleaving each item ends once, at the attempt that it must be, and the run ends. The worker is a thread
//! of its own, so that its writes fall between any two steps of its driver.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::sync::mpsc::{Sender, channel};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::hand_over::{Scene, completion, join};
use super::run_state::RunState;
use super::table::Table;
use crate::explore;
use crate::item::ItemIndex;
use crate::park::{Found, Sleeper};

/// What the first worker of the first driver does; all others are honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It ends under its first item.
    Crash,
    /// It answers its first item and ends under the one that was sent ahead.
    CrashAtSecond,
    /// It answers its first item twice.
    AnswerTwice,
    /// It answers its items, and may use up the time of either.
    Linger,
}

/// How an item ended, and at which attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ok(u32),
    Timeout,
}

/// The worker's end of a conversation.
#[derive(Default)]
struct Pipe {
    state: Mutex<Said>,
    changed: Condvar,
}

#[derive(Default)]
struct Said {
    results: VecDeque<ItemIndex>,
    ended: bool,
}

/// What a driver hears.
enum Heard {
    Result(ItemIndex),
    End,
    /// Nothing, and the time is up.
    Silence,
}

/// How often each kind of end was met, over all interleavings: a model that never meets one proves nothing about it.
#[derive(Default)]
struct Met {
    interleavings: AtomicU64,
    timeouts: AtomicU64,
    values: AtomicU64,
}

impl Pipe {
    fn answer(&self, item: ItemIndex) {
        self.state.lock().expect("no model panics with a lock held").results.push_back(item);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state.lock().expect("no model panics with a lock held").ended = true;
        self.changed.notify_all();
    }

    /// Reads a result; without a deadline, waits for it. What was written before the end is read before the end.
    fn read(&self, has_deadline: bool) -> Heard {
        let mut said = self.state.lock().expect("no model panics with a lock held");
        loop {
            match said.results.pop_front() {
                Some(item) => return Heard::Result(item),
                None if said.ended => return Heard::End,
                None if has_deadline => return Heard::Silence,
                None => said = self.changed.wait(said).expect("no model panics with a lock held"),
            }
        }
    }
}

/// A worker process.
fn work(deed: Deed, items: &[ItemIndex], pipe: &Pipe) {
    for (place, item) in items.iter().enumerate() {
        match deed {
            Deed::Crash => break,
            Deed::CrashAtSecond if place == 1 => break,
            Deed::AnswerTwice => {
                pipe.answer(*item);
                pipe.answer(*item);
            }
            Deed::CrashAtSecond | Deed::Linger => pipe.answer(*item),
        }
    }
    pipe.end();
}

type Events = Sender<(ItemIndex, End)>;

fn tell(events: &Events, item: ItemIndex, end: End) {
    assert!(events.send((item, end)).is_ok(), "the dispatcher lives as long as the run");
}

/// A driver; `deed` is what its first worker does.
fn drive(scene: &Scene, slot: usize, mut deed: Option<Deed>, events: &Events) {
    let mut sleeper = Sleeper::new(slot);
    loop {
        match sleeper.look_or_announce(&scene.parking, || scene.look()) {
            Found::Work(item) => match deed.take() {
                Some(deed) => {
                    let sent = std::iter::once(item).chain(scene.look()).collect();
                    converse(scene, deed, sent, events);
                }
                None => tell(events, item, End::Ok(1)),
            },
            Found::Nothing => scene.bells[slot].wait(),
            Found::Closed => return,
        }
    }
}

/// A conversation with a worker up to its end, and what becomes of what it had.
fn converse(scene: &Scene, deed: Deed, mut sent: VecDeque<ItemIndex>, events: &Events) {
    let pipe = Arc::<Pipe>::default();
    let worker = {
        let (pipe, items) = (Arc::clone(&pipe), sent.iter().copied().collect::<Vec<_>>());
        thread::spawn(move || work(deed, &items, &pipe))
    };
    let mut suspect = None;
    while let Some(item) = sent.front().copied() {
        match pipe.read(deed == Deed::Linger) {
            Heard::Result(result) if result == item => {
                sent.pop_front();
                tell(events, item, End::Ok(1));
            }
            // A lie, or the end: what it had to answer next is tried again, and nothing else is the worse for it.
            Heard::Result(_) | Heard::End => {
                suspect = sent.pop_front();
                break;
            }
            Heard::Silence => {
                sent.pop_front();
                tell(events, item, End::Timeout);
                break;
            }
        }
    }
    // It is killed. What it still says is heard by nobody.
    sent.into_iter().for_each(|item| scene.push_front(item));
    join([worker]);
    if let Some(item) = suspect {
        tell(events, item, End::Ok(2));
    }
}

/// A run of two items with two drivers; how each item ended.
fn run(deed: Deed) -> BTreeMap<ItemIndex, End> {
    const ITEMS: u64 = 2;
    let scene = Scene::new(2);
    let (sender, receiver) = channel();
    (0..ITEMS).for_each(|item| scene.push(item));
    let drivers: Vec<_> = [Some(deed), None]
        .into_iter()
        .enumerate()
        .map(|(slot, deed)| {
            let (scene, sender) = (Arc::clone(&scene), sender.clone());
            thread::spawn(move || drive(&scene, slot, deed, &sender))
        })
        .collect();
    let (mut state, mut table) = (RunState::default(), Table::starting_at(0));
    let mut ends = BTreeMap::new();
    state.input_ended(ITEMS);
    while !state.is_over() {
        let (item, end) = receiver.recv().expect("senders live as long as the run");
        assert!(table.end(item), "item {item} ended twice");
        ends.insert(item, end);
        state.ended(item, &completion());
        state.accepted(1, 0);
    }
    assert_eq!(table.open(ITEMS).count(), 0, "nothing is left open");
    assert_eq!(scene.look(), None, "nothing is left in the queue");
    scene.parking.close();
    join(drivers);
    ends
}

/// Explores a run, in which at most so many items may be run again or time out.
#[expect(clippy::print_stdout, reason = "how much was tried is of interest to who asks")]
fn check(deed: Deed, most: usize) -> Arc<Met> {
    let met = Arc::<Met>::default();
    let meeting = Arc::clone(&met);
    explore(1, move || {
        let ends = run(deed);
        assert!(ends.keys().copied().eq(0..2));
        let dear = ends.values().filter(|end| **end != End::Ok(1)).count();
        assert!(dear <= most, "{ends:?}");
        let timeouts = ends.values().filter(|end| **end == End::Timeout).count() as u64;
        meeting.interleavings.fetch_add(1, Ordering::Relaxed);
        meeting.timeouts.fetch_add(timeouts, Ordering::Relaxed);
        meeting.values.fetch_add(2 - timeouts, Ordering::Relaxed);
    });
    println!("figure: {deed:?}: {} interleavings", met.interleavings.load(Ordering::Relaxed));
    met
}

#[test]
fn a_crash_costs_the_item_that_ran_an_attempt_and_the_one_sent_ahead_nothing() {
    check(Deed::Crash, 1);
}

#[test]
fn a_crash_costs_nothing_that_was_answered_before() {
    check(Deed::CrashAtSecond, 1);
}

#[test]
fn the_first_of_two_answers_counts_and_the_second_ends_the_worker() {
    check(Deed::AnswerTwice, 1);
}

#[test]
fn an_answer_that_comes_when_the_time_is_up_changes_nothing() {
    let met = check(Deed::Linger, 1);
    let [timeouts, values] = [&met.timeouts, &met.values].map(|count| count.load(Ordering::Relaxed));
    assert!(timeouts > 0 && values > 0, "both were met: {timeouts} timeouts, {values} values");
}
