//! Requests read from bytes: what is taken, and properties that hold for all input.

mod integers;
mod passed_on;
mod refusals;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(body: &Value) -> Result<ChatRequest, RequestError> {
    ChatRequest::from_json(&serde_json::to_vec(body).unwrap())
}

/// A valid request with these fields set besides.
fn with(fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    let Value::Object(fields) = fields else {
        panic!("an object is needed")
    };
    body.as_object_mut().unwrap().extend(fields);
    body
}

#[test]
fn takes_the_smallest_request() {
    let request = read(&with(json!({}))).unwrap();
    let smallest = ChatRequest {
        messages: vec![Message::text(Role::User, "hi")],
        ..ChatRequest::default()
    };
    assert_eq!(request, smallest);
}

#[test]
fn takes_every_field() {
    let request = read(&json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
        "max_tokens": 9, "max_completion_tokens": 5, "temperature": 2, "top_p": 0, "top_k": 0, "seed": -1, "n": 1,
        "stop": "END", "presence_penalty": -2, "frequency_penalty": 2.0, "logit_bias": {"7": 100, "1": -0.5},
        "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_object"}, "user": "u",
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "image_url", "image_url": {"url": "x"}}], "name": "ann"},
            {"role": "assistant", "tool_calls": [{"id": "c1"}], "audio": null},
            {"role": "tool", "content": "ok", "tool_call_id": "c1"}
        ]
    }))
    .unwrap();
    assert_eq!(
        (request.stream, request.include_usage, request.max_tokens),
        (true, true, Some(5))
    );
    assert_eq!(
        (request.temperature, request.top_p, request.top_k, request.seed),
        (Some(2.0), Some(0.0), Some(0), Some(-1))
    );
    assert_eq!(request.stop, ["END"]);
    assert_eq!(request.logit_bias, BTreeMap::from([(1, -0.5), (7, 100.0)]));
    assert_eq!(
        Value::Object(request.extra),
        json!({"user": "u", "stream_options": {"include_obfuscation": false}})
    );
    let [developer, user, assistant, tool] = request.messages.as_slice() else {
        panic!("four messages")
    };
    assert_eq!(
        (developer.role, developer.plain_text().as_ref()),
        (Role::Developer, "ab")
    );
    assert_eq!(developer.first_other_part(), None);
    assert_eq!(
        (user.plain_text().as_ref(), user.name.as_deref()),
        ("c", Some("ann"))
    );
    assert_eq!(
        user.first_other_part()
            .map(|(place, part)| (place, part["type"].clone())),
        Some((1, json!("image_url")))
    );
    assert_eq!(
        (&assistant.content, assistant.tool_calls.len()),
        (&Content::Empty, 1)
    );
    assert_eq!(Value::Object(assistant.extra.clone()), json!({"audio": null}));
    assert_eq!(tool.tool_call_id.as_deref(), Some("c1"));
}

#[test]
fn null_is_absent() {
    let names = [
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "n",
        "tools",
        "tool_choice",
        "response_format",
    ];
    for name in names {
        assert_eq!(
            read(&with(json!({ name: null }))),
            read(&with(json!({}))),
            "{name}"
        );
    }
}

#[test]
fn the_last_of_duplicate_keys_wins() {
    let body = br#"{"model":"a","model":"b","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(ChatRequest::from_json(body).unwrap().model, "b");
}

#[test]
fn requests_built_in_code_are_held_to_the_same_rules() {
    let valid = || ChatRequest {
        messages: vec![Message::text(Role::User, "hi")],
        ..ChatRequest::default()
    };
    assert_eq!(valid().validate(), Ok(()));
    for (request, param) in [
        (ChatRequest::default(), "messages"),
        (
            ChatRequest {
                max_tokens: Some(0),
                ..valid()
            },
            "max_tokens",
        ),
        (
            ChatRequest {
                temperature: Some(f32::NAN),
                ..valid()
            },
            "temperature",
        ),
        (
            ChatRequest {
                top_p: Some(f32::INFINITY),
                ..valid()
            },
            "top_p",
        ),
        (
            ChatRequest {
                include_usage: true,
                ..valid()
            },
            "stream_options",
        ),
        (
            ChatRequest {
                messages: vec![Message::text(Role::Tool, "x")],
                ..valid()
            },
            "messages[0].tool_call_id",
        ),
    ] {
        assert_eq!(request.validate().unwrap_err().param.as_deref(), Some(param));
    }
}

/// Any JSON value, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("type|text|role|content|[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _ = ChatRequest::from_json(&bytes);
    }

    #[test]
    fn a_wrong_field_is_always_named(
        name in "model|messages|stream|stream_options|max_tokens|temperature|top_p|top_k|seed|stop|presence_penalty|logit_bias|n|tools|tool_choice|response_format|logprobs|top_logprobs|user|metadata|store|parallel_tool_calls|service_tier|reasoning_effort|modalities|functions",
        value in any_json(),
    ) {
        match read(&with(json!({ name.clone(): value }))) {
            Ok(request) => prop_assert_eq!(request.validate(), Ok(())),
            Err(error) => {
                let param = error.param.unwrap_or_default();
                prop_assert!(param.starts_with(&name), "{} does not name {}", param, name);
                prop_assert!(error.code.is_some());
            }
        }
    }

    #[test]
    fn a_wrong_message_is_always_named(message in any_json()) {
        if let Err(error) = read(&json!({"messages": [message]})) {
            prop_assert!(error.param.unwrap_or_default().starts_with("messages[0]"));
        }
    }
}
