//! Guests that need more than they may have.

use super::*;

#[track_caller]
fn check_memory(initial_memory: u64, memory: u64, refusal: Option<(&str, &str)>) {
    let guest = Description { initial_memory, ..primes() };
    let mut plan = plan(None, range(0, 10));
    plan.guest_limits.memory = memory;
    let refused = plan.bind(&guest).err();
    let refused = refused.as_ref().map(|error| {
        assert_eq!(error.exit_code().code(), 3);
        (error.to_string(), error.hint().unwrap_or_default().to_owned())
    });
    assert_eq!(refused, refusal.map(|(message, hint)| (message.to_owned(), hint.to_owned())));
}

#[test]
fn m9_a_guest_that_starts_beyond_the_limit_of_memory_is_refused() {
    const HINT: &str = "a higher `--memory` lets it start";
    check_memory(1 << 30, 1 << 30, None);
    check_memory(
        (1 << 30) + 1,
        1 << 30,
        Some(("`g.wasm` starts with 1025 MiB of memory; the limit is 1024 MiB", HINT)),
    );
    check_memory(
        70_000,
        64 << 10,
        Some(("`g.wasm` starts with 69 KiB of memory; the limit is 64 KiB", HINT)),
    );
    check_memory(
        70_000,
        1001,
        Some(("`g.wasm` starts with 70000 bytes of memory; the limit is 1001 bytes", HINT)),
    );
    check_memory(70_000, 1, Some(("`g.wasm` starts with 70000 bytes of memory; the limit is 1 byte", HINT)));
    check_memory(
        5 << 30,
        4 << 30,
        Some(("`g.wasm` starts with 5120 MiB of memory; the limit is 4096 MiB", "")),
    );
}
