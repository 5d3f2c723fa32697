//! Clocks that stand still and random numbers that come from a seed, for runs that are to be the same every time.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use blake3::{Hasher, OutputReader};
use rand_core::TryRng;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::item::ItemIndex;

/// What the wall clock shows: 2000-01-01 00:00:00 UTC.
const WALL: Duration = Duration::from_secs(946_684_800);

/// What the monotonic clock shows: an hour, so that a guest may look some time back.
const MONOTONIC: Duration = Duration::from_secs(3600);

/// What the hash is for, so that it is no hash of anything else.
const CONTEXT: &str = "wasmpool 2026-11 random numbers of an item";

/// All that random numbers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chance {
    /// The run's.
    pub(super) seed: u64,
    /// The item.
    pub(super) item: ItemIndex,
    /// The place of the function that is called.
    pub(super) export: usize,
}

/// What random numbers are for: each has its own.
#[derive(Clone, Copy, Debug)]
enum Use {
    Secure,
    Insecure,
    Seed,
}

impl Chance {
    /// Makes the guest's clocks and random numbers those of this item, in every run.
    pub(super) fn fix(self, wasi: &mut WasiCtxBuilder) {
        let mut seed = [0; 16];
        self.stream(Use::Seed).0.fill(&mut seed);
        wasi.wall_clock(StoppedWall)
            .monotonic_clock(StoppedMonotonic)
            .secure_random(self.stream(Use::Secure))
            .insecure_random(self.stream(Use::Insecure))
            .insecure_random_seed(u128::from_le_bytes(seed));
    }

    fn stream(self, purpose: Use) -> Stream {
        let purpose = match purpose {
            Use::Secure => 0_u8,
            Use::Insecure => 1,
            Use::Seed => 2,
        };
        let mut hasher = Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&self.item.to_le_bytes());
        hasher.update(&(self.export as u64).to_le_bytes());
        hasher.update(&[purpose]);
        Stream(hasher.finalize_xof())
    }
}

/// Bytes without end, all of them decided by a [`Chance`].
struct Stream(OutputReader);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.0.position()).finish()
    }
}

impl Stream {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

/// A wall clock that stands still.
#[derive(Debug)]
struct StoppedWall;

impl HostWallClock for StoppedWall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        WALL
    }
}

/// A monotonic clock that stands still. Who sleeps sleeps for as long as ever, and it is no later then.
#[derive(Debug)]
struct StoppedMonotonic;

impl HostMonotonicClock for StoppedMonotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(MONOTONIC.as_nanos()).expect("an hour is few nanoseconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(chance: Chance, purpose: Use) -> [u8; 8] {
        chance.stream(purpose).take()
    }

    #[test]
    fn whatever_an_item_is_makes_other_numbers() {
        let chance = Chance { seed: 1, item: 2, export: 3 };
        let others = [
            bytes(chance, Use::Secure),
            bytes(chance, Use::Insecure),
            bytes(chance, Use::Seed),
            bytes(Chance { seed: 2, ..chance }, Use::Secure),
            bytes(Chance { item: 3, ..chance }, Use::Secure),
            bytes(Chance { export: 4, ..chance }, Use::Secure),
        ];
        let distinct: std::collections::HashSet<_> = others.iter().collect();
        assert_eq!(distinct.len(), others.len());
    }

    #[test]
    fn the_numbers_of_an_item_do_not_depend_on_how_they_are_taken() {
        let chance = Chance { seed: 7, item: 0, export: 0 };
        let mut whole = [0; 24];
        chance.stream(Use::Secure).0.fill(&mut whole);
        let mut pieces = chance.stream(Use::Secure);
        let taken = [pieces.take::<3>().as_slice(), &pieces.take::<20>(), &pieces.take::<1>()].concat();
        assert_eq!(taken, whole);
    }

    /// Recorded runs rely on it.
    #[test]
    fn the_numbers_of_a_seed_stay_what_they_are() {
        let numbers = bytes(Chance { seed: 0, item: 0, export: 0 }, Use::Secure);
        assert_eq!(u64::from_le_bytes(numbers), 4_002_664_067_259_409_816);
    }
}
