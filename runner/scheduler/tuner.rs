//! How many items go into one chunk: measured while the run goes on, because only the guest knows what an item costs.

use std::time::Duration;

use super::sync::{Mutex, lock};

/// What one chunk should take to run.
///
/// Handing a chunk over costs two pipe writes, two wake-ups and a look at the queues, together some 20 to 40 µs; that
/// is below 1 % of 4 ms. Longer chunks gain next to nothing and make the end of a run, where workers run out of work
/// one by one, that much longer.
const TARGET: Duration = Duration::from_millis(4);

/// What the results of one chunk should stay below, so that they fit through a pipe and an outbox in one go.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024;

/// After so many observations the sums are halved, so that old ones fade.
const MEMORY: u32 = 32;

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
    Fixed { items: u64 },
    Tuned { max_items: u64 },
}

/// Sums over the last observations.
#[derive(Debug)]
struct Estimate {
    items: u64,
    nanos: u64,
    output_bytes: u64,
    n_observations: u32,
    /// What is suggested.
    size: u64,
    /// Items seen since `size` last grew.
    seen: u64,
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

    fn with_policy(policy: Policy) -> Self {
        let estimate = Estimate { items: 0, nanos: 0, output_bytes: 0, n_observations: 0, size: 1, seen: 0 };
        Self { policy, estimate: Mutex::new(estimate) }
    }

    /// Takes note that `items` items kept a worker busy for `busy` and returned `output_bytes` together.
    pub fn observe(&self, items: u64, busy: Duration, output_bytes: u64) {
        if items == 0 {
            return;
        }
        let mut estimate = lock(&self.estimate);
        estimate.add(items, busy, output_bytes);
        if let Policy::Tuned { max_items } = self.policy {
            estimate.resize(max_items);
        }
    }

    /// How many items the next chunk should have; at least 1.
    #[must_use]
    pub fn suggest(&self) -> u64 {
        match self.policy {
            Policy::Fixed { items } => items,
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
        let estimate = lock(&self.estimate);
        if estimate.items == 0 {
            return Duration::MAX;
        }
        let nanos = u128::from(estimate.nanos) * u128::from(items) / u128::from(estimate.items);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Estimate {
    fn add(&mut self, items: u64, busy: Duration, output_bytes: u64) {
        if self.n_observations == MEMORY {
            self.items /= 2;
            self.nanos /= 2;
            self.output_bytes /= 2;
            self.n_observations /= 2;
        }
        self.n_observations += 1;
        self.items = self.items.saturating_add(items);
        self.nanos = self.nanos.saturating_add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
        self.output_bytes = self.output_bytes.saturating_add(output_bytes);
        self.seen = self.seen.saturating_add(items);
    }

    /// Shrinks at once, but doubles at most, and only after as many items as a chunk has were seen: what few items
    /// cost says little about many.
    fn resize(&mut self, max_items: u64) {
        let target = self.target().clamp(1, max_items);
        if target <= self.size {
            self.size = target;
        } else if self.seen >= self.size {
            self.size = target.min(self.size.saturating_mul(2));
            self.seen = 0;
        }
    }

    /// How many items take as long, and return as much, as a chunk should.
    fn target(&self) -> u64 {
        let share = |whole: u128, sum: u64| whole * u128::from(self.items) / u128::from(sum.max(1));
        let by_time = share(TARGET.as_nanos(), self.nanos);
        let by_output = share(u128::from(MAX_OUTPUT_BYTES), self.output_bytes);
        u64::try_from(by_time.min(by_output)).unwrap_or(u64::MAX)
    }
}
