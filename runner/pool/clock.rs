//! The clock that times are taken from: monotonic, the same for host and workers.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::state::Nanos;

/// What the monotonic clock shows.
pub(super) fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

impl Nanos {
    /// How long after `earlier` this is; zero if it is not.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
