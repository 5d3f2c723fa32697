//! Values that come back as they went in.

use crate::Hostile;
use crate::bindings::exports::wasmpool::tests::echo::{Guest, Shape};

impl Guest for Hostile {
    fn echo_bool(value: bool) -> bool {
        value
    }

    fn echo_u8(value: u8) -> u8 {
        value
    }

    fn echo_s32(value: i32) -> i32 {
        value
    }

    fn echo_u64(value: u64) -> u64 {
        value
    }

    fn echo_s64(value: i64) -> i64 {
        value
    }

    fn echo_f32(value: f32) -> f32 {
        value
    }

    fn echo_f64(value: f64) -> f64 {
        value
    }

    fn echo_char(value: char) -> char {
        value
    }

    fn echo_string(value: String) -> String {
        value
    }

    fn echo_list(value: Vec<String>) -> Vec<String> {
        value
    }

    fn echo_option(value: Option<u64>) -> Option<u64> {
        value
    }

    fn echo_tuple(value: (u64, String)) -> (u64, String) {
        value
    }

    fn echo_record(value: Shape) -> Shape {
        value
    }

    fn ignore(_value: u64) {}
}
