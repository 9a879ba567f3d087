//! The fold of deltas into a whole answer.
//!
//! However an answer was cut into deltas, its transcript is the same. It is bounded: beyond its limit a delta is refused
//! with a named failure and what was folded before stays. It judges nothing; verdicts are made in [`crate::ending`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    Content, Delta, Failure, FailureKind, FinishReason, Limit, Message, Role, TokenLogprob, ToolCallDelta,
    Usage,
};

/// The default limit on one answer, in bytes: 64 MiB.
pub const DEFAULT_LIMIT: usize = 64 << 20;

/// What one tool call counts for besides its text, so that endless empty calls meet the limit too.
const CALL_COST: usize = 128;

/// A whole answer, or as much of it as has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// The answer's text.
    pub text: String,
    /// What the model thought aloud.
    pub reasoning: String,
    /// The text with which the model declined.
    pub refusal: String,
    /// The tool calls, in the order in which they began.
    pub tool_calls: Vec<ToolCall>,
    /// How likely the tokens of the text were, where the source told it.
    pub logprobs: Vec<TokenLogprob>,
    /// The last token counts given.
    pub usage: Option<Usage>,
    /// The last finish reason, as the server gave it.
    pub finish_reason: Option<FinishReason>,
    /// Where in `tool_calls` each index of the wire is.
    places: BTreeMap<u32, usize>,
    bytes: usize,
    limit: usize,
}

/// One whole tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's id.
    pub id: Option<String>,
    /// The function's name.
    pub name: Option<String>,
    /// The arguments' JSON text, as the model wrote it: it may be no valid JSON.
    pub arguments: String,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl Transcript {
    /// An empty transcript with the [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty transcript that takes at most this many bytes of text, reasoning, refusal, tool calls and log probabilities
    /// together.
    #[must_use]
    pub fn with_limit(bytes: usize) -> Self {
        Self {
            text: String::new(),
            reasoning: String::new(),
            refusal: String::new(),
            tool_calls: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
            finish_reason: None,
            places: BTreeMap::new(),
            bytes: 0,
            limit: bytes,
        }
    }

    /// Adds the next delta.
    ///
    /// # Errors
    /// [`Limit::Answer`] if the answer would outgrow the limit; the delta is then not added, nor any part of it.
    pub fn push(&mut self, delta: &Delta) -> Result<(), Failure> {
        let cost = match delta {
            Delta::ToolCall(call) => self.call_cost(call),
            Delta::Finish(reason) => reason.as_str().len(),
            said => said.weight(),
        };
        let bytes = self.bytes.saturating_add(cost);
        if bytes > self.limit {
            let message = format!("the answer is longer than the limit of {} bytes", self.limit);
            return Err(Failure::new(FailureKind::Limit(Limit::Answer), message));
        }
        self.bytes = bytes;
        match delta {
            Delta::Text(text) => self.text.push_str(text),
            Delta::Reasoning(text) => self.reasoning.push_str(text),
            Delta::Refusal(text) => self.refusal.push_str(text),
            Delta::ToolCall(call) => self.push_call(call),
            Delta::Logprobs(tokens) => self.logprobs.extend_from_slice(tokens),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Finish(reason) => self.finish_reason = Some(reason.clone()),
        }
        Ok(())
    }

    /// Whether nothing of the answer has come: neither text of any kind nor a tool call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.reasoning.is_empty()
            && self.refusal.is_empty()
            && self.tool_calls.is_empty()
    }

    /// The finish reason a caller can act on: some servers say `stop` although tools were called (vllm#9209), and
    /// clients look at the reason to know whether to call them. `None` if the server gave no reason.
    #[must_use]
    pub fn effective_finish(&self) -> Option<FinishReason> {
        match &self.finish_reason {
            Some(FinishReason::Stop) if !self.tool_calls.is_empty() => Some(FinishReason::ToolCalls),
            reason => reason.clone(),
        }
    }

    /// The answer as the assistant's message of a conversation that goes on. Reasoning is left out: providers do not
    /// take it back.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let content = if self.text.is_empty() {
            Content::Empty
        } else {
            Content::Text(self.text.clone())
        };
        let mut extra = Map::new();
        if !self.refusal.is_empty() {
            extra.insert("refusal".to_owned(), Value::from(self.refusal.as_str()));
        }
        Message {
            content,
            tool_calls: self
                .tool_calls
                .iter()
                .enumerate()
                .map(|(index, call)| call.to_value(index))
                .collect(),
            extra,
            ..Message::text(Role::Assistant, "")
        }
    }

    fn call_cost(&self, call: &ToolCallDelta) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let new = if self.places.contains_key(&call.index) {
            0
        } else {
            CALL_COST
        };
        new + text(&call.id) + text(&call.name) + call.arguments.len()
    }

    fn push_call(&mut self, delta: &ToolCallDelta) {
        let place = *self.places.entry(delta.index).or_insert(self.tool_calls.len());
        if place == self.tool_calls.len() {
            self.tool_calls.push(ToolCall::default());
        }
        let call = &mut self.tool_calls[place];
        if delta.id.is_some() {
            call.id.clone_from(&delta.id);
        }
        if delta.name.is_some() {
            call.name.clone_from(&delta.name);
        }
        call.arguments.push_str(&delta.arguments);
    }
}

impl ToolCall {
    /// The call as it is written in a message. A call without an id gets one from its place, since every dialect wants
    /// one.
    #[must_use]
    pub fn to_value(&self, index: usize) -> Value {
        let id = self.id.clone().unwrap_or_else(|| format!("call_{index}"));
        let name = self.name.as_deref().unwrap_or("");
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": self.arguments}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(index: u32, id: &str, name: &str, arguments: &str) -> Delta {
        let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        Delta::ToolCall(ToolCallDelta {
            index,
            id: word(id),
            name: word(name),
            arguments: arguments.to_owned(),
        })
    }

    #[test]
    fn folds_every_kind() {
        let mut answer = Transcript::new();
        assert!(answer.is_empty());
        let usage = |output_tokens| Usage {
            input_tokens: 3,
            output_tokens,
            ..Usage::default()
        };
        for delta in [
            Delta::Reasoning("hm".into()),
            Delta::Text("a".into()),
            Delta::Text("b".into()),
            call(0, "x", "f", "{"),
            call(7, "y", "g", ""),
            call(0, "", "", "}"),
            Delta::Usage(usage(1)),
            Delta::Finish(FinishReason::Stop),
            Delta::Usage(usage(2)),
        ] {
            answer.push(&delta).unwrap();
        }
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("ab", "hm"));
        assert_eq!(answer.usage, Some(usage(2)));
        assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
        assert_eq!(answer.effective_finish(), Some(FinishReason::ToolCalls));
        let message = answer.to_message();
        assert_eq!(message.content, Content::Text("ab".into()));
        assert_eq!(
            Value::from(message.tool_calls),
            json!([
                {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "y", "type": "function", "function": {"name": "g", "arguments": ""}},
            ])
        );
    }

    #[test]
    fn refuses_what_is_beyond_the_limit_and_keeps_the_rest() {
        let mut answer = Transcript::with_limit(5);
        answer.push(&Delta::Text("abcd".into())).unwrap();
        let failure = answer.push(&Delta::Text("ef".into())).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Limit(Limit::Answer));
        answer.push(&Delta::Text("e".into())).unwrap();
        assert_eq!(answer.text, "abcde");
    }

    #[test]
    fn endless_empty_calls_meet_the_limit() {
        let mut answer = Transcript::with_limit(1 << 16);
        let refused = (0..u32::MAX)
            .map(|index| answer.push(&call(index, "", "", "")))
            .position(|r| r.is_err());
        assert_eq!(refused, Some((1 << 16) / CALL_COST));
    }

    proptest! {
        #[test]
        fn any_split_of_the_text_gives_the_same_transcript(text in any::<String>(), cut in any::<prop::sample::Index>()) {
            let cut = text.floor_char_boundary(cut.index(text.len() + 1));
            let mut whole = Transcript::new();
            let mut parts = Transcript::new();
            let (left, right) = text.split_at(cut);
            for kind in [Delta::Text, Delta::Reasoning, Delta::Refusal] {
                whole.push(&kind(text.clone())).unwrap();
                parts.push(&kind(left.to_owned())).unwrap();
                parts.push(&kind(right.to_owned())).unwrap();
            }
            whole.push(&call(0, "i", "n", &text)).unwrap();
            parts.push(&call(0, "i", "n", left)).unwrap();
            parts.push(&call(0, "", "", right)).unwrap();
            prop_assert_eq!(whole, parts);
        }
    }
}
