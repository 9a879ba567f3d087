//! The options that a chat has in another shape: tools, the choice among them, the text's format, reasoning.
//!
//! Each function takes the value of one field and gives what a chat request has in its place. What has no place there is
//! refused by name: an answer that left it out would not be what was asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::RequestError;
use crate::request::read::{Fields, join, take, take_string};
use crate::request::rules::{missing, wrong_type, wrong_value};

/// Kinds of further output that can be asked for and that no answer of ours has: the items they belong to are made by
/// built-in tools, or they are about the input.
const INCLUDE_NOTHING: [&str; 6] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

/// What asks for the log probabilities of the answer's text.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

const METADATA_MAX: usize = 16;
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

/// `tools`: the fields of a function lie flat here and nested in a chat.
pub(super) fn tools(tools: &[Value]) -> Result<Vec<Value>, RequestError> {
    let nested = |(index, tool): (usize, &Value)| {
        let path = format!("tools[{index}]");
        let mut function = object(&path, tool)?.clone();
        match kind(&path, &mut function)?.as_str() {
            "function" => {}
            other => return Err(wrong_value(&join(&path, "type"), other, &["function"])),
        }
        if function.get("name").is_none_or(Value::is_null) {
            return Err(missing(&join(&path, "name")));
        }
        for name in ["allowed_callers", "async", "defer_loading", "output_schema"] {
            if take(&mut function, name).is_some_and(|value| value != Value::Bool(false)) {
                return Err(unsupported(
                    &join(&path, name),
                    "Functions are called by the model itself, one way.",
                ));
            }
        }
        function.retain(|_, value| !value.is_null());
        Ok(json!({"type": "function", "function": function}))
    };
    tools.iter().enumerate().map(nested).collect()
}

/// `tool_choice`.
pub(super) fn tool_choice(choice: &Value) -> Result<Value, RequestError> {
    const PATH: &str = "tool_choice";
    let Value::Object(fields) = choice else {
        return Ok(choice.clone());
    };
    let mut fields = fields.clone();
    match kind(PATH, &mut fields)?.as_str() {
        "function" => {
            let name = take_string(&mut fields, PATH, "name")?.ok_or_else(|| missing("tool_choice.name"))?;
            Ok(json!({"type": "function", "function": {"name": name}}))
        }
        "allowed_tools" => {
            let mode = take_string(&mut fields, PATH, "mode")?.ok_or_else(|| missing("tool_choice.mode"))?;
            let allowed = match take(&mut fields, "tools") {
                Some(Value::Array(allowed)) => allowed,
                Some(other) => return Err(wrong_type("tool_choice.tools", "an array", &other)),
                None => return Err(missing("tool_choice.tools")),
            };
            let allowed = tools(&allowed).map_err(|error| within("tool_choice.", error))?;
            Ok(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}))
        }
        other => Err(wrong_value(
            "tool_choice.type",
            other,
            &["function", "allowed_tools"],
        )),
    }
}

/// What `text` asks for: a chat's `response_format` and `verbosity`.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) format: Option<Value>,
    pub(super) verbosity: Option<String>,
}

/// `text`.
pub(super) fn text(text: &Value) -> Result<Text, RequestError> {
    let mut fields = object("text", text)?.clone();
    let verbosity = take_string(&mut fields, "text", "verbosity")?;
    let format = take(&mut fields, "format")
        .map(|format| text_format(&format))
        .transpose()?;
    no_more("text", &fields)?;
    Ok(Text {
        format: format.flatten(),
        verbosity,
    })
}

/// `text.format`; plain text is what there is without it.
fn text_format(format: &Value) -> Result<Option<Value>, RequestError> {
    const PATH: &str = "text.format";
    let mut fields = object(PATH, format)?.clone();
    match kind(PATH, &mut fields)?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(json!({"type": "json_object"}))),
        "json_schema" => {
            for name in ["name", "schema"] {
                if fields.get(name).is_none_or(Value::is_null) {
                    return Err(missing(&join(PATH, name)));
                }
            }
            fields.retain(|_, value| !value.is_null());
            Ok(Some(json!({"type": "json_schema", "json_schema": fields})))
        }
        other => Err(wrong_value(
            "text.format.type",
            other,
            &["text", "json_object", "json_schema"],
        )),
    }
}

/// `reasoning`: its effort. The reasoning itself is given as it is; so a summary is `auto`, which means whatever there
/// is.
pub(super) fn reasoning(reasoning: &Value) -> Result<Option<String>, RequestError> {
    const PATH: &str = "reasoning";
    let mut fields = object(PATH, reasoning)?.clone();
    let effort = take_string(&mut fields, PATH, "effort")?;
    for (name, allowed) in [
        ("summary", ["auto"].as_slice()),
        ("generate_summary", &["auto"]),
        ("mode", &["standard"]),
        ("context", &["auto", "current_turn"]),
    ] {
        match take_string(&mut fields, PATH, name)? {
            Some(word) if !allowed.contains(&word.as_str()) => {
                return Err(wrong_value(&join(PATH, name), &word, allowed));
            }
            _ => {}
        }
    }
    no_more(PATH, &fields)?;
    Ok(effort)
}

/// `include`: whether log probabilities are wanted, the only one of these that an answer of ours can have.
pub(super) fn include(include: &[Value]) -> Result<bool, RequestError> {
    let mut logprobs = false;
    for (index, word) in include.iter().enumerate() {
        let path = format!("include[{index}]");
        match word {
            Value::String(word) if word == INCLUDE_LOGPROBS => logprobs = true,
            Value::String(word) if INCLUDE_NOTHING.contains(&word.as_str()) => {}
            Value::String(word) => {
                let allowed = [[INCLUDE_LOGPROBS].as_slice(), &INCLUDE_NOTHING].concat();
                return Err(wrong_value(&path, word, &allowed));
            }
            other => return Err(wrong_type(&path, "a string", other)),
        }
    }
    Ok(logprobs)
}

/// `stream_options`: events are not padded with random characters.
pub(super) fn stream_options(options: &Value) -> Result<(), RequestError> {
    const PATH: &str = "stream_options";
    let mut fields = object(PATH, options)?.clone();
    let param = join(PATH, "include_obfuscation");
    match take(&mut fields, "include_obfuscation") {
        None | Some(Value::Bool(false)) => no_more(PATH, &fields),
        Some(Value::Bool(true)) => Err(unsupported(
            &param,
            "The same answer always gives the same bytes here.",
        )),
        Some(other) => Err(wrong_type(&param, "a boolean", &other)),
    }
}

/// `metadata`: at most 16 pairs of short strings.
pub(super) fn metadata(metadata: Value) -> Result<BTreeMap<String, String>, RequestError> {
    let Value::Object(pairs) = metadata else {
        return Err(wrong_type("metadata", "an object", &metadata));
    };
    let too_long = |what: &str, max: usize, found: usize| {
        let message = format!(
            "Invalid 'metadata': {what} too long. Expected at most {max} characters, but got {found} instead."
        );
        RequestError::new(
            message,
            Some("metadata".to_owned()),
            Some("string_above_max_length"),
        )
    };
    if pairs.len() > METADATA_MAX {
        let message = format!(
            "Invalid 'metadata': too many properties. Expected at most {METADATA_MAX}, but got {} instead.",
            pairs.len()
        );
        return Err(RequestError::new(
            message,
            Some("metadata".to_owned()),
            Some("object_above_max_properties"),
        ));
    }
    let read = |(key, value): (String, Value)| {
        let length = key.chars().count();
        if length > METADATA_KEY_MAX {
            return Err(too_long("a key is", METADATA_KEY_MAX, length));
        }
        let Value::String(value) = value else {
            return Err(wrong_type(&join("metadata", &key), "a string", &value));
        };
        match value.chars().count() {
            length if length > METADATA_VALUE_MAX => Err(too_long("a value is", METADATA_VALUE_MAX, length)),
            _ => Ok((key, value)),
        }
    };
    pairs.into_iter().map(read).collect()
}

/// A field that this server cannot honour, with the reason or the remedy.
pub(super) fn unsupported(param: &str, why: &str) -> RequestError {
    let message = format!("Unsupported parameter: '{param}'. {why}");
    RequestError::new(message, Some(param.to_owned()), Some("unsupported_parameter"))
}

fn object<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, RequestError> {
    value
        .as_object()
        .ok_or_else(|| wrong_type(path, "an object", value))
}

/// Takes out the `type` that tells what an object is.
fn kind(path: &str, fields: &mut Fields) -> Result<String, RequestError> {
    take_string(fields, path, "type")?.ok_or_else(|| missing(&join(path, "type")))
}

/// Refuses what is left of an object whose fields have no place to be passed on to.
fn no_more(path: &str, fields: &Fields) -> Result<(), RequestError> {
    let Some(name) = fields
        .iter()
        .find(|(_, value)| !value.is_null())
        .map(|(name, _)| name)
    else {
        return Ok(());
    };
    let param = join(path, &crate::redact::printable(name, 64));
    let message = format!("Unknown parameter: '{param}'.");
    Err(RequestError::new(message, Some(param), Some("unknown_parameter")))
}

/// The error about a field that lies within another.
fn within(path: &str, error: RequestError) -> RequestError {
    let Some(param) = error.param else {
        return error;
    };
    RequestError {
        message: error
            .message
            .replacen(&format!("'{param}'"), &format!("'{path}{param}'"), 1),
        param: Some(format!("{path}{param}")),
        code: error.code,
    }
}
