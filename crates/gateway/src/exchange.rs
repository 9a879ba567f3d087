//! One request in the log: a span that is opened with it and closed with the last byte of its response.
//!
//! The log has names, counts and times; never a prompt, an answer, a header or the query of a URL.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aurora_chat::Verdict;
use http::Method;
use tracing::field::Empty;

/// A request under way. Dropping it writes the log line.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: String,
    span: tracing::Span,
    started: Instant,
    first_token: bool,
    bytes: u64,
    verdict: Option<Cow<'static, str>>,
}

impl Exchange {
    pub(crate) fn begin(method: &Method, path: &str) -> Self {
        let id = random_id("req_");
        let path = path.get(..200).unwrap_or(path);
        let span = tracing::info_span!(
            "request",
            id,
            %method,
            path,
            key = Empty,
            model = Empty,
            status = Empty,
            ttft_ms = Empty,
            verdict = Empty,
            bytes = Empty,
        );
        Self {
            id,
            span,
            started: Instant::now(),
            first_token: false,
            bytes: 0,
            verdict: None,
        }
    }

    /// The value of `x-request-id`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// The name of the caller's key, which is no secret.
    pub(crate) fn key(&self, name: &str) {
        self.span.record("key", name);
    }

    pub(crate) fn model(&self, name: &str) {
        // The name is the caller's text: printable, and no longer than a name is.
        self.span
            .record("model", aurora_chat::redact::printable(name, 128));
    }

    /// The response's head is sent, its body follows.
    pub(crate) fn committed(&self, status: u16) {
        self.span.record("status", status);
    }

    /// The first delta is there; later calls change nothing.
    pub(crate) fn first_token(&mut self) {
        if !self.first_token {
            self.first_token = true;
            self.span.record("ttft_ms", millis(self.started));
        }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// An error response, or a whole one. An answer's own verdict is not overwritten.
    pub(crate) fn answered(&mut self, status: u16, bytes: usize) {
        self.span.record("status", status);
        self.sent(bytes);
        let verdict = if status < 400 {
            Verdict::Complete.as_str()
        } else {
            "refused"
        };
        self.verdict.get_or_insert(verdict.into());
    }

    pub(crate) fn verdict(&mut self, verdict: impl Into<Cow<'static, str>>) {
        self.verdict = Some(verdict.into());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Whoever drops an exchange that has no verdict is hyper, because the client is gone. Its stream may go on.
        self.span
            .record("verdict", self.verdict.as_deref().unwrap_or("left"));
        self.span.record("bytes", self.bytes);
        tracing::info!(parent: &self.span, elapsed_ms = millis(self.started), "done");
    }
}

/// An id that nobody can guess and no two requests share: 128 random bits.
pub(crate) fn random_id(prefix: &str) -> String {
    static WITHOUT_RANDOMNESS: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Only guessable, still unique in this process; these ids open nothing.
        bytes[..8].copy_from_slice(&WITHOUT_RANDOMNESS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    }
    format!("{prefix}{:032x}", u128::from_be_bytes(bytes))
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
