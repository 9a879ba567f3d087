//! What a call measures on the way, for its log line and its endpoint's budget: how long the first token took, how evenly
//! the others came, what it cost. The memory is fixed, and a delta costs a few nanoseconds.
//!
//! Tokens are counted by the server or not at all. A delta is what times are taken of: text, reasoning, a refusal or a
//! piece of a tool call. Deltas that came in one read came at one time, since that is how the reader got them.

use std::time::Duration;

use aurora_chat::{Delta, Usage};

/// The width of the narrowest buckets, in microseconds.
const UNIT_US: u64 = 125;

/// Each power of two is cut into as many buckets, so that a gap is known to within a sixteenth.
const CUTS: u64 = 8;

/// Enough for gaps of two minutes; longer ones count as that, but for the longest, which is kept.
const BUCKETS: usize = 144;

/// The measures of one call so far.
#[derive(Debug)]
pub(crate) struct Measure {
    bytes: u64,
    first: Option<Duration>,
    last: Option<Duration>,
    gaps: Gaps,
    usage: Option<Usage>,
}

/// How long after one another deltas came: a histogram whose buckets grow with the gap.
#[derive(Debug)]
struct Gaps {
    counts: [u32; BUCKETS],
    total: u64,
    longest: Duration,
}

impl Measure {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: 0,
            first: None,
            last: None,
            gaps: Gaps {
                counts: [0; BUCKETS],
                total: 0,
                longest: Duration::ZERO,
            },
            usage: None,
        }
    }

    /// Another attempt begins: what the one before it cost is not its cost.
    pub(crate) fn begin_attempt(&mut self) {
        self.usage = None;
    }

    /// This many bytes of a body were read.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// These deltas came in one read.
    pub(crate) fn deltas(&mut self, deltas: &[Delta], now: Duration) {
        let mut came = 0;
        for delta in deltas {
            match delta {
                Delta::Text(_) | Delta::Reasoning(_) | Delta::Refusal(_) | Delta::ToolCall(_) => came += 1,
                Delta::Usage(usage) => self.usage = Some(*usage),
                Delta::Logprobs(_) | Delta::Finish(_) => {}
            }
        }
        if came == 0 {
            return;
        }
        match self.last {
            Some(last) => self.gaps.add(now.saturating_sub(last), 1),
            None => self.first = Some(now),
        }
        self.gaps.add(Duration::ZERO, came - 1);
        self.last = Some(now);
    }

    /// What the attempt has cost in tokens, prompt and answer, if the server has said so.
    pub(crate) fn tokens(&self) -> Option<u64> {
        self.usage
            .map(|usage| usage.input_tokens.saturating_add(usage.output_tokens))
    }

    /// The bytes of all bodies, as they came off the wire.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the first delta came, since the call began.
    pub(crate) fn first(&self) -> Option<Duration> {
        self.first
    }

    /// What the server has counted.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The gap that this share of all gaps does not exceed, to within a sixteenth; `None` if there was no gap.
    pub(crate) fn gap(&self, share: f64) -> Option<Duration> {
        self.gaps.quantile(share)
    }

    /// The longest gap, exactly.
    pub(crate) fn longest_gap(&self) -> Option<Duration> {
        (self.gaps.total > 0).then_some(self.gaps.longest)
    }

    /// Tokens of answer a second from the first delta to the last; `None` where that says nothing.
    pub(crate) fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.usage?.output_tokens;
        let time = self.last?.checked_sub(self.first?)?.as_secs_f64();
        // The first token's own time is not in the interval, so it is not counted either.
        (tokens > 1 && time > 0.0).then(|| (tokens - 1) as f64 / time)
    }
}

impl Gaps {
    fn add(&mut self, gap: Duration, times: u32) {
        let count = &mut self.counts[bucket(gap)];
        *count = count.saturating_add(times);
        self.total += u64::from(times);
        self.longest = self.longest.max(gap);
    }

    fn quantile(&self, share: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        // Full counts add up to less than the total, and then it is one of the longest.
        Some(middle(bucket.unwrap_or(BUCKETS - 1)).min(self.longest))
    }
}

/// Up to twice [`CUTS`] units a bucket is one unit wide; then they get wider with every power of two.
fn bucket(gap: Duration) -> usize {
    let units = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX) / UNIT_US;
    let index = match units.checked_ilog2() {
        Some(power) if units >= CUTS => {
            let shift = power - CUTS.ilog2();
            u64::from(shift) * CUTS + (units >> shift)
        }
        _ => units,
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The middle of a bucket; that of the first is nothing, for deltas that came together.
fn middle(bucket: usize) -> Duration {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    let shift = (bucket / CUTS).saturating_sub(1);
    let from = (bucket - shift * CUTS) << shift;
    let half = match bucket {
        0 => 0,
        _ => (UNIT_US << shift) / 2,
    };
    Duration::from_micros(from * UNIT_US + half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn text() -> Delta {
        Delta::Text("x".into())
    }

    #[test]
    fn an_answer_is_measured() {
        let mut measure = Measure::new();
        assert_eq!(
            (
                measure.gap(0.5),
                measure.longest_gap(),
                measure.tokens_per_second()
            ),
            (None, None, None)
        );
        measure.read(100);
        measure.deltas(&[], ms(50));
        measure.deltas(&[text()], ms(100));
        for n in 1..=98 {
            measure.deltas(&[text()], ms(100 + 10 * n));
        }
        measure.deltas(&[text(), text()], ms(1480));
        let usage = Usage {
            input_tokens: 7,
            output_tokens: 139,
            ..Usage::default()
        };
        measure.deltas(&[Delta::Usage(usage)], ms(9999));
        assert_eq!(
            (measure.first(), measure.bytes(), measure.tokens()),
            (Some(ms(100)), 100, Some(146))
        );
        let p50 = measure.gap(0.5).unwrap();
        assert!(p50 > ms(10) * 15 / 16 && p50 < ms(10) * 17 / 16, "{p50:?}");
        assert_eq!(measure.gap(0.01), Some(Duration::ZERO), "two came together");
        assert!(
            measure
                .gap(1.0)
                .is_some_and(|gap| gap > ms(400) * 15 / 16 && gap <= ms(400))
        );
        assert_eq!(measure.longest_gap(), Some(ms(400)));
        assert_eq!(measure.tokens_per_second().map(f64::round), Some(100.0));
        measure.begin_attempt();
        assert_eq!(measure.tokens(), None);
    }

    #[test]
    fn one_delta_has_no_gap_and_no_speed() {
        let mut measure = Measure::new();
        measure.deltas(&[text()], ms(1));
        let usage = Usage {
            output_tokens: 5,
            ..Usage::default()
        };
        measure.deltas(&[Delta::Usage(usage)], ms(2));
        assert_eq!((measure.gap(0.99), measure.tokens_per_second()), (None, None));
    }

    #[test]
    fn buckets_are_in_order_and_without_holes() {
        let mut last = 0;
        for units in 0..100_000 {
            let index = bucket(Duration::from_micros(units * UNIT_US));
            assert!(index == last || index == last + 1, "{units}: {last}, {index}");
            last = index;
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket(ms(120_000)), BUCKETS - 2);
    }

    proptest! {
        #[test]
        fn a_gap_is_known_to_within_a_sixteenth(micros in 1000_u64..120_000_000) {
            let gap = Duration::from_micros(micros);
            let found = middle(bucket(gap));
            prop_assert!(found.abs_diff(gap) <= gap / 16, "{gap:?}: {found:?}");
        }
    }
}
