//! Whole runs in simulated time: real machines and real queues, and workers that crash, hang, lie or are killed
//! between any two of their steps.
//!
//! A run is a function of its [`Scenario`]: who takes the next step is drawn from a seed.

mod host;
mod worker;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::host::World;
use super::*;

/// What an item does to the worker that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// Returns after so many steps.
    Works(u8),
    Traps,
    /// Traps at the first attempt that gets so far.
    TrapsOnce,
    /// Returns so much that its worker gives the rest of its chunk back.
    Floods,
    /// Brings down the first worker that gets so far as to run it to its end.
    CrashesOnce,
    Crashes,
    Hangs,
    /// Its worker says this instead of its result, and goes on.
    Says(Lie),
    /// It never ends, and the status page does this meanwhile.
    HangsBehind(Mask),
    /// It brings its worker down, and the status page says this at the end.
    CrashesBehind(Mask),
    /// It brings its worker down, and what was in the outbox is gone.
    CrashesAndWipes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    NoJson,
    TooLong,
    OtherItem,
    OtherAttempt,
    TooMany,
    Twice,
    NoFrame,
}

/// What a status page shows that does not show what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mask {
    Nobody,
    /// The item that is always the next one.
    Ahead,
    /// An item the worker does not have.
    Foreign,
    /// The right item, which has always just started.
    JustStarted,
    BackAndForth,
}

#[derive(Clone, Debug)]
struct Scenario {
    items: Vec<Nature>,
    workers: usize,
    chunk: u64,
    /// How often an item that fails by itself is run again.
    retries: u32,
    /// In one of so many steps a worker is killed from outside; never at 0.
    kill_one_in: u64,
    seed: u64,
}

/// What really happened.
#[derive(Debug, Default)]
struct Record {
    ends: BTreeMap<ItemIndex, Completion>,
    starts: BTreeMap<ItemIndex, u32>,
    /// Kills from outside while an item ran.
    kills: BTreeMap<ItemIndex, u32>,
    /// Kills from outside of workers that were to start an item next.
    near_misses: BTreeMap<ItemIndex, u32>,
    crashes: BTreeMap<ItemIndex, u32>,
    traps: BTreeMap<ItemIndex, u32>,
    /// When an item was started last.
    started: BTreeMap<ItemIndex, Nanos>,
    attempts: u64,
}

impl Scenario {
    fn nature(&self, item: ItemIndex) -> Nature {
        // Merges behave like the items of the same number.
        self.items[usize::try_from(item & !MERGE_BIT).expect("there are few items")]
    }
}

impl Scenario {
    /// How often an item is run again that fails by itself: a merge never.
    fn retries(&self, item: ItemIndex) -> u32 {
        if item & MERGE_BIT == 0 { self.retries } else { 0 }
    }
}

fn count(of: &BTreeMap<ItemIndex, u32>, item: ItemIndex) -> u32 {
    of.get(&item).copied().unwrap_or_default()
}

fn honest() -> impl Strategy<Value = Nature> {
    prop_oneof![
        8 => (0..6_u8).prop_map(Nature::Works),
        1 => Just(Nature::Traps),
        1 => Just(Nature::TrapsOnce),
        1 => Just(Nature::Floods),
        1 => Just(Nature::CrashesOnce),
        1 => Just(Nature::Crashes),
        1 => Just(Nature::Hangs),
    ]
}

fn hostile() -> impl Strategy<Value = Nature> {
    let lie = prop::sample::select(vec![
        Lie::NoJson,
        Lie::TooLong,
        Lie::OtherItem,
        Lie::OtherAttempt,
        Lie::TooMany,
        Lie::Twice,
        Lie::NoFrame,
    ]);
    let masks = vec![Mask::Nobody, Mask::Ahead, Mask::Foreign, Mask::JustStarted, Mask::BackAndForth];
    let mask = prop::sample::select(masks);
    prop_oneof![
        8 => honest(),
        1 => lie.prop_map(Nature::Says),
        1 => mask.clone().prop_map(Nature::HangsBehind),
        1 => mask.prop_map(Nature::CrashesBehind),
        1 => Just(Nature::CrashesAndWipes),
    ]
}

fn scenario<N: Strategy<Value = Nature>>(
    nature: N,
    kill_one_in: impl Strategy<Value = u64>,
) -> impl Strategy<Value = Scenario> {
    let items = prop::collection::vec(nature, 0..40);
    (items, 1..5_usize, 1..9_u64, 0..3_u32, kill_one_in, any::<u64>()).prop_map(
        |(items, workers, chunk, retries, kill_one_in, seed)| Scenario {
            items,
            workers,
            chunk,
            retries,
            kill_one_in,
            seed,
        },
    )
}

/// How an item that does not lie must end.
fn expected(nature: Nature, outside: u32, retries: u32) -> &'static str {
    match nature {
        _ if outside >= super::super::blame::OUTSIDE_KILLS => "crash",
        Nature::Works(_) | Nature::Floods | Nature::CrashesOnce => "ok",
        Nature::TrapsOnce if retries > 0 => "ok",
        Nature::TrapsOnce => "trap",
        Nature::Traps => "trap",
        Nature::Crashes => "crash",
        Nature::Hangs => "timeout",
        Nature::Says(_) | Nature::HangsBehind(_) | Nature::CrashesBehind(_) | Nature::CrashesAndWipes => {
            unreachable!("it lies")
        }
    }
}

proptest! {
    #[test]
    fn h1_whoever_is_killed_every_item_ends_as_its_nature_is_and_each_attempt_was_a_start(
        scenario in scenario(honest(), prop_oneof![Just(0), 4..200_u64]),
    ) {
        let record = World::run(&scenario);
        for (item, completion) in &record.ends {
            // The first near miss is free.
            let missed = count(&record.near_misses, *item).saturating_sub(1);
            let outside = count(&record.kills, *item) + missed;
            let attempts = count(&record.starts, *item) + missed;
            let told = (completion.outcome.status(), completion.meta.attempts);
            prop_assert_eq!(told, (expected(scenario.nature(*item), outside, scenario.retries(*item)), attempts));
            prop_assert!(count(&record.crashes, *item) <= 1 + Policy::default().crash_retries);
        }
    }

    #[test]
    fn a_quiet_run_starts_every_item_once_and_all_end_ok(
        scenario in scenario((0..6_u8).prop_map(Nature::Works), Just(0)),
    ) {
        let record = World::run(&scenario);
        prop_assert!(record.ends.values().all(|completion| completion.outcome.is_ok()));
        prop_assert!(record.starts.values().all(|starts| *starts == 1));
        prop_assert_eq!(record.attempts, scenario.items.len() as u64);
    }

    #[test]
    fn w29_whatever_a_worker_says_the_items_of_others_end_as_if_it_had_not(
        scenario in scenario(hostile(), Just(0)),
    ) {
        let record = World::run(&scenario);
        for (item, completion) in &record.ends {
            let status = completion.outcome.status();
            match scenario.nature(*item) {
                Nature::Says(_) => prop_assert!(matches!(status, "ok" | "protocol"), "{status}"),
                Nature::HangsBehind(_) => prop_assert!(matches!(status, "timeout" | "protocol"), "{status}"),
                Nature::CrashesBehind(_) | Nature::CrashesAndWipes => prop_assert_eq!(status, "crash"),
                // Another may have been blamed on it before.
                Nature::CrashesOnce => prop_assert!(matches!(status, "ok" | "crash"), "{status}"),
                // Its first report may have gone with a liar's.
                Nature::TrapsOnce => prop_assert!(matches!(status, "ok" | "trap"), "{status}"),
                nature => prop_assert_eq!(status, expected(nature, 0, scenario.retries(*item))),
            }
        }
    }

    #[test]
    fn an_item_that_means_harm_is_not_started_again_and_again(
        scenario in scenario(hostile(), Just(0)),
    ) {
        let record = World::run(&scenario);
        // Once for itself, once more to be sure, once because its worker was believed; and once for each item
        // before it in its chunk whose result it took along.
        let most = 3 + u32::try_from(scenario.chunk).expect("chunks are short") + scenario.retries;
        prop_assert!(record.starts.values().all(|starts| *starts <= most), "{:?}", record.starts);
    }
}
