//! A token bucket in whole numbers: no rounding lets anything through early, however odd the rate.

use std::{num::NonZeroU32, time::Duration};

/// What one unit weighs inside: a rate of N a minute then brings exactly N of these in a nanosecond.
const UNIT: i128 = 60_000_000_000;

/// Holds at most a minute's worth and fills evenly. It may owe, and then fills from below zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_minute: i128,
    /// What was in it `at` that time, in parts of [`UNIT`].
    level: i128,
    at: Duration,
}

impl Bucket {
    pub(super) fn full(per_minute: NonZeroU32, now: Duration) -> Self {
        let per_minute = i128::from(per_minute.get());
        Self {
            per_minute,
            level: per_minute * UNIT,
            at: now,
        }
    }

    /// The same bucket at another rate: what is in it stays, as far as it fits.
    pub(super) fn with_rate(self, per_minute: NonZeroU32, now: Duration) -> Self {
        let new = Self::full(per_minute, now);
        Self {
            level: self.level(now).min(new.level),
            ..new
        }
    }

    /// When this cost can be taken, if nothing else is before. What costs more than the bucket holds waits until it is
    /// full.
    pub(super) fn ready_at(&self, cost: u64, now: Duration) -> Duration {
        let lacking = (i128::from(cost).min(self.per_minute)) * UNIT - self.level(now);
        if lacking <= 0 {
            return now;
        }
        // Rounded up: at that time it is there.
        let nanos = (lacking - 1) / self.per_minute + 1;
        now.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Takes it, whether it is there or not.
    pub(super) fn take(&mut self, cost: u64, now: Duration) {
        self.level = self.level(now) - i128::from(cost) * UNIT;
        self.at = now;
    }

    /// Replaces what was taken by what it turned out to be. A correction makes no debt above a minute's worth: the
    /// number is a stranger's.
    pub(super) fn correct(&mut self, taken: u64, actual: u64, now: Duration) {
        let level = self.level(now);
        let corrected = level + (i128::from(taken) - i128::from(actual)) * UNIT;
        let floor = level.min(-self.capacity());
        self.level = corrected.clamp(floor, self.capacity());
        self.at = now;
    }

    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.level(now) >= self.capacity()
    }

    fn level(&self, now: Duration) -> i128 {
        let passed = i128::try_from(now.saturating_sub(self.at).as_nanos()).unwrap_or(i128::MAX);
        let filled = passed.saturating_mul(self.per_minute).saturating_add(self.level);
        filled.min(self.capacity())
    }

    fn capacity(&self) -> i128 {
        self.per_minute * UNIT
    }
}
