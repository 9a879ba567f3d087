//! For everything wrong with a request, the exact field and words.

use serde_json::json;

use super::*;

#[track_caller]
pub(super) fn refused(body: &Value, param: &str, code: &str, says: &str) {
    let error = read(body).unwrap_err();
    assert_eq!(error.param.as_deref(), Some(param), "{error}");
    assert_eq!(error.code, Some(code), "{error}");
    assert!(error.message.contains(says), "{error}");
    assert!(error.message.contains(param), "{error}");
}

#[test]
fn refuses_bodies_that_are_no_json_object() {
    for (body, says) in [
        (&b""[..], "has no body"),
        (b" \r\n", "has no body"),
        (b"[]", "expected a JSON object, but got an array"),
        (b"\"x\"", "but got a string"),
        (b"{\"messages\":", "line 1 column 12"),
        (b"{\n\"temperature\": NaN}", "line 2 column 16"),
        (
            b"{\"temperature\": 1e400}",
            "number out of range at line 1 column",
        ),
        (b"{\"a\":1} x", "trailing characters at line 1 column 9"),
        (b"{\"a\":\"\xff\"}", "line 1 column 7"),
        (b"hello=world", "line 1 column 1"),
    ] {
        let error = ChatRequest::from_json(body).unwrap_err();
        assert!(error.message.contains(says), "{error}");
        assert_eq!(error.param, None);
    }
}

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    for open in ["[", "{\"a\":"] {
        let error = ChatRequest::from_json(open.repeat(1_000_000).as_bytes()).unwrap_err();
        assert!(error.message.contains("recursion limit exceeded"), "{error}");
    }
}

#[test]
fn names_what_is_wrong_with_the_messages() {
    let messages = |messages: Value| json!({ "messages": messages });
    let message = |message: Value| json!({"messages": [{"role": "user", "content": "a"}, message]});
    refused(&json!({}), "messages", "missing_required_parameter", "Missing");
    refused(
        &messages(json!([])),
        "messages",
        "empty_array",
        "minimum length 1",
    );
    refused(
        &messages(json!("hi")),
        "messages",
        "invalid_type",
        "expected an array, but got a string",
    );
    refused(
        &messages(json!(["hi"])),
        "messages[0]",
        "invalid_type",
        "expected an object, but got a string",
    );
    refused(
        &message(json!({"content": "a"})),
        "messages[1].role",
        "missing_required_parameter",
        "Missing",
    );
    refused(
        &message(json!({"role": 1, "content": "a"})),
        "messages[1].role",
        "invalid_type",
        "got an integer",
    );
    for role in ["function", "User", ""] {
        let says =
            format!("'{role}'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool'");
        refused(
            &message(json!({"role": role, "content": "a"})),
            "messages[1].role",
            "invalid_value",
            &says,
        );
    }
    let content = |content: Value| message(json!({"role": "user", "content": content}));
    refused(
        &message(json!({"role": "user"})),
        "messages[1].content",
        "missing_required_parameter",
        "assistant",
    );
    refused(
        &content(json!(null)),
        "messages[1].content",
        "missing_required_parameter",
        "Missing",
    );
    refused(
        &content(json!({})),
        "messages[1].content",
        "invalid_type",
        "a string or an array of content parts",
    );
    refused(
        &content(json!([])),
        "messages[1].content",
        "empty_array",
        "minimum length 1",
    );
    refused(
        &content(json!([1.5])),
        "messages[1].content[0]",
        "invalid_type",
        "got a decimal",
    );
    let part = |part: Value| content(json!([{"type": "text", "text": "a"}, part]));
    refused(
        &part(json!({})),
        "messages[1].content[1].type",
        "missing_required_parameter",
        "Missing",
    );
    refused(
        &part(json!({"type": true})),
        "messages[1].content[1].type",
        "invalid_type",
        "got a boolean",
    );
    refused(
        &part(json!({"type": "text"})),
        "messages[1].content[1].text",
        "missing_required_parameter",
        "Missing",
    );
    refused(
        &part(json!({"type": "text", "text": null})),
        "messages[1].content[1].text",
        "invalid_type",
        "got null",
    );
    let tool = |extra: Value| {
        let mut tool = json!({"role": "tool", "content": "a"});
        tool.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        message(tool)
    };
    refused(
        &tool(json!({})),
        "messages[1].tool_call_id",
        "missing_required_parameter",
        "Missing",
    );
    refused(
        &tool(json!({"tool_call_id": 5})),
        "messages[1].tool_call_id",
        "invalid_type",
        "got an integer",
    );
    refused(
        &tool(json!({"tool_call_id": "c", "name": []})),
        "messages[1].name",
        "invalid_type",
        "got an array",
    );
    refused(
        &tool(json!({"tool_call_id": "c", "tool_calls": 1})),
        "messages[1].tool_calls",
        "invalid_type",
        "an array",
    );
    refused(
        &tool(json!({"tool_call_id": "c", "tool_calls": [1]})),
        "messages[1].tool_calls[0]",
        "invalid_type",
        "an object",
    );
}

#[test]
fn names_what_is_wrong_with_a_field() {
    for (field, value, param, code, says) in [
        ("model", json!(1), "model", "invalid_type", "a string"),
        (
            "stream",
            json!("true"),
            "stream",
            "invalid_type",
            "a boolean, but got a string",
        ),
        (
            "max_tokens",
            json!(0),
            "max_tokens",
            "integer_below_min_value",
            ">= 1, but got 0",
        ),
        (
            "max_tokens",
            json!(-3),
            "max_tokens",
            "integer_below_min_value",
            "got -3",
        ),
        (
            "max_tokens",
            json!(1.5),
            "max_tokens",
            "invalid_type",
            "an integer, but got a decimal",
        ),
        (
            "max_tokens",
            json!(u64::MAX),
            "max_tokens",
            "integer_above_max_value",
            "<= 4294967295",
        ),
        (
            "max_completion_tokens",
            json!("5"),
            "max_completion_tokens",
            "invalid_type",
            "got a string",
        ),
        (
            "temperature",
            json!("hot"),
            "temperature",
            "invalid_type",
            "a number, but got a string",
        ),
        (
            "temperature",
            json!(2.1),
            "temperature",
            "decimal_above_max_value",
            "<= 2, but got 2.1",
        ),
        (
            "temperature",
            json!(-0.1),
            "temperature",
            "decimal_below_min_value",
            ">= 0, but got -0.1",
        ),
        (
            "temperature",
            json!(1e300),
            "temperature",
            "decimal_above_max_value",
            "<= 2",
        ),
        ("top_p", json!(1.01), "top_p", "decimal_above_max_value", "<= 1"),
        (
            "top_k",
            json!(-1),
            "top_k",
            "integer_below_min_value",
            ">= 0, but got -1",
        ),
        (
            "seed",
            json!(u64::MAX),
            "seed",
            "integer_above_max_value",
            "9223372036854775807",
        ),
        ("seed", json!("x"), "seed", "invalid_type", "an integer"),
        (
            "presence_penalty",
            json!(-2.5),
            "presence_penalty",
            "decimal_below_min_value",
            ">= -2",
        ),
        (
            "frequency_penalty",
            json!(3),
            "frequency_penalty",
            "decimal_above_max_value",
            "<= 2, but got 3",
        ),
        (
            "stop",
            json!(5),
            "stop",
            "invalid_type",
            "a string or an array of strings",
        ),
        (
            "stop",
            json!(["a", 1]),
            "stop[1]",
            "invalid_type",
            "a string, but got an integer",
        ),
        ("stop", json!(""), "stop[0]", "empty_string", "minimum length 1"),
        (
            "stop",
            json!(["a", "b", "c", "d", "e"]),
            "stop",
            "array_above_max_length",
            "length 4, but got an array with length 5",
        ),
        ("n", json!(2), "n", "integer_above_max_value", "<= 1, but got 2"),
        ("n", json!(0), "n", "integer_below_min_value", ">= 1"),
        ("logit_bias", json!([]), "logit_bias", "invalid_type", "an object"),
        (
            "logit_bias",
            json!({"the": 1}),
            "logit_bias",
            "invalid_value",
            "'the'",
        ),
        (
            "logit_bias",
            json!({"5": "x"}),
            "logit_bias.5",
            "invalid_type",
            "a number",
        ),
        (
            "logit_bias",
            json!({"5": 100.5}),
            "logit_bias.5",
            "decimal_above_max_value",
            "<= 100",
        ),
        ("tools", json!({}), "tools", "invalid_type", "an array"),
        ("tools", json!(["f"]), "tools[0]", "invalid_type", "an object"),
        (
            "tools",
            json!([{}]),
            "tools[0].type",
            "missing_required_parameter",
            "Missing",
        ),
        (
            "tools",
            json!([{"type": "function"}]),
            "tools[0].function",
            "missing_required_parameter",
            "Missing",
        ),
        (
            "tools",
            json!([{"type": "function", "function": {}}]),
            "tools[0].function.name",
            "missing_required_parameter",
            "",
        ),
        (
            "tools",
            json!([{"type": "function", "function": {"name": ""}}]),
            "tools[0].function.name",
            "empty_string",
            "",
        ),
        (
            "tool_choice",
            json!("maybe"),
            "tool_choice",
            "invalid_value",
            "'none', 'auto', 'required'",
        ),
        (
            "tool_choice",
            json!(1),
            "tool_choice",
            "invalid_type",
            "an object",
        ),
        (
            "response_format",
            json!("json"),
            "response_format",
            "invalid_type",
            "an object, but got a string",
        ),
        (
            "response_format",
            json!({}),
            "response_format.type",
            "missing_required_parameter",
            "Missing",
        ),
        (
            "response_format",
            json!({"type": 1}),
            "response_format.type",
            "invalid_type",
            "a string",
        ),
        (
            "stream_options",
            json!(true),
            "stream_options",
            "invalid_type",
            "an object",
        ),
        (
            "stream_options",
            json!({}),
            "stream_options",
            "invalid_value",
            "only allowed when 'stream' is true",
        ),
        (
            "stream_options",
            json!({"include_usage": 1}),
            "stream_options.include_usage",
            "invalid_type",
            "a boolean",
        ),
    ] {
        refused(&with(json!({ field: value })), param, code, says);
    }
}

#[test]
fn what_is_echoed_is_bounded_and_harmless() {
    let role = format!("\u{1b}[31m{}", "x".repeat(10_000));
    let error = read(&json!({"messages": [{"role": role, "content": ""}]})).unwrap_err();
    assert!(
        error.message.len() < 300 && !error.message.contains('\u{1b}'),
        "{error}"
    );
}
