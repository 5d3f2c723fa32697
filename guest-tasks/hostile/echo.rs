//! Values that come back as they went in.

use crate::Hostile;
use crate::bindings::exports::wasmpool::tests::echo::{Colour, Figure, Guest, Modes, Point, Shape};

/// Functions that return their only argument.
macro_rules! echo {
    ($($name:ident: $type:ty;)*) => {
        $(fn $name(value: $type) -> $type {
            value
        })*
    };
}

impl Guest for Hostile {
    echo! {
        echo_bool: bool;
        echo_u8: u8;
        echo_s8: i8;
        echo_u16: u16;
        echo_s16: i16;
        echo_u32: u32;
        echo_s32: i32;
        echo_u64: u64;
        echo_s64: i64;
        echo_f32: f32;
        echo_f64: f64;
        echo_char: char;
        echo_string: String;
        echo_bytes: Vec<u8>;
        echo_list: Vec<String>;
        echo_records: Vec<Point>;
        echo_nested: Vec<Vec<u32>>;
        echo_tuple: (u64, String);
        echo_record: Shape;
        echo_variant: Figure;
        echo_enum: Colour;
        echo_flags: Modes;
        echo_option: Option<u64>;
        echo_nested_option: Option<Option<u64>>;
        echo_result: Result<u64, String>;
        echo_result_ok: Result<u64, ()>;
        echo_result_err: Result<(), String>;
        echo_result_neither: Result<(), ()>;
    }

    fn echo_several(
        count: u64,
        name: String,
        place: Option<Point>,
        colours: Vec<Colour>,
    ) -> (u64, String, Option<Point>, Vec<Colour>) {
        (count, name, place, colours)
    }

    fn may_fail(n: u64) -> Result<u64, String> {
        if n.is_multiple_of(2) { Ok(n) } else { Err(format!("{n} is odd")) }
    }

    fn measure_bytes(data: Vec<u8>) -> (u64, u64) {
        let length = u64::try_from(data.len()).expect("an address has 32 bits");
        (length, data.iter().copied().map(u64::from).sum())
    }

    fn ignore(_value: u64) {}
}
