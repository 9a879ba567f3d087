//! What a source of answers yields: a start, deltas, notices, and exactly one end.
//!
//! The contract, which every source keeps and every consumer may rely on: at most one [`Update::Start`], before any
//! delta; then deltas and notices in any number; then exactly one [`Update::End`], after which nothing comes. A source
//! that is dropped before its end stops working at once; whoever dropped it knows the verdict is
//! [`Verdict::Cancelled`].

use std::time::Duration;

use crate::{Deadline, Delta, Fault, FinishReason, Verdict};

/// One thing a source of answers has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The source accepted the request.
    Start(Start),
    /// The next increment.
    Delta(Delta),
    /// Something that is not part of the answer and does not end it.
    Notice(Notice),
    /// The end. Always the last update, and there is always one.
    End(End),
}

/// What is known when a source accepts a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The model that answers, in the source's own words.
    pub model: String,
    /// The name of the endpoint, `local` for the engine.
    pub endpoint: String,
    /// The stream's id, where the server keeps streams.
    pub stream: Option<String>,
}

/// Something worth telling that does not end the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Part of the input was wrong and was skipped; the message says what.
    Warning {
        /// A short stable word: `bad_json`, `bad_event`, …
        kind: &'static str,
        /// What happened, for a person.
        message: String,
    },
    /// The call is going to be tried again; or, after a lost connection, the rest of its answer is going to be asked for
    /// again, where the server wants that to wait.
    Retry {
        /// The attempt that is going to be made, from 1 for the first retry; tries to pick up a connection are counted
        /// from its loss.
        attempt: u32,
        /// How long is waited before it.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// A lost connection was picked up again after this cursor, and has brought something new.
    Resume {
        /// The last cursor that had arrived; empty if none had, and the stream was read again from its start.
        cursor: String,
    },
}

/// How a stream ended, with what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The verdict.
    pub verdict: Verdict,
    /// The last finish reason the source gave, if any.
    pub finish_reason: Option<FinishReason>,
    /// What went wrong; present exactly when the verdict is not complete, length or filtered.
    pub failure: Option<Failure>,
}

/// What went wrong. Printable: it never holds a key or a URL query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of failure, stable for programs.
    pub kind: FailureKind,
    /// What happened and, where there is one, the remedy, for a person.
    pub message: String,
    /// The HTTP status, or the numeric code of an error event.
    pub status: Option<u16>,
    /// The server's own error `type`, if it gave one.
    pub error_type: Option<String>,
    /// The server's own error `code`, if it gave one.
    pub code: Option<String>,
    /// The request field the server complained about, if it named one.
    pub param: Option<String>,
    /// How long the server asked to be left alone (`retry-after-ms`, `Retry-After`), if it did.
    pub retry_after: Option<Duration>,
    /// Whether the server wants to be asked again (`x-should-retry`), if it said so.
    pub should_retry: Option<bool>,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The request was refused before it was sent: a field is missing, of the wrong type or out of range.
    InvalidRequest,
    /// No connection: name resolution, refused, unreachable, TLS.
    Connect,
    /// The server answered with an HTTP error status.
    Status,
    /// The server reported an error inside a stream.
    ErrorEvent,
    /// The response was not what the protocol says, beyond repair.
    Protocol,
    /// The connection was lost in mid-stream.
    ConnectionLost,
    /// The stream ended with neither a finish reason nor `[DONE]`.
    UnexpectedEnd,
    /// A limit was exceeded.
    Limit(Limit),
    /// A deadline passed.
    Deadline(Deadline),
    /// The caller stopped it.
    Cancelled,
    /// A failure inside this program: the local engine, or a bug.
    Internal,
}

/// The limits on what answers may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// One line plus the event it belongs to.
    Event,
    /// The whole answer.
    Answer,
    /// The response's headers.
    Headers,
    /// The calls that wait for an endpoint because of its own limits on their rate.
    Queue,
}

impl Failure {
    /// A failure of this kind, with nothing but a message.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
            error_type: None,
            code: None,
            param: None,
            retry_after: None,
            should_retry: None,
        }
    }
}

impl FailureKind {
    /// The kind's name in JSON output: for a deadline or a limit, which one.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Connect => "connect",
            Self::Status => "http_status",
            Self::ErrorEvent => "error_event",
            Self::Protocol => "protocol",
            Self::ConnectionLost => "connection_lost",
            Self::UnexpectedEnd => "unexpected_end",
            Self::Limit(Limit::Event) => "event_limit",
            Self::Limit(Limit::Answer) => "answer_limit",
            Self::Limit(Limit::Headers) => "header_limit",
            Self::Limit(Limit::Queue) => "queue_limit",
            Self::Deadline(deadline) => deadline.as_str(),
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl End {
    /// The last finish reason as the source wrote it.
    #[must_use]
    pub fn finish_reason_str(&self) -> Option<&str> {
        self.finish_reason.as_ref().map(FinishReason::as_str)
    }

    /// The end of a stream that came to its proper close with this finish reason. A reason that says generation broke
    /// off ([`Verdict::of_finish`]) makes it a failure all the same.
    #[must_use]
    pub fn finished(reason: Option<FinishReason>) -> Self {
        let verdict = Verdict::of_finish(reason.as_ref());
        let failure = matches!(verdict, Verdict::Failed(_)).then(|| {
            let reason = reason.as_ref().map_or("", FinishReason::as_str);
            Failure::new(
                FailureKind::ErrorEvent,
                format!("the server broke off: finish reason \"{reason}\""),
            )
        });
        Self {
            verdict,
            finish_reason: reason,
            failure,
        }
    }

    /// The end of a stream that failed in a way that is not a deadline's or the caller's: the server's fault, or, with
    /// `fault`, the caller's.
    #[must_use]
    pub fn failed(fault: Fault, failure: Failure) -> Self {
        Self {
            verdict: Verdict::Failed(fault),
            finish_reason: None,
            failure: Some(failure),
        }
    }

    /// The end of a stream that a caller stopped.
    #[must_use]
    pub fn cancelled() -> Self {
        let failure = Failure::new(FailureKind::Cancelled, "cancelled");
        Self {
            verdict: Verdict::Cancelled,
            finish_reason: None,
            failure: Some(failure),
        }
    }
}
