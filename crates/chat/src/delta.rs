//! The increments an answer is made of, the same for every source and every wire format.

use crate::TokenLogprob;

/// One typed increment of an answer.
///
/// Deltas arrive in order. Text of one kind is to be concatenated; a [`Delta::Usage`] replaces an earlier one; of
/// several [`Delta::Finish`] the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text of the answer: whole UTF-8 characters, never empty.
    Text(String),
    /// Text the model thinks aloud, not part of the answer; never empty.
    Reasoning(String),
    /// Text with which the model declines to answer; never empty.
    Refusal(String),
    /// A fragment of a tool call.
    ToolCall(ToolCallDelta),
    /// How likely the tokens of the text that comes next were, where it was asked for; never empty.
    Logprobs(Vec<TokenLogprob>),
    /// Token counts so far, or in total.
    Usage(Usage),
    /// Why the model stopped.
    Finish(FinishReason),
}

impl Delta {
    /// What it counts against a limit on the size of answers, in bytes: all that it says.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Refusal(text) => text.len(),
            Self::ToolCall(call) => {
                let named = [&call.id, &call.name].into_iter().flatten().map(String::len);
                named.sum::<usize>() + call.arguments.len()
            }
            Self::Logprobs(tokens) => tokens.iter().map(TokenLogprob::cost).sum(),
            Self::Usage(_) | Self::Finish(_) => 0,
        }
    }
}

/// A fragment of one tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which of the answer's parallel calls this belongs to, from 0.
    pub index: u32,
    /// The call's id, on its first fragment; never empty.
    pub id: Option<String>,
    /// The function's name, on its first fragment; never empty.
    pub name: Option<String>,
    /// The next piece of the arguments' JSON text; may be empty.
    pub arguments: String,
}

/// Token counts of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// How many of the prompt's tokens came from a cache, where the source says so.
    pub cached_input_tokens: Option<u64>,
    /// How many of the answer's tokens were reasoning, where the source says so.
    pub reasoning_tokens: Option<u64>,
}

/// Why the model stopped, in the words of the OpenAI chat completions API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A natural end, or a stop string.
    Stop,
    /// The token limit.
    Length,
    /// The model called tools.
    ToolCalls,
    /// The provider's content filter.
    ContentFilter,
    /// A reason outside the API reference, as the server wrote it.
    Other(String),
}

impl FinishReason {
    /// The reason as it is written on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(other) => other,
        }
    }

    /// Reads a reason from the wire. `None` for the empty string, which some servers send to mean "not yet"
    /// (sglang#3912).
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Some(match text {
            "" => return None,
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        })
    }
}
