//! What holds for all input: nothing panics, and what is written is read back as it was.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Transcript;

/// Any JSON value, with the names that mean something.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = "choices|delta|message|content|text|error|detail|index|id|tool_calls|function|arguments|usage|reasoning|type|finish_reason|[a-z]{1,3}";
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The deltas a source may yield, in an order that a stream may have.
fn any_deltas() -> impl Strategy<Value = Vec<Delta>> {
    let text = "\\PC{1,8}|[\"\\\\\n\u{1}\u{1f600}/]{1,4}";
    let body = prop_oneof![
        4 => text.prop_map(Delta::Text),
        2 => text.prop_map(Delta::Reasoning),
        1 => text.prop_map(Delta::Refusal),
    ];
    let arguments = prop::collection::vec("[a-z\"{}\\\\:]{1,6}", 0..4);
    let finish = prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
        "x[a-z]{1,8}".prop_map(FinishReason::Other),
    ];
    let counts = (
        any::<u64>(),
        any::<u64>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
    );
    (
        prop::collection::vec(body, 0..8),
        prop::collection::vec(arguments, 0..4),
        finish,
        counts,
    )
        .prop_map(
            |(
                mut deltas,
                calls,
                finish,
                (input_tokens, output_tokens, cached_input_tokens, reasoning_tokens),
            )| {
                for (index, arguments) in calls.iter().enumerate() {
                    let index = u32::try_from(index).expect("few calls");
                    deltas.push(call(index, &format!("id{index}"), "f", ""));
                    deltas.extend(arguments.iter().map(|arguments| call(index, "", "", arguments)));
                }
                deltas.push(Delta::Finish(finish));
                deltas.push(Delta::Usage(Usage {
                    input_tokens,
                    output_tokens,
                    cached_input_tokens,
                    reasoning_tokens,
                }));
                deltas
            },
        )
}

/// The stream our server writes for these deltas.
fn written(deltas: &[Delta]) -> Vec<String> {
    let mut writer = Writer::new("chatcmpl-1", "m", 1).with_usage(true);
    let mut events = Vec::new();
    let mut keep = |bytes: Vec<u8>| events.push(String::from_utf8(bytes).unwrap());
    let mut bytes = Vec::new();
    writer.role(&mut bytes);
    keep(std::mem::take(&mut bytes));
    for delta in deltas {
        if writer.delta(delta, &mut bytes) {
            keep(std::mem::take(&mut bytes));
        }
    }
    if writer.usage(&mut bytes) {
        keep(bytes);
    }
    events.push(DONE.to_owned());
    events
}

proptest! {
    #[test]
    fn any_json_never_panics(values in prop::collection::vec(any_json(), 1..4), event in "|message|error|x") {
        let mut reader = Reader::new();
        let mut out = Vec::new();
        for value in values {
            let data = value.to_string();
            let _ = reader.read(&event, &data, &mut out);
            let _ = reader.read_stray_line(&data);
            let _ = reader.read_body(data.as_bytes(), &mut out);
            let _ = failure_from_status(500, data.as_bytes());
        }
        let empty = out.iter().any(|delta| matches!(delta, Delta::Text(t) | Delta::Reasoning(t) | Delta::Refusal(t) if t.is_empty()));
        prop_assert!(!empty);
    }

    #[test]
    fn any_bytes_never_panic(bytes in any::<Vec<u8>>(), data in any::<String>()) {
        let mut reader = Reader::new();
        let _ = reader.read_body(&bytes, &mut Vec::new());
        let _ = reader.read("", &data, &mut Vec::new());
        let _ = reader.read_stray_line(&data);
        let _ = failure_from_status(418, &bytes);
    }

    #[test]
    fn what_is_written_is_read_back(deltas in any_deltas()) {
        let events = written(&deltas);
        let seen = stream(&events.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(seen.deltas, deltas);
        prop_assert!(seen.notices.is_empty());
    }

    #[test]
    fn a_whole_answer_is_read_back(deltas in any_deltas()) {
        let mut answer = Transcript::new();
        deltas.iter().for_each(|delta| answer.push(delta).unwrap());
        let mut body = Vec::new();
        Writer::new("chatcmpl-1", "m", 1).completion(&answer, &mut body);
        let mut read = Vec::new();
        prop_assert_eq!(Reader::new().read_body(&body, &mut read), Ok(Flow::Done));
        let mut again = Transcript::new();
        read.iter().for_each(|delta| again.push(delta).unwrap());
        prop_assert_eq!((&again.text, &again.reasoning, &again.refusal), (&answer.text, &answer.reasoning, &answer.refusal));
        prop_assert_eq!((&again.tool_calls, again.usage), (&answer.tool_calls, answer.usage));
        prop_assert_eq!(again.finish_reason, answer.effective_finish());
    }
}

#[test]
fn writes_the_reference_stream() {
    let deltas = [text("a\"\n\u{2028}"), call(0, "i", "f", "{}"), STOP, usage(1, 2)];
    let head = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":["#;
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"{head}{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
        )
    };
    assert_eq!(
        written(&deltas),
        [
            chunk(r#"{"role":"assistant","content":""}"#, "null"),
            chunk("{\"content\":\"a\\\"\\n\u{2028}\"}", "null"),
            chunk(
                r#"{"tool_calls":[{"index":0,"id":"i","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
                "null"
            ),
            chunk("{}", r#""stop""#),
            format!(r#"{head}],"usage":{{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}"#),
            DONE.to_owned(),
        ]
    );
}

#[test]
fn usage_is_written_only_if_asked_for_and_known() {
    let mut out = Vec::new();
    let mut quiet = Writer::new("c", "m", 1);
    assert!(!quiet.delta(&usage(1, 2), &mut out) && !quiet.usage(&mut out));
    assert!(!Writer::new("c", "m", 1).with_usage(true).usage(&mut out));
    assert!(out.is_empty());
}

#[test]
fn writes_a_whole_answer() {
    let mut answer = Transcript::new();
    for delta in [call(0, "i", "f", "{}"), STOP] {
        answer.push(&delta).unwrap();
    }
    let mut out = Vec::new();
    Writer::new("c", "m", 1).completion(&answer, &mut out);
    let written: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        written,
        json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{
                "index": 0, "logprobs": null, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                    {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ]}
            }]
        })
    );
}
