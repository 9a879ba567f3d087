//! Writing a request for an upstream, strictly: only what is set, under the names of the API reference.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use crate::{ChatRequest, Content, Message, Part};

/// The JSON body of `POST /chat/completions`.
///
/// Unset fields are left out, unknown ones ([`ChatRequest::extra`]) are passed on unchanged. A stream always asks for
/// usage. The token limit is sent as `max_tokens`, the name every compatible server knows, except to OpenAI's reasoning
/// models (`o1`, `gpt-5`, …), which refuse it and want `max_completion_tokens`.
#[must_use]
pub fn request_body(request: &ChatRequest) -> Vec<u8> {
    let newer = wants_newer_limit(&request.model);
    let mut extra = request.extra.clone();
    let stream_options = request
        .stream
        .then(|| stream_options(extra.remove("stream_options")));
    let body = Body {
        model: &request.model,
        messages: request.messages.iter().map(WireMessage).collect(),
        stream: request.stream,
        stream_options,
        max_tokens: request.max_tokens.filter(|_| !newer),
        max_completion_tokens: request.max_tokens.filter(|_| newer),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        seed: request.seed,
        stop: &request.stop,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        logit_bias: &request.logit_bias,
        tools: &request.tools,
        tool_choice: request.tool_choice.as_ref(),
        response_format: request.response_format.as_ref(),
        extra,
    };
    serde_json::to_vec(&body).expect("strings, numbers and maps with string keys always serialise")
}

/// `stream_options` with usage asked for, besides what the caller gave.
fn stream_options(given: Option<Value>) -> Value {
    match given {
        Some(Value::Object(mut options)) => {
            options.insert("include_usage".to_owned(), Value::Bool(true));
            Value::Object(options)
        }
        Some(_) | None => json!({"include_usage": true}),
    }
}

/// Whether the model is one of OpenAI's that refuse `max_tokens`: `o` and a digit, or `gpt-5` and later.
fn wants_newer_limit(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let digit = |rest: &str, from: u8| rest.bytes().next().is_some_and(|b| (from..=b'9').contains(&b));
    name.strip_prefix('o').is_some_and(|rest| digit(rest, b'1'))
        || name.strip_prefix("gpt-").is_some_and(|rest| digit(rest, b'5'))
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logit_bias: &'a BTreeMap<u32, f32>,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    tools: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a Value>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

struct WireMessage<'a>(&'a Message);

impl Serialize for WireMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message {
            role,
            content,
            tool_calls,
            tool_call_id,
            name,
            extra,
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", role.as_str())?;
        match content {
            Content::Empty => map.serialize_entry("content", &Value::Null)?,
            Content::Text(text) => map.serialize_entry("content", text)?,
            Content::Parts(parts) => map.serialize_entry("content", &WireParts(parts))?,
        }
        if let Some(name) = name {
            map.serialize_entry("name", name)?;
        }
        if !tool_calls.is_empty() {
            map.serialize_entry("tool_calls", tool_calls)?;
        }
        if let Some(id) = tool_call_id {
            map.serialize_entry("tool_call_id", id)?;
        }
        for (name, value) in extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct WireParts<'a>(&'a [Part]);

impl Serialize for WireParts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_seq(Some(self.0.len()))?;
        for part in self.0 {
            match part {
                Part::Text(text) => parts.serialize_element(&TextPart { kind: "text", text })?,
                Part::Other(part) => parts.serialize_element(part)?,
            }
        }
        parts.end()
    }
}

#[derive(Serialize)]
struct TextPart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn written(request: &ChatRequest) -> Value {
        serde_json::from_slice(&request_body(request)).unwrap()
    }

    #[test]
    fn writes_only_what_is_set() {
        let request = ChatRequest {
            model: "m".into(),
            messages: vec![Message::text(Role::User, "hi")],
            ..ChatRequest::default()
        };
        assert_eq!(
            String::from_utf8(request_body(&request)).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false}"#
        );
    }

    #[test]
    fn a_stream_asks_for_usage_and_keeps_other_options() {
        let body = br#"{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"x":1}}"#;
        let request = ChatRequest::from_json(body).unwrap();
        assert_eq!(
            written(&request)["stream_options"],
            json!({"include_usage": true, "x": 1})
        );
    }

    #[test]
    fn the_token_limit_has_the_name_the_model_knows() {
        for (model, name) in [
            ("llama3", "max_tokens"),
            ("gpt-4o", "max_tokens"),
            ("olmo-2", "max_tokens"),
            ("gpt-oss-20b", "max_tokens"),
            ("o3-mini", "max_completion_tokens"),
            ("openai/gpt-5-mini", "max_completion_tokens"),
        ] {
            let request = ChatRequest {
                model: model.into(),
                max_tokens: Some(7),
                ..ChatRequest::default()
            };
            assert_eq!(written(&request)[name], json!(7), "{model}");
        }
    }

    #[test]
    fn what_is_read_is_written_again() {
        let body = json!({
            "model": "m", "stream": false, "max_tokens": 5, "temperature": 0.7, "top_p": 0.95, "top_k": 40, "seed": -3,
            "stop": ["a", "b"], "presence_penalty": -1.5, "frequency_penalty": 0.1, "logit_bias": {"50256": -100.0},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "tool_choice": "auto",
            "response_format": {"type": "json_object"}, "user": "u", "metadata": {"a": [1, 2.5, null]},
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "name": "n", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "data:,"}}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}], "refusal": "r"},
                {"role": "tool", "tool_call_id": "c", "content": "ok"}
            ]
        });
        let request = ChatRequest::from_json(&serde_json::to_vec(&body).unwrap()).unwrap();
        assert_eq!(written(&request), body);
        // A decimal is written as it was read, not as the nearest f64 of an f32.
        assert!(
            String::from_utf8(request_body(&request))
                .unwrap()
                .contains(r#""temperature":0.7,"top_p":0.95"#)
        );
    }
}
