//! Input items, and the messages they become.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::openai::request_body;
use crate::{Message, RequestError, Role, Transcript};

/// The messages of an input, as a chat request has them on the wire.
fn messages(input: Value) -> Result<Value, RequestError> {
    let body = json!({"input": input}).to_string();
    let request = Request::from_json(body.as_bytes())?;
    let body: Value = serde_json::from_slice(&request_body(&request.chat)).unwrap();
    Ok(body["messages"].clone())
}

#[test]
fn messages_are_messages() {
    let input = json!([
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
         "content": [{"type": "output_text", "text": "two", "annotations": [], "logprobs": []}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I"}, {"type": "refusal", "refusal": "no"}]},
        {"role": "user", "name": "n", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:,", "detail": "low", "file_id": null},
            {"type": "input_file", "file_data": "data:,", "filename": "f.pdf"},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        ]},
    ]);
    assert_eq!(
        messages(input).unwrap(),
        json!([
            {"role": "developer", "content": "d"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "assistant", "content": [{"type": "text", "text": "I"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "user", "name": "n", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
                {"type": "file", "file": {"file_data": "data:,", "filename": "f.pdf"}},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ]},
        ])
    );
}

#[test]
fn calls_join_the_turn_they_belong_to() {
    let call = |id: &str| json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": "{}", "status": "completed"});
    let output =
        |id: &str, output: Value| json!({"type": "function_call_output", "call_id": id, "output": output});
    let said = |text: &str| json!({"role": "assistant", "content": text});
    let wire = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let input = json!([
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        said("I will"), call("a"), call("b"),
        output("a", json!("1")), output("b", json!([{"type": "input_text", "text": "2"}])),
        call("c"), said("and this"), output("c", json!("3")),
        said("done"), said("really"),
    ]);
    assert_eq!(
        messages(input).unwrap(),
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "I will", "tool_calls": [wire("a"), wire("b")]},
            {"role": "tool", "content": "1", "tool_call_id": "a"},
            {"role": "tool", "content": "2", "tool_call_id": "b"},
            {"role": "assistant", "content": "and this", "tool_calls": [wire("c")]},
            {"role": "tool", "content": "3", "tool_call_id": "c"},
            {"role": "assistant", "content": "done"},
            {"role": "assistant", "content": "really"},
        ])
    );
}

#[test]
fn an_answer_of_ours_is_an_input_again() {
    let updates = [
        start(),
        reasoning("hm"),
        text("I will"),
        call(0, "a", "f", "{}"),
        call(1, "b", "g", ""),
        finished(FinishReason::ToolCalls),
    ];
    let mut writer = writer(Settings::default());
    fold(&mut writer, &updates);
    let mut object = Vec::new();
    writer.response(&mut object);
    let object: Value = serde_json::from_slice(&object).unwrap();
    let body = json!({"input": object["output"]}).to_string();
    let request = Request::from_json(body.as_bytes()).unwrap();
    let mut transcript = Transcript::new();
    for update in &updates {
        if let Update::Delta(delta) = update {
            transcript.push(delta).unwrap();
        }
    }
    assert_eq!(request.chat.messages, [transcript.to_message()]);
}

#[test]
fn what_is_no_input_is_refused_by_name() {
    let message = |content: Value| json!([{"role": "user", "content": content}]);
    for (input, param, code) in [
        (json!(5), "input", "invalid_type"),
        (json!([]), "input", "empty_array"),
        (json!(["hi"]), "input[0]", "invalid_type"),
        (
            json!([{"id": "msg_1"}]),
            "input[0].type",
            "missing_required_parameter",
        ),
        (
            json!([{"type": "item_reference", "id": "msg_1"}]),
            "input[0].type",
            "invalid_value",
        ),
        (
            json!([{"type": "web_search_call", "id": "ws"}]),
            "input[0].type",
            "invalid_value",
        ),
        (
            json!([{"role": "tool", "content": "x"}]),
            "input[0].role",
            "invalid_value",
        ),
        (
            json!([{"role": "user"}]),
            "input[0].content",
            "missing_required_parameter",
        ),
        (message(json!(5)), "input[0].content", "invalid_type"),
        (message(json!([])), "input[0].content", "empty_array"),
        (message(json!([5])), "input[0].content[0]", "invalid_type"),
        (
            message(json!([{"text": "x"}])),
            "input[0].content[0].type",
            "missing_required_parameter",
        ),
        (
            message(json!([{"type": "text", "text": "x"}])),
            "input[0].content[0].type",
            "invalid_value",
        ),
        (
            message(json!([{"type": "input_text"}])),
            "input[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            message(json!([{"type": "input_image"}])),
            "input[0].content[0].image_url",
            "missing_required_parameter",
        ),
        (
            message(json!([{"type": "input_image", "file_id": "f"}])),
            "input[0].content[0].file_id",
            "unsupported_parameter",
        ),
        (
            message(json!([{"type": "input_file", "file_url": "u"}])),
            "input[0].content[0].file_url",
            "unsupported_parameter",
        ),
        (
            message(json!([{"type": "input_file"}])),
            "input[0].content[0].file_data",
            "missing_required_parameter",
        ),
        (
            message(json!([{"type": "input_audio", "input_audio": 1}])),
            "input[0].content[0].input_audio",
            "invalid_type",
        ),
        (
            json!([{"type": "function_call", "name": "f", "arguments": ""}]),
            "input[0].call_id",
            "missing_required_parameter",
        ),
        (
            json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]),
            "input[0].arguments",
            "invalid_type",
        ),
        (
            json!([{"type": "function_call_output", "output": "x"}]),
            "input[0].call_id",
            "missing_required_parameter",
        ),
        (
            json!([{"type": "function_call_output", "call_id": "", "output": "x"}]),
            "input",
            "missing_required_parameter",
        ),
        (
            json!([{"type": "function_call_output", "call_id": "c"}]),
            "input[0].output",
            "missing_required_parameter",
        ),
    ] {
        let error = messages(input.clone()).unwrap_err();
        assert_eq!(
            (error.param.as_deref(), error.code),
            (Some(param), Some(code)),
            "{input}: {error}"
        );
        assert!(error.message.contains(param), "{input}: {error}");
    }
}

#[test]
fn only_reasoning_is_nothing_to_answer() {
    let body = json!({"instructions": "i", "input": [{"type": "reasoning", "id": "rs_1", "summary": []}]});
    let error = Request::from_json(body.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        (error.param.as_deref(), error.code),
        (Some("input"), Some("empty_array"))
    );
}

/// Values that look like inputs.
fn any_input() -> impl Strategy<Value = Value> {
    let word = "input_text|output_text|input_image|message|function_call|function_call_output|reasoning|user|assistant|tool|[a-z]{1,3}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let name = "type|role|content|text|image_url|call_id|name|arguments|output|id";
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_input_is_a_chat_or_an_error_that_names_it(input in any_input(), instructions in any::<Option<String>>()) {
        let body = json!({"input": input, "instructions": instructions}).to_string();
        match Request::from_json(body.as_bytes()) {
            Ok(request) => {
                prop_assert_eq!(request.chat.validate(), Ok(()));
                let first = &request.chat.messages[0];
                prop_assert_eq!(instructions.is_some(), request.conversation().len() < request.chat.messages.len());
                prop_assert!(instructions.is_none() || *first == Message::text(Role::System, instructions.unwrap()));
            }
            Err(error) => prop_assert!(error.param.is_some_and(|param| param.starts_with("input"))),
        }
    }
}
