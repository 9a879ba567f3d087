//! What a call leaves in the log: one span, with what it came to, and an event for each step.
//!
//! Levels: `info` for the end of a call, `warn` for a retry and a lost connection, `debug` for requests and responses, `trace` for what was
//! asked and for the words of failures, in which servers repeat it. Keys are masked in everything; prompts appear at `trace` only, and
//! answers nowhere.

use std::time::Duration;

use tracing::{Level, Span, field::Empty};

use crate::{
    call::{Call, Head, Terms},
    transport::Outgoing,
};

/// The span of a call. `ttft_ms` is the time to the first token; the gaps are those between tokens, the middle one and the
/// 99th of 100 to within a sixteenth; `bytes` are those of all bodies read. What nobody counted stays empty.
pub(crate) fn span(terms: &Terms) -> Span {
    tracing::info_span!(
        "call",
        endpoint = terms.endpoint,
        model = terms.model,
        attempts = Empty,
        resumes = Empty,
        verdict = Empty,
        ttft_ms = Empty,
        gap_p50_ms = Empty,
        gap_p99_ms = Empty,
        gap_max_ms = Empty,
        input_tokens = Empty,
        output_tokens = Empty,
        tokens_per_second = Empty,
        bytes = Empty,
        elapsed_ms = Empty,
    )
}

/// An attempt begins.
pub(crate) fn sending(span: &Span, call: &Call, outgoing: &Outgoing) {
    span.in_scope(|| {
        tracing::debug!(attempt = call.attempts(), url = %outgoing.url(call.ask()), "sending");
        if tracing::enabled!(Level::TRACE) {
            let body = String::from_utf8_lossy(outgoing.body());
            tracing::trace!(body = call.clean(&body), "the request");
        }
    });
}

/// A response has begun. The head is one that was [cleaned](Head::clean).
pub(crate) fn head(span: &Span, call: &Call, head: &Head) {
    span.in_scope(|| {
        tracing::debug!(
            status = head.status,
            content_type = head.content_type.as_deref().map(|text| call.clean(text)),
            stream = head.stream,
            "the response has begun"
        );
    });
}

/// The call has ended, after this time.
pub(crate) fn ended(span: &Span, call: &Call, elapsed: Duration) {
    let Some(end) = call.ending() else {
        return;
    };
    let measure = call.measure();
    span.record("attempts", call.attempts());
    span.record("resumes", call.resumes());
    span.record("verdict", end.verdict.as_str());
    for (field, time) in [
        ("ttft_ms", measure.first()),
        ("gap_p50_ms", measure.gap(0.5)),
        ("gap_p99_ms", measure.gap(0.99)),
        ("gap_max_ms", measure.longest_gap()),
        ("elapsed_ms", Some(elapsed)),
    ] {
        if let Some(time) = time {
            span.record(field, millis(time));
        }
    }
    if let Some(usage) = measure.usage() {
        span.record("input_tokens", usage.input_tokens);
        span.record("output_tokens", usage.output_tokens);
    }
    if let Some(rate) = measure.tokens_per_second() {
        span.record("tokens_per_second", tenths(rate));
    }
    span.record("bytes", measure.bytes());
    span.in_scope(|| match &end.failure {
        None => tracing::info!("the call has ended"),
        Some(failure) => {
            tracing::info!(
                kind = failure.kind.as_str(),
                status = failure.status,
                "the call has failed"
            );
            quote(&failure.to_string());
        }
    });
}

/// What a server said of a failure, or what was made of it, without the key. It may repeat what was asked.
pub(crate) fn quote(message: &str) {
    tracing::trace!(message, "the failure's own words");
}

fn millis(time: Duration) -> f64 {
    tenths(time.as_secs_f64() * 1e3)
}

/// More digits would pretend to a precision that times on a busy machine do not have.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
