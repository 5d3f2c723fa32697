//! How many items go into one chunk: measured while the run goes on, because only the guest knows what an item costs.

use std::time::Duration;

use super::sync::{Mutex, lock};

/// What one chunk should take to run.
///
/// Handing a chunk over costs two pipe writes, two wake-ups and a look at the queues: tens of microseconds, about 1 %
/// of 4 ms. Longer chunks gain next to nothing and make the end of a run, where workers run out of work one by one,
/// that much longer.
const TARGET: Duration = Duration::from_millis(4);

/// What the results of one chunk should stay below, so that they fit through a pipe and an outbox in one go.
const MAX_OUTPUT_BYTES: u128 = 256 * 1024;

/// Costs are kept in this part of a nanosecond, or of a byte.
const SCALE: u128 = 1024;

/// An observation counts for one in so many.
///
/// For one observation, not for the number of its items: when items turn from microseconds to seconds, the first one
/// that says so must not drown in the thousands before it. To find out late that items are cheap again costs less.
const MEMORY: u64 = 8;

/// The size of chunks, and what items cost.
///
/// Drivers [observe](Self::observe), the feeder asks for a [suggestion](Self::suggest).
#[derive(Debug)]
pub struct ChunkSize {
    policy: Policy,
    estimate: Mutex<Estimate>,
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    Fixed {
        items: u64,
    },
    Tuned {
        max_items: u64,
    },
    /// Chunks of one item, and none behind one that runs.
    Single,
}

#[derive(Debug)]
struct Estimate {
    /// None before the first observation.
    cost: Option<Cost>,
    /// What is suggested.
    size: u64,
    /// Items seen since `size` last grew.
    seen: u64,
}

/// What one item costs, in units of one `SCALE`th.
#[derive(Clone, Copy, Debug)]
struct Cost {
    nanos: u64,
    output_bytes: u64,
}

impl ChunkSize {
    /// Every chunk has `items` items, at least 1.
    #[must_use]
    pub fn fixed(items: u64) -> Self {
        Self::with_policy(Policy::Fixed { items: items.max(1) })
    }

    /// Chunks of about 4 ms, as far as they are small beside a window of `window_items` items.
    #[must_use]
    pub fn tuned(window_items: u64, n_workers: usize) -> Self {
        // A quarter: each worker has one running, one in its pipe, one in its deque, and one that waits to be emitted.
        let shares = u64::try_from(n_workers).unwrap_or(u64::MAX).saturating_mul(4).max(1);
        Self::with_policy(Policy::Tuned { max_items: (window_items / shares).max(1) })
    }

    /// Every chunk has one item, and none is sent ahead: items wait for each other, and one that is waited for must not
    /// be behind who waits.
    #[must_use]
    pub fn single() -> Self {
        Self::with_policy(Policy::Single)
    }

    fn with_policy(policy: Policy) -> Self {
        let estimate = Estimate { cost: None, size: 1, seen: 0 };
        Self { policy, estimate: Mutex::new(estimate) }
    }

    /// Takes note that `items` items kept a worker busy for `busy` and returned `output_bytes` together.
    pub fn observe(&self, items: u64, busy: Duration, output_bytes: u64) {
        if items == 0 {
            return;
        }
        let observed = Cost {
            nanos: per_item(busy.as_nanos(), items),
            output_bytes: per_item(output_bytes.into(), items),
        };
        let mut estimate = lock(&self.estimate);
        let cost = estimate.cost.map_or(observed, |before| before.towards(observed));
        estimate.cost = Some(cost);
        estimate.seen = estimate.seen.saturating_add(items);
        if let Policy::Tuned { max_items } = self.policy {
            estimate.resize(cost.target().clamp(1, max_items));
        }
    }

    /// How many items the next chunk should have; at least 1.
    #[must_use]
    pub fn suggest(&self) -> u64 {
        match self.policy {
            Policy::Fixed { items } => items,
            Policy::Single => 1,
            Policy::Tuned { .. } => lock(&self.estimate).size,
        }
    }

    /// How long `items` items will keep a worker busy, for drivers that bound what they send ahead by time.
    ///
    /// [`Duration::MAX`] before the first observation: what costs nobody knows how much is not sent ahead. Zero items
    /// take no time even then.
    #[must_use]
    pub fn expected(&self, items: u64) -> Duration {
        if items == 0 {
            return Duration::ZERO;
        }
        if let Policy::Single = self.policy {
            return Duration::MAX;
        }
        let Some(cost) = lock(&self.estimate).cost else {
            return Duration::MAX;
        };
        let nanos = u128::from(cost.nanos) * u128::from(items) / SCALE;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Estimate {
    /// Shrinks at once, but doubles at most, and only after as many items as a chunk has were seen: what few items
    /// cost says little about many.
    fn resize(&mut self, target: u64) {
        if target <= self.size {
            self.size = target;
        } else if self.seen >= self.size {
            self.size = target.min(self.size.saturating_mul(2));
            self.seen = 0;
        }
    }
}

impl Cost {
    fn towards(self, observed: Self) -> Self {
        let blend = |before: u64, now: u64| before - before / MEMORY + now / MEMORY;
        Self {
            nanos: blend(self.nanos, observed.nanos),
            output_bytes: blend(self.output_bytes, observed.output_bytes),
        }
    }

    /// How many items take as long, or return as much, as a chunk should.
    fn target(self) -> u64 {
        let by_time = TARGET.as_nanos() * SCALE / u128::from(self.nanos.max(1));
        let by_output = MAX_OUTPUT_BYTES * SCALE / u128::from(self.output_bytes.max(1));
        u64::try_from(by_time.min(by_output)).unwrap_or(u64::MAX)
    }
}

/// A sum over `items` items, which are some, as a cost of one.
fn per_item(sum: u128, items: u64) -> u64 {
    u64::try_from(sum.saturating_mul(SCALE) / u128::from(items)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: u64 = 1 << 40;

    /// What is suggested after the suggested number of items was run `rounds` times.
    fn settled(size: &ChunkSize, rounds: u32, cost: Duration, output_bytes: u64) -> u64 {
        for _ in 0..rounds {
            let items = size.suggest();
            let busy = Duration::from_nanos(u64::try_from(cost.as_nanos()).expect("costs are small") * items);
            size.observe(items, busy, output_bytes * items);
        }
        size.suggest()
    }

    #[test]
    fn single_items_are_never_sent_ahead() {
        let size = ChunkSize::single();
        size.observe(1_000, Duration::from_micros(1), 0);
        assert_eq!((size.suggest(), size.expected(0), size.expected(1)), (1, Duration::ZERO, Duration::MAX));
    }

    #[test]
    fn nothing_is_known_before_the_first_observation() {
        let size = ChunkSize::tuned(WIDE, 4);
        assert_eq!(size.suggest(), 1);
        assert_eq!(size.expected(1), Duration::MAX);
        assert_eq!(size.expected(0), Duration::ZERO);
    }

    #[test]
    fn a_chunk_comes_to_last_four_milliseconds() {
        let items = settled(&ChunkSize::tuned(WIDE, 4), 100, Duration::from_micros(1), 0);
        assert!((3_990..=4_010).contains(&items), "{items} of 1 µs");
    }

    #[test]
    fn items_longer_than_the_target_travel_alone() {
        assert_eq!(settled(&ChunkSize::tuned(WIDE, 4), 100, Duration::from_millis(90), 0), 1);
    }

    #[test]
    fn the_size_doubles_only_after_as_many_items_were_seen() {
        let size = ChunkSize::tuned(WIDE, 4);
        let suggested: Vec<_> = (0..8)
            .map(|_| {
                size.observe(1, Duration::from_nanos(10), 0);
                size.suggest()
            })
            .collect();
        assert_eq!(suggested, [2, 2, 4, 4, 4, 4, 8, 8]);
    }

    #[test]
    fn the_size_shrinks_at_once_when_items_get_dear() {
        let size = ChunkSize::tuned(WIDE, 4);
        settled(&size, 100, Duration::from_micros(1), 0);
        size.observe(1, Duration::from_secs(1), 0);
        assert_eq!(size.suggest(), 1);
    }

    #[test]
    fn one_dear_item_is_forgotten() {
        let size = ChunkSize::tuned(WIDE, 4);
        size.observe(1, Duration::from_secs(10), 0);
        assert!(settled(&size, 200, Duration::from_micros(1), 0) > 3_000);
    }

    #[test]
    fn large_outputs_make_small_chunks() {
        assert_eq!(settled(&ChunkSize::tuned(WIDE, 4), 100, Duration::from_nanos(1), 60 * 1024), 4);
    }

    #[test]
    fn a_chunk_is_small_beside_the_window() {
        assert_eq!(settled(&ChunkSize::tuned(1_600, 4), 100, Duration::ZERO, 0), 100);
        assert_eq!(settled(&ChunkSize::tuned(3, 64), 100, Duration::ZERO, 0), 1);
    }

    #[test]
    fn a_fixed_size_stays_and_costs_are_still_learned() {
        let size = ChunkSize::fixed(17);
        assert_eq!(settled(&size, 1, Duration::from_micros(5), 0), 17);
        assert_eq!(size.expected(3), Duration::from_micros(15));
    }

    proptest! {
        #[test]
        fn the_size_stays_within_its_bounds(observations in proptest::collection::vec((0..100_000_u64, any::<u64>(), any::<u64>()), 0..200)) {
            let size = ChunkSize::tuned(8_000, 2);
            let mut n_seen = 0;
            for (items, nanos, output_bytes) in observations {
                size.observe(items, Duration::from_nanos(nanos), output_bytes);
                n_seen += items;
                prop_assert!((1..=1_000.min(n_seen + 1)).contains(&size.suggest()));
            }
        }
    }
}
