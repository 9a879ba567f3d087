//! What is asked: the request of the chat completions API, as typed values.
//!
//! [`ChatRequest`] is what every part of Aurora passes around; the fields are those of the OpenAI API reference
//! (`POST /v1/chat/completions`), with the names of that reference in the docs where ours differ. Fields we do not know
//! are kept in [`ChatRequest::extra`] and passed on unchanged.
//!
//! [`ChatRequest::from_json`] reads a request from bytes, [`ChatRequest::validate`] checks one built in code; the rules
//! on values have one home, `rules.rs`, with those on the fields of `extra` in `passed_on.rs`. Reading is strict: what is wrong is an error that names the field, never a guess.

mod passed_on;
pub(crate) mod read;
pub(crate) mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{Failure, FailureKind};

/// One request for an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's name; empty means the default.
    pub model: String,
    /// The conversation; never empty once validated.
    pub messages: Vec<Message>,
    /// Whether the answer is wanted as an event stream.
    pub stream: bool,
    /// `stream_options.include_usage`; only with `stream`. Other stream options are kept in [`ChatRequest::extra`] under
    /// `stream_options`.
    pub include_usage: bool,
    /// At most this many tokens of answer: `max_completion_tokens`, else `max_tokens`. At least 1.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2. 0 is greedy.
    pub temperature: Option<f32>,
    /// Nucleus sampling, 0 to 1. 0 leaves only the best token, which is greedy.
    pub top_p: Option<f32>,
    /// Only the k best tokens are sampled from; 0 means all. Not in OpenAI's reference, but in most servers.
    pub top_k: Option<u32>,
    /// With the same seed and the same request the local engine gives the same text.
    pub seed: Option<i64>,
    /// Strings that end the answer, at most four, none empty. They are not part of the answer.
    pub stop: Vec<String>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Token id to bias, -100 to 100.
    pub logit_bias: BTreeMap<u32, f32>,
    /// `tools`, as given.
    pub tools: Vec<Value>,
    /// `tool_choice`, as given.
    pub tool_choice: Option<Value>,
    /// `response_format`, as given.
    pub response_format: Option<Value>,
    /// Every other field, as given. Those that the reference defines (`user`, `metadata`, `logprobs`, …) are held to
    /// its types.
    pub extra: Map<String, Value>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
    /// The calls an assistant made, as given.
    pub tool_calls: Vec<Value>,
    /// The call a tool message answers.
    pub tool_call_id: Option<String>,
    /// The speaker's name.
    pub name: Option<String>,
    /// Every other field, as given.
    pub extra: Map<String, Value>,
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The newer name of `system`.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing: `null` or absent, as an assistant that only called tools has it.
    Empty,
    /// Text.
    Text(String),
    /// Parts: text, images, …
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// `{"type":"text","text":…}`. Other fields of such a part (hints for caches) are not kept.
    Text(String),
    /// Any other part, whole, as given; its `type` is a string.
    Other(Map<String, Value>),
}

/// A request that cannot be answered as it is: HTTP status 400 and OpenAI's `invalid_request_error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong and what would be right, naming the field.
    pub message: String,
    /// The field's path, such as `messages[0].content`.
    pub param: Option<String>,
    /// A stable word such as `context_length_exceeded`, where the API has one.
    pub code: Option<&'static str>,
}

impl RequestError {
    /// An error with this message about this field.
    #[must_use]
    pub fn new(message: impl Into<String>, param: Option<String>, code: Option<&'static str>) -> Self {
        Self {
            message: message.into(),
            param,
            code,
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self {
            status: Some(400),
            error_type: Some("invalid_request_error".to_owned()),
            code: error.code.map(str::to_owned),
            param: error.param,
            ..Self::new(FailureKind::InvalidRequest, error.message)
        }
    }
}

impl Message {
    /// A message of plain text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Content::Text(text.into()),
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            extra: Map::new(),
        }
    }

    /// The message's text: its text parts, one after the other, with nothing between them. Other parts are left out;
    /// [`Message::first_other_part`] tells whether there are any.
    #[must_use]
    pub fn plain_text(&self) -> Cow<'_, str> {
        match &self.content {
            Content::Empty => Cow::Borrowed(""),
            Content::Text(text) => Cow::Borrowed(text),
            Content::Parts(parts) => match parts.as_slice() {
                [Part::Text(text)] => Cow::Borrowed(text),
                parts => parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Text(text) => Some(text.as_str()),
                        Part::Other(_) => None,
                    })
                    .collect::<String>()
                    .into(),
            },
        }
    }

    /// The first part that is not text, with its place: what a model that reads only text must refuse, naming
    /// `messages[i].content[place]`.
    #[must_use]
    pub fn first_other_part(&self) -> Option<(usize, &Map<String, Value>)> {
        let Content::Parts(parts) = &self.content else {
            return None;
        };
        parts.iter().enumerate().find_map(|(place, part)| match part {
            Part::Text(_) => None,
            Part::Other(part) => Some((place, part)),
        })
    }
}

impl Role {
    /// Every role, as the reference lists them.
    pub const ALL: [Self; 5] = [
        Self::Developer,
        Self::System,
        Self::User,
        Self::Assistant,
        Self::Tool,
    ];

    /// Reads a role from the wire. The deprecated `function` is not one of them: its messages lack the id of the call
    /// that a `tool` message must name, so it cannot be translated truthfully.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The role as it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}
