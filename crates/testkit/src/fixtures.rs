//! The events of a chat completions stream, as the servers of the OpenAI API write them. Each function gives one whole
//! SSE event, blank line included.

use serde_json::{Value, json};

/// The event that ends a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// The model every fixture names.
pub const MODEL: &str = "scripted-1";

/// A proper answer made of these texts: role, one chunk a text, finish reason `stop`, usage, `[DONE]`.
#[must_use]
pub fn sse_answer(texts: &[&str]) -> Vec<String> {
    let mut events = vec![role()];
    events.extend(texts.iter().map(|piece| text(piece)));
    events.push(finish("stop"));
    events.push(usage(7, texts.len() as u64));
    events.push(DONE.to_owned());
    events
}

/// These events as a server sends them that keeps streams: each with a cursor, `<stream>.<seq>`, counted from 0.
#[must_use]
pub fn with_cursors(stream: &str, events: &[String]) -> Vec<String> {
    let numbered = events.iter().enumerate();
    numbered
        .map(|(seq, event)| format!("id: {stream}.{seq}\n{event}"))
        .collect()
}

/// The first chunk: the role and no content.
#[must_use]
pub fn role() -> String {
    choice(json!({"role": "assistant", "content": ""}), None)
}

/// A chunk with text.
#[must_use]
pub fn text(content: &str) -> String {
    choice(json!({ "content": content }), None)
}

/// The chunk that names the finish reason.
#[must_use]
pub fn finish(reason: &str) -> String {
    choice(json!({}), Some(reason))
}

/// The usage chunk, whose `choices` are empty.
#[must_use]
pub fn usage(input: u64, output: u64) -> String {
    let mut chunk = chunk(json!([]));
    chunk["usage"] =
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    event(&chunk)
}

/// An error inside a stream, with the status as its numeric `code`.
#[must_use]
pub fn error(status: u16, message: &str) -> String {
    event(&error_body(status, message))
}

/// The JSON of an error response.
#[must_use]
pub fn error_body(status: u16, message: &str) -> Value {
    let kind = if (400..500).contains(&status) {
        "invalid_request_error"
    } else {
        "server_error"
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": status}})
}

/// An event of the default type with this data.
#[must_use]
pub fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn choice(delta: Value, finish_reason: Option<&str>) -> String {
    event(&chunk(
        json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]),
    ))
}

fn chunk(choices: Value) -> Value {
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": choices,
    })
}
