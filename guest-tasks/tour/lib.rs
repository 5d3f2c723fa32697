//! `tour.wasm`: the functions of a tour through multiprocessing, see `wit/tour.wit`.
#![cfg_attr(target_os = "wasi", no_std)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bindings::exports::wasmpool::guests::tour::{Guest, Item, Squared};

wasmpool_guest::bare!();
wasmpool_guest::world!("../../wit", "tour-guest", Tour);

struct Tour;

impl Guest for Tour {
    fn square_item(item: Item) -> Squared {
        let square = item.value.checked_mul(item.value).expect("the square fits 64 bits");
        Squared { id: item.id, result: square }
    }

    fn add(a: i64, b: i64) -> i64 {
        a.checked_add(b).expect("the sum fits 64 bits")
    }

    fn power(base: i64, exp: u32) -> i64 {
        base.checked_pow(exp).expect("the power fits 64 bits")
    }

    fn sum(start: u64, end: u64) -> u64 {
        (start..end).try_fold(0, u64::checked_add).expect("the sum fits 64 bits")
    }

    fn merge_sum(a: u64, b: u64) -> u64 {
        a.checked_add(b).expect("the sum fits 64 bits")
    }

    fn sum_bytes(data: Vec<u8>) -> u64 {
        data.iter().copied().map(u64::from).sum()
    }

    fn split(start: u64, end: u64, parts: u64) -> Vec<(u64, u64)> {
        let numbers = u128::from(end.saturating_sub(start));
        let bound = |part: u64| {
            let before = numbers * u128::from(part) / u128::from(parts);
            start + u64::try_from(before).expect("a part of the numbers is no more than all of them")
        };
        let parts = (0..parts).map(|part| (bound(part), bound(part + 1)));
        parts.filter(|(start, end)| start < end).collect()
    }

    fn divide(a: i64, b: i64) -> Result<i64, String> {
        if b == 0 {
            return Err("division by zero".to_string());
        }
        a.checked_div(b).ok_or_else(|| "the quotient does not fit 64 bits".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_square_keeps_its_number() {
        let squared = Tour::square_item(Item { id: 3, value: -4 });
        assert_eq!((squared.id, squared.result), (3, 16));
    }

    #[test]
    fn numbers_are_added() {
        assert_eq!(Tour::add(-2, 5), 3);
    }

    #[test]
    fn anything_to_the_power_of_nothing_is_one() {
        assert_eq!(Tour::power(0, 0), 1);
        assert_eq!(Tour::power(-3, 3), -27);
    }

    #[test]
    fn a_sum_leaves_its_end_out() {
        assert_eq!(Tour::sum(1, 5), 10);
        assert_eq!(Tour::sum(5, 5), 0);
        assert_eq!(Tour::sum(5, 1), 0);
    }

    #[test]
    fn the_sums_of_two_parts_are_the_sum_of_the_whole() {
        assert_eq!(Tour::merge_sum(Tour::sum(3, 40), Tour::sum(40, 100)), Tour::sum(3, 100));
    }

    #[test]
    fn bytes_are_summed_beyond_a_byte() {
        assert_eq!(Tour::sum_bytes(Vec::from([255, 255, 1])), 511);
        assert_eq!(Tour::sum_bytes(Vec::new()), 0);
    }

    #[test]
    fn the_parts_of_a_range_are_the_range() {
        assert_eq!(Tour::split(10, 20, 3), [(10, 13), (13, 16), (16, 20)]);
        assert_eq!(Tour::split(0, u64::MAX, 2), [(0, u64::MAX / 2), (u64::MAX / 2, u64::MAX)]);
    }

    #[test]
    fn parts_without_numbers_are_left_out() {
        assert_eq!(Tour::split(0, 2, 4), [(0, 1), (1, 2)]);
        assert_eq!(Tour::split(7, 7, 4), []);
        assert_eq!(Tour::split(8, 7, 4), []);
        assert_eq!(Tour::split(0, 7, 0), []);
    }

    #[test]
    fn a_quotient_is_rounded_towards_zero() {
        assert_eq!(Tour::divide(-7, 2), Ok(-3));
    }

    #[test]
    fn where_there_is_no_quotient_the_reason_is_returned() {
        assert_eq!(Tour::divide(1, 0), Err("division by zero".to_string()));
        assert_eq!(Tour::divide(i64::MIN, -1), Err("the quotient does not fit 64 bits".to_string()));
    }
}
