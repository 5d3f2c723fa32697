//! Everything a guest can do wrong.

use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, io, thread};

use crate::bindings::exports::wasmpool::tests::hostile::Guest;
use crate::{Hostile, files};

/// How much memory grows by at a time.
const PAGE: usize = 64 * 1024;

impl Guest for Hostile {
    fn spin(n: u64) -> u64 {
        spin_unless(n.is_multiple_of(2));
        n
    }

    fn spin_if(n: u64, bad: u64) -> u64 {
        spin_unless(n != bad);
        n
    }

    fn sleep_ms(ms: u64) -> u64 {
        thread::sleep(Duration::from_millis(ms));
        ms
    }

    fn busy(n: u64) -> u64 {
        let rounds = (n & 0xff) * 20_000;
        // Knuth's generator: each round needs the one before, so none can be left out.
        (0..rounds).fold(n, |state, _| {
            black_box(state).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
        })
    }

    fn trap_unreachable(_n: u64) -> u64 {
        process::abort()
    }

    fn trap_odd(n: u64) -> u64 {
        if n.is_multiple_of(2) { n } else { process::abort() }
    }

    fn fail_every(n: u64, k: u64) -> u64 {
        if n.is_multiple_of(k) { process::abort() } else { n }
    }

    fn divide(a: i64, b: i64) -> i64 {
        a / b
    }

    fn overflow_stack(n: u64) -> u64 {
        descend(n)
    }

    fn read_address(address: u32) -> u8 {
        let pointer = std::ptr::with_exposed_provenance::<u8>(address as usize);
        #[expect(unsafe_code, reason = "no safe code leaves its memory")]
        // SAFETY: a byte is aligned anywhere and may have any value, and a volatile read of one outside every
        // allocation does what the machine does with it: here, a trap past the end of memory.
        unsafe {
            pointer.read_volatile()
        }
    }

    fn panic_with(text: String) -> String {
        assert!(text.is_empty(), "{text}");
        text
    }

    fn exit_with(code: u32) -> u32 {
        process::exit(code.cast_signed())
    }

    fn print(text: String) -> u64 {
        write(&mut io::stdout(), text.as_bytes())
    }

    fn print_error(text: String) -> u64 {
        write(&mut io::stderr(), text.as_bytes())
    }

    fn flood_stdout(bytes: u64) -> u64 {
        let piece = [b'x'; 4096];
        let mut left = bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            left -= write(&mut io::stdout(), &piece[..length]);
        }
        bytes
    }

    fn big_result(bytes: u64) -> String {
        "x".repeat(address(bytes))
    }

    fn grow_memory(pages: u32) -> Option<u64> {
        let before = std::arch::wasm32::memory_grow::<0>(pages as usize);
        (before != usize::MAX).then(|| u64::try_from(before).expect("an address has 32 bits"))
    }

    fn touch_memory(bytes: u64) -> u64 {
        let mut memory = Vec::<u8>::with_capacity(address(bytes));
        // Not `vec![0; n]`: fresh memory is zero already, and would not be touched.
        memory.spare_capacity_mut().iter_mut().step_by(PAGE).for_each(|byte| {
            byte.write(1);
        });
        black_box(memory);
        bytes
    }

    fn grow_until_refused(pages: u32) -> u64 {
        while std::arch::wasm32::memory_grow::<0>(pages as usize) != usize::MAX {}
        process::abort()
    }

    fn write_bytes(times: u64) -> u64 {
        (0..times).map(|_| write(&mut io::stdout(), b"x")).sum()
    }

    fn read_clocks() -> (u64, u64, u64) {
        let started = Instant::now();
        (Self::read_clock(), Self::read_clock(), nanoseconds(started.elapsed()))
    }

    fn make_nans(n: u64) -> Vec<u64> {
        // A payload that survives arithmetic on some machines and not on others.
        let nan = black_box(f64::from_bits((f64::NAN.to_bits() ^ (1 << 63)) | (n & 0xff)));
        let infinity = black_box(f64::INFINITY);
        let sums = [nan + 1.0, nan * infinity, infinity + -infinity, 0.0 * infinity, (-infinity).sqrt()];
        sums.map(f64::to_bits).into()
    }

    fn count_calls(_n: u64) -> u64 {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn read_file(path: String) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
    }

    fn try_file(way: String, path: String, other: String) -> String {
        files::attempt(&way, &path, &other).map_or_else(|error| error.to_string(), |()| "done".to_owned())
    }

    fn open_many(path: String, most: u32) -> (u32, String) {
        files::open_many(&path, most)
    }

    fn fill_file(path: String, bytes: u64) -> (u64, String) {
        files::fill(&path, bytes)
    }

    fn read_until(path: String, other: String) -> (u64, u64, u64) {
        files::read_until(&path, &other)
    }

    fn mark(n: u64, marks: u64) -> u64 {
        files::mark(n);
        marks
    }

    fn wait_for_marks(marks: u64) -> u64 {
        files::wait_for_marks(marks)
    }

    fn environment() -> Vec<(String, String)> {
        env::vars().collect()
    }

    fn read_clock() -> u64 {
        nanoseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    fn read_random() -> u64 {
        RandomState::new().hash_one(0)
    }
}

fn spin_unless(good: bool) {
    if !good {
        loop {
            std::hint::spin_loop();
        }
    }
}

/// Uses no memory of its own, so that what ends is the stack of calls.
#[inline(never)]
fn descend(n: u64) -> u64 {
    // What is done with the result has no shortcut, so this is no tail call and no sum.
    if n == u64::MAX { n } else { descend(n + 1).rotate_left(1) ^ n }
}

fn write(stream: &mut impl io::Write, bytes: &[u8]) -> u64 {
    stream.write_all(bytes).and_then(|()| stream.flush()).expect("the stream takes what is written");
    u64::try_from(bytes.len()).expect("an address has 32 bits")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// As an address, of 32 bits; panics if it is none.
fn address(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it fits 32 bits")
}
