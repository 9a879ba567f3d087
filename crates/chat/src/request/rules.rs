//! The rules on a request's values, and the words in which a broken rule is reported.
//!
//! Every rule on a value (range, count, presence) is here and nowhere else, so that a request read from bytes and one
//! built in code are held to the same. Messages and codes are those of OpenAI's API, with one addition: they always say
//! what was found and what is allowed. Rules on JSON types belong to `read.rs`.

use serde_json::Value;

use super::{ChatRequest, Content, Message, RequestError, Role, passed_on};

/// How many stop strings there may be.
const STOP_MAX: usize = 4;

impl ChatRequest {
    /// Checks every value against the API reference. [`ChatRequest::from_json`] does so itself; requests built in code
    /// need the call.
    ///
    /// # Errors
    /// The first broken rule, naming the field.
    pub fn validate(&self) -> Result<(), RequestError> {
        if self.messages.is_empty() {
            return Err(empty_array("messages"));
        }
        for (index, message) in self.messages.iter().enumerate() {
            message.validate(&format!("messages[{index}]"))?;
        }
        if self.include_usage && !self.stream {
            return Err(only_with("stream_options", "stream"));
        }
        if self.max_tokens == Some(0) {
            return Err(integer_below("max_tokens", 1, "0"));
        }
        for (param, value, min, max) in [
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
        ] {
            if let Some(value) = value {
                decimal_within(param, value, min, max)?;
            }
        }
        for (token, bias) in &self.logit_bias {
            decimal_within(&format!("logit_bias.{token}"), *bias, -100.0, 100.0)?;
        }
        self.validate_stop()?;
        validate_tools(&self.tools)?;
        if let Some(choice) = &self.tool_choice {
            validate_tool_choice(choice)?;
        }
        if let Some(format) = &self.response_format {
            validate_typed("response_format", format)?;
        }
        passed_on::validate(&self.extra)
    }

    fn validate_stop(&self) -> Result<(), RequestError> {
        if self.stop.len() > STOP_MAX {
            let message = format!(
                "Invalid 'stop': array too long. Expected an array with maximum length {STOP_MAX}, but got an array with length {} instead.",
                self.stop.len()
            );
            return Err(RequestError::new(
                message,
                Some("stop".to_owned()),
                Some("array_above_max_length"),
            ));
        }
        match self.stop.iter().position(String::is_empty) {
            Some(index) => Err(empty_string(&format!("stop[{index}]"))),
            None => Ok(()),
        }
    }
}

impl Message {
    fn validate(&self, path: &str) -> Result<(), RequestError> {
        match &self.content {
            Content::Empty if self.role != Role::Assistant => {
                let message = format!(
                    "Missing required parameter: '{path}.content': expected a string or an array of content parts. Only an assistant's message may have none."
                );
                let param = Some(format!("{path}.content"));
                return Err(RequestError::new(
                    message,
                    param,
                    Some("missing_required_parameter"),
                ));
            }
            Content::Parts(parts) if parts.is_empty() => return Err(empty_array(&format!("{path}.content"))),
            Content::Empty | Content::Text(_) | Content::Parts(_) => {}
        }
        if self.role == Role::Tool && self.tool_call_id.as_deref().is_none_or(str::is_empty) {
            return Err(missing(&format!("{path}.tool_call_id")));
        }
        for (index, call) in self.tool_calls.iter().enumerate() {
            if !call.is_object() {
                return Err(wrong_type(
                    &format!("{path}.tool_calls[{index}]"),
                    "an object",
                    call,
                ));
            }
        }
        Ok(())
    }
}

fn validate_tools(tools: &[Value]) -> Result<(), RequestError> {
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        if validate_typed(&path, tool)? != "function" {
            continue;
        }
        let path = format!("{path}.function");
        let function = match &tool["function"] {
            Value::Null => return Err(missing(&path)),
            Value::Object(function) => function,
            other => return Err(wrong_type(&path, "an object", other)),
        };
        let path = format!("{path}.name");
        match function.get("name") {
            None | Some(Value::Null) => return Err(missing(&path)),
            Some(Value::String(name)) if name.is_empty() => return Err(empty_string(&path)),
            Some(Value::String(_)) => {}
            Some(other) => return Err(wrong_type(&path, "a string", other)),
        }
    }
    Ok(())
}

fn validate_tool_choice(choice: &Value) -> Result<(), RequestError> {
    const WORDS: [&str; 3] = ["none", "auto", "required"];
    match choice {
        Value::String(word) if WORDS.contains(&word.as_str()) => Ok(()),
        Value::String(word) => Err(wrong_value("tool_choice", word, &WORDS)),
        Value::Object(_) => validate_typed("tool_choice", choice).map(|_| ()),
        other => Err(wrong_type(
            "tool_choice",
            "one of 'none', 'auto', 'required' or an object",
            other,
        )),
    }
}

/// Checks that a value is an object whose `type` is a string, and returns it.
fn validate_typed<'a>(path: &str, value: &'a Value) -> Result<&'a str, RequestError> {
    let Value::Object(object) = value else {
        return Err(wrong_type(path, "an object", value));
    };
    match object.get("type") {
        None => Err(missing(&format!("{path}.type"))),
        Some(Value::String(kind)) => Ok(kind),
        Some(other) => Err(wrong_type(&format!("{path}.type"), "a string", other)),
    }
}

fn decimal_within(param: &str, value: f32, min: f32, max: f32) -> Result<(), RequestError> {
    let (broken, bound, code) = if value < min {
        ("below minimum", format!(">= {min}"), "decimal_below_min_value")
    } else if value > max {
        ("above maximum", format!("<= {max}"), "decimal_above_max_value")
    } else if value.is_nan() {
        (
            "not a number. Allowed is a",
            format!("from {min} to {max}"),
            "invalid_value",
        )
    } else {
        return Ok(());
    };
    let message = format!(
        "Invalid '{param}': decimal {broken} value. Expected a value {bound}, but got {value} instead."
    );
    Err(RequestError::new(message, Some(param.to_owned()), Some(code)))
}

/// A field that means nothing unless another one is true.
pub(crate) fn only_with(param: &str, other: &str) -> RequestError {
    let message = format!("Invalid '{param}': it is only allowed when '{other}' is true.");
    RequestError::new(message, Some(param.to_owned()), Some("invalid_value"))
}

/// A whole number from `min` to `max`, however it is written: `1000`, `1e3` and `1000.0` are the same number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what is cast to an i64 is whole and in its range, and the bounds of that range are exact powers of two"
)]
pub(crate) fn integer(param: &str, value: &Value, min: i64, max: i64) -> Result<i64, RequestError> {
    let number = match (value.as_i64(), value.as_f64()) {
        (Some(number), _) => number,
        // Integers too long for 64 bits come as this too. The smallest i64 itself never does, so what is equal to it
        // here was below it and rounded up.
        (None, Some(number)) if number.fract() == 0.0 => {
            if number <= i64::MIN as f64 {
                return Err(integer_below(param, min, &value.to_string()));
            }
            if number >= i64::MAX as f64 {
                return Err(integer_above(param, max, &value.to_string()));
            }
            number as i64
        }
        (None, _) => return Err(wrong_type(param, "an integer", value)),
    };
    if number < min {
        Err(integer_below(param, min, &value.to_string()))
    } else if number > max {
        Err(integer_above(param, max, &value.to_string()))
    } else {
        Ok(number)
    }
}

/// A value of the wrong JSON type. `expected` has its article: "a string".
pub(crate) fn wrong_type(param: &str, expected: &str, found: &Value) -> RequestError {
    let message = format!(
        "Invalid type for '{param}': expected {expected}, but got {} instead.",
        describe(found)
    );
    RequestError::new(message, Some(param.to_owned()), Some("invalid_type"))
}

/// A word that is none of the allowed ones.
pub(crate) fn wrong_value(param: &str, found: &str, allowed: &[&str]) -> RequestError {
    let allowed = allowed
        .iter()
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let found = crate::redact::printable(found, 64);
    let message = format!("Invalid value for '{param}': '{found}'. Supported values are: {allowed}.");
    RequestError::new(message, Some(param.to_owned()), Some("invalid_value"))
}

/// A field that has to be there.
pub(crate) fn missing(param: &str) -> RequestError {
    let message = format!("Missing required parameter: '{param}'.");
    RequestError::new(
        message,
        Some(param.to_owned()),
        Some("missing_required_parameter"),
    )
}

/// A whole number below its minimum.
fn integer_below(param: &str, min: i64, found: &str) -> RequestError {
    let message = format!(
        "Invalid '{param}': integer below minimum value. Expected a value >= {min}, but got {found} instead."
    );
    RequestError::new(message, Some(param.to_owned()), Some("integer_below_min_value"))
}

/// A whole number above its maximum.
fn integer_above(param: &str, max: i64, found: &str) -> RequestError {
    let message = format!(
        "Invalid '{param}': integer above maximum value. Expected a value <= {max}, but got {found} instead."
    );
    RequestError::new(message, Some(param.to_owned()), Some("integer_above_max_value"))
}

pub(crate) fn empty_array(param: &str) -> RequestError {
    let message = format!(
        "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    );
    RequestError::new(message, Some(param.to_owned()), Some("empty_array"))
}

pub(crate) fn empty_string(param: &str) -> RequestError {
    let message = format!(
        "Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string instead."
    );
    RequestError::new(message, Some(param.to_owned()), Some("empty_string"))
}

/// What a value is, with its article, for "but got … instead".
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        // A long integer is kept as a float, and is an integer all the same.
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() != 0.0) => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
