//! Reading a request from JSON bytes, strictly.
//!
//! One pass of `serde_json` (linear, nesting bounded at 128), then one walk over the fields that are known. This file
//! decides on JSON types; what the values may be is decided by [`ChatRequest::validate`]. `null` in an optional field
//! is the same as leaving it out; of duplicate keys the last wins, as in most JSON readers; a byte order mark at the
//! start is skipped.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::rules::{integer, missing, only_with, wrong_type, wrong_value};
use super::{ChatRequest, Content, Message, Part, RequestError, Role};

pub(crate) type Fields = Map<String, Value>;

impl ChatRequest {
    /// Reads and validates a request: the body of `POST /v1/chat/completions`.
    ///
    /// A missing `model` is the default model. `max_completion_tokens` wins over its older name `max_tokens`. Fields
    /// that are not known are kept in [`ChatRequest::extra`].
    ///
    /// # Errors
    /// The first thing that is wrong: for invalid JSON with line and column, for a field with its path, what was found
    /// and what is allowed.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let mut fields = object(body)?;
        let messages = take_messages(&mut fields)?;
        Self::from_fields(fields, messages)
    }

    /// Reads and validates the fields beside `messages`, for every API whose requests have these fields.
    pub(crate) fn from_fields(mut fields: Fields, messages: Vec<Message>) -> Result<Self, RequestError> {
        let (include_usage, stream_options) = take_stream_options(&mut fields)?;
        let has_stream_options = stream_options.is_some();
        let older_limit = take_integer(&mut fields, "max_tokens", 1, i64::from(u32::MAX))?;
        let limit = take_integer(&mut fields, "max_completion_tokens", 1, i64::from(u32::MAX))?;
        take_integer(&mut fields, "n", 1, 1)?;
        let request = Self {
            model: take_string(&mut fields, "", "model")?.unwrap_or_default(),
            messages,
            stream: take_bool(&mut fields, "stream")?.unwrap_or(false),
            include_usage,
            max_tokens: limit.or(older_limit).and_then(|limit| u32::try_from(limit).ok()),
            temperature: take_decimal(&mut fields, "temperature")?,
            top_p: take_decimal(&mut fields, "top_p")?,
            top_k: take_integer(&mut fields, "top_k", 0, i64::from(u32::MAX))?
                .and_then(|k| u32::try_from(k).ok()),
            seed: take_integer(&mut fields, "seed", i64::MIN, i64::MAX)?,
            stop: take_stop(&mut fields)?,
            presence_penalty: take_decimal(&mut fields, "presence_penalty")?,
            frequency_penalty: take_decimal(&mut fields, "frequency_penalty")?,
            logit_bias: take_logit_bias(&mut fields)?,
            tools: take_array(&mut fields, "", "tools")?.unwrap_or_default(),
            tool_choice: take(&mut fields, "tool_choice"),
            response_format: take(&mut fields, "response_format"),
            extra: with_stream_options(fields, stream_options),
        };
        if has_stream_options && !request.stream {
            return Err(only_with("stream_options", "stream"));
        }
        request.validate()?;
        Ok(request)
    }
}

/// The body's one JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Fields, RequestError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(RequestError::new(
            "The request has no body. Expected a JSON object.",
            None,
            None,
        ));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(RequestError {
            param: None,
            ..wrong_type("body", "a JSON object", &other)
        }),
        Err(error) => {
            let message =
                format!("We could not parse the JSON body of your request: {error}. Expected a JSON object.");
            Err(RequestError::new(message, None, Some("invalid_json")))
        }
    }
}

fn take_messages(fields: &mut Fields) -> Result<Vec<Message>, RequestError> {
    let messages = take_array(fields, "", "messages")?.ok_or_else(|| missing("messages"))?;
    messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| read_message(&format!("messages[{index}]"), message))
        .collect()
}

fn read_message(path: &str, message: Value) -> Result<Message, RequestError> {
    let mut fields = match message {
        Value::Object(fields) => fields,
        other => return Err(wrong_type(path, "an object", &other)),
    };
    let role = take_string(&mut fields, path, "role")?.ok_or_else(|| missing(&join(path, "role")))?;
    let role = Role::from_wire(&role)
        .ok_or_else(|| wrong_value(&join(path, "role"), &role, &Role::ALL.map(Role::as_str)))?;
    let content = match take(&mut fields, "content") {
        None => Content::Empty,
        Some(Value::String(text)) => Content::Text(text),
        Some(Value::Array(parts)) => read_parts(&join(path, "content"), parts)?,
        Some(other) => {
            return Err(wrong_type(
                &join(path, "content"),
                "a string or an array of content parts",
                &other,
            ));
        }
    };
    Ok(Message {
        role,
        content,
        tool_calls: take_array(&mut fields, path, "tool_calls")?.unwrap_or_default(),
        tool_call_id: take_string(&mut fields, path, "tool_call_id")?,
        name: take_string(&mut fields, path, "name")?,
        extra: fields,
    })
}

fn read_parts(path: &str, parts: Vec<Value>) -> Result<Content, RequestError> {
    let read = |(index, part): (usize, Value)| {
        let path = format!("{path}[{index}]");
        let mut fields = match part {
            Value::Object(fields) => fields,
            other => return Err(wrong_type(&path, "an object", &other)),
        };
        match fields.get("type") {
            None => Err(missing(&join(&path, "type"))),
            Some(Value::String(kind)) if kind == "text" => match fields.remove("text") {
                Some(Value::String(text)) => Ok(Part::Text(text)),
                Some(other) => Err(wrong_type(&join(&path, "text"), "a string", &other)),
                None => Err(missing(&join(&path, "text"))),
            },
            Some(Value::String(_)) => Ok(Part::Other(fields)),
            Some(other) => Err(wrong_type(&join(&path, "type"), "a string", other)),
        }
    };
    parts
        .into_iter()
        .enumerate()
        .map(read)
        .collect::<Result<_, _>>()
        .map(Content::Parts)
}

/// `stream_options`: whether usage is wanted, and the options we do not know. `None` for the latter if the field is
/// absent.
fn take_stream_options(fields: &mut Fields) -> Result<(bool, Option<Fields>), RequestError> {
    let mut options = match take(fields, "stream_options") {
        None => return Ok((false, None)),
        Some(Value::Object(options)) => options,
        Some(other) => return Err(wrong_type("stream_options", "an object", &other)),
    };
    let include_usage = match take(&mut options, "include_usage") {
        None => false,
        Some(Value::Bool(wanted)) => wanted,
        Some(other) => return Err(wrong_type("stream_options.include_usage", "a boolean", &other)),
    };
    Ok((include_usage, Some(options)))
}

fn with_stream_options(mut extra: Fields, options: Option<Fields>) -> Fields {
    if let Some(options) = options.filter(|options| !options.is_empty()) {
        extra.insert("stream_options".to_owned(), Value::Object(options));
    }
    extra
}

fn take_stop(fields: &mut Fields) -> Result<Vec<String>, RequestError> {
    match take(fields, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop]),
        Some(Value::Array(stops)) => {
            let read = |(index, stop)| match stop {
                Value::String(stop) => Ok(stop),
                other => Err(wrong_type(&format!("stop[{index}]"), "a string", &other)),
            };
            stops.into_iter().enumerate().map(read).collect()
        }
        Some(other) => Err(wrong_type("stop", "a string or an array of strings", &other)),
    }
}

fn take_logit_bias(fields: &mut Fields) -> Result<BTreeMap<u32, f32>, RequestError> {
    let biases = match take(fields, "logit_bias") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(biases)) => biases,
        Some(other) => {
            return Err(wrong_type(
                "logit_bias",
                "an object from token ids to numbers",
                &other,
            ));
        }
    };
    let read = |(token, bias): (String, Value)| {
        let Ok(id) = token.parse() else {
            let token = crate::redact::printable(&token, 64);
            let message = format!(
                "Invalid key in 'logit_bias': expected a token id, a whole number from 0, but got '{token}' instead."
            );
            return Err(RequestError::new(
                message,
                Some("logit_bias".to_owned()),
                Some("invalid_value"),
            ));
        };
        Ok((id, decimal(&format!("logit_bias.{id}"), &bias)?))
    };
    biases.into_iter().map(read).collect()
}

/// Takes a field out of the object. `null` is the same as absent.
pub(crate) fn take(fields: &mut Fields, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| !value.is_null())
}

pub(crate) fn take_string(
    fields: &mut Fields,
    path: &str,
    name: &str,
) -> Result<Option<String>, RequestError> {
    match take(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(&join(path, name), "a string", &other)),
    }
}

pub(crate) fn take_array(
    fields: &mut Fields,
    path: &str,
    name: &str,
) -> Result<Option<Vec<Value>>, RequestError> {
    match take(fields, name) {
        None => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(other) => Err(wrong_type(&join(path, name), "an array", &other)),
    }
}

pub(crate) fn take_bool(fields: &mut Fields, name: &str) -> Result<Option<bool>, RequestError> {
    match take(fields, name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(other) => Err(wrong_type(name, "a boolean", &other)),
    }
}

pub(crate) fn take_integer(
    fields: &mut Fields,
    name: &str,
    min: i64,
    max: i64,
) -> Result<Option<i64>, RequestError> {
    take(fields, name)
        .map(|value| integer(name, &value, min, max))
        .transpose()
}

fn take_decimal(fields: &mut Fields, name: &str) -> Result<Option<f32>, RequestError> {
    take(fields, name).map(|value| decimal(name, &value)).transpose()
}

/// A number as an `f32`. One beyond its range becomes the largest there is, which no rule allows.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the loss of precision is what the field's type asks for"
)]
fn decimal(param: &str, value: &Value) -> Result<f32, RequestError> {
    let number = value
        .as_f64()
        .ok_or_else(|| wrong_type(param, "a number", value))?;
    Ok((number as f32).clamp(f32::MIN, f32::MAX))
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
