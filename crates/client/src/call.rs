//! One call, as a state machine without I/O: it is told what happened and when, and says what to do next and what to
//! tell the consumer. Retries, deadlines and endings are decided here; sockets, tasks and clocks are the shell's
//! ([`Answer`](crate::Answer)).
//!
//! Time is the duration since the call began, and never goes back.

mod closing;
mod interface;
mod outbox;
mod recovery;
mod turns;

use std::time::Duration;

use aurora_chat::{Conclusion, Deadline, End, Ending, Failure, FailureKind, Limit, Notice, Start};

pub(crate) use interface::{Ask, BodyEnd, Head, Input, Need, Terms};

use outbox::Outbox;
use recovery::{encoded, loss_of, redirected};

use crate::{
    Passage,
    continuation::MAX_CONTINUED,
    deadlines::Phase,
    mask::Mask,
    measure::Measure,
    progress::Prospect,
    reading::{Found, Reading, Step},
    resume::Tries,
    retry::Hints,
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
    /// When its response's head came.
    head_at: Duration,
    /// When the last event of a finished answer came.
    finished_at: Option<Duration>,
    stream: Option<String>,
    /// Why the last attempt failed, for a deadline that passes in the wait after it.
    last_failure: Option<String>,
    /// The consumer was told that the call waits for its turn.
    queue_told: bool,
    /// What was read from a connection that was lost, and not picked up yet.
    lost: Option<Box<Reading>>,
    /// The tries to pick it up, until an event comes that is new.
    tries: Option<Tries>,
    /// How many connections were picked up and brought something new.
    resumed: u32,
    /// How often the answer was continued by another one.
    continued: u32,
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
            outbox: Outbox::new(terms.mask.clone()),
            state: State::before_sending(&terms, Duration::ZERO),
            terms,
            verbatim: false,
            found: Found::default(),
            retries_made: 0,
            measure: Measure::new(),
            sent_at: Duration::ZERO,
            head_at: Duration::ZERO,
            finished_at: None,
            stream: None,
            last_failure: None,
            queue_told: false,
            lost: None,
            tries: None,
            resumed: 0,
            continued: 0,
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

    /// What is to be sent.
    pub(crate) fn ask(&self) -> Ask<'_> {
        let Some(lost) = &self.lost else {
            return Ask::Answer;
        };
        match lost.resume_from() {
            Some(from) => Ask::Rest(from),
            None => lost.partial().map_or(Ask::Answer, Ask::Continuation),
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

    /// How many lost connections were picked up so far.
    pub(crate) fn resumes(&self) -> u32 {
        self.resumed
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

    /// What hides the call's key.
    pub(crate) fn mask(&self) -> &Mask {
        &self.terms.mask
    }

    /// Something has happened.
    pub(crate) fn handle(&mut self, input: Input<'_>, now: Duration) {
        match input {
            Input::Turn => self.handle_turn(now),
            Input::Head(head) => self.handle_head(head, now),
            Input::Unsent { failure, retryable } => self.handle_unsent(failure, retryable, now),
            Input::Bytes(bytes) => self.handle_bytes(bytes, now),
            Input::End(end) => self.handle_end(end, now),
            Input::Time => self.handle_time(now),
            Input::Abort(failure) => self.abort(failure, now),
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
            State::Reading { .. } => self.closes_at(),
            State::Sending | State::Ended { .. } => None,
        };
        let deadline = self.phase().next(&self.terms.deadlines).map(|(at, _)| at);
        own.into_iter().chain(deadline).chain(self.give_up_at()).min()
    }

    /// What the call does next by itself, and when, since it began.
    pub(crate) fn prospect(&self) -> Option<Prospect> {
        let again = match self.state {
            State::Waiting { until } if self.lost.is_none() => Some(Prospect::Retry(until)),
            State::Waiting { until } => Some(Prospect::Resume(until)),
            // An error response is final, whenever its explanation ends.
            _ => None,
        };
        let deadline = self.phase().next(&self.terms.deadlines);
        let deadline = deadline.map(|(at, deadline)| match deadline {
            Deadline::Idle if self.is_lost_when_idle() => Prospect::Resume(at),
            Deadline::Headers | Deadline::FirstEvent if self.lost.is_some() => Prospect::Resume(at),
            _ => Prospect::GiveUp(deadline, at),
        });
        again.into_iter().chain(deadline).min_by_key(|next| next.at())
    }

    /// Time has passed: a deadline may have, too.
    fn handle_time(&mut self, now: Duration) {
        if let Some((at, deadline)) = self.phase().next(&self.terms.deadlines)
            && at <= now
        {
            return self.time_out(deadline, now);
        }
        if self.give_up_at().is_some_and(|at| at <= now)
            && let Some(tries) = &self.tries
        {
            let reason = tries.too_late();
            return self.give_up(&reason, now);
        }
        if self.closes_at().is_some_and(|at| at <= now) {
            return self.close(now);
        }
        match &self.state {
            State::Waiting { until } if *until <= now => {
                self.state = State::before_sending(&self.terms, now);
                if self.lost.is_none() {
                    self.measure.begin_attempt();
                }
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
            return self.fail(Failure::new(FailureKind::Limit(Limit::Headers), message), now);
        }
        self.head_at = now;
        let unreadable = head.encoding().map(encoded);
        if let (200..=299, Some(failure)) = (head.status, &unreadable) {
            return self.fail(failure.clone(), now);
        }
        self.state = match head.status {
            200..=299 if self.lost.is_some() => return self.pick_up(&head, now),
            200..=299 => {
                let mask = self.terms.mask.clone();
                let mut reading = Reading::new(&head, self.terms.limits, mask, self.verbatim);
                if self.terms.continues && !self.verbatim {
                    reading = reading.keeping_text();
                }
                self.stream = head.stream;
                State::Reading {
                    reading: Box::new(reading),
                    last_byte: None,
                }
            }
            300..=399 => return self.fail(redirected(&head), now),
            status => State::Refused {
                status,
                hints: head.hints,
                body: Vec::new(),
                until: now + ERROR_BODY_TIME,
            },
        };
        if unreadable.is_some() {
            // An explanation that cannot be read is none.
            self.refuse(now);
        }
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
            let advanced = reading.has_advanced() || result == Ok(Step::Done);
            self.note_progress(advanced);
            self.tell_found(now);
            match result {
                Ok(Step::Event) => self.note_finish(now),
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
            State::Reading { reading, .. } if reading.resume_from().is_some() => {
                self.lose(&loss_of(end), now);
            }
            State::Reading { reading, .. } => {
                let result = reading.finish(&mut self.found);
                self.tell_found(now);
                if result.is_ok() && self.can_continue() {
                    return self.lose(&loss_of(end), now);
                }
                match (result, end) {
                    (Ok(()), BodyEnd::Proper) => self.end_body(Ending::Eof, now),
                    (Ok(()), BodyEnd::Failed(failure)) => self.end_body(Ending::Failure(failure), now),
                    (Err(failure), BodyEnd::Proper) => self.end_reading(failure, now),
                    // Half a JSON body cannot be read, and the connection is why.
                    (Err(unreadable), BodyEnd::Failed(lost)) => match unreadable.kind {
                        FailureKind::Protocol => self.end_body(Ending::Failure(lost), now),
                        _ => self.end_reading(unreadable, now),
                    },
                }
            }
            // The status is the error; how its explanation ended adds nothing.
            State::Refused { .. } => self.refuse(now),
            State::Queued { .. } | State::Sending | State::Waiting { .. } | State::Ended { .. } => {}
        }
    }

    fn abort(&mut self, failure: Failure, now: Duration) {
        self.return_lost();
        if let State::Reading { reading, .. } = &mut self.state {
            reading.settle(&mut self.found);
            self.tell_found(now);
        }
        match self.state {
            State::Reading { .. } => self.conclude(Ending::Failure(failure)),
            State::Ended { .. } => {}
            _ => self.fail(failure, now),
        }
    }

    /// Whether a connection that falls silent counts as lost: its server may have lost it without our knowing. Silence
    /// on the next one too is the server's own.
    fn is_lost_when_idle(&self) -> bool {
        matches!(&self.state, State::Reading { reading, .. } if reading.resume_from().is_some())
            && self.tries.is_none()
    }

    /// Whether another answer may go on from this one.
    fn can_continue(&self) -> bool {
        matches!(&self.state, State::Reading { reading, .. } if reading.partial().is_some())
            && self.continued < MAX_CONTINUED
    }

    /// When a lost connection is not waited for any longer.
    fn give_up_at(&self) -> Option<Duration> {
        self.lost.as_ref().and(self.tries.as_ref()).map(Tries::until)
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Sending => Phase::Headers {
                sent_at: self.sent_at,
            },
            State::Reading { reading, last_byte } => Phase::Body {
                sent_at: self.sent_at,
                head_at: self.head_at,
                heard: reading.heard(),
                last_byte: *last_byte,
            },
            State::Queued { .. } | State::Refused { .. } | State::Waiting { .. } => Phase::Pause,
            State::Ended { .. } => Phase::Over,
        }
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

    /// Ends a call that got no answer, or does not get the rest of one.
    fn fail(&mut self, failure: Failure, now: Duration) {
        if self.lost.is_some() {
            return self.give_up(&failure.message, now);
        }
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
