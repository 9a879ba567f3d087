//! Responses, before and after they know their connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use aurora_streamlog::StreamId;

use crate::Refusal;
use crate::stream::Live;

/// What a route answers, with status 200.
pub(crate) enum Reply {
    /// A whole JSON document.
    Whole(Whole),
    /// An event stream.
    Live(Box<Live>),
}

/// A whole JSON document.
pub(crate) struct Whole {
    pub(crate) json: Vec<u8>,
    /// The stream it was made of, or is about.
    pub(crate) stream: Option<StreamId>,
}

impl Reply {
    pub(crate) fn json(json: Vec<u8>) -> Self {
        Self::Whole(Whole { json, stream: None })
    }

    pub(crate) fn live(live: Live) -> Self {
        Self::Live(Box::new(live))
    }
}

/// The body of a response that is no event stream.
pub(crate) struct ReplyBody(Bytes);

impl ReplyBody {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn refusal(refusal: &Refusal) -> Response<ReplyBody> {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, refusal.body_without_status().to_json());
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.wait() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §11.6.1.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(methods) = refusal.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// Names the stream, so that the caller can come back to it. A program is given the name before the first event: until
/// then it has no other.
pub(crate) fn name_stream<B>(response: &mut Response<B>, stream: StreamId) {
    let id = HeaderValue::from_str(&stream.to_string()).expect("an id is ASCII letters, digits, - and _");
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-stream-id"), id);
}

/// The head of an event stream.
pub(crate) fn events() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and what copies it would otherwise collect the stream before passing it on.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready((!self.0.is_empty()).then(|| Ok(Frame::data(std::mem::take(&mut self.0)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
