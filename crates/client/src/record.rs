//! The recording of one exchange: everything that happened to a call, with its times, as JSON lines.
//!
//! The first line describes the call ([`Header`]); every other line is one input of the call's state machine ([`Line`]).
//! Since that machine has no other inputs, a replay of the lines gives the same updates. The format has a version;
//! times are microseconds since the call began. The key is masked, also where it is cut between two reads; what was
//! asked and answered is not.

use std::{
    io::{self, Write},
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use aurora_chat::{Failure, FailureKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Deadlines, Limits, Pace,
    call::{BodyEnd, Head, Input, Terms},
    mask::Mask,
    retry::Hints,
};

/// The version of the format that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The format's version.
    pub(crate) aurora_recording: u32,
    pub(crate) endpoint: String,
    pub(crate) model: String,
    /// When the call was made, in milliseconds since 1970.
    pub(crate) began_unix_ms: u64,
    pub(crate) request: Value,
    pub(crate) terms: TermsLine,
}

/// The terms of the call that its course depended on. Durations are milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TermsLine {
    connect_ms: Option<u64>,
    headers_ms: Option<u64>,
    first_event_ms: Option<u64>,
    idle_ms: Option<u64>,
    total_ms: Option<u64>,
    event_bytes: usize,
    answer_bytes: usize,
    header_bytes: usize,
    retries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_per_minute: Option<NonZeroU32>,
    #[serde(default)]
    continues: bool,
    seed: u64,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) at_us: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// One input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The call's turn came.
    Turn {},
    Head(HeadLine),
    Unsent {
        failure: FailureLine,
        retryable: bool,
    },
    /// Bytes of the body that are UTF-8 by themselves.
    Text(String),
    /// Bytes of the body that are not, in hexadecimal.
    Hex(String),
    End {
        failure: Option<FailureLine>,
    },
    Time {},
    Abort(FailureLine),
}

/// A response's head.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeadLine {
    status: u16,
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    should_retry: Option<bool>,
    retry_after_us: Option<u64>,
    stream: Option<String>,
    location: Option<String>,
    bytes: usize,
}

/// A failure of the transport.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FailureLine {
    kind: String,
    message: String,
}

/// Writes a recording.
pub(crate) struct Recorder {
    sink: Box<dyn Write + Send>,
    /// Written with the first input, so that an error is told like any other.
    header: Option<Header>,
    mask: Mask,
    /// The end of the last read, if it may be the beginning of the key.
    held: Vec<u8>,
    /// When that read was.
    held_at_us: u64,
}

impl Recorder {
    pub(crate) fn new(sink: Box<dyn Write + Send>, terms: &Terms, request: &[u8]) -> Self {
        let mask = terms.mask.clone();
        let masked = |text: &str| mask.text(text).into_owned();
        let began = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let header = Header {
            aurora_recording: VERSION,
            endpoint: masked(&terms.endpoint),
            model: masked(&terms.model),
            began_unix_ms: millis(began),
            request: serde_json::from_str(&masked(&String::from_utf8_lossy(request))).unwrap_or(Value::Null),
            terms: TermsLine::of(terms),
        };
        Self {
            sink,
            header: Some(header),
            mask,
            held: Vec::new(),
            held_at_us: 0,
        }
    }

    /// Writes one input, and flushes it.
    pub(crate) fn record(&mut self, input: &Input<'_>, now: Duration) -> io::Result<()> {
        if let Some(header) = self.header.take() {
            self.write(&header)?;
        }
        let at_us = micros(now);
        if let Input::Bytes(bytes) = input {
            let ready = self.ready(bytes);
            self.held_at_us = at_us;
            return self.write_bytes(at_us, ready);
        }
        // With the time at which they came: written with that of a deadline they would be life again, and move it.
        let held = std::mem::take(&mut self.held);
        self.write_bytes(self.held_at_us, held)?;
        let what = match input {
            Input::Turn => What::Turn {},
            Input::Head(head) => What::Head(HeadLine::of(head, &self.mask)),
            Input::Unsent { failure, retryable } => What::Unsent {
                failure: FailureLine::of(failure, &self.mask),
                retryable: *retryable,
            },
            Input::Bytes(_) => return Ok(()),
            Input::End(BodyEnd::Proper) => What::End { failure: None },
            Input::End(BodyEnd::Failed(failure)) => What::End {
                failure: Some(FailureLine::of(failure, &self.mask)),
            },
            Input::Time => What::Time {},
            Input::Abort(failure) => What::Abort(FailureLine::of(failure, &self.mask)),
        };
        self.write(&Line { at_us, what })
    }

    /// The bytes that can be written: what was held and these, with the key masked, less what is to be held now.
    fn ready(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut all = self.mask.bytes(&all).into_owned();
        let hold = self.mask.begun_at_end(&all);
        self.held = all.split_off(all.len() - hold);
        all
    }

    fn write_bytes(&mut self, at_us: u64, bytes: Vec<u8>) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let what = match String::from_utf8(bytes) {
            Ok(text) => What::Text(text),
            Err(error) => What::Hex(
                error
                    .as_bytes()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            ),
        };
        self.write(&Line { at_us, what })
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.sink.write_all(&line)?;
        self.sink.flush()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl TermsLine {
    fn of(terms: &Terms) -> Self {
        let Deadlines {
            connect,
            headers,
            first_event,
            idle,
            total,
        } = terms.deadlines;
        Self {
            connect_ms: connect.map(millis),
            headers_ms: headers.map(millis),
            first_event_ms: first_event.map(millis),
            idle_ms: idle.map(millis),
            total_ms: total.map(millis),
            event_bytes: terms.limits.event,
            answer_bytes: terms.limits.answer,
            header_bytes: terms.limits.headers,
            retries: terms.retries,
            max_concurrent: terms.pace.max_concurrent,
            requests_per_minute: terms.pace.requests_per_minute,
            tokens_per_minute: terms.pace.tokens_per_minute,
            continues: terms.continues,
            seed: terms.seed,
        }
    }

    pub(crate) fn terms(&self, endpoint: String, model: String) -> Terms {
        let time = |millis: Option<u64>| millis.map(Duration::from_millis);
        Terms {
            endpoint,
            model,
            deadlines: Deadlines {
                connect: time(self.connect_ms),
                headers: time(self.headers_ms),
                first_event: time(self.first_event_ms),
                idle: time(self.idle_ms),
                total: time(self.total_ms),
            },
            limits: Limits {
                event: self.event_bytes,
                answer: self.answer_bytes,
                headers: self.header_bytes,
            },
            retries: self.retries,
            pace: Pace {
                max_concurrent: self.max_concurrent,
                requests_per_minute: self.requests_per_minute,
                tokens_per_minute: self.tokens_per_minute,
            },
            continues: self.continues,
            mask: Mask::default(),
            seed: self.seed,
        }
    }
}

impl HeadLine {
    fn of(head: &Head, mask: &Mask) -> Self {
        let masked = |text: &Option<String>| text.as_deref().map(|text| mask.text(text).into_owned());
        Self {
            status: head.status,
            content_type: masked(&head.content_type),
            content_encoding: masked(&head.content_encoding),
            should_retry: head.hints.should_retry,
            retry_after_us: head.hints.after.map(micros),
            stream: masked(&head.stream),
            location: masked(&head.location),
            bytes: head.bytes,
        }
    }

    pub(crate) fn head(self) -> Head {
        let after = self.retry_after_us.map(Duration::from_micros);
        Head {
            status: self.status,
            content_type: self.content_type,
            content_encoding: self.content_encoding,
            hints: Hints {
                should_retry: self.should_retry,
                after,
            },
            stream: self.stream,
            location: self.location,
            bytes: self.bytes,
        }
    }
}

impl FailureLine {
    fn of(failure: &Failure, mask: &Mask) -> Self {
        Self {
            kind: failure.kind.as_str().to_owned(),
            message: mask.text(&failure.message).into_owned(),
        }
    }

    /// `None` for a kind that no transport reports.
    pub(crate) fn failure(self) -> Option<Failure> {
        use aurora_chat::{Deadline, Limit};
        let kinds = [
            FailureKind::InvalidRequest,
            FailureKind::Connect,
            FailureKind::Protocol,
            FailureKind::ConnectionLost,
            FailureKind::Limit(Limit::Headers),
            FailureKind::Limit(Limit::Queue),
            FailureKind::Deadline(Deadline::Connect),
            FailureKind::Cancelled,
            FailureKind::Internal,
        ];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == self.kind)?;
        Some(Failure::new(kind, self.message))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
