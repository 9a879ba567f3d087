//! One call, as a state machine without I/O: it is told what happened and when, and says what to do next and what to
//! tell the consumer. Retries, deadlines and endings are decided here; sockets, tasks and clocks are the shell's
//! ([`Answer`](crate::Answer)).
//!
//! Time is the duration since the call began, and never goes back.

mod interface;
mod outbox;
mod turns;

use std::time::Duration;

use aurora_chat::{
    Conclusion, Deadline, End, Ending, Failure, FailureKind, Limit, Notice, Start,
    dialect::openai::failure_from_status, redact::mask_exact,
};

pub(crate) use interface::{BodyEnd, Head, Input, Need, Terms};

use outbox::Outbox;

use crate::{
    Passage,
    deadlines::Phase,
    measure::Measure,
    reading::{Found, Reading, Step},
    retry::{self, Decision, Hints},
};

/// How much of an error response's body is read.
const ERROR_BODY: usize = 64 << 10;

/// How long an error response's body may take; what has come by then is enough.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Call {
    terms: Terms,
    /// Whether the events are wanted too.
    verbatim: bool,
    state: State,
    outbox: Outbox,
    found: Found,
    retries_made: u32,
    measure: Measure,
    /// When the current attempt began.
    sent_at: Duration,
    stream: Option<String>,
    /// Why the last attempt failed, for a deadline that passes in the wait after it.
    last_failure: Option<String>,
    /// The consumer was told that the call waits for its turn.
    queue_told: bool,
}

#[derive(Debug)]
enum State {
    /// Waiting for the call's turn.
    Queued {
        since: Duration,
    },
    Sending,
    /// A 2xx response. `last_byte` is when its body last brought something.
    Reading {
        reading: Box<Reading>,
        last_byte: Option<Duration>,
    },
    /// An error response.
    Refused {
        status: u16,
        hints: Hints,
        body: Vec<u8>,
        until: Duration,
    },
    Waiting {
        until: Duration,
    },
    Ended {
        whole: bool,
    },
}

impl Call {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            outbox: Outbox::new(terms.key.clone()),
            state: State::before_sending(&terms, Duration::ZERO),
            terms,
            verbatim: false,
            found: Found::default(),
            retries_made: 0,
            measure: Measure::new(),
            sent_at: Duration::ZERO,
            stream: None,
            last_failure: None,
            queue_told: false,
        }
    }

    /// The same call, with [`Passage::Event`]s. Nothing else about it changes.
    pub(crate) fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// What the shell is to do next.
    pub(crate) fn need(&self) -> Need {
        match self.state {
            State::Queued { .. } => Need::Turn,
            State::Sending => Need::Send,
            State::Reading { .. } | State::Refused { .. } => Need::Body,
            State::Waiting { .. } => Need::Wait,
            State::Ended { .. } => Need::Nothing,
        }
    }

    /// The next thing to tell the consumer.
    pub(crate) fn poll_passage(&mut self) -> Option<Passage> {
        self.outbox.poll()
    }

    /// Whether the call has ended with a whole answer, so that its connection is as good as new.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.state, State::Ended { whole: true })
    }

    /// How many requests it has taken so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.retries_made + 1
    }

    pub(crate) fn measure(&self) -> &Measure {
        &self.measure
    }

    /// The end, from when it is known until it is told.
    pub(crate) fn ending(&self) -> Option<&End> {
        self.outbox.ending()
    }

    /// The text without the call's key, and without what looks like one.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.outbox.clean(text)
    }

    /// Something has happened.
    pub(crate) fn handle(&mut self, input: Input<'_>, now: Duration) {
        match input {
            Input::Turn => self.handle_turn(now),
            Input::Head(head) => self.handle_head(head, now),
            Input::Unsent {
                failure,
                retryable: true,
            } => {
                self.retry_or_fail(failure, Hints::default(), now);
            }
            Input::Unsent {
                failure,
                retryable: false,
            } => self.fail(failure),
            Input::Bytes(bytes) => self.handle_bytes(bytes, now),
            Input::End(end) => self.handle_end(end, now),
            Input::Time => self.handle_time(now),
            Input::Abort(failure) => self.abort(failure),
        }
    }

    /// Adds a warning of the shell's own.
    pub(crate) fn warn(&mut self, kind: &'static str, message: String) {
        self.outbox.notify(Notice::Warning { kind, message });
    }

    /// When [`Input::Time`] is wanted, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        let own = match self.state {
            State::Waiting { until } | State::Refused { until, .. } => Some(until),
            State::Queued { since } => self.queue_told_at(since),
            State::Sending | State::Reading { .. } | State::Ended { .. } => None,
        };
        let deadline = self.phase().next(&self.terms.deadlines).map(|(at, _)| at);
        own.into_iter().chain(deadline).min()
    }

    /// What the call does next by itself, and when: pass a deadline, or without one try again.
    pub(crate) fn prospect(&self) -> Option<(Duration, Option<Deadline>)> {
        let retry = match self.state {
            State::Waiting { until } => Some((until, None)),
            // An error response is final, whenever its explanation ends.
            _ => None,
        };
        let deadline = self.phase().next(&self.terms.deadlines);
        let deadline = deadline.map(|(at, deadline)| (at, Some(deadline)));
        retry.into_iter().chain(deadline).min_by_key(|(at, _)| *at)
    }

    /// Time has passed: a deadline may have, too.
    fn handle_time(&mut self, now: Duration) {
        if let Some((at, deadline)) = self.phase().next(&self.terms.deadlines)
            && at <= now
        {
            return self.time_out(deadline, now);
        }
        match &self.state {
            State::Waiting { until } if *until <= now => {
                self.state = State::before_sending(&self.terms, now);
                self.measure.begin_attempt();
                self.sent_at = now;
            }
            State::Queued { since } => self.tell_queue(*since, now),
            State::Refused { until, .. } if *until <= now => self.refuse(now),
            _ => {}
        }
    }

    /// The response's head has come.
    fn handle_head(&mut self, head: Head, now: Duration) {
        if head.bytes > self.terms.limits.headers {
            let message = format!(
                "the response's headers are larger than the limit of {} bytes",
                self.terms.limits.headers
            );
            return self.fail(Failure::new(FailureKind::Limit(Limit::Headers), message));
        }
        self.state = match head.status {
            200..=299 => {
                self.stream = head.stream;
                let content_type = head.content_type.as_deref();
                let key = self.terms.key.clone();
                let reading = Reading::new(content_type, self.terms.limits, key, self.verbatim);
                State::Reading {
                    reading: Box::new(reading),
                    last_byte: None,
                }
            }
            300..=399 => {
                let mut failure = Failure::new(FailureKind::Status, head.redirect_message());
                failure.status = Some(head.status);
                return self.fail(failure);
            }
            status => State::Refused {
                status,
                hints: head.hints,
                body: Vec::new(),
                until: now + ERROR_BODY_TIME,
            },
        };
    }

    /// The next bytes of the body.
    fn handle_bytes(&mut self, bytes: &[u8], now: Duration) {
        // What has arrived counts as life, however late it is read; only the whole call's bound does not care.
        if self.terms.deadlines.total.is_some_and(|total| total <= now) {
            return self.time_out(Deadline::Total, now);
        }
        match &mut self.state {
            State::Reading { last_byte, .. } => {
                *last_byte = Some(now);
                self.measure.read(bytes.len());
                self.read(bytes, now);
            }
            State::Refused { body, .. } => {
                body.extend_from_slice(&bytes[..bytes.len().min(ERROR_BODY - body.len())]);
                if body.len() >= ERROR_BODY {
                    self.refuse(now);
                } else {
                    self.handle_time(now);
                }
            }
            State::Queued { .. } | State::Sending | State::Waiting { .. } | State::Ended { .. } => {}
        }
    }

    /// Reads a piece of a successful response's body, event by event.
    fn read(&mut self, mut bytes: &[u8], now: Duration) {
        while let State::Reading { reading, .. } = &mut self.state {
            let result = reading.feed(&mut bytes, &mut self.found);
            self.tell_found(now);
            match result {
                Ok(Step::Event) => {}
                // Comments may drip without an end and without an event.
                Ok(Step::More) => return self.handle_time(now),
                Ok(Step::Done) => return self.conclude(Ending::Eof),
                Err(failure) => return self.end_reading(failure, now),
            }
        }
    }

    /// The body has ended.
    fn handle_end(&mut self, end: BodyEnd, now: Duration) {
        match &mut self.state {
            State::Reading { reading, .. } => {
                let result = reading.finish(&mut self.found);
                self.tell_found(now);
                match (result, end) {
                    (Ok(()), BodyEnd::Proper) => self.conclude(Ending::Eof),
                    (Ok(()), BodyEnd::Failed(failure)) => self.conclude(Ending::Failure(failure)),
                    (Err(failure), BodyEnd::Proper) => self.end_reading(failure, now),
                    // Half a JSON body cannot be read, and the connection is why.
                    (Err(unreadable), BodyEnd::Failed(lost)) => match unreadable.kind {
                        FailureKind::Protocol => self.conclude(Ending::Failure(lost)),
                        _ => self.end_reading(unreadable, now),
                    },
                }
            }
            // The status is the error; how its explanation ended adds nothing.
            State::Refused { .. } => self.refuse(now),
            State::Queued { .. } | State::Sending | State::Waiting { .. } | State::Ended { .. } => {}
        }
    }

    fn abort(&mut self, failure: Failure) {
        match self.state {
            State::Reading { .. } => self.conclude(Ending::Failure(failure)),
            State::Ended { .. } => {}
            _ => self.fail(failure),
        }
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Sending => Phase::Headers {
                sent_at: self.sent_at,
            },
            State::Reading { reading, last_byte } => Phase::Body {
                sent_at: self.sent_at,
                heard: reading.heard(),
                last_byte: *last_byte,
            },
            State::Queued { .. } | State::Refused { .. } | State::Waiting { .. } => Phase::Pause,
            State::Ended { .. } => Phase::Over,
        }
    }

    fn time_out(&mut self, deadline: Deadline, now: Duration) {
        let mut message = self
            .terms
            .deadlines
            .message(deadline, self.last_failure.as_deref());
        self.add_queue(&mut message);
        let failure = Failure::new(FailureKind::Deadline(deadline), message);
        if let State::Reading { reading, .. } = &mut self.state {
            // `[DONE]` without its blank line on a socket that stays open.
            let result = reading.finish(&mut self.found);
            self.tell_found(now);
            return match result {
                Err(error) if error.kind != FailureKind::Protocol => self.conclude(Ending::Failure(error)),
                _ => self.conclude(Ending::Failure(failure)),
            };
        }
        self.fail(failure);
    }

    /// Passes on what one step of the reading has found.
    fn tell_found(&mut self, now: Duration) {
        let State::Reading { reading, .. } = &self.state else {
            return;
        };
        self.measure.deltas(&self.found.deltas, now);
        let start = || start(&self.terms, reading, &mut self.stream);
        self.outbox.push(&mut self.found, start);
    }

    /// No attempt follows: whatever the server said of an answer is told after all.
    fn release_held(&mut self) {
        if let State::Reading { reading, .. } = &self.state
            && !self.outbox.begun()
            && (reading.model().is_some() || self.outbox.holds_answer())
        {
            let start = start(&self.terms, reading, &mut self.stream);
            self.outbox.begin(start);
        }
    }

    /// The error response is as complete as it will be.
    fn refuse(&mut self, now: Duration) {
        let State::Refused {
            status, hints, body, ..
        } = &self.state
        else {
            return;
        };
        let failure = match &self.terms.key {
            // Before the message is made, since it may be cut in the middle of the key.
            Some(key) => {
                let text = String::from_utf8_lossy(body);
                failure_from_status(*status, mask_exact(&text, key.expose()).as_bytes())
            }
            None => failure_from_status(*status, body),
        };
        let hints = *hints;
        self.retry_or_fail(failure, hints, now);
    }

    /// The reading failed: the server reported an error, or a limit was hit.
    fn end_reading(&mut self, failure: Failure, now: Duration) {
        if !self.outbox.begun() && failure.kind == FailureKind::ErrorEvent {
            return self.retry_or_fail(failure, Hints::default(), now);
        }
        self.conclude(Ending::Failure(failure));
    }

    /// Tries again if the rules allow it, and fails otherwise. The answer has not begun.
    fn retry_or_fail(&mut self, mut failure: Failure, hints: Hints, now: Duration) {
        failure.retry_after = failure.retry_after.or(hints.after);
        let terms = &self.terms;
        match retry::decide(&failure, hints, self.retries_made, terms.retries, terms.seed) {
            Decision::Retry(wait) => {
                self.retries_made += 1;
                self.outbox.give_up_attempt();
                self.state = State::Waiting {
                    until: now.saturating_add(wait),
                };
                let reason = self.outbox.clean(&failure.message);
                tracing::warn!(
                    attempt = self.retries_made,
                    ?wait,
                    reason,
                    "the call is tried again"
                );
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
                self.fail(failure);
            }
            Decision::TooLong(wait) => {
                failure.message += &format!(
                    " (not tried again: the server asks to wait {wait:?}, and {:?} is the limit)",
                    retry::MAX_WAIT
                );
                self.fail(failure);
            }
        }
    }

    /// Ends a call that was reading an answer.
    fn conclude(&mut self, ending: Ending) {
        let State::Reading { reading, .. } = &self.state else {
            return;
        };
        let Conclusion { end, notice } = reading.conclude(ending);
        self.release_held();
        if let Some(notice) = notice {
            self.outbox.notify(notice);
        }
        self.end(end);
    }

    /// Ends a call that got no answer.
    fn fail(&mut self, failure: Failure) {
        self.end(End::of_failure(failure));
    }

    fn end(&mut self, end: End) {
        self.release_held();
        self.state = State::Ended {
            whole: end.failure.is_none(),
        };
        self.outbox.end(end);
    }
}

/// The start of the answer that this reading gives.
fn start(terms: &Terms, reading: &Reading, stream: &mut Option<String>) -> Start {
    Start {
        model: reading.model().unwrap_or(&terms.model).to_owned(),
        endpoint: terms.endpoint.clone(),
        stream: stream.take(),
    }
}

#[cfg(test)]
mod tests;
