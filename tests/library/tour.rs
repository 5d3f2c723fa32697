//! What `tour.wasm` offers, as Rust: written by `wasmpool inspect --rust tour.wasm`.

use wasmpool::{Error, Future, Pool, wit_type};

wit_type! {
    /// `record { id: u64, value: s64 }`
    #[derive(Clone, Debug, PartialEq)]
    pub struct SquareItemItem {
        pub id: u64,
        pub value: i64,
    }

    /// `record { id: u64, result: s64 }`
    #[derive(Clone, Debug, PartialEq)]
    pub struct SquareItemResult {
        pub id: u64,
        pub result: i64,
    }
}

/// `square-item(item: record { id: u64, value: s64 }) -> record { id: u64, result: s64 }`
pub fn square_item(pool: &Pool, item: SquareItemItem) -> Result<Future<SquareItemResult>, Error> {
    pool.submit("square-item", (item,))
}

/// `add(a: s64, b: s64) -> s64`
pub fn add(pool: &Pool, a: i64, b: i64) -> Result<Future<i64>, Error> {
    pool.submit("add", (a, b))
}

/// `power(base: s64, exp: u32) -> s64`
pub fn power(pool: &Pool, base: i64, exp: u32) -> Result<Future<i64>, Error> {
    pool.submit("power", (base, exp))
}

/// `sum(start: u64, end: u64) -> u64`
pub fn sum(pool: &Pool, start: u64, end: u64) -> Result<Future<u64>, Error> {
    pool.submit("sum", (start, end))
}

/// `sum-bytes(data: list<u8>) -> u64`
pub fn sum_bytes(pool: &Pool, data: &[u8]) -> Result<Future<u64>, Error> {
    pool.submit("sum-bytes", (data,))
}

/// `split(start: u64, end: u64, parts: u64) -> list<tuple<u64, u64>>`
pub fn split(pool: &Pool, start: u64, end: u64, parts: u64) -> Result<Future<Vec<(u64, u64)>>, Error> {
    pool.submit("split", (start, end, parts))
}

/// `divide(a: s64, b: s64) -> result<s64, string>`
pub fn divide(pool: &Pool, a: i64, b: i64) -> Result<Future<Result<i64, String>>, Error> {
    pool.submit("divide", (a, b))
}
