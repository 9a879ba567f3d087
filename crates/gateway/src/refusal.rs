//! An error as a client gets it: an HTTP status, OpenAI's error object, and when to come back.
//!
//! Which status stands for which failure of a source is decided here, once. What another API said about its own keys
//! is not repeated: that is between the two servers.

use std::time::Duration;

use aurora_chat::dialect::openai::ErrorBody;
use aurora_chat::dialect::responses::rename_body;
use aurora_chat::ending::STREAM_INTERRUPTED;
use aurora_chat::{Deadline, Failure, FailureKind, Limit, RequestError};
use http::StatusCode;

/// Sent with 429 and 503 where nobody said how long to wait.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// Sent with 503 where the store of streams has failed.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// Why a request is not answered: everything an HTTP error response is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(Box<Response>);

/// Boxed, because it would be the largest part of every result it may be in.
#[derive(Clone, Debug, PartialEq)]
struct Response {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal with this HTTP status and error object. A status that is no error becomes 500.
    #[must_use]
    pub fn new(status: u16, mut body: ErrorBody) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        body.status = Some(status.as_u16());
        Self(Box::new(Response {
            status,
            body,
            retry_after: None,
            allow: None,
        }))
    }

    /// With a `Retry-After` header; whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The HTTP status, 400 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// The error object as the data of an error event. It has the status, which is too late for the response.
    #[must_use]
    pub fn body(&self) -> &ErrorBody {
        &self.0.body
    }

    /// The error object as the body of a response, whose status says it all.
    pub(crate) fn body_without_status(&self) -> ErrorBody {
        ErrorBody {
            status: None,
            ..self.0.body.clone()
        }
    }

    /// 404 for a model nobody has; the message lists those there are.
    #[must_use]
    pub fn unknown_model(name: &str, known: &[String]) -> Self {
        let name = aurora_chat::redact::printable(name, 200);
        let message = if known.is_empty() {
            format!("the model '{name}' does not exist; this server has no models")
        } else {
            format!(
                "the model '{name}' does not exist; this server has: {}",
                known.join(", ")
            )
        };
        Self::invalid(404, message, Some("model"), Some("model_not_found"))
    }

    /// 503: everything that could answer is taken.
    #[must_use]
    pub fn busy(wait: Duration) -> Self {
        let mut body = ErrorBody::new(
            "server_error",
            "all slots of this model are taken; try again later",
        );
        body.code = Some("busy".to_owned());
        Self::new(503, body).retry_after(wait)
    }

    /// 500: a failure inside this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        let mut body = ErrorBody::new("server_error", message);
        body.code = Some("internal_error".to_owned());
        Self::new(500, body)
    }

    /// A request that is wrong, with the status that says how.
    pub(crate) fn invalid(
        status: u16,
        message: impl Into<String>,
        param: Option<&str>,
        code: Option<&str>,
    ) -> Self {
        let mut body = ErrorBody::new("invalid_request_error", message);
        body.param = param.map(str::to_owned);
        body.code = code.map(str::to_owned);
        Self::new(status, body)
    }

    /// 405, with the methods that are allowed.
    pub(crate) fn method_not_allowed(method: &str, path: &str, allow: &'static str) -> Self {
        let message = format!("{method} is not allowed on {path}; allowed: {allow}");
        let mut refusal = Self::invalid(405, message, None, Some("method_not_allowed"));
        refusal.0.allow = Some(allow);
        refusal
    }

    /// 503, or the error event, for a request that outlived the drain limit of a server that stops.
    pub(crate) fn stopping() -> Self {
        Self::new(
            503,
            ErrorBody::new(
                STREAM_INTERRUPTED,
                "the server is stopping; the answer is not complete",
            ),
        )
    }

    /// 503: streams under way fill the store.
    pub(crate) fn full() -> Self {
        let mut body = ErrorBody::new(
            "server_error",
            "answers under way fill the memory this server has for them; try again later",
        );
        body.code = Some("busy".to_owned());
        Self::new(503, body)
    }

    /// 503: the store cannot write, for want of room on its disk or for another reason that may pass.
    pub(crate) fn unkept() -> Self {
        let message = "the server cannot keep answers at the moment; its log has more";
        let mut body = ErrorBody::new("server_error", message);
        body.code = Some("store_failed".to_owned());
        Self::new(503, body).retry_after(STORE_WAIT)
    }

    /// The error event of a stream of which something cannot be read.
    pub(crate) fn lost(message: &str) -> Self {
        Self::new(502, ErrorBody::new(STREAM_INTERRUPTED, message))
    }

    /// With this status, if there is one.
    pub(crate) fn or_status(mut self, status: Option<u16>) -> Self {
        if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
            self.0.status = status;
        }
        self
    }

    /// The refusal of a whole answer that broke off after `seen` bytes. Once it had begun, the status never blames the
    /// caller.
    pub(crate) fn broken_off(failure: &Failure, seen: usize) -> Self {
        if seen == 0 {
            return Self::from(failure);
        }
        let status = match failure.kind {
            FailureKind::Deadline(_) => 504,
            FailureKind::Internal => 500,
            _ => 502,
        };
        let mut body = error_body(failure);
        body.message = format!("the answer broke off after {seen} bytes: {}", body.message);
        Self::new(status, body)
    }

    /// The same, in the words of the Responses API: an error about `messages` is about `input` there.
    pub(crate) fn about_response(mut self) -> Self {
        self.0.body = rename_body(self.0.body);
        self
    }

    pub(crate) fn wait(&self) -> Option<u64> {
        let wait = self.0.retry_after?;
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    pub(crate) fn allow(&self) -> Option<&'static str> {
        self.0.allow
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::new(400, ErrorBody::from(&error))
    }
}

/// The status of a source that failed before its first event.
impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        let status = match failure.kind {
            FailureKind::InvalidRequest => 400,
            FailureKind::Status => status_of_response(failure.status.unwrap_or(502)),
            FailureKind::ErrorEvent => status_of_event(failure.status.unwrap_or(502)),
            FailureKind::Deadline(
                Deadline::Connect
                | Deadline::Headers
                | Deadline::FirstEvent
                | Deadline::Idle
                | Deadline::Total,
            ) => 504,
            FailureKind::Connect
            | FailureKind::Protocol
            | FailureKind::ConnectionLost
            | FailureKind::UnexpectedEnd
            | FailureKind::Limit(Limit::Event | Limit::Answer | Limit::Headers) => 502,
            FailureKind::Cancelled | FailureKind::Limit(Limit::Queue) => 503,
            FailureKind::Internal => 500,
        };
        let mut refusal = Self::new(status, error_body(failure));
        refusal.0.retry_after = match status {
            // A quota does not come back by waiting, so nobody is told to.
            429 | 503 if failure.retry_after.is_none() && !failure.is_quota() => Some(DEFAULT_WAIT),
            429 | 503 => failure.retry_after,
            _ => None,
        };
        refusal
    }
}

/// What an upstream's error status is to our client, who did not choose the upstream's key, account or address.
fn status_of_response(status: u16) -> u16 {
    match status {
        401 | 402 | 403 | 407 => 502,
        408 => 504,
        400..=499 => status,
        503 | 529 => 503,
        504 => 504,
        _ => 502,
    }
}

/// An error where the first event should have been. The upstream accepted the request and then failed it, so this is
/// never a status that blames the caller.
fn status_of_event(status: u16) -> u16 {
    match status {
        500..=504 => status,
        429 | 529 => 503,
        408 => 504,
        _ => 502,
    }
}

/// The error object of a failure. An upstream that refuses our credentials says so in words about them; those words
/// stay in the log.
pub(crate) fn error_body(failure: &Failure) -> ErrorBody {
    match failure.status {
        Some(status @ (401 | 403 | 407)) if failure.kind == FailureKind::Status => {
            let message = format!(
                "the upstream refused this server's credentials with status {status}; its operator has to check the \
                 endpoint's key"
            );
            let mut body = ErrorBody::new("server_error", message);
            body.code = Some("upstream_unauthorized".to_owned());
            body
        }
        _ => ErrorBody::from(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, status: Option<u16>) -> Failure {
        Failure {
            status,
            ..Failure::new(kind, "it failed")
        }
    }

    #[test]
    fn statuses() {
        use FailureKind as K;
        let table = [
            (K::InvalidRequest, None, 400),
            (K::Status, Some(400), 400),
            (K::Status, Some(401), 502),
            (K::Status, Some(403), 502),
            (K::Status, Some(404), 404),
            (K::Status, Some(408), 504),
            (K::Status, Some(422), 422),
            (K::Status, Some(429), 429),
            (K::Status, Some(500), 502),
            (K::Status, Some(503), 503),
            (K::Status, Some(504), 504),
            (K::Status, Some(529), 503),
            (K::Status, Some(302), 502),
            (K::ErrorEvent, None, 502),
            (K::ErrorEvent, Some(400), 502),
            (K::ErrorEvent, Some(429), 503),
            (K::ErrorEvent, Some(500), 500),
            (K::ErrorEvent, Some(503), 503),
            (K::ErrorEvent, Some(599), 502),
            (K::Connect, None, 502),
            (K::Protocol, None, 502),
            (K::ConnectionLost, None, 502),
            (K::UnexpectedEnd, None, 502),
            (K::Limit(Limit::Event), None, 502),
            (K::Limit(Limit::Queue), None, 503),
            (K::Deadline(Deadline::FirstEvent), None, 504),
            (K::Cancelled, None, 503),
            (K::Internal, None, 500),
        ];
        for (kind, status, expected) in table {
            let refusal = Refusal::from(&failure(kind, status));
            assert_eq!(refusal.status(), expected, "{kind:?} {status:?}");
        }
    }

    #[test]
    fn waits_are_passed_on_in_whole_seconds() {
        let wait = |retry_after, code: Option<&str>| {
            let failure = Failure {
                retry_after,
                code: code.map(str::to_owned),
                ..failure(FailureKind::Status, Some(429))
            };
            Refusal::from(&failure).wait()
        };
        assert_eq!(wait(Some(Duration::from_millis(6_001)), None), Some(7));
        assert_eq!(wait(Some(Duration::from_secs(6)), None), Some(6));
        assert_eq!(wait(None, None), Some(1));
        assert_eq!(wait(None, Some("insufficient_quota")), None);
        assert_eq!(
            Refusal::from(&failure(FailureKind::Status, Some(400))).wait(),
            None
        );
    }

    #[test]
    fn an_upstreams_words_about_our_key_are_not_repeated() {
        let failure = Failure {
            message: "Incorrect API key provided: my-secret".to_owned(),
            ..failure(FailureKind::Status, Some(401))
        };
        let body = Refusal::from(&failure).body().to_json();
        assert!(!String::from_utf8_lossy(&body).contains("my-secret"));
    }

    #[test]
    fn a_status_that_is_no_error_is_a_bug_of_ours() {
        assert_eq!(Refusal::new(200, ErrorBody::new("x", "y")).status(), 500);
        assert_eq!(Refusal::new(7, ErrorBody::new("x", "y")).status(), 500);
    }
}
