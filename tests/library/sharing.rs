//! What the guests of a pool share with each other and with the host, and what becomes of it when they are killed.

use std::time::Duration;

use wasmpool::{
    Array, CallError, Future, Lock, Pipe, Pool, PoolBuilder, Queue, Share, SharedMemory, Value, as_completed,
};

use super::builder;
use crate::harness::{PATIENCE, is_soak};

const GUEST: &str = "sharing.wasm";

/// A pool whose guests share one thing.
fn pool(workers: usize, name: &str, thing: &impl Share) -> Pool {
    open(builder(GUEST).workers(workers).share(name, thing))
}

fn open(builder: PoolBuilder) -> Pool {
    builder.build().expect("the guest can be used")
}

fn value<T>(future: &Future<T>) -> T
where
    T: wasmpool::WitType,
{
    future.result_timeout(PATIENCE).expect("the call ends well")
}

type Told<T> = Result<T, String>;

#[test]
fn value_every_increment_of_four_workers_counts() {
    let counter = Value::<i64>::new(0).expect("there is memory");
    let pool = pool(4, "counter", &counter);
    let calls = [("counter", 10_000_u64); 4];
    let all: Vec<Told<i64>> = pool.starmap("increment", calls).expect("they end well");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(counter.get(), 40_000);
}

/// 8 workers with 100,000 increments each, half of them under the lock of the number.
#[test]
fn value_no_increment_is_lost_however_often_it_is_tried() {
    let (rounds, times) = if is_soak() { (100, 100_000_u64) } else { (3, 20_000) };
    let counter = Value::<i64>::new(0).expect("there is memory");
    let pool = pool(8, "counter", &counter);
    for round in 1..=rounds {
        let calls: Vec<_> = (0..8)
            .map(|worker| {
                let function = if worker % 2 == 0 { "increment" } else { "increment-locked" };
                pool.submit::<Told<i64>>(function, ("counter", times)).expect("the types are right")
            })
            .collect();
        let ended = calls.iter().map(value).filter(Result::is_ok).count();
        assert_eq!(ended, 8);
        let expected = i64::try_from(round * 8 * times).expect("it is small");
        assert_eq!(counter.get(), expected);
    }
}

#[test]
fn value_the_host_changes_it_too() {
    let counter = Value::<i64>::new(5).expect("there is memory");
    let pool = pool(1, "counter", &counter);
    counter.with_lock(|number| *number *= 10);
    let call = pool.submit::<Told<i64>>("increment", ("counter", 1_u64)).expect("the types are right");
    assert_eq!(value(&call), Ok(51));
}

#[test]
fn array_each_of_four_workers_adds_its_number_to_every_element() {
    let numbers = Array::<f64>::from([1.0, 2.0, 3.0]).expect("there is memory");
    let pool = pool(4, "numbers", &numbers);
    let calls = (1..=4).map(|worker| ("numbers", f64::from(worker), 1_000_u64));
    let all: Vec<Told<Vec<f64>>> = pool.starmap("add-to-all", calls).expect("they end well");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(numbers.to_vec(), [10_001.0, 10_002.0, 10_003.0]);
}

#[test]
fn segment_what_one_worker_writes_another_reads() {
    let memory = SharedMemory::create(8_000).expect("there is memory");
    let pool = pool(2, "numbers", &memory);
    let filled = pool.submit::<Told<u64>>("fill-halves", ("numbers",)).expect("the types are right");
    assert_eq!(value(&filled), Ok(1_000));
    let sum = pool.submit::<Told<f64>>("sum-floats", ("numbers",)).expect("the types are right");
    assert_eq!(value(&sum), Ok(249_750.0));
    let mut last = [0; 8];
    memory.read_at(7_992, &mut last).expect("there are so many");
    assert_eq!(f64::from_le_bytes(last), 499.5);
}

#[test]
fn segment_what_the_host_has_sealed_each_worker_finds_as_it_was() {
    let bytes: Vec<_> = (0..1_000_u64).flat_map(u64::to_le_bytes).collect();
    let memory = SharedMemory::from_bytes(&bytes).expect("there is memory");
    let pool = pool(2, "words", &memory);
    let parts: Vec<Told<u64>> =
        pool.starmap("sum-words", (0..7_u64).map(|part| ("words", part, 7_u64))).expect("they end well");
    let sum: u64 = parts.into_iter().map(|part| part.expect("the segment is there")).sum();
    assert_eq!(sum, 499_500);
    // A guest of ours writes to what is writable alone.
    let scribbled = pool.submit::<Told<u8>>("scribble", ("words",)).expect("the types are right");
    assert!(matches!(scribbled.result_timeout(PATIENCE), Err(CallError::Failed(_))));
    assert_eq!(memory.as_slice().expect("it is sealed"), bytes);
}

#[test]
fn segment_it_may_be_larger_than_the_memory_of_an_item() {
    let memory = SharedMemory::create(64 << 20).and_then(SharedMemory::seal).expect("there is memory");
    let pool = open(builder(GUEST).memory(8 << 20).share("words", &memory));
    let sum = pool.submit::<Told<u64>>("sum-words", ("words", 0_u64, 1_u64)).expect("the types are right");
    assert_eq!(value(&sum), Ok(0));
}

#[test]
fn segment_items_that_trap_and_that_take_too_long_leave_it_to_the_next() {
    let memory = SharedMemory::create(1 << 16).expect("there is memory");
    let pool = pool(1, "board", &memory);
    for at in [0_u64, 65_535] {
        let poked = pool.submit::<Result<(), u8>>("poke", ("board", at, 7_u8)).expect("the types are right");
        assert_eq!(value(&poked), Ok(()));
        let beyond = pool.submit::<Result<(), u8>>("poke", ("board", 65_536_u64, 1_u8));
        let beyond = beyond.expect("the types are right").result_timeout(PATIENCE);
        assert!(matches!(beyond, Err(CallError::Failed(_))), "{beyond:?}");
        let peeked = pool.submit::<Told<u8>>("peek", ("board", at)).expect("the types are right");
        assert_eq!(value(&peeked), Ok(7));
    }
}

#[test]
fn lock_one_that_an_item_traps_with_is_free_again_and_the_next_is_told() {
    let lock = Lock::new().expect("there is memory");
    let pool = pool(1, "lock", &lock);
    for function in ["hold-and-trap", "hold-and-forget"] {
        let call = pool.submit::<Told<bool>>(function, ("lock",)).expect("the types are right");
        let _ = call.result_timeout(PATIENCE);
        let next = pool.submit::<Told<bool>>("hold", ("lock", 0_u64)).expect("the types are right");
        assert_eq!(value(&next), Ok(true), "{function}");
        let after = pool.submit::<Told<bool>>("hold", ("lock", 0_u64)).expect("the types are right");
        assert_eq!(value(&after), Ok(false), "{function}");
    }
}

#[test]
fn lock_who_waits_for_himself_is_told_at_once() {
    let lock = Lock::new().expect("there is memory");
    let pool = pool(1, "lock", &lock);
    let call = pool.submit::<Told<bool>>("hold-twice", ("lock",)).expect("the types are right");
    let error = call.result_timeout(PATIENCE).expect_err("it cannot be");
    assert!(error.to_string().contains("is locked by this item already"), "{error}");
}

#[test]
fn lock_its_holder_is_named_to_who_waits_in_vain() {
    let lock = Lock::new().expect("there is memory");
    let guard = lock.lock();
    let pool = pool(1, "lock", &lock);
    let call = pool.submit::<Told<bool>>("try-lock", ("lock", 20_u64)).expect("the types are right");
    assert_eq!(value(&call), Err("timed out waiting for a lock that the host holds".to_owned()));
    drop(guard);
    let call = pool.submit::<Told<bool>>("try-lock", ("lock", 20_000_u64)).expect("the types are right");
    assert_eq!(value(&call), Ok(false));
}

/// A worker that holds a lock and never ends is killed, again and again; who waits for the lock gets it each time.
#[test]
fn lock_one_whose_holder_is_killed_is_never_stuck() {
    let rounds = if is_soak() { 1_000 } else { 20 };
    let lock = Lock::new().expect("there is memory");
    let pool = pool(2, "lock", &lock);
    let brief = pool.function("hold-forever").expect("there is one").timeout(Duration::from_millis(30));
    for round in 0..rounds {
        let held = brief.submit::<Told<bool>>(("lock",)).expect("the types are right");
        let waiting = pool.submit::<Told<bool>>("hold", ("lock", 0_u64)).expect("the types are right");
        assert!(held.result_timeout(PATIENCE).is_err(), "round {round}");
        // It may have come first.
        assert!(value(&waiting).is_ok(), "round {round}");
        let guard = lock.lock_timeout(PATIENCE).expect("its holder is dead");
        drop(guard);
    }
}

#[test]
fn value_and_array_a_killed_holder_has_changed_nothing() {
    let counter = Value::<i64>::new(7).expect("there is memory");
    let numbers = Array::<f64>::from([1.0; 1_000]).expect("there is memory");
    let pool = open(builder(GUEST).share("counter", &counter).share("numbers", &numbers));
    let brief =
        |function: &str| pool.function(function).expect("there is one").timeout(Duration::from_millis(100));
    let spinning = brief("spin-with-value").submit::<Told<i64>>(("counter",)).expect("the types are right");
    assert!(spinning.result_timeout(PATIENCE).is_err());
    assert_eq!(counter.add(1), 7);
    let spinning = brief("spin-with-array").submit::<Told<f64>>(("numbers",)).expect("the types are right");
    assert!(spinning.result_timeout(PATIENCE).is_err());
    assert_eq!(numbers.to_vec(), [1.0; 1_000]);
    numbers.with_lock(|numbers| numbers[0] = 2.0);
    assert_eq!(numbers.to_vec()[..2], [2.0, 1.0]);
}

#[test]
fn queue_a_producer_is_never_further_ahead_than_the_queue_is_long() {
    let queue = Queue::<u64>::bounded(20).expect("there is memory");
    let pool = pool(3, "queue", &queue);
    let produced = pool.submit::<Told<u64>>("produce", ("queue", 0_u64, 1_000_u64)).expect("it fits");
    let consumers =
        [(); 2].map(|()| pool.submit::<Told<Vec<(u64, u64)>>>("consume", ("queue",)).expect("it fits"));
    let ahead = value(&produced).expect("the queue is open");
    assert!(ahead <= 20, "{ahead}");
    queue.close();
    let mut all: Vec<_> =
        consumers.iter().flat_map(|consumer| value(consumer).expect("the queue was there")).collect();
    all.sort_unstable();
    assert_eq!(all, (0..1_000).map(|number| (number, number * number)).collect::<Vec<_>>());
}

#[test]
fn queue_the_host_produces_and_consumes_too() {
    let (numbers, results) = (Queue::<u64>::bounded(4), Queue::<(u64, u64, u64)>::bounded(4));
    let (numbers, results) = (numbers.expect("there is memory"), results.expect("there is memory"));
    let tasks = Queue::<(u64, u64, u64)>::bounded(4).expect("there is memory");
    let pool =
        open(builder(GUEST).share("numbers", &numbers).share("tasks", &tasks).share("results", &results));
    let sum = pool.submit::<Told<(u64, u64)>>("consume-all", ("numbers",)).expect("it fits");
    (1..=100_u64).for_each(|number| numbers.put(&number).expect("it is open"));
    numbers.close();
    assert_eq!(value(&sum), Ok((100, 5_050)));

    let producer = pool.submit::<Told<u64>>("put-prime-tasks", ("tasks", 50_u64)).expect("it fits");
    let counted =
        pool.submit::<Told<u64>>("count-queued-primes", ("tasks", "results", 1_u64)).expect("it fits");
    let mut found: Vec<_> = (0..50)
        .map(|_| results.get().expect("they are what was agreed on").expect("there are so many"))
        .collect();
    found.sort_unstable_by_key(|(_, task, _)| *task);
    assert_eq!((value(&producer), value(&counted)), (Ok(50), Ok(50)));
    let counts: Vec<_> = found.iter().map(|(_, _, count)| *count).collect();
    assert_eq!((counts.iter().sum::<u64>(), counts[0], counts[49]), (41_062, 1_033, 753));
}

#[test]
fn queue_what_is_too_long_or_too_late_is_told() {
    let queue = Queue::<String>::bounded_with(2, 10).expect("there is memory");
    let pool = pool(1, "queue", &queue);
    let put = |bytes: u32| value(&pool.submit::<Told<bool>>("put-text", ("queue", bytes)).expect("it fits"));
    assert_eq!(put(11), Err("the message is too long".to_owned()));
    assert_eq!(put(10), Ok(true));
    assert_eq!(queue.get().expect("it is text"), Some("x".repeat(10)));
    let waited = pool.submit::<Told<Option<u64>>>("await-one", ("queue", 10_u64)).expect("it fits");
    assert_eq!(value(&waited), Err("timed out".to_owned()));
    queue.close();
    assert_eq!(put(1), Err("closed".to_owned()));
}

/// Workers are killed while they put and take. Nothing hangs, and nothing comes twice.
#[test]
fn queue_killed_producers_and_consumers_hold_up_nobody() {
    let rounds = if is_soak() { 300 } else { 10 };
    let queue = Queue::<u64>::bounded(8).expect("there is memory");
    let pool = pool(2, "queue", &queue);
    for round in 0..rounds {
        let limit = Duration::from_millis(10 + round % 17);
        let endless = |function: &str| pool.function(function).expect("there is one").timeout(limit);
        let producer =
            endless("produce").submit::<Told<u64>>(("queue", 0_u64, 1_u64 << 40)).expect("it fits");
        let consumer = endless("consume-all").submit::<Told<(u64, u64)>>(("queue",)).expect("it fits");
        assert!(producer.result_timeout(PATIENCE).is_err() && consumer.result_timeout(PATIENCE).is_err());
        // What is left is in order: the producer counts.
        let mut last = None;
        // Who was killed may still be waited for, and have the lock so long.
        while !queue.is_empty() {
            let number = queue.get_timeout(PATIENCE).expect("it is a number");
            assert!(last.is_none_or(|last| number > last), "round {round}: {number:?} behind {last:?}");
            last = Some(number);
        }
        queue.put_timeout(&1, PATIENCE).expect("nobody holds it up");
        assert_eq!(queue.get_timeout(PATIENCE).expect("nor this"), Some(1));
    }
}

#[test]
fn pipe_two_workers_play_ping_pong() {
    let (left, right) = Pipe::<String>::new().expect("there is memory");
    let pool = open(builder(GUEST).share("left", &left).share("right", &right));
    let ping = pool.submit::<Told<u64>>("ping", ("left", 100_u64)).expect("it fits");
    let pong = pool.submit::<Told<u64>>("pong", ("right",)).expect("it fits");
    assert_eq!((value(&ping), value(&pong)), (Ok(100), Ok(100)));
}

#[test]
fn pipe_the_host_is_at_the_other_end_and_hears_of_the_end() {
    let (ours, theirs) = Pipe::<String>::new().expect("there is memory");
    let pool = pool(1, "end", &theirs);
    let pong = pool.submit::<Told<u64>>("pong", ("end",)).expect("it fits");
    ours.send(&"41".to_owned()).expect("it is open");
    assert_eq!(ours.recv().expect("it is text").as_deref(), Some("42"));
    ours.send(&"QUIT".to_owned()).expect("it is open");
    assert_eq!(value(&pong), Ok(1));
    assert_eq!(ours.recv_timeout(PATIENCE).expect("the worker's end is closed"), None);
}

#[test]
fn pipe_the_end_of_a_killed_worker_is_closed() {
    let (ours, theirs) = Pipe::<String>::new().expect("there is memory");
    let pool = pool(1, "end", &theirs);
    let brief = pool.function("pong").expect("there is one").timeout(Duration::from_millis(100));
    let pong = brief.submit::<Told<u64>>(("end",)).expect("it fits");
    assert!(pong.result_timeout(PATIENCE).is_err());
    assert_eq!(ours.recv_timeout(PATIENCE).expect("it is closed"), None);
    let again = pool.submit::<Told<u64>>("pong", ("end",)).expect("it fits");
    assert_eq!(value(&again), Err("the end of the pipe `end` has or had another user".to_owned()));
}

#[test]
fn a_name_is_opened_as_what_it_is() {
    let (counter, lock) = (Value::<i64>::new(0), Lock::new());
    let (counter, lock) = (counter.expect("there is memory"), lock.expect("there is memory"));
    let pool = open(builder(GUEST).share("counter", &counter).share("lock", &lock));
    let said =
        |name: &str| value(&pool.submit::<Vec<String>>("open-as-everything", (name,)).expect("it fits"));
    let other = "what is shared as `counter` is of another kind or type";
    assert_eq!(said("counter"), [other, "opened", other, other, other, other, other]);
    assert_eq!(said("lock")[4], "opened");
    assert!(said("nothing").iter().all(|said| said == "nothing is shared under the name `nothing`"));
}

#[test]
fn a_guest_may_open_a_name_as_often_as_it_likes() {
    let counter = Value::<i64>::new(0).expect("there is memory");
    let pool = pool(1, "counter", &counter);
    let opened = pool.submit::<Told<u32>>("open-often", ("counter", 100_000_u32)).expect("it fits");
    assert_eq!(value(&opened), Ok(100_000));
}

#[test]
fn several_pools_share_one_thing() {
    let counter = Value::<i64>::new(0).expect("there is memory");
    let pools = [(); 2].map(|()| pool(1, "counter", &counter));
    let calls: Vec<_> = pools
        .iter()
        .map(|pool| pool.submit::<Told<i64>>("increment", ("counter", 1_000_u64)).expect("it fits"))
        .collect();
    for call in as_completed(calls) {
        assert!(value(&call).is_ok());
    }
    assert_eq!(counter.get(), 2_000);
}

#[test]
fn two_things_of_one_name_are_refused() {
    let counter = Value::<i64>::new(0).expect("there is memory");
    let built = builder(GUEST).share("a", &counter).share("a", &counter).build();
    let error = built.expect_err("it is refused");
    assert_eq!(error.to_string(), "`a` is shared twice");
}
