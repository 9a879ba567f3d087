//! Requests: what each field becomes, and what is refused with which words.

use serde_json::{Value, json};

use super::*;
use crate::{Message, RequestError, Role};

/// Reads a request with `input` and these fields.
fn read(fields: Value) -> Result<Request, RequestError> {
    let mut body = json!({"input": "hi"});
    let Value::Object(fields) = fields else {
        panic!("an object of fields");
    };
    body.as_object_mut().unwrap().extend(fields);
    Request::from_json(body.to_string().as_bytes())
}

#[test]
fn the_least_request_has_the_defaults() {
    let request = read(json!({"model": "m"})).unwrap();
    assert_eq!(request.chat.messages, [Message::text(Role::User, "hi")]);
    assert_eq!((request.chat.model.as_str(), request.chat.stream), ("m", false));
    assert_eq!(request.settings, Settings::default());
    assert!(request.settings.store && !request.settings.background);
    assert!(request.chat.extra.is_empty());
}

#[test]
fn fields_become_those_of_a_chat() {
    let request = read(json!({
        "stream": true, "stream_options": {"include_obfuscation": false}, "background": true,
        "instructions": "Be brief.", "max_output_tokens": 7, "temperature": 0.7, "top_p": 0.5, "top_k": 3, "seed": 5,
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true, "description": null}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"}, "truncation": "disabled", "top_logprobs": 0, "max_tool_calls": 3,
        "include": ["web_search_call.results"], "user": "u", "service_tier": "auto", "prompt_cache_key": "k", "safety_identifier": "s",
        "previous_response_id": "resp_0", "metadata": {"a": "b"}, "x_unknown": [1]
    }))
    .unwrap();
    let chat = &request.chat;
    assert_eq!(
        chat.messages,
        [
            Message::text(Role::System, "Be brief."),
            Message::text(Role::User, "hi")
        ]
    );
    assert!(chat.stream && !chat.include_usage);
    assert_eq!(
        (chat.max_tokens, chat.temperature, chat.top_p),
        (Some(7), Some(0.7), Some(0.5))
    );
    assert_eq!((chat.top_k, chat.seed), (Some(3), Some(5)));
    assert_eq!(
        Value::from(chat.tools.clone()),
        json!([{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}])
    );
    assert_eq!(
        chat.tool_choice,
        Some(json!({"type": "function", "function": {"name": "f"}}))
    );
    assert_eq!(
        chat.response_format,
        Some(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}}))
    );
    assert_eq!(
        Value::from(chat.extra.clone()),
        json!({
            "parallel_tool_calls": false, "verbosity": "low", "reasoning_effort": "low", "user": "u", "service_tier": "auto",
            "prompt_cache_key": "k", "safety_identifier": "s", "x_unknown": [1]
        })
    );
    let settings = &request.settings;
    assert!(settings.background && !settings.parallel_tool_calls);
    assert_eq!(settings.previous_response_id.as_deref(), Some("resp_0"));
    assert_eq!(settings.tools[0]["name"], "f");
    assert_eq!(settings.tool_choice, json!({"type": "function", "name": "f"}));
    assert_eq!(settings.text["format"]["name"], "n");
    assert_eq!(settings.reasoning, json!({"effort": "low", "summary": "auto"}));
    assert_eq!(settings.metadata["a"], "b");
    assert_eq!(
        (settings.temperature, settings.max_tool_calls),
        (Some(0.7), Some(3))
    );
}

#[test]
fn null_is_the_same_as_absent() {
    let nulls = [
        "background",
        "store",
        "instructions",
        "previous_response_id",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "truncation",
        "top_logprobs",
        "include",
        "stream_options",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "conversation",
        "prompt",
        "temperature",
        "stream",
        "prompt_cache_key",
        "safety_identifier",
        "messages",
    ];
    for name in nulls {
        let request = read(json!({name: null})).unwrap();
        assert_eq!(request.settings, Settings::default(), "{name}");
    }
}

#[test]
fn plain_text_and_allowed_tools() {
    let request = read(json!({"text": {"format": {"type": "text"}}})).unwrap();
    assert_eq!(request.chat.response_format, None);
    let request = read(json!({"text": {"format": {"type": "json_object"}}})).unwrap();
    assert_eq!(request.chat.response_format, Some(json!({"type": "json_object"})));
    let choice =
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]});
    let request = read(json!({"tool_choice": choice})).unwrap();
    assert_eq!(
        request.chat.tool_choice,
        Some(
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}})
        )
    );
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    for (fields, param, code) in [
        (
            json!({"conversation": "c"}),
            "conversation",
            "unsupported_parameter",
        ),
        (json!({"prompt": {"id": "p"}}), "prompt", "unsupported_parameter"),
        (json!({"moderation": {}}), "moderation", "unsupported_parameter"),
        (json!({"messages": []}), "messages", "unsupported_parameter"),
        (json!({"max_tokens": 5}), "max_tokens", "unsupported_parameter"),
        (
            json!({"response_format": {}}),
            "response_format",
            "unsupported_parameter",
        ),
        (json!({"truncation": "auto"}), "truncation", "invalid_value"),
        (
            json!({"top_logprobs": 2}),
            "top_logprobs",
            "unsupported_parameter",
        ),
        (
            json!({"top_logprobs": 21}),
            "top_logprobs",
            "integer_above_max_value",
        ),
        (
            json!({"include": ["reasoning.encrypted_content"]}),
            "include[0]",
            "invalid_value",
        ),
        (json!({"include": [1]}), "include[0]", "invalid_type"),
        (
            json!({"stream": true, "stream_options": {"include_obfuscation": true}}),
            "stream_options.include_obfuscation",
            "unsupported_parameter",
        ),
        (json!({"stream_options": {}}), "stream_options", "invalid_value"),
        (
            json!({"background": true, "store": false}),
            "background",
            "invalid_value",
        ),
        (json!({"background": 1}), "background", "invalid_type"),
        (
            json!({"max_output_tokens": 0}),
            "max_output_tokens",
            "integer_below_min_value",
        ),
        (
            json!({"temperature": 3}),
            "temperature",
            "decimal_above_max_value",
        ),
        (
            json!({"tools": [{"type": "web_search"}]}),
            "tools[0].type",
            "invalid_value",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].name",
            "missing_required_parameter",
        ),
        (
            json!({"tools": [{"type": "function", "name": ""}]}),
            "tools[0].name",
            "empty_string",
        ),
        (
            json!({"tools": [{"type": "function", "name": 5}]}),
            "tools[0].name",
            "invalid_type",
        ),
        (
            json!({"tools": [{"type": "function", "name": "f", "defer_loading": true}]}),
            "tools[0].defer_loading",
            "unsupported_parameter",
        ),
        (json!({"tools": [1]}), "tools[0]", "invalid_type"),
        (json!({"tool_choice": "some"}), "tool_choice", "invalid_value"),
        (
            json!({"tool_choice": {"type": "mcp"}}),
            "tool_choice.type",
            "invalid_value",
        ),
        (
            json!({"tool_choice": {"type": "function"}}),
            "tool_choice.name",
            "missing_required_parameter",
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}}),
            "tool_choice.tools[0].type",
            "invalid_value",
        ),
        (
            json!({"text": {"format": {"type": "xml"}}}),
            "text.format.type",
            "invalid_value",
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n"}}}),
            "text.format.schema",
            "missing_required_parameter",
        ),
        (
            json!({"text": {"colour": "red"}}),
            "text.colour",
            "unknown_parameter",
        ),
        (
            json!({"reasoning": {"summary": "detailed"}}),
            "reasoning.summary",
            "invalid_value",
        ),
        (
            json!({"reasoning": {"effort": 5}}),
            "reasoning.effort",
            "invalid_type",
        ),
        (
            json!({"reasoning": {"mode": "pro"}}),
            "reasoning.mode",
            "invalid_value",
        ),
        (json!({"metadata": {"a": 5}}), "metadata.a", "invalid_type"),
        (
            json!({"metadata": {"a": "x".repeat(513)}}),
            "metadata",
            "string_above_max_length",
        ),
        (
            json!({"metadata": {"k".repeat(65): "x"}}),
            "metadata",
            "string_above_max_length",
        ),
        (
            json!({"metadata": (0..17).map(|i| (i.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>()}),
            "metadata",
            "object_above_max_properties",
        ),
        (
            json!({"parallel_tool_calls": 1}),
            "parallel_tool_calls",
            "invalid_type",
        ),
        (json!({"user": 1}), "user", "invalid_type"),
        (json!({"n": 2}), "n", "integer_above_max_value"),
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

#[test]
fn a_moved_field_says_where_it_went() {
    let error = read(json!({"max_tokens": 5})).unwrap_err();
    assert_eq!(
        error.message,
        "Unsupported parameter: 'max_tokens'. In the Responses API, this parameter has moved to 'max_output_tokens'."
    );
}

#[test]
fn errors_about_the_chat_are_told_in_the_words_of_this_api() {
    let error = |message: &str, param: &str| RequestError::new(message, Some(param.to_owned()), None);
    for (message, param, renamed_message, renamed) in [
        (
            "messages: too long; shorten",
            "messages",
            "input: too long; shorten",
            "input",
        ),
        (
            "'messages[2].tool_calls' is odd",
            "messages[2].tool_calls",
            "'input' is odd",
            "input",
        ),
        (
            "response_format: only text",
            "response_format",
            "text.format: only text",
            "text.format",
        ),
        (
            "Invalid 'tools[0].function.name': x",
            "tools[0].function.name",
            "Invalid 'tools[0].name': x",
            "tools[0].name",
        ),
        ("seed: no", "seed", "seed: no", "seed"),
    ] {
        assert_eq!(rename(error(message, param)), error(renamed_message, renamed));
    }
    let nameless = RequestError::new("messages", None, None);
    assert_eq!(rename(nameless.clone()), nameless);
}

#[test]
fn a_conversation_goes_on_under_new_instructions() {
    let earlier = read(json!({"instructions": "old"})).unwrap();
    let mut conversation = earlier.conversation().to_vec();
    conversation.push(Message::text(Role::Assistant, "hello"));
    let mut request = read(json!({"instructions": "new", "input": "and?"})).unwrap();
    request.go_on_from(conversation.clone());
    let said: Vec<_> = request
        .chat
        .messages
        .iter()
        .map(|message| message.plain_text())
        .collect();
    assert_eq!(said, ["new", "hi", "hello", "and?"]);
    let mut request = read(json!({"input": "and?"})).unwrap();
    request.go_on_from(conversation);
    assert_eq!(request.chat.messages.len(), 3);
    assert_eq!(request.conversation().len(), 3);
    // Whoever builds a request may leave it empty.
    let mut request = read(json!({"instructions": "new"})).unwrap();
    request.chat.messages.clear();
    assert_eq!(request.conversation(), []);
    request.go_on_from(vec![Message::text(Role::User, "hi")]);
    assert_eq!(request.chat.messages.len(), 1);
}

#[test]
fn bodies_that_are_no_request() {
    for (body, code) in [
        ("", None),
        ("[]", Some("invalid_type")),
        ("{", Some("invalid_json")),
        ("{}", Some("missing_required_parameter")),
    ] {
        assert_eq!(
            Request::from_json(body.as_bytes()).unwrap_err().code,
            code,
            "{body}"
        );
    }
}

#[test]
fn settings_survive_a_log() {
    let settings = read(json!({
        "background": true, "metadata": {"a": "b"}, "temperature": 0.1, "tools": [{"type": "function", "name": "f"}], "user": "u"
    }))
    .unwrap()
    .settings;
    let logged = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&logged).unwrap(), settings);
    // A log of another version: fields it does not have, and one that is not known.
    let other = serde_json::from_str::<Settings>(r#"{"store":false,"newer":1}"#).unwrap();
    assert_eq!(
        other,
        Settings {
            store: false,
            ..Settings::default()
        }
    );
}
