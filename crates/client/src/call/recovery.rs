//! What becomes of a call after a failure: the request is sent again, the lost connection is picked up, or it ends.

use std::time::Duration;

use aurora_chat::{
    Deadline, Ending, Failure, FailureKind, Notice, dialect::openai::failure_from_status, redact::printable,
};

use super::{BodyEnd, Call, Head, State};
use crate::{
    log,
    resume::{Next, Tries},
    retry::{self, Decision, Hints},
};

impl Call {
    /// The error response is as complete as it will be.
    pub(super) fn refuse(&mut self, now: Duration) {
        let State::Refused {
            status, hints, body, ..
        } = &self.state
        else {
            return;
        };
        // Masked before the message is made, since that may be cut in the middle of the key.
        let failure = failure_from_status(*status, &self.terms.mask.bytes(body));
        let hints = *hints;
        match self.lost {
            Some(_) => self.try_again(Some(&failure), hints, now),
            None => self.retry_or_fail(failure, hints, now),
        }
    }

    /// No response has come.
    pub(super) fn handle_unsent(&mut self, failure: Failure, retryable: bool, now: Duration) {
        match (&self.lost, retryable) {
            (Some(_), _) => self.try_again(Some(&failure), Hints::default(), now),
            (None, true) => self.retry_or_fail(failure, Hints::default(), now),
            (None, false) => self.fail(failure, now),
        }
    }

    /// A deadline has passed.
    pub(super) fn time_out(&mut self, deadline: Deadline, now: Duration) {
        let mut message = self
            .terms
            .deadlines
            .message(deadline, self.last_failure.as_deref());
        self.add_queue(&mut message);
        let failure = Failure::new(FailureKind::Deadline(deadline), message);
        match &self.state {
            State::Reading { .. } if deadline == Deadline::Idle && self.is_lost_when_idle() => {
                self.lose(&failure, now);
            }
            State::Reading { .. } => self.break_off(failure, now),
            _ if self.lost.is_none() => self.fail(failure, now),
            _ if deadline == Deadline::Total => self.break_off(failure, now),
            _ => self.try_again(Some(&failure), Hints::default(), now),
        }
    }

    /// The reading failed: the server reported an error, or a limit was hit.
    pub(super) fn end_reading(&mut self, failure: Failure, now: Duration) {
        if !self.outbox.begun() && failure.kind == FailureKind::ErrorEvent {
            return self.retry_or_fail(failure, Hints::default(), now);
        }
        self.conclude(Ending::Failure(failure));
    }

    /// The body has ended, and there is no way to a rest of it. Where nothing of an answer was told, a body that ended
    /// too early is as good as no response.
    pub(super) fn end_body(&mut self, ending: Ending, now: Duration) {
        let State::Reading { reading, .. } = &self.state else {
            return;
        };
        let conclusion = reading.conclude(ending.clone());
        match conclusion.end.failure {
            Some(failure) if !self.outbox.begun() && is_cut(&failure) => {
                self.retry_or_fail(failure, Hints::default(), now);
            }
            _ => self.conclude(ending),
        }
    }

    /// Tries again if the rules allow it, and fails otherwise. The answer has not begun.
    fn retry_or_fail(&mut self, mut failure: Failure, hints: Hints, now: Duration) {
        failure.retry_after = failure.retry_after.or(hints.after);
        failure.should_retry = failure.should_retry.or(hints.should_retry);
        let terms = &self.terms;
        match retry::decide(&failure, hints, self.retries_made, terms.retries, terms.seed) {
            Decision::Retry(wait) => {
                self.retries_made += 1;
                self.tries = None;
                self.outbox.give_up_attempt();
                self.state = State::Waiting {
                    until: now.saturating_add(wait),
                };
                let reason = self.outbox.clean(&failure.message);
                tracing::warn!(
                    attempt = self.retries_made,
                    ?wait,
                    kind = failure.kind.as_str(),
                    status = failure.status,
                    "the call is tried again"
                );
                log::quote(&reason);
                self.last_failure = Some(reason.clone());
                self.outbox.notify(Notice::Retry {
                    attempt: self.retries_made,
                    wait,
                    reason,
                });
            }
            Decision::GiveUp => {
                let made = match (self.retries_made, failure.retry_after) {
                    (0, None) => None,
                    (0, Some(wait)) => Some(format!(" (the server asks to wait {wait:?})")),
                    (1, _) => Some(" (after 1 retry)".to_owned()),
                    (n, _) => Some(format!(" (after {n} retries)")),
                };
                failure.message.extend(made);
                self.fail(failure, now);
            }
            Decision::TooLong(wait) => {
                failure.message += &format!(
                    " (not tried again: the server asks to wait {wait:?}, and {:?} is the limit)",
                    retry::MAX_WAIT
                );
                self.fail(failure, now);
            }
        }
    }

    /// The connection was lost in mid-answer, or is as good as lost, and there is a way to the rest.
    pub(super) fn lose(&mut self, loss: &Failure, now: Duration) {
        let state = std::mem::replace(&mut self.state, State::Sending);
        if let State::Reading { reading, .. } = state {
            self.lost = Some(reading);
        }
        self.tries.get_or_insert_with(|| Tries::new(loss, now));
        self.try_again(None, Hints::default(), now);
    }

    /// Tries to pick the lost connection up again, if the rules allow it, and ends the call otherwise. `failure` is
    /// that of the last try.
    pub(super) fn try_again(&mut self, failure: Option<&Failure>, hints: Hints, now: Duration) {
        let Some(tries) = &mut self.tries else { return };
        // Other losses of the same call draw other waits.
        let seed = self.terms.seed.wrapping_add(u64::from(self.resumed) << 32);
        match tries.next(failure, hints, now, seed) {
            Next::Again(wait) => {
                let reason = self
                    .outbox
                    .clean(failure.map_or(tries.loss(), |failure| &failure.message));
                tracing::warn!(
                    ?wait,
                    kind = failure.map(|failure| failure.kind.as_str()),
                    status = failure.and_then(|failure| failure.status),
                    "the lost connection is going to be picked up"
                );
                log::quote(&reason);
                if hints.after.is_some() {
                    // The server's wait may be a long one; those of our own are short.
                    self.outbox.notify(Notice::Retry {
                        attempt: tries.made(),
                        wait,
                        reason: reason.clone(),
                    });
                }
                self.last_failure = Some(reason);
                self.state = State::Waiting {
                    until: now.saturating_add(wait),
                };
            }
            Next::GiveUp(reason) => self.give_up(&reason, now),
        }
    }

    /// The server answers the try to pick the lost connection up.
    pub(super) fn pick_up(&mut self, head: &Head, now: Duration) {
        let Some(from) = self.lost.as_ref().and_then(|reading| reading.resume_from()) else {
            return self.go_on(head, now);
        };
        if let Some(other) = head.stream.as_deref().filter(|other| *other != from.stream) {
            let message = format!(
                "the server answered with the stream {other} where {} was to go on",
                from.stream
            );
            return self.give_up(&message, now);
        }
        if !head.promises_events() {
            let reason = format!("HTTP status {} without an event stream", head.status);
            return self.give_up(&reason, now);
        }
        let cursor = from.cursor().unwrap_or_default();
        if let Some(mut reading) = self.lost.take() {
            reading.reconnect();
            // The silence that ends this connection begins with it.
            let last_byte = Some(now);
            self.state = State::Reading { reading, last_byte };
        }
        if let Some(tries) = &mut self.tries {
            tries.pick_up(cursor);
        }
    }

    /// After a step of the reading: if it brought something new, the loss is made good. That is told only now, for a
    /// server that answers may still have nothing to give.
    pub(super) fn note_progress(&mut self, advanced: bool) {
        if advanced
            && let Some(tries) = self.tries.take()
            && let Some(cursor) = tries.picked_up()
        {
            self.resumed = self.resumed.saturating_add(1);
            tracing::info!(cursor, "the lost connection was picked up");
            self.outbox.notify(Notice::Resume { cursor });
        }
    }

    /// The server answers the request for a continuation.
    fn go_on(&mut self, head: &Head, now: Duration) {
        if let Some(mut reading) = self.lost.take() {
            reading.go_on(head);
            let last_byte = Some(now);
            self.state = State::Reading { reading, last_byte };
            self.continued += 1;
            tracing::warn!("the answer is continued by another one");
        }
    }

    /// The lost connection is not picked up, for this reason: what it brought is all there is.
    pub(super) fn give_up(&mut self, reason: &str, now: Duration) {
        if let Some(tries) = &self.tries {
            let failure = tries.given_up(reason);
            self.break_off(failure, now);
        }
    }

    /// Ends the reading, of a lost connection too, after what its last bytes may still say.
    pub(super) fn break_off(&mut self, failure: Failure, now: Duration) {
        self.return_lost();
        let State::Reading { reading, .. } = &mut self.state else {
            return;
        };
        // `[DONE]` without its blank line, for instance, on a socket that stays open.
        let result = reading.finish(&mut self.found);
        self.tell_found(now);
        match result {
            Err(error) if error.kind != FailureKind::Protocol => self.conclude(Ending::Failure(error)),
            _ => self.conclude(Ending::Failure(failure)),
        }
    }

    /// What was read from a connection that is not picked up is the answer.
    pub(super) fn return_lost(&mut self) {
        if let Some(reading) = self.lost.take() {
            let last_byte = None;
            self.state = State::Reading { reading, last_byte };
        }
    }
}

/// Whether the answer is incomplete because its bytes are.
fn is_cut(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::ConnectionLost | FailureKind::UnexpectedEnd
    )
}

/// How a connection was lost whose body ended before its answer.
pub(super) fn loss_of(end: BodyEnd) -> Failure {
    match end {
        BodyEnd::Proper => Failure::new(FailureKind::UnexpectedEnd, "the stream broke off"),
        BodyEnd::Failed(failure) => failure,
    }
}

/// What a body in an encoding that was not asked for is told as.
pub(super) fn encoded(encoding: &str) -> Failure {
    let message = format!(
        "the response is encoded as {}, although only an unencoded one was asked for",
        printable(encoding, 40)
    );
    Failure::new(FailureKind::Protocol, message)
}

/// What a redirect is told as.
pub(super) fn redirected(head: &Head) -> Failure {
    let to = match &head.location {
        Some(location) => format!(" to {location}"),
        None => String::new(),
    };
    let message = format!(
        "HTTP status {}: the server redirects{to}; redirects are not followed, since the key and the request would go \
         with them: set the endpoint's base URL to the address it means",
        head.status
    );
    let mut failure = Failure::new(FailureKind::Status, message);
    failure.status = Some(head.status);
    failure
}
