//! Requests: what each field becomes, and what is refused with which words.

use serde_json::{Value, json};

use crate::dialect::anthropic::read_request;
use crate::dialect::openai::request_body;
use crate::{ChatRequest, RequestError};

/// Reads a request with a message, a limit and these fields.
fn read(fields: Value) -> Result<ChatRequest, RequestError> {
    let mut body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    let Value::Object(fields) = fields else {
        panic!("an object of fields");
    };
    body.as_object_mut().unwrap().extend(fields);
    read_request(body.to_string().as_bytes())
}

/// The request as a chat upstream gets it.
fn chat(fields: Value) -> Value {
    serde_json::from_slice(&request_body(&read(fields).unwrap())).unwrap()
}

#[test]
fn turns_become_messages() {
    let messages = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "I will"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
            {"type": "text", "text": "and?"},
        ]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b"}]},
    ]);
    let system = json!([{"type": "text", "text": "Be brief."}]);
    assert_eq!(
        chat(json!({"messages": messages, "system": system}))["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "t.pdf"}},
                {"type": "text", "text": "plain"},
            ]},
            {"role": "assistant", "content": "I will", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}
            ]},
            {"role": "tool", "content": "1", "tool_call_id": "a"},
            {"role": "user", "content": "and?"},
            {"role": "tool", "content": "", "tool_call_id": "b"},
        ])
    );
}

#[test]
fn fields_become_those_of_a_chat() {
    let fields = json!({
        "system": "s", "stop_sequences": ["x"], "top_k": 3, "temperature": 0.5, "metadata": {"user_id": "u"}, "cache_control": null,
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true}, "service_tier": "auto", "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}}, "x_unknown": 1
    });
    let mut chat = chat(fields);
    chat.as_object_mut().unwrap().remove("messages");
    assert_eq!(
        chat,
        json!({
            "model": "m", "max_tokens": 5, "stream": false, "stop": ["x"], "top_k": 3, "temperature": 0.5, "user": "u",
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": "required", "parallel_tool_calls": false, "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": {}}}, "x_unknown": 1
        })
    );
    let named = read(json!({"tool_choice": {"type": "tool", "name": "f"}})).unwrap();
    assert_eq!(
        named.tool_choice,
        Some(json!({"type": "function", "function": {"name": "f"}}))
    );
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    for (fields, param, code) in [
        (
            json!({"max_tokens": null}),
            "max_tokens",
            "missing_required_parameter",
        ),
        (json!({"max_tokens": 0}), "max_tokens", "integer_below_min_value"),
        (
            json!({"messages": null}),
            "messages",
            "missing_required_parameter",
        ),
        (json!({"messages": []}), "messages", "empty_array"),
        (json!({"container": "c"}), "container", "unsupported_parameter"),
        (json!({"mcp_servers": []}), "mcp_servers", "unsupported_parameter"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            "thinking.type",
            "invalid_value",
        ),
        (
            json!({"thinking": {}}),
            "thinking.type",
            "missing_required_parameter",
        ),
        (json!({"speed": "fast"}), "speed", "invalid_value"),
        (
            json!({"stop_sequences": ["a", "b", "c", "d", "e"]}),
            "stop_sequences",
            "array_above_max_length",
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "w"}]}),
            "tools[0].type",
            "invalid_value",
        ),
        (
            json!({"tools": [{"name": "f"}]}),
            "tools[0].input_schema",
            "missing_required_parameter",
        ),
        (
            json!({"tools": [{"name": "", "input_schema": {}}]}),
            "tools[0].name",
            "empty_string",
        ),
        (
            json!({"tools": [{"name": "f", "input_schema": {}, "defer_loading": true}]}),
            "tools[0].defer_loading",
            "unsupported_parameter",
        ),
        (json!({"tool_choice": "auto"}), "tool_choice", "invalid_type"),
        (
            json!({"tool_choice": {"type": "some"}}),
            "tool_choice.type",
            "invalid_value",
        ),
        (
            json!({"output_config": {"task_budget": {}}}),
            "output_config.task_budget",
            "unsupported_parameter",
        ),
        (
            json!({"output_config": {"format": {"type": "json_schema"}}}),
            "output_config.format.schema",
            "missing_required_parameter",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].role",
            "invalid_value",
        ),
        (user(json!(5)), "messages[0].content", "invalid_type"),
        (user(json!([])), "messages[0].content", "empty_array"),
        (
            user(json!([{"type": "tool_use"}])),
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            user(json!([{"type": "image", "source": {"type": "file", "file_id": "f"}}])),
            "messages[0].content[0].source.type",
            "invalid_value",
        ),
        (
            user(json!([{"type": "image"}])),
            "messages[0].content[0].source",
            "missing_required_parameter",
        ),
        (
            user(json!([{"type": "tool_result"}])),
            "messages[0].content[0].tool_use_id",
            "missing_required_parameter",
        ),
        (
            user(json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_use"}]}])),
            "messages[0].content[0].content[0].type",
            "invalid_value",
        ),
    ] {
        let error = read(fields.clone()).unwrap_err();
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some(param), Some(code)),
            "{fields}: {error}"
        );
        assert!(error.message.contains(param), "{fields}: {error}");
    }
}
