//! The input: text or items, into the messages of a chat.
//!
//! A response's output is a list of items, and clients send it back as input together with what followed. In a chat one
//! turn of the assistant is one message, so calls join the message they came with. Reasoning is left out: what a model
//! thought in earlier turns is not shown to it again, in this API as in chats.

use serde_json::{Map, Value, json};

use crate::request::read::{Fields, join, take, take_string};
use crate::request::rules::{empty_array, missing, wrong_type, wrong_value};
use crate::{Content, Message, Part, RequestError, Role};

const ITEMS: [&str; 4] = ["message", "function_call", "function_call_output", "reasoning"];
const PARTS: [&str; 6] = [
    "input_text",
    "input_image",
    "input_file",
    "input_audio",
    "output_text",
    "refusal",
];
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// Reads `input`.
pub(super) fn read(input: Value) -> Result<Vec<Message>, RequestError> {
    let items = match input {
        Value::String(text) => return Ok(vec![Message::text(Role::User, text)]),
        Value::Array(items) if items.is_empty() => return Err(empty_array("input")),
        Value::Array(items) => items,
        other => return Err(wrong_type("input", "a string or an array of items", &other)),
    };
    let mut messages = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        read_item(&format!("input[{index}]"), item, &mut messages)?;
    }
    // Reasoning alone is nothing to answer.
    if messages.is_empty() {
        return Err(empty_array("input"));
    }
    Ok(messages)
}

fn read_item(path: &str, item: Value, messages: &mut Vec<Message>) -> Result<(), RequestError> {
    let mut fields = match item {
        Value::Object(fields) => fields,
        other => return Err(wrong_type(path, "an object", &other)),
    };
    let kind = match take_string(&mut fields, path, "type")? {
        Some(kind) => kind,
        None if fields.contains_key("role") => "message".to_owned(),
        None => return Err(missing(&join(path, "type"))),
    };
    match kind.as_str() {
        "message" => {
            let message = read_message(path, fields)?;
            add_message(message, messages);
        }
        "function_call" => add_call(read_call(path, fields)?, messages),
        "function_call_output" => messages.push(read_output(path, fields)?),
        "reasoning" => {}
        other => return Err(wrong_value(&join(path, "type"), other, &ITEMS)),
    }
    Ok(())
}

fn read_message(path: &str, mut fields: Fields) -> Result<Message, RequestError> {
    let role = take_string(&mut fields, path, "role")?.ok_or_else(|| missing(&join(path, "role")))?;
    let role = match Role::from_wire(&role) {
        Some(role) if role != Role::Tool => role,
        _ => return Err(wrong_value(&join(path, "role"), &role, &ROLES)),
    };
    let content = take(&mut fields, "content").ok_or_else(|| missing(&join(path, "content")))?;
    let content = read_content(&join(path, "content"), content)?;
    // What an item has as a part of a response says nothing to the model.
    for name in ["id", "status", "phase"] {
        fields.remove(name);
    }
    Ok(Message {
        content,
        extra: fields,
        ..Message::text(role, "")
    })
}

/// Adds a message, unless it is the text of a turn whose calls came first.
fn add_message(message: Message, messages: &mut Vec<Message>) {
    match messages.last_mut() {
        Some(last)
            if message.role == Role::Assistant
                && last.role == Role::Assistant
                && last.content == Content::Empty =>
        {
            last.content = message.content;
            last.extra.extend(message.extra);
        }
        _ => messages.push(message),
    }
}

fn read_call(path: &str, mut fields: Fields) -> Result<Value, RequestError> {
    let mut required = |name| take_string(&mut fields, path, name)?.ok_or_else(|| missing(&join(path, name)));
    let (id, name, arguments) = (required("call_id")?, required("name")?, required("arguments")?);
    Ok(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
}

/// Adds a call to the assistant's turn that it belongs to.
fn add_call(call: Value, messages: &mut Vec<Message>) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
        _ => messages.push(Message {
            content: Content::Empty,
            tool_calls: vec![call],
            ..Message::text(Role::Assistant, "")
        }),
    }
}

fn read_output(path: &str, mut fields: Fields) -> Result<Message, RequestError> {
    let call = take_string(&mut fields, path, "call_id")?.ok_or_else(|| missing(&join(path, "call_id")))?;
    let output = take(&mut fields, "output").ok_or_else(|| missing(&join(path, "output")))?;
    Ok(Message {
        content: read_content(&join(path, "output"), output)?,
        tool_call_id: Some(call),
        ..Message::text(Role::Tool, "")
    })
}

/// Content of any item: text, or parts. One part of text is text, which every server takes.
fn read_content(path: &str, content: Value) -> Result<Content, RequestError> {
    let parts = match content {
        Value::String(text) => return Ok(Content::Text(text)),
        Value::Array(parts) if parts.is_empty() => return Err(empty_array(path)),
        Value::Array(parts) => parts,
        other => {
            return Err(wrong_type(path, "a string or an array of content parts", &other));
        }
    };
    let read = |(index, part)| read_part(&format!("{path}[{index}]"), part);
    let mut parts = parts
        .into_iter()
        .enumerate()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    match parts.as_mut_slice() {
        [Part::Text(text)] => Ok(Content::Text(std::mem::take(text))),
        _ => Ok(Content::Parts(parts)),
    }
}

fn read_part(path: &str, part: Value) -> Result<Part, RequestError> {
    let mut fields = match part {
        Value::Object(fields) => fields,
        other => return Err(wrong_type(path, "an object", &other)),
    };
    let kind = take_string(&mut fields, path, "type")?.ok_or_else(|| missing(&join(path, "type")))?;
    let mut text = |name| take_string(&mut fields, path, name)?.ok_or_else(|| missing(&join(path, name)));
    match kind.as_str() {
        "input_text" | "output_text" => text("text").map(Part::Text),
        "refusal" => Ok(other_part("refusal", Value::from(text("refusal")?))),
        "input_image" => read_image(path, fields),
        "input_file" => read_file(path, fields),
        "input_audio" => match take(&mut fields, "input_audio") {
            Some(audio @ Value::Object(_)) => Ok(other_part("input_audio", audio)),
            Some(other) => Err(wrong_type(&join(path, "input_audio"), "an object", &other)),
            None => Err(missing(&join(path, "input_audio"))),
        },
        other => Err(wrong_value(&join(path, "type"), other, &PARTS)),
    }
}

fn read_image(path: &str, mut fields: Fields) -> Result<Part, RequestError> {
    refuse_reference(path, &fields, "file_id", "image_url")?;
    let url =
        take_string(&mut fields, path, "image_url")?.ok_or_else(|| missing(&join(path, "image_url")))?;
    let mut image = Map::from_iter([("url".to_owned(), Value::from(url))]);
    if let Some(detail) = take_string(&mut fields, path, "detail")? {
        image.insert("detail".to_owned(), Value::from(detail));
    }
    Ok(other_part("image_url", Value::Object(image)))
}

fn read_file(path: &str, mut fields: Fields) -> Result<Part, RequestError> {
    refuse_reference(path, &fields, "file_id", "file_data")?;
    refuse_reference(path, &fields, "file_url", "file_data")?;
    let data =
        take_string(&mut fields, path, "file_data")?.ok_or_else(|| missing(&join(path, "file_data")))?;
    let mut file = Map::from_iter([("file_data".to_owned(), Value::from(data))]);
    if let Some(name) = take_string(&mut fields, path, "filename")? {
        file.insert("filename".to_owned(), Value::from(name));
    }
    Ok(other_part("file", Value::Object(file)))
}

/// Refuses to follow a reference to something that is kept elsewhere.
fn refuse_reference(path: &str, fields: &Fields, name: &str, instead: &str) -> Result<(), RequestError> {
    if fields.get(name).is_none_or(Value::is_null) {
        return Ok(());
    }
    let param = join(path, name);
    let message = format!(
        "Unsupported parameter: '{param}'. This server keeps and fetches no files; send the content itself in '{instead}'."
    );
    Err(RequestError::new(
        message,
        Some(param),
        Some("unsupported_parameter"),
    ))
}

/// A part that is not text, in the shape it has in a chat: the content beside `type`, under the same name.
fn other_part(kind: &str, content: Value) -> Part {
    Part::Other(Map::from_iter([
        ("type".to_owned(), Value::from(kind)),
        (kind.to_owned(), content),
    ]))
}
