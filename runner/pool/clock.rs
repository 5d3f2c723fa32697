//! The host's times: moments of the clock that it shares with its workers.

use std::time::Duration;

use super::state::Nanos;
use crate::clock::monotonic_ns;

/// What the monotonic clock shows.
pub(super) fn now() -> Nanos {
    Nanos(monotonic_ns())
}

impl Nanos {
    /// How long after `earlier` this is; zero if it is not.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
