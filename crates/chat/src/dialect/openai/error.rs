//! Errors: reading the many shapes in which servers report them, writing the one of OpenAI's API.
//!
//! An error is looked for before anything else in an event, since servers send it inside streams that began with 200
//! (litellm#40578, goose#8027), also beside empty `choices` (OmniRoute#8210). Whatever text a server sends is masked and
//! made harmless before it gets into a [`Failure`].

use serde::Serialize;
use serde_json::{Map, Value};

use super::value::parse;
use crate::ending::{CANCELLED, STREAM_INTERRUPTED};
use crate::redact::printable;
use crate::{Failure, FailureKind, RequestError};

/// How much of a server's message is kept, in bytes.
const MESSAGE_MAX: usize = 2000;

/// How much of a server's error type, code or field name is kept, in bytes.
const WORD_MAX: usize = 120;

/// The error that an HTTP response with an error status reports, whatever its body: OpenAI's JSON, other JSON, text, a
/// web page, nothing.
#[must_use]
pub fn failure_from_status(status: u16, body: &[u8]) -> Failure {
    let reported = parse(body).ok().and_then(|value| failure_in_body(&value));
    let failure = reported.unwrap_or_else(|| Failure::new(FailureKind::Status, text_of_body(body)));
    let message = match failure.message.as_str() {
        "" => format!("HTTP status {status} without an explanation"),
        message => format!("HTTP status {status}: {message}"),
    };
    Failure {
        kind: FailureKind::Status,
        message,
        status: Some(status),
        ..failure
    }
}

/// The error that an event's value reports, if it reports one. `{"error": null}` and its like are none.
pub(super) fn failure_in_event(value: &Value) -> Option<Failure> {
    let value = unwrap_array(value);
    let fields = value.as_object()?;
    if let Some(error) = fields.get("error").filter(|error| is_error(error)) {
        return Some(failure_of(error, fields));
    }
    let says = |field: &str| fields.get(field).and_then(Value::as_str) == Some("error");
    if says("type") || says("object") {
        return Some(failure_of(value, fields));
    }
    if fields.contains_key("choices") || fields.contains_key("id") || fields.contains_key("usage") {
        return None;
    }
    // FastAPI's shape, and bare messages with a status. What is neither a chunk nor known to be an error is no error.
    if let Some(detail) = fields.get("detail").filter(|detail| is_error(detail)) {
        return Some(failure_of(detail, fields));
    }
    (fields.get("message").is_some_and(Value::is_string) && status_of(fields).is_some())
        .then(|| failure_of(value, fields))
}

/// The error that the data of an `event: error` reports: any data, as such an event is always an error.
pub(super) fn failure_of_error_event(data: &str) -> Failure {
    match parse(data.as_bytes()) {
        Ok(value) => failure_in_body(&value).unwrap_or_else(|| error_event(&message_of(&value))),
        Err(_) => error_event(data),
    }
}

/// A failure reported inside a stream in plain words.
pub(super) fn error_event(message: &str) -> Failure {
    let message = match printable(message, MESSAGE_MAX) {
        message if message.is_empty() => "the server reported an error without an explanation".to_owned(),
        message => message,
    };
    Failure::new(FailureKind::ErrorEvent, message)
}

/// Whether the value of an `error` field says that there is one.
fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The error in a body that is known to be one: less is needed than in an event.
fn failure_in_body(value: &Value) -> Option<Failure> {
    if let Some(failure) = failure_in_event(value) {
        return Some(failure);
    }
    match unwrap_array(value) {
        Value::Object(fields)
            if ["message", "msg", "errors"]
                .iter()
                .any(|name| fields.contains_key(*name)) =>
        {
            Some(failure_of(unwrap_array(value), fields))
        }
        Value::String(text) => Some(error_event(text)),
        _ => None,
    }
}

/// Google's servers wrap errors in an array of one.
fn unwrap_array(value: &Value) -> &Value {
    match value {
        Value::Array(items) => match items.as_slice() {
            [one] => one,
            _ => value,
        },
        other => other,
    }
}

/// The failure that `error` describes; what it does not say may stand beside it, in `outer`.
fn failure_of(error: &Value, outer: &Map<String, Value>) -> Failure {
    let empty = Map::new();
    let inner = error.as_object().unwrap_or(&empty);
    // `{"error":{"error":{…}}}` and `{"detail":{"error":…}}`: the innermost one knows best.
    let nested = inner
        .get("error")
        .filter(|nested| nested.is_object() && !inner.contains_key("message"));
    if let Some(nested) = nested {
        return failure_of(nested, inner);
    }
    let word = |names: &[&str]| {
        [inner, outer]
            .into_iter()
            .flat_map(|fields| names.iter().filter_map(|name| fields.get(*name)))
            .find_map(word)
    };
    // `{"type":"error"}` and `{"object":"error"}` name the event, not the error.
    let error_type = word(&["type", "error_type"])
        .filter(|kind| kind != "error")
        .or_else(|| {
            // Google puts its word for the kind of error (`RESOURCE_EXHAUSTED`) into `status`.
            word(&["status"]).filter(|status| status.parse::<u16>().is_err())
        });
    Failure {
        status: status_of(inner).or_else(|| status_of(outer)),
        error_type,
        code: word(&["code"]),
        param: word(&["param"]),
        ..error_event(&message_of(error))
    }
}

/// The HTTP status an error names: a number, or its digits in a string.
fn status_of(fields: &Map<String, Value>) -> Option<u16> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    ["status", "code", "status_code", "statusCode"]
        .iter()
        .filter_map(|name| fields.get(*name).and_then(number))
        .find(|status| (400..=599).contains(status))
}

/// A short word of the server's: a non-empty string, or a number.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(printable(text, WORD_MAX)).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What an error says, in the words of the server: its message, or all of it.
fn message_of(error: &Value) -> String {
    match error {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) => ["message", "error", "detail", "msg", "error_message", "errors"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .find(|said| is_error(said))
            .map_or_else(|| error.to_string(), |said| with_place(fields, message_of(said))),
        Value::Array(errors) if errors.iter().any(Value::is_object) => errors
            .iter()
            .take(4)
            .map(message_of)
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}

/// FastAPI's validation errors say what is wrong in `msg` and where in `loc`.
fn with_place(fields: &Map<String, Value>, message: String) -> String {
    let Some(Value::Array(place)) = fields.get("loc") else {
        return message;
    };
    let place: Vec<_> = place.iter().filter_map(word).collect();
    format!("{}: {message}", place.join("."))
}

/// The text of a body that is no JSON error: as it is, or of a web page its title.
fn text_of_body(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * MESSAGE_MAX)]);
    let lower = text.to_ascii_lowercase();
    let title = lower
        .find("<title>")
        .map(|at| at + "<title>".len())
        .and_then(|start| {
            let len = lower[start..].find("</title>")?;
            Some(&text[start..start + len])
        });
    match title {
        Some(title) => printable(title, MESSAGE_MAX),
        None if lower.trim_start().starts_with("<!doctype html")
            || lower.trim_start().starts_with("<html") =>
        {
            "a web page without a title".to_owned()
        }
        None => printable(&text, MESSAGE_MAX),
    }
}

/// An error as OpenAI's API writes it, for an HTTP body and for an event inside a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// What is wrong and, where there is one, the remedy, for a person.
    pub message: String,
    /// `type`: the kind of error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub error_type: String,
    /// The request field it is about.
    pub param: Option<String>,
    /// A stable word such as `context_length_exceeded`.
    pub code: Option<String>,
    /// The HTTP status the error would have had. Written only if set: inside a stream it tells a client whose fault the
    /// error is. The official clients ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl ErrorBody {
    /// An error of this type with this message, and nothing else.
    #[must_use]
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            error_type: error_type.into(),
            param: None,
            code: None,
            status: None,
        }
    }

    /// The JSON: `{"error":{"message":…,"type":…,"param":…,"code":…}}`, and `status` if set.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Outer<'a> {
            error: &'a ErrorBody,
        }
        serde_json::to_vec(&Outer { error: self }).expect("strings and numbers always serialise")
    }
}

impl From<&RequestError> for ErrorBody {
    fn from(error: &RequestError) -> Self {
        Self {
            param: error.param.clone(),
            code: error.code.map(str::to_owned),
            ..Self::new("invalid_request_error", error.message.as_str())
        }
    }
}

impl From<&Failure> for ErrorBody {
    fn from(failure: &Failure) -> Self {
        let error_type = failure.error_type.as_deref().unwrap_or_else(|| type_of(failure));
        Self {
            param: failure.param.clone(),
            code: failure.code.clone(),
            status: failure.status,
            ..Self::new(error_type, failure.message.as_str())
        }
    }
}

/// The error type for a failure whose source named none.
fn type_of(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::InvalidRequest => "invalid_request_error",
        FailureKind::ConnectionLost | FailureKind::UnexpectedEnd => STREAM_INTERRUPTED,
        FailureKind::Deadline(_) => "timeout_error",
        FailureKind::Limit(_) => "limit_error",
        FailureKind::Connect | FailureKind::Protocol => "upstream_error",
        FailureKind::Cancelled => CANCELLED,
        FailureKind::Internal => "server_error",
        FailureKind::Status | FailureKind::ErrorEvent => match failure.status {
            Some(401) => "authentication_error",
            Some(403) => "permission_error",
            Some(404) => "not_found_error",
            Some(429) => "rate_limit_error",
            Some(400..=499) => "invalid_request_error",
            _ => "server_error",
        },
    }
}
