//! What a template is given: messages and tools, with every text in them marked.

use std::collections::HashMap;

use minijinja::Value;
use minijinja::value::Serde;

use aurora_chat::{ChatRequest, Message, RequestError, Role};
use serde_json::{Map, Value as Json};

use super::text_of;
use crate::error::refuse;

/// A message as a template gets it, before anything in it is marked.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) text: String,
    /// `tool_calls`, each `{"id", "type", "function": {"name", "arguments"}}`, the arguments as the object they stand for.
    pub(super) calls: Vec<Json>,
    call_id: Option<String>,
    name: Option<String>,
}

/// Reads the messages of a request.
///
/// # Errors
/// If one holds what the model cannot read.
pub(super) fn turns(messages: &[Message]) -> Result<Vec<Turn>, RequestError> {
    // The function that each call was of: some templates want it with the result.
    let mut called: HashMap<String, String> = HashMap::new();
    let mut turns = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let mut calls = Vec::with_capacity(message.tool_calls.len());
        for (place, call) in message.tool_calls.iter().enumerate() {
            let call = read_call(&format!("messages[{index}].tool_calls[{place}]"), call)?;
            if let (Some(id), Some(name)) = (text_at(&call, "/id"), text_at(&call, "/function/name")) {
                called.insert(id.to_owned(), name.to_owned());
            }
            calls.push(call);
        }
        let answered = message.tool_call_id.as_ref().and_then(|id| called.get(id));
        turns.push(Turn {
            // Templates know the older name.
            role: if message.role == Role::Developer {
                Role::System
            } else {
                message.role
            },
            text: text_of(index, message)?,
            calls,
            call_id: message.tool_call_id.clone(),
            name: message.name.clone().or_else(|| answered.cloned()),
        });
    }
    Ok(turns)
}

fn text_at<'a>(value: &'a Json, place: &str) -> Option<&'a str> {
    value.pointer(place).and_then(Json::as_str)
}

/// A call of an earlier answer. Arguments that are no JSON stay the text they are.
fn read_call(path: &str, call: &Json) -> Result<Json, RequestError> {
    let Some(name) = text_at(call, "/function/name") else {
        return Err(refuse(
            &format!("{path}.function.name"),
            "expected a function's name",
        ));
    };
    let arguments = match call.pointer("/function/arguments") {
        Some(Json::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
        Some(other) => other.clone(),
        None => Json::Object(Map::new()),
    };
    Ok(serde_json::json!({
        "id": call.get("id"),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }))
}

impl Turn {
    /// A message of plain text.
    pub(super) fn text(role: Role, text: String) -> Self {
        Self {
            role,
            text,
            calls: Vec::new(),
            call_id: None,
            name: None,
        }
    }

    /// The texts that a template may write.
    pub(super) fn each_text<'a>(&'a self, each: &mut dyn FnMut(&'a str)) {
        each(&self.text);
        self.calls.iter().for_each(|call| each_text(call, each));
        self.call_id.iter().chain(&self.name).for_each(|text| each(text));
    }

    /// The message, its texts marked.
    pub(super) fn to_value(&self, mark: &dyn Fn(&str) -> String) -> Value {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Json| {
            fields.insert(name.to_owned(), value);
        };
        set("role", Json::from(self.role.as_str()));
        set("content", Json::from(mark(&self.text)));
        if !self.calls.is_empty() {
            set(
                "tool_calls",
                self.calls.iter().map(|call| marked(call, mark)).collect(),
            );
        }
        if let Some(id) = &self.call_id {
            set("tool_call_id", Json::from(mark(id)));
        }
        if let Some(name) = &self.name {
            set("name", Json::from(mark(name)));
        }
        Value::from(Serde(Json::Object(fields)))
    }
}

/// The tools of a request, their texts marked.
pub(super) fn tools(request: &ChatRequest, mark: &dyn Fn(&str) -> String) -> Value {
    let tools: Json = request.tools.iter().map(|tool| marked(tool, mark)).collect();
    Value::from(Serde(tools))
}

/// The texts of a JSON value, names of fields included.
pub(super) fn each_text<'a>(value: &'a Json, each: &mut dyn FnMut(&'a str)) {
    match value {
        Json::String(text) => each(text),
        Json::Array(values) => values.iter().for_each(|value| each_text(value, each)),
        Json::Object(fields) => fields.iter().for_each(|(name, value)| {
            each(name);
            each_text(value, each);
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn marked(value: &Json, mark: &dyn Fn(&str) -> String) -> Json {
    match value {
        Json::String(text) => Json::String(mark(text)),
        Json::Array(values) => values.iter().map(|value| marked(value, mark)).collect(),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (mark(name), marked(value, mark)));
            Json::Object(fields.collect())
        }
        other => other.clone(),
    }
}
