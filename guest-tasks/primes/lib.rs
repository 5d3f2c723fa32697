//! `primes.wasm`: counting primes and divisors, see `wit/primes.wit`.

mod trial_division;

wasmpool_guest::world!("../../wit", "primes-guest", Primes);

struct Primes;

impl bindings::exports::wasmpool::guests::primes::Guest for Primes {
    fn count_primes(start: u64, end: u64) -> u64 {
        trial_division::count_primes(start, end)
    }

    fn merge_count_primes(a: u64, b: u64) -> u64 {
        // Not a panic: its message would be the guest's only reason to import anything from its host.
        a.checked_add(b).unwrap_or_else(|| std::process::abort())
    }

    fn count_divisors(n: u64) -> u64 {
        trial_division::count_divisors(n)
    }
}
