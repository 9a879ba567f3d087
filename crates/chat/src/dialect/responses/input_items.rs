//! The items of a conversation, as this API lists what a response answers.
//!
//! The way back from the messages of a chat to the items that `input.rs` reads: taken as input, they are the same
//! conversation. What was not carried into a message is not there either: earlier reasoning, and the ids that items had
//! when they were sent.

use serde_json::{Map, Value, json};

use super::item::{Item, ItemBody, ItemStatus, Part as TextPart, TextKind};
use crate::{Content, Message, Part, Role};

/// The items of a conversation ([`Request::conversation`](super::Request::conversation)) that the response with this id
/// (`resp_…`) answers, in its order: what `GET /v1/responses/{id}/input_items` lists.
///
/// A turn of the assistant is its message, if it said anything, and then its calls. Every item is `completed` and has an
/// id that is made of the response's and its place, `msg_…_in_0`, `fc_…_in_1`, `fco_…_in_2`; so the same conversation
/// gives the same ids, and none is that of an output item. Each is an object with the fields of the reference's
/// `ResponseItem`.
#[must_use]
pub fn input_items(response_id: &str, conversation: &[Message]) -> Vec<Value> {
    let mut list = List {
        suffix: response_id.strip_prefix("resp_").unwrap_or(response_id),
        items: Vec::with_capacity(conversation.len()),
    };
    for message in conversation {
        match message.role {
            Role::Tool => list.add_output(message),
            Role::Assistant => list.add_turn(message),
            Role::System | Role::Developer | Role::User => list.add_message(message),
        }
    }
    list.items
}

struct List<'a> {
    suffix: &'a str,
    items: Vec<Value>,
}

impl List<'_> {
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_in_{}", self.suffix, self.items.len())
    }

    fn add_message(&mut self, message: &Message) {
        let item = json!({
            "id": self.id("msg"),
            "status": ItemStatus::Completed,
            "type": "message",
            "role": message.role.as_str(),
            "content": parts(&message.content, input_text),
        });
        self.items.push(with_rest(item, message));
    }

    /// What an assistant said, and the calls it made.
    fn add_turn(&mut self, message: &Message) {
        let mut content = parts(&message.content, |text| text_part(TextKind::Output, text));
        // An answer that refused has that beside its content; a part of its own is what this API knows.
        if let Some(Value::String(refusal)) = message.extra.get("refusal") {
            content.push(text_part(TextKind::Refusal, refusal));
        }
        if !content.is_empty() {
            let item = json!({
                "id": self.id("msg"),
                "status": ItemStatus::Completed,
                "type": "message",
                "role": message.role.as_str(),
                "content": content,
            });
            self.items.push(with_rest(item, message));
        }
        for call in &message.tool_calls {
            let text = |pointer| call.pointer(pointer).and_then(Value::as_str);
            let word = |pointer| text(pointer).unwrap_or_default().to_owned();
            let item = Item {
                id: self.id("fc"),
                status: ItemStatus::Completed,
                body: ItemBody::FunctionCall {
                    call_id: word("/id"),
                    name: word("/function/name"),
                    arguments: word("/function/arguments"),
                },
            };
            self.items.push(json!(item));
        }
    }

    /// What a tool gave back. Text stays text, as most clients send it.
    fn add_output(&mut self, message: &Message) {
        let output = match &message.content {
            Content::Empty => Value::from(""),
            Content::Text(text) => Value::from(text.as_str()),
            content @ Content::Parts(_) => Value::Array(parts(content, input_text)),
        };
        self.items.push(json!({
            "id": self.id("fco"),
            "status": ItemStatus::Completed,
            "type": "function_call_output",
            "call_id": message.tool_call_id,
            "output": output,
        }));
    }
}

/// The item with what else its message has: the speaker's name, and fields that only the caller and the model know.
fn with_rest(mut item: Value, message: &Message) -> Value {
    if let Value::Object(fields) = &mut item {
        if let Some(name) = &message.name {
            fields.insert("name".to_owned(), Value::from(name.as_str()));
        }
        for (name, value) in &message.extra {
            if name != "refusal" && !fields.contains_key(name) {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    item
}

fn parts(content: &Content, text: impl Fn(&str) -> Value) -> Vec<Value> {
    match content {
        Content::Empty => Vec::new(),
        Content::Text(all) => vec![text(all)],
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text(run) => text(run),
                Part::Other(fields) => other_part(fields),
            })
            .collect(),
    }
}

fn input_text(text: &str) -> Value {
    json!({ "type": "input_text", "text": text })
}

fn text_part(kind: TextKind, text: &str) -> Value {
    json!(TextPart {
        kind,
        text: text.to_owned(),
        logprobs: Vec::new(),
    })
}

/// A part that is not text, from the shape it has in a chat.
fn other_part(part: &Map<String, Value>) -> Value {
    let of = |object: &str, name: &str| part.get(object).and_then(|object| object.get(name)).cloned();
    match part.get("type").and_then(Value::as_str) {
        Some("image_url") => json!({
            "type": "input_image",
            "image_url": of("image_url", "url"),
            // The reference requires it, and has this default.
            "detail": of("image_url", "detail").unwrap_or_else(|| Value::from("auto")),
        }),
        Some("file") => {
            let mut file = json!({ "type": "input_file", "file_data": of("file", "file_data") });
            if let Some(name) = of("file", "filename") {
                file["filename"] = name;
            }
            file
        }
        // Audio and refusals look the same in both.
        _ => Value::Object(part.clone()),
    }
}
