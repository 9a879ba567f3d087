//! Golden streams, byte for byte. Each was read with the types of the official Python client, strictly.

use super::*;
use crate::{Failure, FailureKind};

/// The updates of each golden stream, under the name of its file.
fn scripts() -> Vec<(&'static str, Settings, Vec<Update>, &'static str)> {
    let plain = Settings::default;
    let background = || Settings {
        background: true,
        instructions: Some("Be brief.".into()),
        max_output_tokens: Some(64),
        temperature: Some(0.7),
        metadata: [("order".to_owned(), "17".to_owned())].into(),
        ..Settings::default()
    };
    let failure = |kind, status| Failure {
        status,
        ..Failure::new(kind, "why")
    };
    vec![
        (
            "text",
            plain(),
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
            "everything",
            background(),
            vec![
                start(),
                reasoning("h"),
                reasoning("m"),
                text("I "),
                text("say"),
                refusal("no"),
                call(0, "call_a", "f", "{\"x\""),
                call(1, "", "g", ""),
                call(0, "", "", ":1}"),
                call(1, "", "", "{}"),
                text("done"),
                usage(),
                finished(FinishReason::ToolCalls),
            ],
            include_str!("golden/everything.jsonl"),
        ),
        (
            "length_in_text",
            plain(),
            vec![start(), text("Hel"), usage(), finished(FinishReason::Length)],
            include_str!("golden/length_in_text.jsonl"),
        ),
        (
            "length_in_call",
            plain(),
            vec![
                start(),
                call(0, "call_a", "f", "{}"),
                call(1, "call_b", "g", "{\"x"),
                finished(FinishReason::Length),
            ],
            include_str!("golden/length_in_call.jsonl"),
        ),
        (
            "filtered",
            plain(),
            vec![start(), finished(FinishReason::ContentFilter)],
            include_str!("golden/filtered.jsonl"),
        ),
        (
            "interrupted",
            plain(),
            vec![
                start(),
                reasoning("hm"),
                text("Hel"),
                Update::End(End::of_failure(failure(FailureKind::ConnectionLost, None))),
            ],
            include_str!("golden/interrupted.jsonl"),
        ),
        (
            "refused",
            background(),
            vec![Update::End(End::of_failure(failure(
                FailureKind::Status,
                Some(429),
            )))],
            include_str!("golden/refused.jsonl"),
        ),
        (
            "cancelled",
            background(),
            vec![start(), text("Hel"), Update::End(End::cancelled())],
            include_str!("golden/cancelled.jsonl"),
        ),
    ]
}

#[test]
fn streams_are_as_the_official_client_reads_them() {
    for (name, settings, updates, golden) in scripts() {
        let events = fold(&mut writer(settings), &updates);
        assert_eq!(lines(&events), golden, "{name}");
    }
}

#[test]
fn frames_are_named_after_their_type() {
    for (name, settings, updates, _) in scripts() {
        for event in fold(&mut writer(settings), &updates) {
            let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(data["type"], event.kind, "{name}");
            assert_eq!(data["sequence_number"], event.sequence_number, "{name}");
            assert!(!event.data.contains('\n'), "{name}");
        }
    }
}

#[test]
fn a_resumed_stream_is_the_rest_of_the_whole() {
    for (name, settings, updates, _) in scripts() {
        let whole = fold(&mut writer(settings.clone()), &updates);
        for after in 0..=whole.len() {
            let number = after as u64;
            let rest = fold(&mut writer(settings.clone()).starting_after(number), &updates);
            assert_eq!(
                rest,
                whole.get(after + 1..).unwrap_or_default(),
                "{name} after {after}"
            );
        }
    }
}

#[test]
fn the_object_needs_no_events() {
    for (name, settings, updates, golden) in scripts() {
        let mut writer = writer(settings).starting_after(u64::MAX);
        assert_eq!(fold(&mut writer, &updates), [], "{name}");
        let mut object = Vec::new();
        writer.response(&mut object);
        let object = String::from_utf8(object).unwrap();
        // The last event that has the object has this one. A cancelled response has no such event.
        if writer.status() != Status::Cancelled {
            let told = golden
                .lines()
                .rfind(|line| line.contains("\"response\":"))
                .unwrap();
            assert!(told.ends_with(&format!("\"response\":{object}}}")), "{name}");
        }
    }
}
