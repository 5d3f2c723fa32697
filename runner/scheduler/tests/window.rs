use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use proptest::prelude::*;

use super::super::{Closed, Window};

#[track_caller]
fn check(window: &Window, outstanding: u64, admissible: u64, bytes: u64) {
    let found = (window.outstanding(), window.admissible(), window.admissible_bytes());
    assert_eq!(found, (outstanding, admissible, bytes));
}

#[test]
fn what_is_admitted_leaves_less_until_it_is_released() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(4, 300), Ok(()));
    check(&window, 4, 6, 700);
    window.release(4);
    check(&window, 0, 10, 1_000);
}

#[test]
fn a_load_of_any_size_enters_an_empty_window() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(50, 9_999), Ok(()));
    check(&window, 50, 0, 0);
}

#[test]
fn a_part_of_a_load_gives_back_its_share_of_the_bytes() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(3, 100), Ok(()));
    window.release(1);
    check(&window, 2, 8, 933);
    window.release(2);
    check(&window, 0, 10, 1_000);
}

#[test]
fn one_release_may_cover_several_loads() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(2, 100), Ok(()));
    assert_eq!(window.acquire(4, 400), Ok(()));
    window.release(4);
    check(&window, 2, 8, 800);
}

#[test]
fn results_held_back_count_against_the_bytes() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(1, 100), Ok(()));
    window.charge(600);
    check(&window, 1, 9, 300);
    window.discharge(600);
    check(&window, 1, 9, 900);
}

#[test]
fn an_empty_window_admits_an_item_whatever_is_held_back() {
    let window = Window::new(10, 1_000);
    window.charge(5_000);
    assert_eq!(window.admissible_bytes(), 1);
    assert_eq!(window.acquire(1, 800), Ok(()));
}

#[test]
fn a_window_for_nothing_still_lets_one_item_through() {
    let window = Window::new(0, 0);
    assert_eq!(window.wait_admissible(100), Ok(1));
    assert_eq!(window.acquire(1, 1), Ok(()));
    check(&window, 1, 0, 0);
}

#[test]
fn places_are_handed_out_by_the_batch() {
    let window = Window::new(8, 1_000);
    assert_eq!(window.acquire(8, 0), Ok(()));
    thread::scope(|scope| {
        let feeder = scope.spawn(|| window.wait_admissible(3));
        for _ in 0..3 {
            window.release(1);
        }
        assert_eq!(feeder.join().expect("waiting does not panic"), Ok(3));
    });
}

#[test]
fn more_than_half_of_the_window_is_not_waited_for() {
    let window = Window::new(8, 1_000);
    assert_eq!(window.acquire(4, 0), Ok(()));
    assert_eq!(window.wait_admissible(1_000), Ok(4));
}

#[test]
fn a_closed_window_admits_nothing_but_takes_back() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(1, 0), Ok(()));
    window.close();
    assert_eq!(window.acquire(1, 0), Err(Closed));
    assert_eq!(window.wait_admissible(1), Err(Closed));
    window.release(1);
    assert_eq!(window.outstanding(), 0);
}

#[test]
fn more_than_was_admitted_does_not_come_back() {
    let window = Window::new(10, 1_000);
    assert_eq!(window.acquire(1, 0), Ok(()));
    assert!(catch_unwind(AssertUnwindSafe(|| window.release(2))).is_err());
    check(&window, 1, 9, 1_000);
}

proptest! {
    #[test]
    fn no_place_and_no_byte_is_lost(steps in proptest::collection::vec((1..20_u64, 0..200_u64, 0..30_u64), 1..60)) {
        let window = Window::new(64, 4_096);
        for (items, bytes, back) in steps {
            if items <= window.admissible() && bytes <= window.admissible_bytes() {
                prop_assert_eq!(window.acquire(items, bytes), Ok(()));
            }
            prop_assert_eq!(window.outstanding() + window.admissible(), 64);
            window.release(back.min(window.outstanding()));
        }
        window.release(window.outstanding());
        prop_assert_eq!(window.admissible_bytes(), 4_096);
    }
}
