//! The clock of a pool: it shows the time that host and workers share, without the time in which both were stopped.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::state::Nanos;
use crate::clock::monotonic_ns;

/// Every deadline of a pool is a moment of this clock.
#[derive(Debug, Default)]
pub(super) struct Clock(RwLock<Pauses>);

/// When the clock stood still, in the nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Pauses {
    /// Those that are over, in the order of time.
    past: Vec<Pause>,
    /// The start of the one that is on.
    since: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    start: u64,
    end: u64,
    /// How long all earlier ones took.
    before: u64,
}

impl Clock {
    /// What it shows.
    pub(super) fn now(&self) -> Nanos {
        self.at(monotonic_ns())
    }

    /// What it showed when the monotonic clock showed this. Workers write moments of that one down.
    pub(super) fn at(&self, monotonic_ns: u64) -> Nanos {
        // Whoever panicked had changed all of it or nothing.
        Nanos(self.0.read().unwrap_or_else(PoisonError::into_inner).without(monotonic_ns))
    }

    /// Stands still until [`Clock::resume`].
    pub(super) fn pause(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).begin(monotonic_ns());
    }

    /// Goes on.
    pub(super) fn resume(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).end(monotonic_ns());
    }
}

impl Pauses {
    fn begin(&mut self, now: u64) {
        self.since.get_or_insert(now);
    }

    fn end(&mut self, now: u64) {
        if let Some(start) = self.since.take() {
            let before = self.past.last().map_or(0, |pause| pause.before + (pause.end - pause.start));
            self.past.push(Pause { start, end: now.max(start), before });
        }
    }

    /// The moment, less all pauses before it. Within a pause, every moment is its start.
    fn without(&self, moment: u64) -> u64 {
        let moment = self.since.map_or(moment, |since| moment.min(since));
        let started = self.past.partition_point(|pause| pause.start <= moment);
        match self.past[..started].last() {
            None => moment,
            Some(pause) => moment.max(pause.end) - (pause.end - pause.start) - pause.before,
        }
    }
}

impl Nanos {
    /// How long after `earlier` this is; zero if it is not.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With pauses at these times; one without an end is still on.
    fn pauses(times: &[(u64, Option<u64>)]) -> Pauses {
        let mut pauses = Pauses::default();
        for (start, end) in times {
            pauses.begin(*start);
            if let Some(end) = end {
                pauses.end(*end);
            }
        }
        pauses
    }

    #[track_caller]
    fn check(pauses: &Pauses, moments: &[(u64, u64)]) {
        for (moment, expected) in moments {
            assert_eq!(pauses.without(*moment), *expected, "at {moment}");
        }
    }

    #[test]
    fn h4_a_clock_that_never_paused_shows_the_time() {
        check(&pauses(&[]), &[(0, 0), (7, 7), (u64::MAX, u64::MAX)]);
    }

    #[test]
    fn h4_it_stands_still_in_a_pause() {
        check(&pauses(&[(10, None)]), &[(9, 9), (10, 10), (11, 10), (1000, 10)]);
    }

    #[test]
    fn h4_a_pause_is_not_charged() {
        check(&pauses(&[(10, Some(30))]), &[(9, 9), (10, 10), (20, 10), (30, 10), (31, 11), (50, 30)]);
    }

    #[test]
    fn h4_pauses_add_up() {
        let pauses = pauses(&[(10, Some(30)), (40, Some(41)), (50, None)]);
        check(&pauses, &[(5, 5), (25, 10), (35, 15), (40, 20), (41, 20), (45, 24), (50, 29), (99, 29)]);
    }

    #[test]
    fn h4_pauses_may_follow_at_once() {
        check(
            &pauses(&[(10, Some(30)), (30, Some(40))]),
            &[(29, 10), (30, 10), (39, 10), (40, 10), (41, 11)],
        );
    }

    #[test]
    fn h4_an_end_without_a_pause_and_a_pause_in_a_pause_change_nothing() {
        let mut pauses = pauses(&[]);
        pauses.end(5);
        pauses.begin(10);
        pauses.begin(20);
        pauses.end(30);
        check(&pauses, &[(5, 5), (15, 10), (30, 10), (31, 11)]);
    }

    #[test]
    fn h4_moments_keep_their_order() {
        let pauses = pauses(&[(10, Some(30)), (40, Some(41)), (50, None)]);
        let shown: Vec<_> = (0..100).map(|moment| pauses.without(moment)).collect();
        assert!(shown.is_sorted(), "{shown:?}");
    }

    #[test]
    fn h4_a_clock_that_goes_on_goes_on_where_it_stood() {
        let clock = Clock::default();
        let before = clock.now();
        clock.pause();
        let paused = clock.now();
        assert_eq!(clock.now(), paused);
        clock.resume();
        assert!(before <= paused && paused <= clock.now());
        assert!(clock.now() <= Nanos(monotonic_ns()));
    }
}
