//! The items of a conversation, and that they are the same conversation when they are sent again.

use serde_json::{Value, json};

use super::*;
use crate::{Message, Transcript};

/// The conversation of a request with this input.
fn conversation(input: Value) -> Vec<Message> {
    let body = json!({ "input": input, "instructions": "not a part of it" }).to_string();
    let request = Request::from_json(body.as_bytes()).unwrap();
    request.conversation().to_vec()
}

#[test]
fn every_kind_of_item() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{\"a\":1}"});
    let conversation = conversation(json!([
        {"role": "developer", "content": "d"},
        {"role": "user", "name": "n", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:,", "detail": "low"},
            {"type": "input_image", "image_url": "data:,"},
            {"type": "input_file", "file_data": "data:,", "filename": "f.pdf"},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "I will"}, call("a"), call("b"),
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [
            {"type": "input_text", "text": "2"}, {"type": "input_text", "text": "3"},
        ]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "so"}, {"type": "refusal", "refusal": "no"}]},
    ]));
    let said = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let made = |place: u32, id: &str| {
        json!({"id": format!("fc_1_in_{place}"), "status": "completed", "type": "function_call", "call_id": id,
            "name": "f", "arguments": "{\"a\":1}"})
    };
    let items = input_items("resp_1", &conversation);
    let expected = json!([
        {"id": "msg_1_in_0", "status": "completed", "type": "message", "role": "developer",
         "content": [{"type": "input_text", "text": "d"}]},
        {"id": "msg_1_in_1", "status": "completed", "type": "message", "role": "user", "name": "n", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:,", "detail": "low"},
            {"type": "input_image", "image_url": "data:,", "detail": "auto"},
            {"type": "input_file", "file_data": "data:,", "filename": "f.pdf"},
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        ]},
        {"id": "msg_1_in_2", "status": "completed", "type": "message", "role": "assistant", "content": [said("I will")]},
        made(3, "a"), made(4, "b"),
        {"id": "fco_1_in_5", "status": "completed", "type": "function_call_output", "call_id": "a", "output": "1"},
        {"id": "fco_1_in_6", "status": "completed", "type": "function_call_output", "call_id": "b", "output": [
            {"type": "input_text", "text": "2"}, {"type": "input_text", "text": "3"},
        ]},
        {"id": "msg_1_in_7", "status": "completed", "type": "message", "role": "assistant",
         "content": [said("so"), {"type": "refusal", "refusal": "no"}]},
    ]);
    assert_eq!(Value::Array(items), expected);
    let again = input_items("resp_1", &self::conversation(expected.clone()));
    assert_eq!(
        Value::Array(again),
        expected,
        "sent again, it is the same conversation"
    );
}

#[test]
fn answers_are_turns_of_the_assistant() {
    let answer = |updates: &[Update]| {
        let mut transcript = Transcript::default();
        for update in updates {
            if let Update::Delta(delta) = update {
                transcript.push(delta).unwrap();
            }
        }
        let items = input_items("resp_1", &[transcript.to_message()]);
        items
            .iter()
            .map(|item| (item["type"].clone(), item["content"][0].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        answer(&[refusal("no")]),
        [(json!("message"), json!({"type": "refusal", "refusal": "no"}))]
    );
    assert_eq!(
        answer(&[call(0, "a", "f", "{}")]),
        [(json!("function_call"), Value::Null)],
        "what said nothing is no message"
    );
}
