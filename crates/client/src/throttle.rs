//! Fewer, larger deltas for consumers that pay by the delta: text that comes within a window is merged. The first delta
//! is never delayed, nothing is lost, and bytes and order stay what they were.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use aurora_chat::{Delta, Update};
use futures_core::Stream;
use tokio::time::{Instant, Sleep};

/// The most text that is held back: more is passed on at once.
const MAX_HELD: usize = 64 << 10;

/// Merges the text deltas of a source that come within `window` of the last one passed on. Text that comes after a
/// pause is passed on at once; whatever is not text is too, after the text before it.
#[derive(Debug)]
pub struct Throttle<S> {
    source: S,
    merge: Merge,
    /// Wakes the consumer's task when held text is due.
    timer: Option<Pin<Box<Sleep>>>,
    begun: Option<Instant>,
    /// The source has given its last update.
    over: bool,
}

impl<S> Throttle<S> {
    /// A window of zero merges nothing.
    #[must_use]
    pub fn new(source: S, window: Duration) -> Self {
        Self {
            source,
            merge: Merge::new(window),
            timer: None,
            begun: None,
            over: false,
        }
    }

    /// The source, as far as it was read: what it gave may still be held back here.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The source, to be told something; reading from it directly would take updates out of their order.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

impl<S: Stream<Item = Update> + Unpin> Stream for Throttle<S> {
    type Item = Update;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let this = self.get_mut();
        let begun = *this.begun.get_or_insert_with(Instant::now);
        loop {
            if let Some(update) = this.merge.poll(begun.elapsed()) {
                return Poll::Ready(Some(update));
            }
            if this.over {
                return Poll::Ready(None);
            }
            match Pin::new(&mut this.source).poll_next(cx) {
                Poll::Ready(Some(update)) => this.merge.push(update, begun.elapsed()),
                Poll::Ready(None) => {
                    this.over = true;
                    this.merge.flush();
                }
                Poll::Pending => {
                    // A window too long to be expressed ends with the next update that is not text.
                    let Some(at) = this.merge.due().and_then(|due| begun.checked_add(due)) else {
                        return Poll::Pending;
                    };
                    let timer = this
                        .timer
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
                    if timer.deadline() != at {
                        timer.as_mut().reset(at);
                    }
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // The timer is no finer than a millisecond: due is due, whatever the clock says.
                    this.merge.flush();
                }
            }
        }
    }
}

/// The rules, without a clock: `now` counts from any beginning.
#[derive(Debug)]
struct Merge {
    window: Duration,
    held: Option<Delta>,
    ready: VecDeque<Update>,
    /// When text was last passed on.
    passed: Option<Duration>,
}

impl Merge {
    fn new(window: Duration) -> Self {
        Self {
            window,
            held: None,
            ready: VecDeque::new(),
            passed: None,
        }
    }

    fn push(&mut self, update: Update, now: Duration) {
        let delta = match update {
            Update::Delta(delta @ (Delta::Text(_) | Delta::Reasoning(_))) => delta,
            other => {
                self.flush();
                return self.ready.push_back(other);
            }
        };
        match (&mut self.held, &delta) {
            (Some(Delta::Text(held)), Delta::Text(text))
            | (Some(Delta::Reasoning(held)), Delta::Reasoning(text)) => held.push_str(text),
            _ => {
                self.flush();
                self.held = Some(delta);
            }
        }
        let due = self.due().is_none_or(|due| due <= now);
        let full =
            matches!(&self.held, Some(Delta::Text(held) | Delta::Reasoning(held)) if held.len() >= MAX_HELD);
        if due || full {
            self.passed = Some(now);
            self.flush();
        }
    }

    fn poll(&mut self, now: Duration) -> Option<Update> {
        if self.ready.is_empty() && self.due().is_some_and(|due| due <= now) {
            self.passed = Some(now);
            self.flush();
        }
        self.ready.pop_front()
    }

    /// When held text is to be passed on.
    fn due(&self) -> Option<Duration> {
        self.held.as_ref()?;
        Some(
            self.passed
                .map_or(Duration::ZERO, |passed| passed.saturating_add(self.window)),
        )
    }

    fn flush(&mut self) {
        self.ready.extend(self.held.take().map(Update::Delta));
    }
}

#[cfg(test)]
mod tests {
    use aurora_chat::{End, FinishReason};
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn text(text: &str) -> Update {
        Update::Delta(Delta::Text(text.into()))
    }

    fn drain(merge: &mut Merge, now: Duration) -> Vec<Update> {
        std::iter::from_fn(|| merge.poll(now)).collect()
    }

    #[test]
    fn the_first_is_at_once_and_a_window_is_merged() {
        let mut merge = Merge::new(ms(50));
        merge.push(text("a"), ms(5));
        assert_eq!(drain(&mut merge, ms(5)), [text("a")]);
        for (at, piece) in [(10, "b"), (20, "c"), (30, "d")] {
            merge.push(text(piece), ms(at));
            assert_eq!(drain(&mut merge, ms(at)), []);
        }
        assert_eq!(merge.due(), Some(ms(55)));
        assert_eq!(drain(&mut merge, ms(55)), [text("bcd")]);
        merge.push(text("e"), ms(200));
        assert_eq!(
            drain(&mut merge, ms(200)),
            [text("e")],
            "after a pause nothing waits"
        );
    }

    #[test]
    fn what_is_not_text_waits_for_nothing_but_its_turn() {
        let mut merge = Merge::new(ms(50));
        let end = Update::End(End::finished(None));
        let thought = Update::Delta(Delta::Reasoning("hm".into()));
        for update in [text("a"), text("b"), thought.clone(), end.clone()] {
            merge.push(update, ms(1));
        }
        assert_eq!(drain(&mut merge, ms(1)), [text("a"), text("b"), thought, end]);
        assert_eq!(merge.due(), None);
    }

    #[test]
    fn held_text_is_bounded() {
        let mut merge = Merge::new(ms(50));
        merge.push(text("a"), ms(1));
        merge.push(text(&"x".repeat(MAX_HELD)), ms(1));
        assert_eq!(drain(&mut merge, ms(1)).len(), 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_moved(
            steps in proptest::collection::vec((0_u8..4, "[a-zß]{1,3}", 0_u64..40), 0..40),
            window in 0_u64..60,
        ) {
            /// Text joined as a consumer joins it: the same before and after.
            fn joined(updates: &[Update]) -> Vec<Update> {
                let mut merge = Merge::new(Duration::MAX);
                merge.passed = Some(Duration::ZERO);
                updates.iter().for_each(|update| merge.push(update.clone(), Duration::ZERO));
                merge.flush();
                drain(&mut merge, Duration::ZERO)
            }
            let mut merge = Merge::new(ms(window));
            let (mut given, mut got, mut now) = (Vec::new(), Vec::new(), 0);
            for (kind, piece, pause) in steps {
                now += pause;
                let update = match kind {
                    0 => Update::Delta(Delta::Reasoning(piece)),
                    1 => Update::Delta(Delta::Finish(FinishReason::Other(piece))),
                    _ => text(&piece),
                };
                given.push(update.clone());
                merge.push(update, ms(now));
                got.extend(drain(&mut merge, ms(now)));
                prop_assert!(merge.due().is_none_or(|due| due <= ms(now + window)));
            }
            merge.flush();
            got.extend(drain(&mut merge, ms(now)));
            prop_assert_eq!(joined(&got), joined(&given));
        }
    }
}
