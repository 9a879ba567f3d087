//! The turns of a conversation: blocks of content, into the messages of a chat.
//!
//! What tools gave comes in a user's turn here and in messages of its own in a chat; a call of a tool is a block here and
//! stands beside the content there.

use serde_json::{Map, Value, json};

use super::request::unsupported;
use crate::request::read::{Fields, join, take, take_string};
use crate::request::rules::{empty_array, missing, wrong_type, wrong_value};
use crate::{Content, Message, Part, RequestError, Role};

/// Reads `system` and `messages`.
pub(super) fn read(system: Option<Value>, turns: Vec<Value>) -> Result<Vec<Message>, RequestError> {
    let mut messages = Vec::new();
    if let Some(system) = system {
        let mut turn = Turn::new(Role::System);
        turn.read("system", system)?;
        turn.finish(&mut messages);
    }
    if turns.is_empty() {
        return Err(empty_array("messages"));
    }
    for (index, turn) in turns.into_iter().enumerate() {
        read_turn(&format!("messages[{index}]"), turn, &mut messages)?;
    }
    Ok(messages)
}

fn read_turn(path: &str, turn: Value, messages: &mut Vec<Message>) -> Result<(), RequestError> {
    const ROLES: [&str; 3] = ["user", "assistant", "system"];
    let mut fields = match turn {
        Value::Object(fields) => fields,
        other => return Err(wrong_type(path, "an object", &other)),
    };
    let role = take_string(&mut fields, path, "role")?.ok_or_else(|| missing(&join(path, "role")))?;
    let Some(role @ (Role::User | Role::Assistant | Role::System)) = Role::from_wire(&role) else {
        return Err(wrong_value(&join(path, "role"), &role, &ROLES));
    };
    let content = take(&mut fields, "content").ok_or_else(|| missing(&join(path, "content")))?;
    let mut turn = Turn::new(role);
    turn.read(&join(path, "content"), content)?;
    turn.finish(messages);
    Ok(())
}

/// One turn, sorted into what it is in a chat.
struct Turn {
    role: Role,
    parts: Vec<Part>,
    calls: Vec<Value>,
    /// What tools gave, each a message.
    results: Vec<Message>,
}

impl Turn {
    fn new(role: Role) -> Self {
        Self {
            role,
            parts: Vec::new(),
            calls: Vec::new(),
            results: Vec::new(),
        }
    }

    fn read(&mut self, path: &str, content: Value) -> Result<(), RequestError> {
        let blocks = match content {
            Value::String(text) => {
                self.parts.push(Part::Text(text));
                return Ok(());
            }
            Value::Array(blocks) if blocks.is_empty() => return Err(empty_array(path)),
            Value::Array(blocks) => blocks,
            other => {
                return Err(wrong_type(path, "a string or an array of content blocks", &other));
            }
        };
        for (index, block) in blocks.into_iter().enumerate() {
            self.read_block(&format!("{path}[{index}]"), block)?;
        }
        Ok(())
    }

    fn read_block(&mut self, path: &str, block: Value) -> Result<(), RequestError> {
        let allowed: &[&str] = match self.role {
            Role::Assistant => &["text", "tool_use", "thinking", "redacted_thinking"],
            Role::System | Role::Developer => &["text"],
            Role::User => &["text", "image", "document", "tool_result"],
            Role::Tool => &["text", "image", "document"],
        };
        let mut fields = match block {
            Value::Object(fields) => fields,
            other => return Err(wrong_type(path, "an object", &other)),
        };
        let kind = take_string(&mut fields, path, "type")?.ok_or_else(|| missing(&join(path, "type")))?;
        if !allowed.contains(&kind.as_str()) {
            return Err(wrong_value(&join(path, "type"), &kind, allowed));
        }
        match kind.as_str() {
            "text" => self.parts.push(Part::Text(required(&mut fields, path, "text")?)),
            "image" => self.parts.push(read_image(path, &mut fields)?),
            "document" => self.parts.push(read_document(path, &mut fields)?),
            "tool_use" => self.calls.push(read_call(path, &mut fields)?),
            "tool_result" => self.results.push(read_result(path, &mut fields)?),
            // What a model thought in an earlier turn is not shown to it again.
            _ => {}
        }
        Ok(())
    }

    /// Adds the turn's messages. What tools gave comes first, for it answers the turn before.
    fn finish(mut self, messages: &mut Vec<Message>) {
        messages.append(&mut self.results);
        // A turn of nothing but results, or of nothing but thinking.
        if self.parts.is_empty() && self.calls.is_empty() {
            return;
        }
        messages.push(Message {
            content: content(self.parts),
            tool_calls: self.calls,
            ..Message::text(self.role, "")
        });
    }
}

/// One part of text is text, which every server takes.
fn content(mut parts: Vec<Part>) -> Content {
    match parts.as_mut_slice() {
        [] => Content::Empty,
        [Part::Text(text)] => Content::Text(std::mem::take(text)),
        _ => Content::Parts(parts),
    }
}

fn read_call(path: &str, fields: &mut Fields) -> Result<Value, RequestError> {
    let (id, name) = (required(fields, path, "id")?, required(fields, path, "name")?);
    let input = match take(fields, "input") {
        Some(input @ Value::Object(_)) => input,
        Some(other) => return Err(wrong_type(&join(path, "input"), "an object", &other)),
        None => return Err(missing(&join(path, "input"))),
    };
    Ok(json!({"id": id, "type": "function", "function": {"name": name, "arguments": input.to_string()}}))
}

/// What a tool gave. That it was an error is for the text to say: a chat has no field for it.
fn read_result(path: &str, fields: &mut Fields) -> Result<Message, RequestError> {
    let id = required(fields, path, "tool_use_id")?;
    let mut result = Turn::new(Role::Tool);
    match take(fields, "content") {
        Some(content) => result.read(&join(path, "content"), content)?,
        None => result.parts.push(Part::Text(String::new())),
    }
    Ok(Message {
        content: content(result.parts),
        tool_call_id: Some(id),
        ..Message::text(Role::Tool, "")
    })
}

fn read_image(path: &str, fields: &mut Fields) -> Result<Part, RequestError> {
    if take(fields, "transformations").is_some() {
        return Err(unsupported(&join(path, "transformations")));
    }
    let (path, mut source, kind) = read_source(path, fields)?;
    let url = match kind.as_str() {
        "base64" => data_url(&path, &mut source)?,
        "url" => required(&mut source, &path, "url")?,
        other => return Err(wrong_value(&join(&path, "type"), other, &["base64", "url"])),
    };
    Ok(other_part("image_url", json!({"url": url})))
}

fn read_document(path: &str, fields: &mut Fields) -> Result<Part, RequestError> {
    let title = take_string(fields, path, "title")?;
    let (path, mut source, kind) = read_source(path, fields)?;
    match kind.as_str() {
        "text" => required(&mut source, &path, "data").map(Part::Text),
        "base64" => {
            let mut file = json!({"file_data": data_url(&path, &mut source)?});
            if let Some(title) = title {
                file["filename"] = Value::from(title);
            }
            Ok(other_part("file", file))
        }
        other => Err(wrong_value(&join(&path, "type"), other, &["base64", "text"])),
    }
}

/// The `source` of a block, with its path and type.
fn read_source(path: &str, fields: &mut Fields) -> Result<(String, Fields, String), RequestError> {
    let path = join(path, "source");
    let mut source = match take(fields, "source") {
        Some(Value::Object(source)) => source,
        Some(other) => return Err(wrong_type(&path, "an object", &other)),
        None => return Err(missing(&path)),
    };
    let kind = required(&mut source, &path, "type")?;
    Ok((path, source, kind))
}

fn data_url(path: &str, source: &mut Fields) -> Result<String, RequestError> {
    let media_type = required(source, path, "media_type")?;
    let data = required(source, path, "data")?;
    Ok(format!("data:{media_type};base64,{data}"))
}

fn required(fields: &mut Fields, path: &str, name: &str) -> Result<String, RequestError> {
    take_string(fields, path, name)?.ok_or_else(|| missing(&join(path, name)))
}

/// A part that is not text, in the shape it has in a chat: the content beside `type`, under the same name.
fn other_part(kind: &str, content: Value) -> Part {
    Part::Other(Map::from_iter([
        ("type".to_owned(), Value::from(kind)),
        (kind.to_owned(), content),
    ]))
}
