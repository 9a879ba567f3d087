//! What is written: golden streams, whole messages, endings, and what holds for any answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dialect::anthropic::{Writer, error_json};
use crate::dialect::openai::ErrorBody;
use crate::{
    Delta, End, Failure, FailureKind, FinishReason, Start, ToolCallDelta, Transcript, Update, Usage, Verdict,
};

fn writer() -> Writer {
    Writer::new("msg_1", "asked")
}

/// The data of the events of these updates, a line each.
fn lines(writer: &mut Writer, updates: &[Update]) -> String {
    let mut lines = String::new();
    for update in updates {
        writer.update(update, &mut |event| {
            assert!(event.data.starts_with(&format!("{{\"type\":\"{}\"", event.kind)));
            lines.push_str(event.data);
            lines.push('\n');
        });
    }
    lines
}

fn message(writer: &Writer) -> Value {
    let mut message = Vec::new();
    writer.message(&mut message).unwrap();
    serde_json::from_slice(&message).unwrap()
}

fn start() -> Update {
    Update::Start(Start {
        model: "m-1".into(),
        ..Start::default()
    })
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.into()))
}

fn reasoning(text: &str) -> Update {
    Update::Delta(Delta::Reasoning(text.into()))
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Update {
    let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    Update::Delta(Delta::ToolCall(ToolCallDelta {
        index,
        id: word(id),
        name: word(name),
        arguments: arguments.into(),
    }))
}

fn usage() -> Update {
    Update::Delta(Delta::Usage(Usage {
        input_tokens: 9,
        output_tokens: 4,
        cached_input_tokens: Some(2),
        reasoning_tokens: None,
    }))
}

fn finished(reason: FinishReason) -> Update {
    Update::End(End::finished(Some(reason)))
}

/// The golden streams. Each was read with the types of the official Python client, strictly.
#[test]
fn streams_are_as_the_official_client_reads_them() {
    let lost = Failure::new(FailureKind::ConnectionLost, "why");
    for (name, updates, golden) in [
        (
            "text",
            vec![
                start(),
                text("Hel"),
                text("lo \"\u{1f600}\"\n"),
                usage(),
                finished(FinishReason::Stop),
            ],
            include_str!("golden/text.jsonl"),
        ),
        (
            "tools",
            vec![
                start(),
                reasoning("hm"),
                text("I say"),
                call(0, "toolu_a", "f", "{\"x\""),
                call(0, "", "", ":1}"),
                call(1, "", "g", ""),
                finished(FinishReason::ToolCalls),
            ],
            include_str!("golden/tools.jsonl"),
        ),
        (
            "interleaved",
            vec![
                start(),
                call(0, "a", "f", "{\"x\""),
                call(1, "b", "g", "{}"),
                call(0, "", "", ":1}"),
                text("done"),
                finished(FinishReason::ToolCalls),
            ],
            include_str!("golden/interleaved.jsonl"),
        ),
        (
            "length",
            vec![
                start(),
                text("Hel"),
                call(0, "a", "f", "{\"x"),
                finished(FinishReason::Length),
            ],
            include_str!("golden/length.jsonl"),
        ),
        (
            "interrupted",
            vec![start(), text("Hel"), Update::End(End::of_failure(lost))],
            include_str!("golden/interrupted.jsonl"),
        ),
    ] {
        let written = lines(&mut writer(), &updates);
        assert_eq!(written, golden, "{name}");
    }
}

#[test]
fn a_whole_message_has_everything() {
    let mut writer = writer();
    let updates = [
        start(),
        reasoning("hm"),
        text("I say"),
        call(0, "a", "f", "{\"x\": 1}"),
        call(1, "", "g", ""),
        usage(),
        finished(FinishReason::Stop),
    ];
    lines(&mut writer, &updates);
    assert_eq!(
        message(&writer),
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "I say"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "toolu_1_3", "name": "g", "input": {}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 4}
        })
    );
}

#[test]
fn stop_reasons_follow_verdicts() {
    let refusal = || Update::Delta(Delta::Refusal("no".into()));
    for (updates, reason) in [
        (vec![text("a"), finished(FinishReason::Stop)], json!("end_turn")),
        (
            vec![call(0, "a", "f", "{}"), finished(FinishReason::Stop)],
            json!("tool_use"),
        ),
        (vec![refusal(), finished(FinishReason::Stop)], json!("refusal")),
        (
            vec![text("a"), finished(FinishReason::ContentFilter)],
            json!("refusal"),
        ),
        (
            vec![text("a"), finished(FinishReason::Length)],
            json!("max_tokens"),
        ),
        (vec![text("a"), Update::End(End::cancelled())], Value::Null),
        (vec![text("a")], Value::Null),
    ] {
        let mut writer = writer();
        lines(&mut writer, &updates);
        assert_eq!(message(&writer)["stop_reason"], reason, "{updates:?}");
    }
}

#[test]
fn a_name_that_comes_late_is_in_the_message() {
    let mut writer = writer();
    lines(
        &mut writer,
        &[
            call(0, "a", "", "{"),
            call(0, "", "f", "}"),
            finished(FinishReason::Stop),
        ],
    );
    assert_eq!(message(&writer)["content"][0]["name"], "f");
}

#[test]
fn an_input_that_is_no_object_cannot_be_told() {
    let mut complete = writer();
    lines(
        &mut complete,
        &[call(0, "a", "f", "[1]"), finished(FinishReason::Stop)],
    );
    let mut out = Vec::new();
    let failure = complete.message(&mut out).unwrap_err();
    assert_eq!((failure.kind, out.len()), (FailureKind::Protocol, 0));
    // One that a limit cut off is left out: the stop reason tells.
    let mut cut = writer();
    lines(
        &mut cut,
        &[
            text("a"),
            call(0, "a", "f", "{\"x"),
            finished(FinishReason::Length),
        ],
    );
    assert_eq!(message(&cut)["content"], json!([{"type": "text", "text": "a"}]));
}

#[test]
fn an_answer_beyond_the_limit_fails_and_keeps_what_there_was() {
    let mut writer = writer().with_limit(1000);
    let piece = text(&"x".repeat(300));
    let written = lines(
        &mut writer,
        &[piece.clone(), piece.clone(), piece, finished(FinishReason::Stop)],
    );
    let last: Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["type"], "limit_error");
    assert_eq!(
        message(&writer)["content"][0]["text"].as_str().unwrap().len(),
        600
    );
    assert!(matches!(writer.verdict(), Some(Verdict::Failed(_))));
    assert_eq!(lines(&mut writer, &[text("late")]), "");
}

#[test]
fn errors_have_the_words_of_this_api() {
    let mut error = ErrorBody::new("server_error", "why");
    assert_eq!(
        String::from_utf8(error_json(&error)).unwrap(),
        r#"{"type":"error","error":{"type":"api_error","message":"why"}}"#
    );
    error.error_type = "invalid_request_error".into();
    error.param = Some("messages".into());
    assert_eq!(
        String::from_utf8(error_json(&error)).unwrap(),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"why","param":"messages"}}"#
    );
}

/// Deltas of every kind in any order, calls interleaved, whose arguments may be whole or not.
fn any_deltas() -> impl Strategy<Value = Vec<Update>> {
    let piece = "\\PC{1,6}|[\"\\\\\n\u{1}\u{1f600}]{1,3}";
    let delta = prop_oneof![
        3 => piece.prop_map(|piece| text(&piece)),
        2 => piece.prop_map(|piece| reasoning(&piece)),
        4 => (0..3_u32, "\\{|\"a\":|[0-9]|[ab\"]{0,3}").prop_map(|(index, piece)| call(index, "", "f", &piece)),
    ];
    prop::collection::vec(delta, 0..24)
}

proptest! {
    /// A client that puts the pieces together by their index has the transcript, and no block gets more after its stop.
    #[test]
    fn a_client_that_follows_the_events_has_the_transcript(deltas in any_deltas(), whole in any::<bool>()) {
        let mut updates = deltas;
        updates.push(if whole { finished(FinishReason::Stop) } else { Update::End(End::cancelled()) });
        let mut transcript = Transcript::new();
        for update in &updates {
            if let Update::Delta(delta) = update {
                transcript.push(delta).unwrap();
            }
        }
        let written = lines(&mut writer(), &updates);
        let events: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut blocks: Vec<(String, String, bool)> = Vec::new();
        for event in &events {
            let at = usize::try_from(event["index"].as_u64().unwrap_or_default()).unwrap();
            match event["type"].as_str().unwrap() {
                "content_block_start" => {
                    prop_assert_eq!(at, blocks.len());
                    let kind = event["content_block"]["type"].as_str().unwrap();
                    blocks.push((kind.to_owned(), String::new(), true));
                }
                "content_block_delta" => {
                    prop_assert!(blocks[at].2, "open");
                    let delta = event["delta"].as_object().unwrap();
                    let piece = ["text", "thinking", "partial_json"].iter().find_map(|name| delta.get(*name));
                    blocks[at].1.push_str(piece.unwrap().as_str().unwrap());
                }
                "content_block_stop" => prop_assert!(std::mem::replace(&mut blocks[at].2, false)),
                _ => {}
            }
        }
        let said = |kind: &str| blocks.iter().filter(|block| block.0 == kind).map(|block| block.1.as_str()).collect::<String>();
        prop_assert_eq!(said("text"), transcript.text);
        prop_assert_eq!(said("thinking"), transcript.reasoning);
        let calls = blocks.iter().filter(|block| block.0 == "tool_use");
        for (told, call) in calls.zip(&transcript.tool_calls) {
            // Nothing but what follows a whole object is left out.
            prop_assert!(call.arguments.starts_with(&told.1));
            let is_whole = serde_json::from_str::<Value>(&told.1).is_ok_and(|value| value.is_object());
            prop_assert!(told.1 == call.arguments || is_whole);
        }
        let last = events.last().map(|event| event["type"].clone());
        prop_assert_eq!(last, Some(json!(if whole { "message_stop" } else { "error" })));
        prop_assert!(!whole || blocks.iter().all(|block| !block.2));
    }
}
