//! Whether a failed attempt is tried again, and after how long: a pure function of what failed.
//!
//! The rules are those of the official SDKs (see the OpenAI Python library's `_base_client.py`) with full jitter, which
//! spreads a crowd best. That no attempt follows a delta is the call's rule, not this file's.

use std::time::{Duration, SystemTime};

use aurora_chat::{Failure, FailureKind, Limit};

/// The longest wait a server may ask for; a longer one ends the call at once.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// The longest wait that is told apart: 136 years, which recordings can hold.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The backoff's first step, doubled with every retry.
const FIRST_STEP: Duration = Duration::from_millis(500);

/// The backoff's last step.
const LAST_STEP: Duration = Duration::from_secs(8);

/// What a response's headers say about trying again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// `x-should-retry`: overrules the status.
    pub(crate) should_retry: Option<bool>,
    /// `retry-after-ms`, else `Retry-After`.
    pub(crate) after: Option<Duration>,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this long.
    Retry(Duration),
    /// The failure is final.
    GiveUp,
    /// The failure is final because the server asks for a wait beyond [`MAX_WAIT`].
    TooLong(Duration),
}

/// Whether the same request, sent again later, has a chance: the server was busy, broken or out of reach, or too many
/// calls waited for it. False where the request itself is wrong or the account has no credit. An error event that names
/// no status is judged by its type and code. What the server itself says about it ([`Failure::should_retry`]) goes before all
/// but the account's credit.
#[must_use]
pub fn is_retryable(failure: &Failure) -> bool {
    if let (Some(wanted), false) = (failure.should_retry, failure.is_quota()) {
        return wanted;
    }
    match failure.kind {
        FailureKind::Connect
        | FailureKind::ConnectionLost
        | FailureKind::UnexpectedEnd
        | FailureKind::Limit(Limit::Queue)
        | FailureKind::Deadline(_) => true,
        FailureKind::Status | FailureKind::ErrorEvent if failure.is_quota() => false,
        FailureKind::Status => failure.status.is_some_and(is_retryable_status),
        FailureKind::ErrorEvent => match failure.status {
            Some(status) => is_retryable_status(status),
            None => !names_a_refusal(failure),
        },
        FailureKind::InvalidRequest
        | FailureKind::Protocol
        | FailureKind::Limit(Limit::Event | Limit::Answer | Limit::Headers)
        | FailureKind::Cancelled
        | FailureKind::Internal => false,
    }
}

fn is_retryable_status(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..)
}

/// Whether an error's type or code says that the same request would fail again. The words are those of OpenAI's and
/// Anthropic's references, and of our own server for a stream that somebody cancelled.
fn names_a_refusal(failure: &Failure) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "invalid_",
        "authentication",
        "permission",
        "billing",
        "content_filter",
        "content_policy",
    ];
    const WORDS: [&str; 4] = [
        "not_found_error",
        "request_too_large",
        "context_length_exceeded",
        "cancelled",
    ];
    [&failure.error_type, &failure.code]
        .into_iter()
        .flatten()
        .any(|word| {
            let word = word.to_ascii_lowercase();
            WORDS.contains(&word.as_str())
                || word.ends_with("not_found")
                || BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
        })
}

/// Decides about a failure before the first delta. `made` retries out of `allowed` are behind us; equal seeds give equal
/// waits.
pub(crate) fn decide(failure: &Failure, hints: Hints, made: u32, allowed: u32, seed: u64) -> Decision {
    // A deadline is the caller's bound: trying again would multiply it.
    let own_bound = matches!(failure.kind, FailureKind::Deadline(_));
    let wanted = hints.should_retry.unwrap_or_else(|| is_retryable(failure));
    if own_bound || !wanted || failure.is_quota() {
        return Decision::GiveUp;
    }
    match hints.after {
        Some(wait) if wait > MAX_WAIT => Decision::TooLong(wait),
        _ if made >= allowed => Decision::GiveUp,
        Some(wait) => Decision::Retry(wait),
        None => Decision::Retry(backoff(made, seed)),
    }
}

/// How long to wait before a request is sent again that was sent again `made` times before, where its server says nothing
/// about it; equal seeds give equal waits.
///
/// Full jitter: anything between nothing and a step, which is half a second at first and doubles to eight. In whole
/// microseconds, in which recordings count: a wait that has passed has passed in the replay too.
#[must_use]
pub fn backoff(made: u32, seed: u64) -> Duration {
    let step = FIRST_STEP
        .saturating_mul(2_u32.saturating_pow(made))
        .min(LAST_STEP);
    let wait = step.mul_f64(unit(seed.wrapping_add(u64::from(made))));
    Duration::new(wait.as_secs(), wait.subsec_micros() * 1000)
}

/// A number in [0, 1) from the upper 53 bits of SplitMix64's output (Steele, Lea and Flood 2014).
fn unit(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

impl Hints {
    /// Reads the headers of a response that arrived at `now`. Values that cannot be read are as good as absent.
    pub(crate) fn read<'h>(header: impl Fn(&str) -> Option<&'h str>, now: SystemTime) -> Self {
        let should_retry = match header("x-should-retry").map(str::trim) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = header("retry-after-ms").and_then(|text| seconds(text, 1e-3));
        let after = millis.or_else(|| {
            let text = header("retry-after")?;
            seconds(text, 1.0).or_else(|| {
                let date = httpdate::parse_http_date(text.trim()).ok()?;
                // A date that has passed means now.
                Some(date.duration_since(now).unwrap_or_default())
            })
        });
        Self { should_retry, after }
    }
}

/// A number of units, fractions allowed, as a duration; one beyond [`LONGEST`] is as good as that. A wait so long is a
/// wait, not a value that cannot be read.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    // `parse` takes signs and words too.
    let number: f64 = text
        .parse()
        .ok()
        .filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '.'))?;
    Duration::try_from_secs_f64((number * unit).min(LONGEST.as_secs_f64())).ok()
}

#[cfg(test)]
mod tests;
