//! Whether an attempt is the last one of its item, and what it says about its server: a function of what came.
//!
//! Nothing of an item is shown before it has ended, so unlike an answer that somebody reads it may be asked for again
//! whenever that has a chance; what came before is dropped, never joined with what comes.

use std::time::Duration;

use aurora_chat::{Deadline, Failure, FailureKind};
use aurora_client::{MAX_WAIT, backoff, is_retryable};

use super::pilot::Sign;
use crate::many::Outcome;

/// How often an item is asked for again whose deadline passed: its server may have been too busy, once.
const TIMED_OUT: u32 = 1;

/// What an attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// What it says about the server's load.
    pub(crate) sign: Sign,
    /// How long the server wants to be left alone.
    pub(crate) hold: Option<Duration>,
    /// After which wait the item is asked for again; `None` if this is its result.
    pub(crate) again: Option<Duration>,
}

/// Judges an attempt, before which `made` were made of the same item; `allowed` is how many may follow the first one.
/// Equal seeds give equal waits.
pub(crate) fn judge(outcome: &Outcome, made: u32, allowed: u32, seed: u64) -> Judgement {
    let Some(failure) = &outcome.end.failure else {
        return Judgement {
            sign: Sign::Good,
            hold: None,
            again: None,
        };
    };
    let hold = failure.retry_after;
    let allowed = match failure.kind {
        FailureKind::Deadline(Deadline::Total) => 0,
        FailureKind::Deadline(_) => allowed.min(TIMED_OUT),
        _ => allowed,
    };
    let again = (made < allowed && is_retryable(failure) && hold.is_none_or(|wait| wait <= MAX_WAIT))
        .then(|| hold.unwrap_or_else(|| backoff(made, seed)));
    Judgement {
        sign: sign(failure),
        hold,
        again,
    }
}

fn sign(failure: &Failure) -> Sign {
    match (failure.kind, failure.status) {
        (FailureKind::Deadline(Deadline::Total), _) => Sign::Neither,
        (FailureKind::Deadline(_), _) => Sign::Overload,
        _ if failure.is_quota() => Sign::Neither,
        // 529 is what Anthropic's API says when it has too much to do.
        (FailureKind::Status | FailureKind::ErrorEvent, Some(429 | 503 | 529)) => Sign::Overload,
        _ => Sign::Neither,
    }
}

#[cfg(test)]
mod tests {
    use aurora_chat::{End, Fault, FinishReason, Transcript};

    use super::*;

    fn outcome(end: End) -> Outcome {
        Outcome {
            start: None,
            answer: Transcript::new(),
            end,
            attempts: 1,
            first: None,
            elapsed: Duration::ZERO,
        }
    }

    fn failed(kind: FailureKind, status: Option<u16>, retry_after: Option<u64>) -> Outcome {
        outcome(End::failed(
            Fault::Server,
            Failure {
                status,
                retry_after: retry_after.map(Duration::from_secs),
                ..Failure::new(kind, "no")
            },
        ))
    }

    #[test]
    fn failures_are_asked_again_where_that_has_a_chance() {
        use FailureKind as K;
        use Sign::{Neither, Overload};
        for (kind, status, sign, most) in [
            (K::Status, Some(429), Overload, 4),
            (K::Status, Some(503), Overload, 4),
            (K::Status, Some(500), Neither, 4),
            (K::Status, Some(400), Neither, 0),
            (K::ErrorEvent, Some(529), Overload, 4),
            (K::ConnectionLost, None, Neither, 4),
            (K::UnexpectedEnd, None, Neither, 4),
            (K::Connect, None, Neither, 4),
            (K::Deadline(Deadline::Idle), None, Overload, 1),
            (K::Deadline(Deadline::FirstEvent), None, Overload, 1),
            (K::Deadline(Deadline::Total), None, Neither, 0),
            (K::InvalidRequest, Some(400), Neither, 0),
        ] {
            let outcome = failed(kind, status, None);
            for made in 0..6 {
                let judged = judge(&outcome, made, 4, 1);
                assert_eq!(
                    (judged.sign, judged.again.is_some()),
                    (sign, made < most),
                    "{kind:?} {status:?} {made}"
                );
            }
        }
        let good = judge(&outcome(End::finished(Some(FinishReason::Stop))), 0, 4, 1);
        assert_eq!((good.sign, good.again), (Sign::Good, None));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_waited_unless_it_is_too_long() {
        let judged = judge(&failed(FailureKind::Status, Some(429), Some(7)), 0, 4, 1);
        assert_eq!(
            (judged.hold, judged.again),
            (Some(Duration::from_secs(7)), judged.hold)
        );
        let judged = judge(&failed(FailureKind::Status, Some(429), Some(61)), 0, 4, 1);
        assert_eq!((judged.hold, judged.again), (Some(Duration::from_secs(61)), None));
        assert_eq!(
            judge(&failed(FailureKind::Status, Some(429), Some(7)), 0, 0, 1).again,
            None
        );
    }
}
