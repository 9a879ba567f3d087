//! The response object: what an answer is at a moment, whole or not.

use serde::Serialize;

use super::Settings;
use super::item::Item;
use crate::dialect::openai::ErrorBody;
use crate::{Failure, Fault, Usage, Verdict};

/// How far a response has come. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A background response that waits for its turn.
    Queued,
    /// The answer is being made.
    InProgress,
    /// The answer is whole.
    Completed,
    /// A token limit or a content filter ended the answer.
    Incomplete,
    /// The answer broke off, or never began.
    Failed,
    /// A caller stopped it.
    Cancelled,
}

/// A response object on its way to JSON.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created_at: u64,
    pub(super) status: &'static str,
    pub(super) error: Option<ResponseError<'a>>,
    pub(super) incomplete_details: Option<IncompleteDetails>,
    pub(super) model: &'a str,
    pub(super) output: &'a [Item],
    #[serde(flatten)]
    pub(super) settings: &'a Settings,
    pub(super) usage: Option<WireUsage>,
}

/// Why a response failed. The reference closes the list of codes; the error's own words are in the other fields.
#[derive(Serialize)]
pub(super) struct ResponseError<'a> {
    code: &'static str,
    message: &'a str,
    param: Option<&'a str>,
    r#type: &'a str,
}

#[derive(Serialize)]
pub(super) struct IncompleteDetails {
    reason: &'static str,
}

/// Token counts. The reference requires every number, so one that the source did not tell is 0.
#[derive(Serialize)]
pub(super) struct WireUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cache_write_tokens: u64,
    cached_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// The body of a reply to `DELETE /v1/responses/{id}`.
#[must_use]
pub fn deletion(id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Deletion<'a> {
        id: &'a str,
        object: &'static str,
        deleted: bool,
    }
    let deletion = Deletion {
        id,
        object: "response",
        deleted: true,
    };
    serde_json::to_vec(&deletion).expect("strings and booleans always serialise")
}

impl Status {
    /// The status of a response that ended with this verdict.
    #[must_use]
    pub fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Complete => Self::Completed,
            Verdict::Length | Verdict::Filtered => Self::Incomplete,
            Verdict::Truncated | Verdict::Interrupted | Verdict::Failed(_) | Verdict::TimedOut(_) => {
                Self::Failed
            }
            Verdict::Cancelled => Self::Cancelled,
        }
    }

    /// The status as it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }
}

impl<'a> ResponseError<'a> {
    pub(super) fn of(code: &'static str, error: &'a ErrorBody) -> Self {
        Self {
            code,
            message: &error.message,
            param: error.param.as_deref(),
            r#type: &error.error_type,
        }
    }

    /// Which of the reference's codes stands for a failure.
    pub(super) fn code_of(failure: &Failure) -> &'static str {
        if failure.status == Some(429) || failure.is_quota() {
            return "rate_limit_exceeded";
        }
        match failure.fault() {
            Fault::Caller => "invalid_prompt",
            Fault::Server => "server_error",
        }
    }
}

impl IncompleteDetails {
    /// Why a response with this verdict is incomplete, if it is.
    pub(super) fn of_verdict(verdict: Verdict) -> Option<Self> {
        let reason = match verdict {
            Verdict::Length => "max_output_tokens",
            Verdict::Filtered => "content_filter",
            Verdict::Complete
            | Verdict::Truncated
            | Verdict::Interrupted
            | Verdict::Failed(_)
            | Verdict::TimedOut(_)
            | Verdict::Cancelled => return None,
        };
        Some(Self { reason })
    }
}

impl WireUsage {
    pub(super) fn of(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: InputDetails {
                cache_write_tokens: 0,
                cached_tokens: usage.cached_input_tokens.unwrap_or(0),
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning_tokens.unwrap_or(0),
            },
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}
