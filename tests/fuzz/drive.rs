//! Comes up with bytes: valid input, changed at random. The same seed always gives the same bytes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::memory::peak;
use crate::{MEMORY_FACTOR, Target};

/// The longest bytes that mutations make: behind a frame's worth of them nothing new comes.
const LONGEST: usize = 1 << 16;

/// Numbers at which readers go wrong.
const EDGES: [u64; 9] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// What came of many executions.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How often the target was run.
    pub executions: u64,
    /// How long that took.
    pub took: Duration,
    /// The most memory that an execution had at once, in bytes.
    pub peak: usize,
}

/// A stream of random numbers (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("an address has no more bits");
        usize::try_from(self.draw() % end).expect("it is below an address")
    }

    fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }
}

/// Runs a target so often.
///
/// # Panics
/// If it panics, or takes too much memory; the bytes are told.
#[must_use]
pub fn drive(target: &Target, executions: u64, seed: u64) -> Figures {
    let corpus = (target.corpus)();
    let mut random = Random::new(seed);
    let started = Instant::now();
    let mut most = 0;
    for valid in &corpus {
        most = most.max(execute(target, valid));
    }
    for _ in 0..executions {
        let bytes = mutated(target, &corpus, &mut random);
        most = most.max(execute(target, &bytes));
    }
    Figures { executions, took: started.elapsed(), peak: most }
}

fn execute(target: &Target, bytes: &[u8]) -> usize {
    let name = target.name;
    let run = || peak(|| (target.run)(bytes));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(peak) => {
            let bound = target.memory + MEMORY_FACTOR * bytes.len();
            assert!(peak <= bound, "{name}: {peak} bytes of memory where {bound} are allowed for {bytes:?}");
            peak
        }
        Err(panic) => {
            tell(name, bytes);
            resume_unwind(panic)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the bytes are what is needed to see it again")]
fn tell(name: &str, bytes: &[u8]) {
    eprintln!("{name} fails for {bytes:?}");
}

fn mutated(target: &Target, corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, corpus, random);
    }
    bytes.truncate(LONGEST);
    if let Some(mend) = target.mend
        && random.below(4) > 0
    {
        mend(&mut bytes);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    if bytes.is_empty() {
        return bytes.push(random.byte());
    }
    let at = random.below(bytes.len());
    let length = 1 + random.below((bytes.len() - at).min(32));
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.byte(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + length)),
        4 => bytes.insert(at, random.byte()),
        5 => {
            let again = bytes[at..at + length].repeat(1 + random.below(4));
            bytes.splice(at..at, again);
        }
        6 => {
            let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
            let number = EDGES[random.below(EDGES.len())].to_le_bytes();
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        7 => {
            let other = &corpus[random.below(corpus.len())];
            if !other.is_empty() {
                let from = random.below(other.len());
                let until = from + 1 + random.below(other.len() - from);
                bytes.splice(at..at, other[from..until].iter().copied());
            }
        }
        _ => {
            let other = random.below(bytes.len());
            bytes.swap(at, other);
        }
    }
}
