//! `[local]`: how models on this machine are run.

use std::ops::RangeInclusive;

use super::{At, Value, Walk, units};

/// What `local.threads` may be.
pub(crate) const THREADS: RangeInclusive<u32> = 1..=256;
/// What `local.max_streams` may be.
pub(crate) const MAX_STREAMS: RangeInclusive<u32> = 1..=192;
/// What `local.max_queue` may be.
pub(crate) const MAX_QUEUE: RangeInclusive<u32> = 0..=10_000;

/// `[local]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalTable {
    pub(crate) threads: Option<At<u32>>,
    pub(crate) kv_budget: Option<At<usize>>,
    pub(crate) max_streams: Option<At<u32>>,
    pub(crate) max_queue: Option<At<u32>>,
}

impl Walk<'_> {
    pub(super) fn local(&mut self, value: &Value<'_>) -> LocalTable {
        let mut table = LocalTable::default();
        for (key, value) in self.entries("local", value) {
            let at = format!("local.{key}");
            match key.as_str() {
                "threads" => table.threads = self.whole(&at, value, THREADS),
                "kv_budget" => table.kv_budget = self.text(&at, value, units::size),
                "max_streams" => table.max_streams = self.whole(&at, value, MAX_STREAMS),
                "max_queue" => table.max_queue = self.whole(&at, value, MAX_QUEUE),
                _ => self.unknown_at(&at, value, &["threads", "kv_budget", "max_streams", "max_queue"]),
            }
        }
        table
    }
}
