//! What a pool does not take, and what it says.

use wasmpool::{Error, Pool};

use super::{MODULE, Written, pool, set_up};

#[track_caller]
fn check(error: &Error, message: &str, hint: Option<&str>) {
    let text = error.to_string();
    assert!(text.contains(message), "{text}");
    assert_eq!(error.hint(), hint, "{text}");
}

#[test]
fn a_program_that_cannot_become_a_worker_is_told_so_and_starts_nothing() {
    let error = Pool::new("primes.wasm").expect_err("this program has not called `init`");
    check(
        &error,
        "this program cannot become a worker: it has not called `wasmpool::worker::init()`",
        Some("call that first in `main`, or name a program that does: `worker_exe`, `WASMPOOL_WORKER`"),
    );
}

#[test]
fn a_guest_that_is_not_there_is_named() {
    let error = set_up(Pool::builder("no-such.wasm")).build().expect_err("there is none");
    check(&error, "`no-such.wasm`", None);
}

#[test]
fn a_function_that_is_not_there_is_refused_with_those_that_are() {
    let error = pool("primes.wasm").submit::<u64>("count-prime", (1_u64, 2_u64)).expect_err("there is none");
    assert!(error.hint().is_some_and(|hint| hint.contains("did you mean `count-primes`?")), "{error:?}");
}

#[test]
fn arguments_and_results_have_the_functions_types() {
    let pool = pool("primes.wasm");
    let count = "`count-primes(start: u64, end: u64) -> u64`";
    let error = pool.submit::<u64>("count-primes", (1_u64,)).expect_err("one is missing");
    check(&error, &format!("{count} takes 2 arguments, not 1"), None);
    let error = pool.submit::<u64>("count-primes", (1_u64, -2_i64)).expect_err("it has a sign");
    check(&error, &format!("{count} takes u64 for `end`, not s64"), None);
    let error = pool.submit::<String>("count-primes", (1_u64, 2_u64)).expect_err("it is no text");
    check(&error, &format!("{count} returns u64, not string"), None);
    let error = pool.submit::<()>("count-primes", (1_u64, 2_u64)).expect_err("it returns something");
    check(&error, &format!("{count} returns u64, not nothing"), None);
    let error = pool.bind("count-primes", "stop", &2_u64).expect_err("it is called `end`");
    check(&error, "has no parameter `stop` in `count-primes", None);
}

#[test]
fn a_function_that_returns_nothing_has_nothing() {
    let guest = Written::new(MODULE);
    let pool = guest.pool();
    pool.submit::<()>("nothing", ()).expect("it returns nothing").result().expect("and that is fine");
    let error = pool.submit::<u64>("nothing", ()).expect_err("it returns nothing");
    check(&error, "`nothing()` returns nothing, not u64", None);
}

#[test]
fn an_initializer_that_is_not_there_is_refused_at_the_start() {
    let guest = Written::new(MODULE);
    let error = guest.builder().initializer("begin", ()).build().expect_err("there is none");
    check(&error, "has no export `begin`", error.hint());
}
