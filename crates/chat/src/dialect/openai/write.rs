//! Writing answers as our own server gives them: strictly, as the API reference has it and the official clients read it.
//!
//! The order of fields is fixed, so the same deltas always give the same bytes. What is written is the data of one event;
//! framing is `aurora-sse`'s business.

use serde::Serialize;

use crate::{Delta, TokenLogprob, ToolCallDelta, Transcript, Usage};

/// Writes one answer.
///
/// A stream is: [`Writer::role`], then [`Writer::delta`] for each delta, then [`Writer::usage`], then
/// [`DONE`](super::DONE). A stream that fails gets an [`ErrorBody`](super::ErrorBody) instead of what is left, and no
/// `[DONE]`.
#[derive(Clone, Debug)]
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    usage: Option<Usage>,
    /// Those of the text that comes next.
    logprobs: Vec<TokenLogprob>,
}

impl Writer {
    /// A writer for the response with this id (`chatcmpl-…`), by this model, created at this Unix time in seconds. Usage
    /// is not written to a stream unless asked for with [`Writer::with_usage`].
    #[must_use]
    pub fn new(id: impl Into<String>, model: impl Into<String>, created: u64) -> Self {
        Self {
            id: id.into(),
            model: model.into(),
            created,
            include_usage: false,
            usage: None,
            logprobs: Vec::new(),
        }
    }

    /// The same writer, writing usage to the stream if `stream_options.include_usage` asked for it.
    #[must_use]
    pub fn with_usage(self, include_usage: bool) -> Self {
        Self {
            include_usage,
            ..self
        }
    }

    /// Writes the first chunk, which names the role.
    pub fn role(&self, out: &mut Vec<u8>) {
        self.chunk(
            &[Choice::of(Payload {
                role: Some("assistant"),
                content: Some(""),
                ..Payload::default()
            })],
            None,
            out,
        );
    }

    /// Writes the chunk for one delta, if it needs one; returns whether it did. Usage is held back for
    /// [`Writer::usage`], log probabilities for the chunk that comes next.
    pub fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) -> bool {
        let call;
        let mut finish_reason = None;
        let payload = match delta {
            Delta::Text(text) => Payload {
                content: Some(text),
                ..Payload::default()
            },
            Delta::Reasoning(text) => Payload {
                reasoning_content: Some(text),
                ..Payload::default()
            },
            Delta::Refusal(text) => Payload {
                refusal: Some(text),
                ..Payload::default()
            },
            Delta::ToolCall(delta) => {
                call = [CallDelta::of(delta)];
                Payload {
                    tool_calls: Some(&call),
                    ..Payload::default()
                }
            }
            Delta::Usage(usage) => {
                self.usage = Some(*usage);
                return false;
            }
            Delta::Logprobs(tokens) => {
                self.logprobs.extend_from_slice(tokens);
                return false;
            }
            Delta::Finish(reason) => {
                finish_reason = Some(reason.as_str());
                Payload::default()
            }
        };
        let tokens = std::mem::take(&mut self.logprobs);
        let choice = Choice {
            finish_reason,
            logprobs: WireLogprobs::of(&tokens),
            ..Choice::of(payload)
        };
        self.chunk(&[choice], None, out);
        true
    }

    /// Writes the chunk with the token counts and empty `choices`, the last before `[DONE]`; returns whether there was
    /// something to write: usage was asked for and a delta told it.
    pub fn usage(&self, out: &mut Vec<u8>) -> bool {
        let Some(usage) = self.usage.filter(|_| self.include_usage) else {
            return false;
        };
        self.chunk(&[], Some(usage), out);
        true
    }

    /// Writes a whole answer, a `chat.completion`, usage included. A missing finish reason is written as `null`.
    pub fn completion(&self, answer: &Transcript, out: &mut Vec<u8>) {
        let calls: Vec<_> = answer
            .tool_calls
            .iter()
            .enumerate()
            .map(|(index, call)| call.to_value(index))
            .collect();
        let finish = answer.effective_finish();
        let silent = answer.text.is_empty() && (!calls.is_empty() || !answer.refusal.is_empty());
        let message = Message {
            role: "assistant",
            content: Some(answer.text.as_str()).filter(|_| !silent),
            refusal: Some(answer.refusal.as_str()).filter(|text| !text.is_empty()),
            reasoning_content: Some(answer.reasoning.as_str()).filter(|text| !text.is_empty()),
            tool_calls: Some(calls).filter(|calls| !calls.is_empty()),
        };
        let choice = WholeChoice {
            index: 0,
            message,
            logprobs: WireLogprobs::of(&answer.logprobs),
            finish_reason: finish.as_ref().map(crate::FinishReason::as_str),
        };
        let whole = Whole {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: [choice],
            usage: answer.usage.map(WireUsage::of),
        };
        write(&whole, out);
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<Usage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            // With usage asked for, every chunk has the field, and all but the last have `null`.
            usage: self.include_usage.then(|| usage.map(WireUsage::of)),
        };
        write(&chunk, out);
    }
}

fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("strings and numbers always serialise, and a Vec takes every byte");
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Payload<'a>,
    logprobs: Option<WireLogprobs<'a>>,
    finish_reason: Option<&'a str>,
}

impl<'a> Choice<'a> {
    fn of(delta: Payload<'a>) -> Self {
        Self {
            index: 0,
            delta,
            logprobs: None,
            finish_reason: None,
        }
    }
}

#[derive(Serialize)]
struct WireLogprobs<'a> {
    content: &'a [TokenLogprob],
    refusal: Option<()>,
}

impl<'a> WireLogprobs<'a> {
    /// `null` where there are none.
    fn of(content: &'a [TokenLogprob]) -> Option<Self> {
        (!content.is_empty()).then_some(Self {
            content,
            refusal: None,
        })
    }
}

#[derive(Default, Serialize)]
struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<&'a [CallDelta<'a>]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// With the first fragment, as the reference has it: the one that has the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> CallDelta<'a> {
    fn of(delta: &'a ToolCallDelta) -> Self {
        Self {
            index: delta.index,
            id: delta.id.as_deref(),
            r#type: delta.id.is_some().then_some("function"),
            function: FunctionDelta {
                name: delta.name.as_deref(),
                arguments: &delta.arguments,
            },
        }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [WholeChoice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<WireLogprobs<'a>>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<serde_json::Value>>,
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl WireUsage {
    fn of(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: usage
                .cached_input_tokens
                .map(|cached_tokens| PromptDetails { cached_tokens }),
            completion_tokens_details: usage
                .reasoning_tokens
                .map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
        }
    }
}
