//! Durations, counted in constant memory and told as percentiles.

use std::time::Duration;

use hdrhistogram::Histogram as Buckets;

use crate::report::ItemTimes;

/// Of a percentile, so many digits count: it is at most a hundredth too much.
const DIGITS: u8 = 2;

/// What is longer counts as this, some centuries.
const LONGEST: u64 = i64::MAX as u64;

/// How many times of what length there were.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// In nanoseconds.
    buckets: Buckets<u64>,
    sum: Duration,
    min: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = Buckets::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are apart");
        Self { buckets, sum: Duration::ZERO, min: Duration::MAX, max: Duration::ZERO }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        self.buckets.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST));
        self.sum = self.sum.saturating_add(time);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The figures of all times; none if there were none.
    pub(super) fn times(&self) -> Option<ItemTimes> {
        let mean = self.sum.as_nanos().checked_div(u128::from(self.buckets.len()))?;
        Some(ItemTimes {
            min: self.min,
            p50: self.percentile(50.0),
            p90: self.percentile(90.0),
            p99: self.percentile(99.0),
            max: self.max,
            mean: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
        })
    }

    fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.buckets.value_at_percentile(percent)).clamp(self.min, self.max)
    }
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
    fn a_percentile_is_at_most_a_hundredth_too_much() {
        let found = times((1..=100_000).map(|number| number * 1000));
        for (found, exact) in
            [(found.p50, 50_000_000.0), (found.p90, 90_000_000.0), (found.p99, 99_000_000.0)]
        {
            let excess = found.as_nanos() as f64 / exact - 1.0;
            assert!((0.0..=1.0 / 100.0).contains(&excess), "{found:?} for {exact}");
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
