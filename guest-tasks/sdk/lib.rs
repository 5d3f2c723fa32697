//! Write guests for wasmpool in Rust: a function and little else.
//!
//! # A first guest
//!
//! `Cargo.toml`:
//! ```toml
//! [package]
//! name = "hello"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! wasmpool-guest = { path = "…/guest-tasks/sdk" }
//! ```
//! `src/lib.rs`:
//! ```
//! /// The text, louder.
//! #[wasmpool_guest::task]
//! fn shout(text: &str) -> String {
//!     text.to_uppercase()
//! }
//! # fn main() {}
//! ```
//! ```text
//! cargo build --release --target wasm32-wasip1
//! wasmpool run target/wasm32-wasip1/release/hello.wasm --lines words.txt
//! ```
//!
//! # What a task may take and return
//!
//! `bool`, integers up to 64 bits, `f32`, `f64`, `char`, `String`, and `Vec`, `Option`, `Result` and tuples of these. It
//! may take `&str` and `&[T]` instead of `String` and `Vec<T>`. See [`macro@task`]. For records, and for interfaces
//! that several guests implement, write WIT and name it with [`world!`].
//!
//! # Results that are parts of one
//!
//! If there is a function `merge_f` beside `f`, which takes two results of `f` and returns one, wasmpool can run
//! `f` over the pieces of one input and print a single value. Pieces are merged in the order of the input, so
//! `merge_f` need only be associative.
//! ```
//! /// How many squares there are in `start..end`.
//! #[wasmpool_guest::task]
//! fn count_squares(start: u64, end: u64) -> u64 {
//!     (start..end).map(|n| u64::from(n.isqrt().pow(2) == n)).sum()
//! }
//!
//! #[wasmpool_guest::task]
//! fn merge_count_squares(a: u64, b: u64) -> u64 {
//!     a + b
//! }
//! # fn main() {}
//! ```
//! A function `finish_f` of one such result, if there is one, makes of the merged value what is printed: an average of
//! a sum and a count, say.
//!
//! # Failing
//!
//! A task that cannot go on panics. That costs its item and nothing else; the item's record says `trap`, and carries
//! the message of the panic as what the guest printed.
//!
//! Where an error is an answer, a task returns a `Result`, whose error is a `String` or any other type that a task may
//! return. The call has then done its work: the item's record says `ok`, and the value is `{"ok": …}` or `{"err": …}`.
//! ```
//! /// The number that the text is, or why it is none.
//! #[wasmpool_guest::task]
//! fn parse(text: &str) -> Result<i64, String> {
//!     text.trim().parse().map_err(|error| format!("{text:?}: {error}"))
//! }
//! # fn main() {}
//! ```
//!
//! # State
//!
//! Every item starts in a fresh instance, so a `static` has its first value in every call, whatever another call
//! did to it.
//!
//! # Sharing
//!
//! What a pool shares, guests open by its name, whichever worker they are in:
//!
//! | Python | here |
//! |---|---|
//! | `SharedMemory(name=…)`, `.buf` | [`SharedMemory::open`], [`as_slice`](SharedMemory::as_slice): no copy |
//! | `Value`, `with value.get_lock()` | [`Value::open`], [`Value::add`], [`Value::with_lock`] |
//! | `Array` | [`Array::open`], [`Array::with_lock`] |
//! | `Lock` | [`Lock::open`], [`Lock::lock`] |
//! | `Queue`, `put`, `get`, a sentinel | [`Queue::open`], [`put`](Queue::put), [`get`](Queue::get), [`close`](Queue::close) |
//! | `Pipe`, `send`, `recv` | [`PipeEnd::open`], [`send`](PipeEnd::send), [`recv`](PipeEnd::recv) |
//! | `logging` | [`log`], [`progress`] |
//!
//! A guest that is killed while it holds a lock does not keep it: the host gives it back, and the next to have it is told.
//!
//! # Speed
//!
//! Build with these in `Cargo.toml`: a smaller guest is compiled sooner and started sooner.
//! ```toml
//! [profile.release]
//! lto = "fat"
//! codegen-units = 1
//! panic = "abort"
//! strip = true
//! ```
//! The standard library imports files, clocks and the environment whether a guest uses them or not, and every
//! fresh instance pays for connecting them: about as much as for everything else together. A guest that only
//! computes can do without, see [`bare!`].
#![no_std]

#[cfg(target_os = "wasi")]
mod bare;
mod errors;
mod memory;
mod message;
mod number;
mod pool;
mod queues;
mod values;
mod watching;

pub use wasmpool_guest_macros::task;

pub use self::errors::{OpenError, PutError, TimedOut};
pub use self::memory::SharedMemory;
pub use self::message::Message;
pub use self::number::Numeric;
pub use self::queues::{Messages, PipeEnd, Queue};
pub use self::values::{Array, Lock, LockGuard, Value};
pub use self::watching::{Level, log, progress};

#[doc(hidden)]
pub extern crate alloc;
#[cfg(target_os = "wasi")]
#[doc(hidden)]
pub use bare::Allocator;
#[doc(hidden)]
pub use wit_bindgen;

/// Exports a world that is written in WIT: `world!(path, world, type)`.
///
/// The path is that of a WIT file or a folder of them, from the folder of `Cargo.toml`. The macro makes a module
/// `bindings` with a trait `Guest` for each exported interface, and exports what the type implements.
/// ```
/// use bindings::exports::wasmpool::guests::primes::Guest;
///
/// wasmpool_guest::world!("../../wit", "primes-guest", Primes);
///
/// struct Primes;
///
/// impl Guest for Primes {
///     fn count_primes(start: u64, end: u64) -> u64 {
///         let is_prime = |n: &u64| (2..*n).all(|divisor| n % divisor != 0);
///         (start.max(2)..end).filter(is_prime).map(|_| 1).sum()
///     }
///
///     fn merge_count_primes(a: u64, b: u64) -> u64 {
///         a + b
///     }
///
///     fn count_divisors(n: u64) -> u64 {
///         (1..=n).filter(|divisor| n % divisor == 0).map(|_| 1).sum()
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! world {
    ($path:literal, $world:literal, $guest:ident) => {
        #[allow(unsafe_code, missing_docs, reason = "written by wit-bindgen")]
        mod bindings {
            $crate::wit_bindgen::generate!({
                path: $path,
                world: $world,
                runtime_path: "::wasmpool_guest::wit_bindgen::rt",
            });

            use super::$guest;

            export!($guest);
        }
    };
}

/// Gives a guest what it needs to do without the standard library: an allocator, and a trap for panics.
///
/// Such a guest imports nothing, so a fresh instance of it costs half. What it gives up: a panic traps without a
/// message, and there is no `println!`, no clock and no file.
/// ```
/// #![cfg_attr(target_os = "wasi", no_std)]
///
/// extern crate alloc;
///
/// use alloc::string::String;
///
/// wasmpool_guest::bare!();
///
/// #[wasmpool_guest::task]
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
/// # fn main() {}
/// ```
/// On other targets than WASI it does nothing, so that the guest's tests run where it is built.
#[macro_export]
macro_rules! bare {
    () => {
        #[cfg(target_os = "wasi")]
        #[global_allocator]
        static ALLOCATOR: $crate::Allocator = $crate::Allocator;

        #[cfg(target_os = "wasi")]
        #[panic_handler]
        fn trap(_: &::core::panic::PanicInfo<'_>) -> ! {
            ::core::arch::wasm32::unreachable()
        }
    };
}
