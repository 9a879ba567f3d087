//! Reading a request of this API, strictly, into the request of a chat.
//!
//! What a chat has no place for is refused by name, except hints (`cache_control`), which change no answer. What neither
//! API knows is passed on as in a chat.

use serde_json::{Map, Value, json};

use super::turns;
use crate::request::read::{Fields, join, object, take, take_array, take_bool, take_string};
use crate::request::rules::{missing, wrong_type, wrong_value};
use crate::{ChatRequest, RequestError};

/// Fields of the API reference that cannot be honoured here.
const UNSUPPORTED: [&str; 9] = [
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "max_completion_tokens",
    "mcp_servers",
    "stop",
    "user_profile_id",
    "workspace_id",
];

/// Fields of a chat that have another name here.
const RENAMED: [(&str, &str); 5] = [
    ("stop", "stop_sequences"),
    ("response_format", "output_config.format"),
    ("reasoning_effort", "output_config.effort"),
    ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
    ("user", "metadata.user_id"),
];

/// Reads and validates a request: the body of `POST /v1/messages`.
///
/// A missing `model` is the default model. Thinking of earlier turns is left out: what a model thought is not shown to it
/// again. Fields that are not known are kept in [`ChatRequest::extra`].
///
/// # Errors
/// The first thing that is wrong, with the field's path; also for a field of the reference that cannot be honoured.
pub fn read_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut fields = object(body)?;
    if let Some(name) = UNSUPPORTED
        .iter()
        .find(|name| fields.get(**name).is_some_and(|value| !value.is_null()))
    {
        return Err(unsupported(name));
    }
    if fields.get("max_tokens").is_none_or(Value::is_null) {
        return Err(missing("max_tokens"));
    }
    fields.remove("cache_control");
    // There is one tier and one speed, so these ask for what there is.
    only(&mut fields, "", "service_tier", &["auto", "standard_only"])?;
    only(&mut fields, "", "speed", &["standard"])?;
    let system = take(&mut fields, "system");
    let messages = take_array(&mut fields, "", "messages")?.ok_or_else(|| missing("messages"))?;
    let messages = turns::read(system, messages)?;
    if let Some(stops) = take_array(&mut fields, "", "stop_sequences")? {
        fields.insert("stop".to_owned(), Value::Array(stops));
    }
    translate_tools(&mut fields)?;
    translate_metadata(&mut fields)?;
    translate_thinking(&mut fields)?;
    translate_output(&mut fields)?;
    ChatRequest::from_fields(fields, messages).map_err(rename)
}

fn translate_tools(fields: &mut Fields) -> Result<(), RequestError> {
    if let Some(tools) = take_array(fields, "", "tools")? {
        let tools = tools.into_iter().enumerate().map(read_tool);
        let tools = tools.collect::<Result<_, _>>()?;
        fields.insert("tools".to_owned(), Value::Array(tools));
    }
    let mut choice = match take(fields, "tool_choice") {
        None => return Ok(()),
        Some(Value::Object(choice)) => choice,
        Some(other) => return Err(wrong_type("tool_choice", "an object", &other)),
    };
    let kind = take_string(&mut choice, "tool_choice", "type")?.ok_or_else(|| missing("tool_choice.type"))?;
    let translated = match kind.as_str() {
        "auto" | "none" => Value::from(kind),
        "any" => Value::from("required"),
        "tool" => {
            let name = take_string(&mut choice, "tool_choice", "name")?
                .ok_or_else(|| missing("tool_choice.name"))?;
            json!({"type": "function", "function": {"name": name}})
        }
        other => {
            return Err(wrong_value(
                "tool_choice.type",
                other,
                &["auto", "any", "tool", "none"],
            ));
        }
    };
    fields.insert("tool_choice".to_owned(), translated);
    if take_bool(&mut choice, "disable_parallel_tool_use")? == Some(true) {
        fields.insert("parallel_tool_calls".to_owned(), Value::Bool(false));
    }
    Ok(())
}

fn read_tool((index, tool): (usize, Value)) -> Result<Value, RequestError> {
    let path = format!("tools[{index}]");
    let mut tool = match tool {
        Value::Object(tool) => tool,
        other => return Err(wrong_type(&path, "an object", &other)),
    };
    only(&mut tool, &path, "type", &["custom"])?;
    let name = take_string(&mut tool, &path, "name")?.ok_or_else(|| missing(&join(&path, "name")))?;
    let schema = take(&mut tool, "input_schema").ok_or_else(|| missing(&join(&path, "input_schema")))?;
    for name in ["allowed_callers", "defer_loading", "input_examples"] {
        if take(&mut tool, name).is_some_and(|value| value != Value::Bool(false)) {
            return Err(unsupported(&join(&path, name)));
        }
    }
    let mut function = Map::from_iter([
        ("name".to_owned(), Value::from(name)),
        ("parameters".to_owned(), schema),
    ]);
    for name in ["description", "strict"] {
        if let Some(value) = take(&mut tool, name) {
            function.insert(name.to_owned(), value);
        }
    }
    Ok(json!({"type": "function", "function": function}))
}

fn translate_metadata(fields: &mut Fields) -> Result<(), RequestError> {
    match take(fields, "metadata") {
        None => Ok(()),
        Some(Value::Object(mut metadata)) => {
            if let Some(user) = take_string(&mut metadata, "metadata", "user_id")? {
                fields.insert("user".to_owned(), Value::from(user));
            }
            Ok(())
        }
        Some(other) => Err(wrong_type("metadata", "an object", &other)),
    }
}

/// `thinking`: whether a model thinks is its own affair here, and what it thinks is shown.
fn translate_thinking(fields: &mut Fields) -> Result<(), RequestError> {
    match take(fields, "thinking") {
        None => Ok(()),
        Some(Value::Object(mut thinking)) => {
            if !thinking.contains_key("type") {
                return Err(missing("thinking.type"));
            }
            only(&mut thinking, "thinking", "type", &["adaptive"])?;
            only(&mut thinking, "thinking", "display", &["summarized"])
        }
        Some(other) => Err(wrong_type("thinking", "an object", &other)),
    }
}

/// `output_config`: a chat's `reasoning_effort` and `response_format`.
fn translate_output(fields: &mut Fields) -> Result<(), RequestError> {
    const PATH: &str = "output_config";
    let mut config = match take(fields, PATH) {
        None => return Ok(()),
        Some(Value::Object(config)) => config,
        Some(other) => return Err(wrong_type(PATH, "an object", &other)),
    };
    if let Some(effort) = take_string(&mut config, PATH, "effort")? {
        fields.insert("reasoning_effort".to_owned(), Value::from(effort));
    }
    let mut format = match take(&mut config, "format") {
        None => Map::new(),
        Some(Value::Object(format)) => format,
        Some(other) => return Err(wrong_type("output_config.format", "an object", &other)),
    };
    if !format.is_empty() {
        only(&mut format, "output_config.format", "type", &["json_schema"])?;
        let schema = take(&mut format, "schema").ok_or_else(|| missing("output_config.format.schema"))?;
        // A chat wants a name, and this API has none.
        let schema = json!({"type": "json_schema", "json_schema": {"name": "output", "schema": schema}});
        fields.insert("response_format".to_owned(), schema);
    }
    match config.keys().next() {
        Some(name) => Err(unsupported(&join(PATH, &crate::redact::printable(name, 64)))),
        None => Ok(()),
    }
}

/// Takes out a word that may only be one of these.
fn only(fields: &mut Fields, path: &str, name: &str, allowed: &[&str]) -> Result<(), RequestError> {
    match take_string(fields, path, name)? {
        Some(word) if !allowed.contains(&word.as_str()) => {
            Err(wrong_value(&join(path, name), &word, allowed))
        }
        _ => Ok(()),
    }
}

/// A field that this server cannot honour.
pub(super) fn unsupported(param: &str) -> RequestError {
    let message = format!("Unsupported parameter: '{param}'. This server cannot do what it asks for.");
    RequestError::new(message, Some(param.to_owned()), Some("unsupported_parameter"))
}

/// The error about a field of the chat under the name that the field has here.
fn rename(mut error: RequestError) -> RequestError {
    let Some(param) = &mut error.param else {
        return error;
    };
    let renamed = match RENAMED.iter().find(|(old, _)| param.starts_with(old)) {
        Some((old, new)) => param.replacen(old, new, 1),
        None => param.replacen(".function", "", 1),
    };
    error.message = error
        .message
        .replacen(&format!("'{param}'"), &format!("'{renamed}'"), 1);
    *param = renamed;
    error
}
