//! Durations, counted in constant memory and told as percentiles.
//!
//! Buckets are as in an HDR histogram: 32 of equal width between a power of two and the next. So what a percentile
//! says is at most 1/32 too much, from nanoseconds to centuries.

use std::time::Duration;

use crate::report::ItemTimes;

/// A bucket's number has so many bits below the power of two.
const FINE_BITS: u32 = 5;

/// Buckets between two powers of two.
const FINE: usize = 1 << FINE_BITS;

/// One exact bucket for each number below [`FINE`], then [`FINE`] for each power of two that is left.
const BUCKETS: usize = (u64::BITS - FINE_BITS + 1) as usize * FINE;

/// How many times of what length there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    sum: Duration,
    min: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = vec![0; BUCKETS].into_boxed_slice();
        Self { counts, count: 0, sum: Duration::ZERO, min: Duration::MAX, max: Duration::ZERO }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        self.counts[bucket(nanoseconds(time))] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The figures of all times; none if there were none.
    pub(super) fn times(&self) -> Option<ItemTimes> {
        let mean = self.sum.as_nanos().checked_div(u128::from(self.count))?;
        Some(ItemTimes {
            min: self.min,
            p50: self.percentile(50),
            p90: self.percentile(90),
            p99: self.percentile(99),
            max: self.max,
            mean: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
        })
    }

    /// The end of the bucket below which, or in which, so many percent of the times are.
    fn percentile(&self, percent: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        let is_reached = |count: &u64| {
            seen += u128::from(*count);
            seen >= rank
        };
        let bucket = self.counts.iter().position(is_reached).unwrap_or(BUCKETS - 1);
        Duration::from_nanos(last_of(bucket)).clamp(self.min, self.max)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn bucket(number: u64) -> usize {
    // How often the number must be halved to be one of a bucket's width.
    let halvings = (u64::BITS - FINE_BITS - 1).saturating_sub(number.leading_zeros());
    let fine = usize::try_from(number >> halvings).expect("a bit more than `FINE_BITS` is left");
    halvings as usize * FINE + fine
}

/// The largest number of a bucket.
fn last_of(bucket: usize) -> u64 {
    let halvings = (bucket / FINE).saturating_sub(1);
    let first = (bucket - halvings * FINE) as u64;
    (first << halvings) + ((1 << halvings) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(nanoseconds: impl IntoIterator<Item = u64>) -> ItemTimes {
        let mut histogram = Histogram::default();
        nanoseconds.into_iter().for_each(|time| histogram.add(Duration::from_nanos(time)));
        histogram.times().expect("there are times")
    }

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        let mut first = 0_u64;
        for number in 0..BUCKETS {
            let last = last_of(number);
            assert_eq!((bucket(first), bucket(last)), (number, number));
            first = last.wrapping_add(1);
        }
        assert_eq!(first, 0, "the last bucket ends with the largest number");
    }

    #[test]
    fn a_percentile_is_at_most_a_thirty_second_too_much() {
        let found = times((1..=100_000).map(|number| number * 1000));
        for (found, exact) in
            [(found.p50, 50_000_000.0), (found.p90, 90_000_000.0), (found.p99, 99_000_000.0)]
        {
            let excess = found.as_nanos() as f64 / exact - 1.0;
            assert!((0.0..=1.0 / 32.0).contains(&excess), "{found:?} for {exact}");
        }
    }

    #[test]
    fn shortest_longest_and_mean_are_exact() {
        let found = times([1001, 5003, 3002]);
        assert_eq!(
            (found.min, found.max, found.mean),
            (Duration::from_nanos(1001), Duration::from_nanos(5003), Duration::from_nanos(3002))
        );
    }

    #[test]
    fn a_single_time_is_every_percentile() {
        let only = Duration::from_nanos(123_457);
        assert_eq!(
            times([123_457]),
            ItemTimes { min: only, p50: only, p90: only, p99: only, max: only, mean: only }
        );
    }

    #[test]
    fn no_times_have_no_figures() {
        assert_eq!(Histogram::default().times(), None);
    }

    #[test]
    fn what_is_longer_than_can_be_counted_is_counted() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::MAX);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.times().map(|times| times.max), Some(Duration::MAX));
    }
}
