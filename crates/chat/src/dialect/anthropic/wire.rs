//! The shapes of events, messages and errors on the wire.

use serde::Serialize;

use super::block::{WireBlock, WireDelta};
use crate::Usage;
use crate::dialect::openai::ErrorBody;

/// One event of a message's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its type, which is also the name of its frame (`event:`).
    pub kind: &'static str,
    /// Its data: one JSON object on one line.
    pub data: &'a str,
}

/// Who gets the events.
pub(super) type Sink<'s> = dyn FnMut(Event<'_>) + 's;

/// An error as this API writes it, for an HTTP body and for an event: `{"type":"error","error":{"type":…,"message":…}}`.
/// A `param` and a `code` are written if they are set.
#[must_use]
pub fn error_json(error: &ErrorBody) -> Vec<u8> {
    let error = WireError::of(error);
    serde_json::to_vec(&Data {
        r#type: "error",
        body: &Body::Error { error },
    })
    .expect("strings always serialise")
}

pub(super) fn emit(kind: &'static str, body: &Body<'_>, out: &mut Vec<u8>, sink: &mut Sink<'_>) {
    out.clear();
    serde_json::to_writer(&mut *out, &Data { r#type: kind, body })
        .expect("what goes into an event always serialises, and a Vec takes every byte");
    let data = str::from_utf8(out).expect("serde_json writes UTF-8");
    sink(Event { kind, data });
}

#[derive(Serialize)]
struct Data<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    body: &'a Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    MessageStart {
        message: WireMessage<'a>,
    },
    BlockStart {
        index: usize,
        content_block: WireBlock<'a>,
    },
    BlockDelta {
        index: usize,
        delta: WireDelta<'a>,
    },
    BlockStop {
        index: usize,
    },
    MessageDelta {
        delta: Stop,
        usage: WireUsage,
    },
    MessageStop {},
    Error {
        error: WireError<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct WireMessage<'a> {
    pub(super) id: &'a str,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<WireBlock<'a>>,
    #[serde(flatten)]
    pub(super) stop: Stop,
    pub(super) usage: WireUsage,
}

#[derive(Serialize)]
pub(super) struct Stop {
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'static str>,
}

/// Token counts. The reference requires the first and the last, so one that the source did not tell is 0.
#[derive(Serialize)]
pub(super) struct WireUsage {
    /// Without those that came from a cache.
    input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
}

#[derive(Serialize)]
pub(super) struct WireError<'a> {
    r#type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl WireUsage {
    pub(super) fn of(usage: Usage) -> Self {
        let cached = usage.cached_input_tokens;
        Self {
            input_tokens: usage.input_tokens.saturating_sub(cached.unwrap_or(0)),
            cache_read_input_tokens: cached,
            output_tokens: usage.output_tokens,
        }
    }
}

impl<'a> WireError<'a> {
    pub(super) fn of(error: &'a ErrorBody) -> Self {
        Self {
            // The one of OpenAI's words that has another here; the others are the same.
            r#type: match error.error_type.as_str() {
                "server_error" => "api_error",
                other => other,
            },
            message: &error.message,
            param: error.param.as_deref(),
            code: error.code.as_deref(),
        }
    }
}
