//! `primes.wasm`: counting primes and divisors, see `wit/primes.wit`.
#![cfg_attr(target_os = "wasi", no_std)]

mod trial_division;

wasmpool_guest::bare!();
wasmpool_guest::world!("../../wit", "primes-guest", Primes);

struct Primes;

impl bindings::exports::wasmpool::guests::primes::Guest for Primes {
    fn count_primes(start: u64, end: u64) -> u64 {
        trial_division::count_primes(start, end)
    }

    fn merge_count_primes(a: u64, b: u64) -> u64 {
        a.checked_add(b).expect("the count fits 64 bits")
    }

    fn count_divisors(n: u64) -> u64 {
        trial_division::count_divisors(n)
    }
}
