//! Many records through one function, in order: `Pool(4).map(f, items)`.
//!
//! `cargo run --release --example map`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use wasmpool::{Pool, wit_type};

wit_type! {
    struct Item {
        id: u64,
        value: i64,
    }

    #[derive(Debug)]
    struct Squared {
        id: u64,
        result: i64,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    wasmpool::worker::init();
    let pool = Pool::builder("guests/tour.wasm").workers(4).build()?;
    let items = (0..100_u64).zip(0..).map(|(id, value)| Item { id, value });
    let squared: Vec<Squared> = pool.map("square-item", items)?;
    let in_order = (0..).zip(&squared).all(|(id, squared)| squared.id == id);
    println!("{} in order: {in_order}; the last is {:?}", squared.len(), squared[99]);
    Ok(())
}
