//! The parts of a chunk's payload: text in all its shapes, reasoning under all its names, token counts.

use serde_json::{Map, Value};

use crate::Usage;

type Fields = Map<String, Value>;

/// How deep text may be nested in content parts: a thinking part holds text parts.
const DEPTH_MAX: u32 = 4;

/// What a `content` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) refusal: String,
    /// Whether there was something that is none of these.
    pub(super) skipped: bool,
}

impl Said {
    /// Reads a `content`: a string, or, as Mistral sends it, an array of parts (symfony/ai#2422).
    pub(super) fn of(content: &Value) -> Self {
        let mut said = Self::default();
        said.read(content, DEPTH_MAX);
        said
    }

    fn read(&mut self, content: &Value, depth: u32) {
        match content {
            Value::Null => {}
            Value::String(text) => self.text.push_str(text),
            Value::Array(parts) if depth > 0 => parts.iter().for_each(|part| self.read(part, depth - 1)),
            Value::Object(part) if depth > 0 => self.read_part(part, depth - 1),
            _ => self.skipped = true,
        }
    }

    fn read_part(&mut self, part: &Fields, depth: u32) {
        let inner = |names: &[&str]| {
            names.iter().find_map(|name| part.get(*name)).map(|value| {
                let mut inner = Self::default();
                inner.read(value, depth);
                inner.text
            })
        };
        match part.get("type").and_then(Value::as_str) {
            Some("thinking" | "reasoning") => {
                self.reasoning
                    .push_str(&inner(&["thinking", "reasoning", "text", "summary"]).unwrap_or_default());
            }
            Some("refusal") => self
                .refusal
                .push_str(&inner(&["refusal", "text"]).unwrap_or_default()),
            _ => match inner(&["text"]) {
                Some(text) => self.text.push_str(&text),
                None => self.skipped = true,
            },
        }
    }
}

/// The reasoning of a delta. Servers have several names for it and some send the same text under two of them at once
/// (claude-code-router#1205, langchain_dart#793): the first name that has text counts.
pub(super) fn reasoning(delta: &Fields) -> String {
    ["reasoning_content", "reasoning", "reasoning_details", "thinking"]
        .iter()
        .filter_map(|name| delta.get(*name))
        .map(|value| text_within(value, DEPTH_MAX))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// The text of a reasoning value: a string, an object that has it, or an array of these. Encrypted reasoning has none.
fn text_within(value: &Value, depth: u32) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) if depth > 0 => parts.iter().map(|part| text_within(part, depth - 1)).collect(),
        Value::Object(part) if depth > 0 => ["text", "content", "summary", "thinking"]
            .iter()
            .find_map(|name| part.get(*name))
            .map_or_else(String::new, |inner| text_within(inner, depth - 1)),
        _ => String::new(),
    }
}

/// The token counts a `usage` gives; `None` if it gives none (`{}`: zed#42893).
pub(super) fn usage(value: &Value) -> Option<Usage> {
    let fields = value.as_object()?;
    let count = |names: &[&str]| names.iter().find_map(|name| number(fields.get(*name)?));
    let detail = |groups: &[&str], name: &str| {
        groups
            .iter()
            .find_map(|group| number(fields.get(*group)?.as_object()?.get(name)?))
    };
    let input = count(&["prompt_tokens", "input_tokens"]);
    let output = count(&["completion_tokens", "output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let input_details = ["prompt_tokens_details", "input_tokens_details"];
    let output_details = ["completion_tokens_details", "output_tokens_details"];
    Some(Usage {
        input_tokens: input.unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        // DeepSeek says it at the top level.
        cached_input_tokens: detail(&input_details, "cached_tokens")
            .or_else(|| count(&["prompt_cache_hit_tokens"])),
        reasoning_tokens: detail(&output_details, "reasoning_tokens")
            .or_else(|| count(&["reasoning_tokens"])),
    })
}

/// A count: a whole number, also written with a decimal point or as a string.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be a whole number in range"
)]
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64()?;
            (number.fract() == 0.0 && (0.0..u64::MAX as f64).contains(&number)).then_some(number as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
