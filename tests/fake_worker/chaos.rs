//! Workers that fail now and then, in every way at once. What goes wrong at which attempt at which item follows from a
//! seed alone, so that how each item must end is known before.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use wasmpool::item::ItemIndex;
use wasmpool::outcome::{Outcome, WorkerEnd};
use wasmpool::pool::Job;

use super::{Death, Fake, Lie, Misdeed, Page, Script, job, numbers};
use crate::harness::is_soak;

/// How often an item's workers may be killed from outside, and how often they may break the protocol.
const KILLS: u32 = 5;
const OFFENCES: u32 = 2;

/// What goes wrong at this attempt: each kind of misdeed at one of a hundred.
pub(super) fn misdeed(seed: u64, item: ItemIndex, attempt: u32) -> Option<Misdeed> {
    match hash(seed, item, attempt) % 100 {
        0 => Some(Misdeed::Die(Death::Signal(Signal::KILL.as_raw()))),
        1 => Some(Misdeed::Stop),
        2 => Some(Misdeed::Lie(Lie::Garbage)),
        3 => Some(Misdeed::Rest(Duration::from_millis(2))),
        _ => None,
    }
}

/// Numbers that tell nothing about each other (SplitMix64).
fn hash(seed: u64, item: ItemIndex, attempt: u32) -> u64 {
    let mix = |number: u64| {
        let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    };
    mix(mix(mix(seed) ^ item) ^ u64::from(attempt))
}

/// How an item must end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Value,
    Crash,
    Protocol,
}

/// How an item must end, and at which attempt.
fn end(seed: u64, item: ItemIndex) -> (End, u32) {
    let (mut kills, mut offences) = (0, 0);
    loop {
        let attempt = kills + offences + 1;
        match misdeed(seed, item, attempt) {
            Some(Misdeed::Die(_)) => kills += 1,
            Some(Misdeed::Lie(_)) => offences += 1,
            _ => return (End::Value, attempt),
        }
        if kills == KILLS {
            return (End::Crash, attempt);
        }
        if offences == OFFENCES {
            return (End::Protocol, attempt);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures are of interest to who asks for them")]
fn check(seed: u64) {
    let items = if is_soak() { 500_000 } else { 100_000 };
    let fake = Fake::new(Script { chaos: Some(seed), page: Page::Honest, ..Script::default() });
    let started = Instant::now();
    let ran = fake.run(Job { chunk: Some(32), window_items: 4096, ..job(numbers(items)) });
    let took = started.elapsed();
    let bad: Vec<_> = (0..items).filter(|item| end(seed, *item).0 != End::Value).collect();
    ran.check_ok_but(items, &bad);
    for item in 0..items {
        let (outcome, attempts) = ran.end(item);
        let found = match outcome {
            Outcome::Ok(_) => End::Value,
            Outcome::Crash { end: WorkerEnd::Signalled(_) } => End::Crash,
            Outcome::Protocol { .. } => End::Protocol,
            other => panic!("item {item}: {other:?}"),
        };
        assert_eq!((found, attempts), end(seed, item), "item {item}");
    }
    let failed: u64 = (0..items).map(|item| u64::from(end(seed, item).1 - 1)).sum();
    let summary = ran.summary();
    let counts = summary.counts;
    assert_eq!(counts.items, counts.ok + counts.failed + counts.cancelled);
    assert_eq!(summary.attempts, items + failed);
    println!(
        "figure: H1 chaos, seed {seed}: {items} items in {took:.1?}, {} workers replaced, {} attempts, lost 0, duplicated 0",
        summary.replaced, summary.attempts
    );
}

#[test]
fn h1_chaos_loses_and_doubles_nothing_with_the_first_seed() {
    check(1);
}

#[test]
fn h1_chaos_loses_and_doubles_nothing_with_the_second_seed() {
    check(2);
}

#[test]
fn h1_chaos_loses_and_doubles_nothing_with_the_third_seed() {
    check(3);
}
