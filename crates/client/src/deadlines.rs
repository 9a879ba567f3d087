//! Which deadline passes next: the rules of [`Deadlines`], without a clock.

use std::time::Duration;

use aurora_chat::Deadline;

use crate::Deadlines;

/// Where a call stands, as far as deadlines care. Times count from the beginning of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The request was sent, or is being sent.
    Headers { sent_at: Duration },
    /// The response's body is being read.
    Body {
        sent_at: Duration,
        head_at: Duration,
        heard: bool,
        last_byte: Option<Duration>,
    },
    /// Between two attempts, or within an error response: only the whole call's deadline holds.
    Pause,
    /// Nothing can pass any more.
    Over,
}

impl Phase {
    /// The deadline that passes next, and when. Of two at the same time the earlier phase's is named.
    pub(crate) fn next(self, deadlines: &Deadlines) -> Option<(Duration, Deadline)> {
        let after = |from: Duration, limit: Option<Duration>, deadline| {
            limit.map(|limit| (from.saturating_add(limit), deadline))
        };
        let total = after(Duration::ZERO, deadlines.total, Deadline::Total);
        let (first, second) = match self {
            // The connection's own deadline is the connector's to keep: only it knows when the connection stands.
            Self::Headers { sent_at } => (
                after(sent_at, deadlines.headers, Deadline::Headers),
                after(sent_at, deadlines.first_event, Deadline::FirstEvent),
            ),
            Self::Body {
                sent_at,
                head_at,
                heard,
                last_byte,
            } => {
                // Before the first byte the first event's deadline holds, which is the longer one as a rule. Without
                // it a server that falls silent after the head would be waited for without an end.
                let idle_from = last_byte.or(deadlines.first_event.is_none().then_some(head_at));
                (
                    after(sent_at, deadlines.first_event, Deadline::FirstEvent).filter(|_| !heard),
                    idle_from.and_then(|at| after(at, deadlines.idle, Deadline::Idle)),
                )
            }
            Self::Pause => (None, None),
            Self::Over => return None,
        };
        [first, second, total]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

impl Deadlines {
    /// What a passed deadline is told as: what did not happen, and within which time. What would allow more is for the
    /// program to say: its user and the client of a server built on this crate have different means. `before` is why
    /// the attempt before it failed, if it was a retry.
    pub(crate) fn message(&self, deadline: Deadline, before: Option<&str>) -> String {
        let (limit, what) = match deadline {
            Deadline::Connect => (self.connect, "no connection"),
            Deadline::Headers => (self.headers, "no response headers"),
            Deadline::FirstEvent => (self.first_event, "no first event"),
            Deadline::Idle => (self.idle, "not a byte from the server"),
            Deadline::Total => (self.total, "no end of the call"),
        };
        let limit = limit.unwrap_or_default();
        let mut message = format!("{what} within {limit:?}");
        if let Some(before) = before {
            message += &format!(" (an attempt before had failed: {before})");
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_next_deadline_of_each_phase() {
        let defaults = Deadlines::default();
        let bounded = Deadlines {
            total: Some(secs(50)),
            ..defaults
        };
        let slow_headers = Deadlines {
            headers: Some(secs(200)),
            ..defaults
        };
        let no_first_event = Deadlines {
            first_event: None,
            ..defaults
        };
        let none = Deadlines {
            connect: None,
            headers: None,
            first_event: None,
            idle: None,
            total: None,
        };
        let headers = Phase::Headers { sent_at: secs(7) };
        let body = |heard, last_byte| Phase::Body {
            sent_at: secs(7),
            head_at: secs(10),
            heard,
            last_byte,
        };
        for (phase, deadlines, next) in [
            (headers, defaults, Some((127, Deadline::Headers))),
            (headers, slow_headers, Some((127, Deadline::FirstEvent))),
            (headers, bounded, Some((50, Deadline::Total))),
            (headers, none, None),
            (body(false, None), defaults, Some((127, Deadline::FirstEvent))),
            (body(false, None), no_first_event, Some((70, Deadline::Idle))),
            (
                body(false, Some(secs(20))),
                no_first_event,
                Some((80, Deadline::Idle)),
            ),
            (body(false, None), none, None),
            (body(false, Some(secs(20))), defaults, Some((80, Deadline::Idle))),
            (
                body(false, Some(secs(70))),
                defaults,
                Some((127, Deadline::FirstEvent)),
            ),
            (body(true, Some(secs(70))), defaults, Some((130, Deadline::Idle))),
            (body(true, Some(secs(70))), bounded, Some((50, Deadline::Total))),
            (body(true, Some(secs(70))), none, None),
            (Phase::Pause, defaults, None),
            (Phase::Pause, bounded, Some((50, Deadline::Total))),
            (Phase::Over, bounded, None),
        ] {
            let next = next.map(|(at, deadline)| (secs(at), deadline));
            assert_eq!(phase.next(&deadlines), next, "{phase:?}");
        }
    }

    #[test]
    fn messages_name_what_is_missing_and_the_bound() {
        let deadlines = Deadlines {
            idle: Some(Duration::from_millis(1500)),
            ..Deadlines::default()
        };
        assert_eq!(
            deadlines.message(Deadline::Idle, None),
            "not a byte from the server within 1.5s"
        );
        assert!(
            deadlines
                .message(Deadline::Total, Some("HTTP status 503"))
                .contains("503")
        );
    }
}
