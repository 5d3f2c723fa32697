//! Calls that wait, run, end, fail and are cancelled.

use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use wasmpool::{CallError, ReturnWhen, wait};

use super::{MODULE, Written, pool};
use crate::harness::PATIENCE;

/// Longer than anything here takes, but for what never ends.
const LONG: Duration = PATIENCE;

#[test]
fn a_call_that_runs_is_cancelled_at_once_and_its_worker_goes_on() {
    let guest = Written::new(MODULE);
    let pool = guest.builder().workers(1).build().expect("it can be used");
    let endless = pool.submit::<i64>("spin", ()).expect("the types are right");
    let behind = pool.submit::<i64>("not-three", (7_i64,)).expect("the types are right");
    assert!(
        endless.result_timeout(Duration::from_millis(200)).is_err_and(|e| matches!(e, CallError::NotDone))
    );
    assert!(endless.running());
    assert!(endless.cancel());
    assert!(endless.cancelled() && endless.done());
    assert!(!endless.cancel(), "it has been");
    assert_eq!(behind.result_timeout(LONG).expect("the one before it is gone"), 7);
    assert!(matches!(endless.result(), Err(CallError::Cancelled)));
}

#[test]
fn calls_that_wait_are_cancelled_without_being_run() {
    let guest = Written::new(MODULE);
    let pool = guest.builder().workers(1).build().expect("it can be used");
    let endless = pool.submit::<i64>("spin", ()).expect("the types are right");
    let waiting: Vec<_> =
        (0..100_i64).map(|n| pool.submit::<i64>("not-three", (n,)).expect("the types are right")).collect();
    assert!(waiting.iter().all(|call| call.cancel()));
    let last = pool.submit::<i64>("not-three", (1_i64,)).expect("the types are right");
    assert!(endless.cancel());
    assert_eq!(last.result_timeout(LONG).expect("nothing is before it"), 1);
}

#[test]
fn others_of_a_cancelled_calls_worker_have_their_values() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let calls: Vec<_> = (0..2000_i64)
        .map(|n| {
            let n = if n % 500 == 250 { 0 } else { n + 1 };
            pool.submit::<i64>("spin-at-zero", (n,)).expect("the types are right")
        })
        .collect();
    let (endless, others): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.index() % 500 == 250);
    std::thread::scope(|scope| {
        for call in &endless {
            scope.spawn(|| call.result_timeout(Duration::from_millis(100)).is_err() && call.cancel());
        }
    });
    for call in others {
        let index = i64::try_from(call.index()).expect("it is small");
        assert_eq!(call.result_timeout(LONG).expect("it is no endless one"), index + 1);
    }
    assert!(endless.iter().all(wasmpool::Future::cancelled));
}

#[test]
fn a_call_has_a_time_limit_of_its_own() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let spin = pool.function("spin").expect("it is there").timeout(Duration::from_millis(100));
    let start = Instant::now();
    let error = spin.call::<i64>(()).expect_err("it spins");
    assert_eq!(error.to_string(), "timeout: it took longer than 0.1 s");
    assert!(start.elapsed() < Duration::from_secs(30), "the pool's limit is a minute");
    assert_eq!(pool.submit::<i64>("not-three", (1_i64,)).expect("types").result().expect("it returns"), 1);
}

#[test]
fn a_call_has_retries_of_its_own() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let attempts = |retries| {
        let function = pool.function("not-three").expect("it is there").retries(retries);
        let error = function.call::<i64>((3_i64,)).expect_err("it traps");
        error.failure().expect("it failed itself").attempts
    };
    assert_eq!((attempts(0), attempts(2)), (1, 3));
}

#[test]
fn what_is_to_be_called_at_the_end_is_called_once() {
    let pool = pool("primes.wasm");
    let (sender, ended) = channel();
    let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64)).expect("the types are right");
    let early = sender.clone();
    call.add_done_callback(move |call| {
        early.send(call.result().expect("it returns")).expect("it is waited for")
    });
    call.add_done_callback(|_| panic!("a callback that panics"));
    assert_eq!(ended.recv_timeout(LONG), Ok(25));
    call.add_done_callback(move |call| sender.send(call.index()).expect("it is waited for"));
    assert_eq!(ended.recv_timeout(LONG), Ok(0));
    assert!(ended.recv().is_err(), "nobody is left to send");
    assert_eq!(
        pool.submit::<u64>("count-divisors", (6_u64,)).expect("types").result().expect("it returns"),
        4
    );
}

#[test]
fn wait_returns_as_soon_as_it_is_told_to() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    let spin = pool.submit::<i64>("spin", ()).expect("the types are right");
    let fast = pool.submit::<i64>("not-three", (1_i64,)).expect("the types are right");
    let failing = pool.submit::<i64>("not-three", (3_i64,)).expect("the types are right");
    let all = || [spin.clone(), fast.clone(), failing.clone()];
    assert!(!wait(all(), Some(LONG), ReturnWhen::FirstCompleted).done.is_empty());
    let waited = wait(all(), Some(LONG), ReturnWhen::FirstException);
    assert!(waited.done.iter().any(|call| call.index() == failing.index()));
    let waited = wait(all(), Some(Duration::from_millis(50)), ReturnWhen::AllCompleted);
    assert_eq!(waited.not_done.iter().map(wasmpool::Future::index).collect::<Vec<_>>(), [0]);
    spin.cancel();
    assert!(wait(all(), Some(LONG), ReturnWhen::AllCompleted).not_done.is_empty());
}

#[test]
fn a_future_can_be_awaited_without_a_runtime_of_its_own() {
    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    let pool = pool("primes.wasm");
    let sum = async {
        let below_100 = pool.submit::<u64>("count-primes", (0_u64, 100_u64)).expect("the types are right");
        let below_1000 = pool.submit::<u64>("count-primes", (0_u64, 1000_u64)).expect("the types are right");
        below_100.await.expect("it returns") + below_1000.await.expect("it returns")
    };
    let mut sum = std::pin::pin!(sum);
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let value = loop {
        match sum.as_mut().poll(&mut context) {
            Poll::Ready(value) => break value,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(value, 25 + 168);
}

#[test]
fn a_call_has_a_memory_limit_of_its_own() {
    let guest = Written::new(
        r#"
(module
  (memory 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)) (if (i32.eq (i32.const -1)) (then (unreachable)))
    (memory.size)))
"#,
    );
    let pool = guest.builder().workers(1).memory(4 << 20).build().expect("it can be used");
    let grow = pool.function("grow").expect("it is there");
    let small = grow.clone().memory(1 << 20);
    for _ in 0..3 {
        assert_eq!(grow.call::<i32>((31_i32,)).expect("it fits"), 32);
        let error = small.call::<i32>((31_i32,)).expect_err("it does not");
        assert_eq!(error.failure().expect("it failed itself").outcome.status(), "memory");
        assert_eq!(small.call::<i32>((15_i32,)).expect("it fits"), 16);
    }
    let error = grow.memory(8 << 20).submit::<i32>((1_i32,)).expect_err("it is more than there is");
    assert_eq!(error.to_string(), "a call cannot have 8388608 bytes of memory: the pool's limit is 4194304");
}
