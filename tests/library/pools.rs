//! Pools from their start to their end: several guests, shutting down, terminating.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use wasmpool::{CallError, Pool, Process};

use super::{MODULE, Written, builder, pool};
use crate::harness::{PATIENCE, guest};

#[test]
fn a_pool_that_is_dropped_has_run_what_it_was_given() {
    let calls: Vec<_> = {
        let pool = pool("primes.wasm");
        (0..50_u64).map(|n| pool.submit::<u64>("count-divisors", (n + 1,)).expect("types")).collect()
    };
    assert!(calls.iter().all(|call| call.done() && call.result().is_ok()));
}

#[test]
fn a_pool_that_is_shut_down_takes_no_calls() {
    let pool = pool("primes.wasm");
    let call = pool.submit::<u64>("count-divisors", (6_u64,)).expect("the types are right");
    pool.shutdown(true, false);
    assert_eq!(call.result_timeout(Duration::ZERO).expect("it has been waited for"), 4);
    let error = pool.submit::<u64>("count-divisors", (6_u64,)).expect_err("it is shut down");
    assert_eq!(error.to_string(), "the pool was shut down and takes no calls");
}

#[test]
fn shutting_down_can_cancel_what_waits() {
    let guest = Written::new(MODULE);
    let pool =
        guest.builder().workers(1).timeout(Duration::from_millis(500)).build().expect("it can be used");
    let spin = pool.submit::<i64>("spin", ()).expect("the types are right");
    assert!(spin.result_timeout(Duration::from_millis(100)).is_err());
    let waiting: Vec<_> =
        (0..20_000_i64).map(|n| pool.submit::<i64>("not-three", (n,)).expect("types")).collect();
    pool.shutdown(true, true);
    assert!(matches!(spin.result(), Err(CallError::Failed(_))), "it ran, to its limit");
    assert!(waiting.iter().all(wasmpool::Future::done));
    assert!(waiting.last().expect("there are many").cancelled());
}

#[test]
fn a_pool_that_is_terminated_ends_at_once() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let calls: Vec<_> = (0..4).map(|_| pool.submit::<i64>("spin", ()).expect("types")).collect();
    assert!(calls[0].result_timeout(Duration::from_millis(100)).is_err());
    pool.terminate();
    assert!(calls.iter().all(wasmpool::Future::cancelled));
}

#[test]
fn functions_of_several_guests_are_found_by_name() {
    let pool = builder("primes.wasm").guest(guest("tour.wasm")).build().expect("both can be used");
    let sum = pool.submit::<i64>("add", (1_i64, 2_i64)).expect("only one has it");
    let divisors = pool.submit::<u64>("primes.wasm#count-divisors", (6_u64,)).expect("it is named");
    assert_eq!((sum.result().expect("it returns"), divisors.result().expect("it returns")), (3, 4));
    assert_eq!(pool.guests().count(), 2);
}

#[test]
fn a_function_of_several_guests_must_be_told_apart() {
    let (one, other) = (Written::new(MODULE), Written::new(MODULE));
    let pool = one.builder().guest(other.path()).build().expect("both can be used");
    let error = pool.function("spin").expect_err("both have it");
    assert_eq!(error.to_string(), "2 guests of the pool have a function `spin`");
}

#[test]
fn a_process_is_killed_with_its_call() {
    let guest = Written::new(MODULE);
    let process = Process::<i64>::spawn_with(guest.builder(), "spin", ()).expect("a process can be had");
    assert!(process.is_alive());
    assert!(process.join_timeout(Duration::from_millis(100)).is_err());
    assert!(process.kill());
    assert!(!process.is_alive());
    assert!(matches!(process.join(), Err(CallError::Cancelled)));
}

#[test]
fn a_hundred_thousand_values_come_in_order() {
    let pool = pool("tour.wasm");
    let sums: Vec<i64> = pool.starmap("add", (0..100_000_i64).map(|n| (n, 1_i64))).expect("they have sums");
    assert!(sums.iter().zip(1..).all(|(sum, expected)| *sum == expected));
    assert_eq!(sums.len(), 100_000);
}

#[test]
fn a_crash_costs_one_call() {
    let pool = builder("hostile.wasm").crash_retries(0).build().expect("it can be used");
    let values = pool.imap::<u64, _>("echo-u64", 0..50_u64).expect("the types are right");
    assert_eq!(values.filter(Result::is_ok).count(), 50);
}

#[test]
fn a_pool_lives_on_any_thread() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Pool>();
    is_shared::<wasmpool::Function>();
    is_shared::<wasmpool::Future<u64>>();
    is_shared::<CallError>();
    assert!(PATIENCE > Duration::ZERO);
}

#[test]
fn what_is_left_of_a_dropped_pool_makes_no_calls() {
    let function = pool("primes.wasm").function("count-divisors").expect("it is there");
    let error = function.submit::<u64>((6_u64,)).expect_err("its pool is gone");
    assert_eq!(error.to_string(), "the pool was shut down and takes no calls");
}

#[test]
fn a_callback_can_make_a_call_and_drop_the_pool() {
    let (sender, ended) = channel();
    let pool = Arc::new(pool("primes.wasm"));
    let first = pool.submit::<u64>("count-divisors", (6_u64,)).expect("the types are right");
    let own = Arc::clone(&pool);
    first.add_done_callback(move |_| {
        let second = own.submit::<u64>("count-divisors", (12_u64,)).expect("the pool is there");
        second.add_done_callback(move |second| {
            sender.send(second.result().expect("it returns")).expect("it is waited for");
            drop(own);
        });
    });
    drop(pool);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(6));
}
