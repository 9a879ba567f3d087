//! How a stream ended. Every stream gets exactly one verdict, and it is true: nothing incomplete is ever called
//! complete.

use crate::FinishReason;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The model finished and the stream closed properly.
    Complete,
    /// The model was stopped by a token limit: the answer is whole as far as it goes, and goes no further.
    Length,
    /// The provider's content filter stopped the answer.
    Filtered,
    /// The bytes ended with neither a finish reason nor `[DONE]`.
    Truncated,
    /// The connection was lost and the stream was not resumed.
    Interrupted,
    /// An error was reported instead of the answer, or in the middle of it.
    Failed(Fault),
    /// A deadline passed.
    TimedOut(Deadline),
    /// The caller stopped it.
    Cancelled,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request was wrong, and would fail again unchanged.
    Caller,
    /// The server, or the way to it, failed.
    Server,
}

/// The deadlines of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// Until the connection stands, TLS included.
    Connect,
    /// From sending the request to the response's headers.
    Headers,
    /// From sending the request to the first event.
    FirstEvent,
    /// Between two reads that brought any byte at all.
    Idle,
    /// The whole call.
    Total,
}

impl Verdict {
    /// The verdict of an answer whose stream ended as the protocol wants, with this finish reason.
    ///
    /// A stream that said `[DONE]` and named no reason is complete. Reasons outside the API reference are read for what
    /// they mean where that is known: some name a limit (Mistral's `model_length`) or a filter, and some say that
    /// generation broke off (vLLM's `abort`, DeepSeek's `insufficient_system_resource`), which is no completion.
    #[must_use]
    pub fn of_finish(reason: Option<&FinishReason>) -> Self {
        match reason {
            Some(FinishReason::Length) => Self::Length,
            Some(FinishReason::ContentFilter) => Self::Filtered,
            Some(FinishReason::Other(word)) => match word.to_ascii_lowercase().as_str() {
                "max_tokens" | "model_length" | "max_output_tokens" | "context_length" => Self::Length,
                "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii" | "sensitive" => {
                    Self::Filtered
                }
                "error"
                | "abort"
                | "aborted"
                | "cancelled"
                | "timeout"
                | "network_error"
                | "insufficient_system_resource" => Self::Failed(Fault::Server),
                _ => Self::Complete,
            },
            Some(FinishReason::Stop | FinishReason::ToolCalls) | None => Self::Complete,
        }
    }

    /// The verdict's name in JSON output and messages.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Length => "length",
            Self::Filtered => "filtered",
            Self::Truncated => "truncated",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
            Self::TimedOut(_) => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// The process exit code of a run that ended this way. Only [`Verdict::Complete`] is 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed(Fault::Caller) => 4,
            Self::Failed(Fault::Server) => 5,
            Self::TimedOut(_) => 6,
            Self::Truncated | Self::Interrupted => 7,
            Self::Length => 8,
            Self::Filtered => 9,
            Self::Cancelled => 130,
        }
    }
}

impl Deadline {
    /// The deadline's name in JSON output and messages.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Headers => "headers",
            Self::FirstEvent => "first_event",
            Self::Idle => "idle",
            Self::Total => "total",
        }
    }
}
