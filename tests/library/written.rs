//! Calls through the functions that `wasmpool inspect --rust` has written, and that it writes them so.

use super::{pool, tour};
use crate::harness::wasmpool;

#[test]
fn what_is_printed_is_what_is_compiled_here() {
    wasmpool("inspect --rust tour.wasm").stdout(include_str!("tour.rs")).check();
}

#[test]
fn calls_through_it_have_their_types() {
    let pool = pool("tour.wasm");
    let squared = tour::square_item(&pool, tour::SquareItemItem { id: 3, value: -4 });
    let squared = squared.expect("the types are right").result().expect("it has a square");
    assert_eq!(squared, tour::SquareItemResult { id: 3, result: 16 });
    assert_eq!(tour::add(&pool, 1, 2).expect("the types are right").result().expect("it has a sum"), 3);
    assert_eq!(tour::power(&pool, 2, 10).expect("the types are right").result().expect("it fits"), 1024);
    assert_eq!(tour::sum(&pool, 0, 5).expect("the types are right").result().expect("it fits"), 10);
    assert_eq!(tour::sum_bytes(&pool, &[1, 2]).expect("the types are right").result().expect("it fits"), 3);
    let parts = tour::split(&pool, 0, 9, 2).expect("the types are right").result().expect("it is cut");
    assert_eq!((parts.first(), parts.len()), (Some(&(0, 4)), 2));
    let quotient = tour::divide(&pool, 1, 0).expect("the types are right").result().expect("it answers");
    assert_eq!(quotient, Err("division by zero".to_owned()));
}
