//! What programs with Python's `multiprocessing` do, as they do it here, with the values they print.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::num::NonZero;

use serde_json::json;
use wasmpool::{CallError, Process, as_completed, wit_type};

use super::{MODULE, Written, builder, pool};
use crate::harness::PATIENCE;

wit_type! {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Analysis {
        pub word_count: u64,
        pub unique_words: u64,
        pub avg_word_length: f64,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Item {
        pub id: u64,
        pub value: i64,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Squared {
        pub id: u64,
        pub result: i64,
    }
}

#[test]
fn four_processes_sum_a_range() {
    let sum = || Process::<u64>::spawn_with(builder("tour.wasm"), "sum", (0_u64, 1_000_000_u64));
    let processes: Vec<_> = (0..4).map(|_| sum().expect("a process can be had")).collect();
    for process in &processes {
        assert_eq!(process.join_timeout(PATIENCE).expect("it is summed"), 499_999_500_000);
    }
    let pids: BTreeSet<_> = processes.iter().map(|process| process.pid().expect("it has run")).collect();
    assert_eq!(pids.len(), 4, "{pids:?}");
}

#[test]
fn map_counts_divisors() {
    let divisors: Vec<u64> =
        pool("primes.wasm").map("count-divisors", 5_000_000..=5_000_007_u64).expect("they have divisors");
    assert_eq!(divisors, [56, 8, 16, 8, 18, 8, 32, 8]);
}

#[test]
fn map_takes_and_returns_records_in_order() {
    let items = (0..100).map(|id| Item { id, value: i64::try_from(id).expect("it is small") });
    let squared: Vec<Squared> = pool("tour.wasm").map("square-item", items).expect("they have squares");
    let expected: Vec<_> =
        (0..100).map(|id| Squared { id, result: i64::try_from(id * id).expect("it is small") }).collect();
    assert_eq!(squared, expected);
}

#[test]
fn map_takes_and_returns_json_in_order() {
    let items = (0..100).map(|id| json!({"id": id, "value": id}));
    let squared: Vec<serde_json::Value> =
        pool("tour.wasm").map("square-item", items).expect("they have squares");
    assert_eq!(squared[7], json!({"id": 7, "result": 49}));
    assert_eq!(squared.len(), 100);
}

#[test]
fn imap_reads_an_endless_iterator_no_further_than_its_window() {
    let read = Cell::new(0_u64);
    let pool = pool("primes.wasm");
    let endless = (1_u64..).inspect(|_| read.set(read.get() + 1));
    let ten = NonZero::new(10).expect("not zero");
    let divisors = pool.imap::<u64, _>("count-divisors", endless).expect("the types are right").chunk(ten);
    let divisors = divisors.window(NonZero::new(40).expect("not zero"));
    let first: Vec<u64> = divisors.take(6).map(|n| n.expect("it has divisors")).collect();
    assert_eq!(first, [1, 2, 2, 3, 2, 4]);
    assert!(read.get() <= 46, "{} items were read", read.get());
}

#[test]
fn imap_unordered_gives_the_same_set() {
    let pool = pool("primes.wasm");
    let divisors =
        pool.imap_unordered::<u64, _>("count-divisors", 1..=1000_u64).expect("the types are right");
    let mut divisors: Vec<_> = divisors.map(|n| n.expect("it has divisors")).collect();
    let mut ordered: Vec<u64> = pool.map("count-divisors", 1..=1000_u64).expect("they have divisors");
    divisors.sort_unstable();
    ordered.sort_unstable();
    assert_eq!(divisors, ordered);
}

#[test]
fn starmap_adds() {
    let sums: Vec<i64> =
        pool("tour.wasm").starmap("add", [(1_i64, 2_i64), (3, 4), (5, 6)]).expect("they have sums");
    assert_eq!(sums, [3, 7, 11]);
}

#[test]
fn bind_is_a_partial() {
    let pool = pool("tour.wasm");
    let square = pool.bind("power", "exp", &2_u32).expect("it has that parameter");
    let squares: Vec<i64> = square.map(0..10_i64).expect("they have squares");
    assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
}

#[test]
fn submit_analyzes_texts() {
    let texts = [("the quick brown fox jumps over the lazy dog", (9, 8)), ("", (0, 0))];
    let pool = pool("text.wasm");
    let calls: Vec<_> = texts
        .iter()
        .map(|(text, _)| pool.submit::<Analysis>("analyze", (*text,)).expect("the types are right"))
        .collect();
    for (call, (_, (words, unique))) in calls.iter().zip(texts) {
        let analysis = call.result().expect("it is analyzed");
        assert_eq!((analysis.word_count, analysis.unique_words), (words, unique));
    }
}

#[test]
fn as_completed_tells_which_call_it_is_and_failures_among_successes() {
    let guest = Written::new(MODULE);
    let pool =
        guest.builder().timeout(std::time::Duration::from_millis(300)).build().expect("it can be used");
    let slow = pool.submit::<i64>("spin", ()).expect("the types are right");
    let fast = pool.submit::<i64>("not-three", (1_i64,)).expect("the types are right");
    let failing = pool.submit::<i64>("not-three", (3_i64,)).expect("the types are right");
    let ended: Vec<_> = as_completed([slow, fast, failing])
        .map(|call| (call.index(), call.result().map_err(|error| error.to_string())))
        .collect();
    let by_index: BTreeSet<_> = ended.iter().map(|(index, _)| *index).collect();
    assert_eq!(by_index, BTreeSet::from([0, 1, 2]));
    assert_eq!(ended[2].0, 0, "the one that spins ends last");
    assert!(ended.contains(&(1, Ok(1))));
    let failed = ended.iter().find(|(index, _)| *index == 2).expect("it has ended");
    assert!(failed.1.as_ref().is_err_and(|error| error.starts_with("trap: ")), "{failed:?}");
}

#[test]
fn one_call_of_ten_traps_and_nine_have_values() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let values: Vec<_> = pool.imap::<i64, _>("not-three", 0..10_i64).expect("the types are right").collect();
    let ok = values.iter().filter(|value| value.is_ok()).count();
    let failure = values[3].as_ref().expect_err("it traps").failure().expect("it failed itself");
    assert_eq!((ok, failure.outcome.status()), (9, "trap"));
}

#[test]
fn an_initializer_prepares_each_instance() {
    let guest = Written::new(MODULE);
    let pool =
        guest.builder().workers(1).initializer("start-at", (100_i64,)).build().expect("it can be used");
    let counted: Vec<i64> = pool.map("count", 0..3_i64).expect("it counts");
    assert_eq!(counted, [101, 102, 103]);
}

#[test]
fn a_worker_has_a_successor_when_it_has_run_its_calls() {
    let two = NonZero::new(2).expect("not zero");
    let pool = builder("primes.wasm").workers(1).max_items_per_worker(two).build().expect("it can be used");
    let mut pids = BTreeSet::new();
    for n in 1..=6_u64 {
        pool.submit::<u64>("count-divisors", (n,)).expect("types").result().expect("it has divisors");
        // Behind a worker's second call its successor may be there already, or not.
        if n % 2 == 1 {
            pids.extend(pool.pids());
        }
    }
    assert_eq!(pids.len(), 3, "{pids:?}");
}

#[test]
fn an_item_that_does_not_fit_is_refused_before_anything_runs() {
    let pool = pool("primes.wasm");
    let error = pool.submit::<u64>("count-divisors", ("five",)).expect_err("it is no number").to_string();
    assert!(error.contains("takes u64 for `n`, not string"), "{error}");
    let values = pool.map::<u64, _>("count-divisors", [json!("five")]);
    let Err(CallError::Failed(failure)) = values else { panic!("{values:?}") };
    assert_eq!(failure.outcome.status(), "input");
}
