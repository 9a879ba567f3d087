//! The time of one call: how long it has run, with a laptop's sleep counted and without the jumps of a clock that is
//! set back.

use std::time::{Duration, Instant, SystemTime};

/// Counts from 0 at its creation, and never goes back.
///
/// The monotonic clock stands still while the machine sleeps (Linux and macOS), the wall clock can be set. Between two
/// readings the larger of both advances counts: sleep is seen by the wall clock, and a wall clock that is set back is
/// outvoted. One that is set forward is taken for sleep, which nothing here can tell from it.
#[derive(Debug)]
pub(crate) struct Clock {
    elapsed: Duration,
    steady: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            elapsed: Duration::ZERO,
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Time since the start.
    pub(crate) fn now(&mut self) -> Duration {
        self.advance(Instant::now(), SystemTime::now())
    }

    fn advance(&mut self, steady: Instant, wall: SystemTime) -> Duration {
        let by_steady = steady.saturating_duration_since(self.steady);
        let by_wall = wall.duration_since(self.wall).unwrap_or_default();
        self.steady = steady;
        self.wall = wall;
        self.elapsed += by_steady.max(by_wall);
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_counts_and_a_clock_set_back_does_not() {
        let second = Duration::from_secs(1);
        let mut clock = Clock::start();
        let (steady, wall) = (clock.steady, clock.wall);
        assert_eq!(clock.advance(steady + second, wall + second), second);
        // An hour of sleep: the monotonic clock saw none of it.
        assert_eq!(
            clock.advance(steady + second, wall + 3601 * second),
            3601 * second
        );
        // The wall clock is set back by a day while a second passes.
        assert_eq!(
            clock.advance(steady + 2 * second, wall - 86_400 * second),
            3602 * second
        );
        assert_eq!(
            clock.advance(steady + 3 * second, wall - 86_399 * second),
            3603 * second
        );
    }
}
