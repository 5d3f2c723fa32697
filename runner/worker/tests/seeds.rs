use proptest::prelude::*;

use super::{binary, load, serve};
use crate::item::{Input, ItemIndex};
use crate::limits::Isolation;
use crate::wire::msg::Serve;
use crate::worker::guest::{CallRecord, Guest};

/// Returns both clocks, eight random bytes and the bits of a NaN; the argument is the payload that goes into it.
const ASKING: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $f (export "f") (param i64) (result i64 i64 i64 i64)
      (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0)))
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 8)))
      (drop (call $random (i32.const 16) (i32.const 8)))
      (i64.load (i32.const 0)) (i64.load (i32.const 8)) (i64.load (i32.const 16))
      (i64.reinterpret_f64 (f64.add (f64.const 1)
        (f64.reinterpret_i64 (i64.or (i64.const 0xfff0000000000001) (i64.and (local.get 0) (i64.const 0xff)))))))
    (func (export "g") (param i64) (result i64 i64 i64 i64) (call $f (local.get 0))))"#;

fn seeded(seed: Option<u64>, isolation: Isolation) -> Guest {
    load(&binary(ASKING), &Serve { seed, isolation, ..serve(&["f", "g"]) })
        .expect("the test's guest can be loaded")
}

fn asked(guest: &mut Guest, item: ItemIndex, export: usize) -> Vec<i64> {
    let mut record = CallRecord::default();
    guest.call(item, export, Input::Number(i128::from(item & 0xff)), &mut record);
    let json = match super::ended(&record) {
        super::Ended::Ok(json) => json,
        other => panic!("expected numbers, got {other:?}"),
    };
    serde_json::from_str(&json).expect("a list of numbers")
}

#[test]
fn g30_the_clocks_stand_still() {
    let mut guest = seeded(Some(0), Isolation::Item);
    for item in 0..3 {
        assert_eq!(asked(&mut guest, item, 0)[..2], [946_684_800_000_000_000, 3_600_000_000_000]);
    }
}

#[test]
fn without_a_seed_the_clocks_and_random_numbers_are_the_machines() {
    let mut guest = seeded(None, Isolation::Item);
    let (one, other) = (asked(&mut guest, 0, 0), asked(&mut guest, 0, 0));
    assert!(one[0] < other[0] && one[2] != other[2], "{one:?} {other:?}");
}

#[test]
fn seed_item_and_function_make_other_numbers() {
    let mut guest = seeded(Some(5), Isolation::Item);
    let number = asked(&mut guest, 1, 0)[2];
    let others = [asked(&mut guest, 2, 0)[2], asked(&mut guest, 1, 1)[2]];
    assert!(!others.contains(&number) && others[0] != others[1]);
    assert_ne!(asked(&mut seeded(Some(6), Isolation::Item), 1, 0)[2], number);
}

#[test]
fn the_nans_of_a_seeded_run_have_one_form() {
    let mut guest = seeded(Some(0), Isolation::Item);
    let forms: Vec<_> = (0..5).map(|item| asked(&mut guest, item, 0)[3]).collect();
    assert_eq!(forms, [0x7ff8_0000_0000_0000; 5]);
}

proptest! {
    /// Whatever a worker ran before, an item is the same; a shared instance that keeps nothing makes no difference.
    #[test]
    fn an_item_is_the_same_in_every_worker(
        seed in any::<u64>(),
        items in prop::collection::vec((any::<u64>(), 0..2_usize), 1..20),
        isolation in prop_oneof![Just(Isolation::Item), Just(Isolation::Worker)],
    ) {
        let mut worker = seeded(Some(seed), isolation);
        let mut backwards = seeded(Some(seed), Isolation::Item);
        let ran: Vec<_> = items.iter().map(|(item, export)| asked(&mut worker, *item, *export)).collect();
        for ((item, export), expected) in items.iter().zip(&ran).rev() {
            prop_assert_eq!(&asked(&mut backwards, *item, *export), expected);
        }
    }
}
