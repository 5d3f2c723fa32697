//! An endless iterator, of which no more is read than is wanted soon: `pool.imap(f, items, chunksize=10)`.
//!
//! `cargo run --release --example imap`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::cell::Cell;
use std::error::Error;
use std::num::NonZero;

use wasmpool::Pool;

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::new("guests/primes.wasm")?;
    let read = Cell::new(0);
    let endless = (1_u64..).inspect(|number| read.set(*number));
    let chunk = NonZero::new(10).expect("it is not 0");
    let divisors = pool.imap::<u64, _>("count-divisors", endless)?.chunk(chunk);
    let first = divisors.take(5).collect::<Result<Vec<_>, _>>()?;
    println!("{first:?}; at most 1000 were read: {}", read.get() <= 1_000);
    Ok(())
}
