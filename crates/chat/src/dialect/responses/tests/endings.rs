//! How a response begins, stands and ends: statuses, limits, and sources that do not keep their contract.

use serde_json::{Value, json};

use super::*;
use crate::{Deadline, Failure, FailureKind, Fault, Limit, Notice, Verdict};

fn object(writer: &Writer) -> Value {
    let mut object = Vec::new();
    writer.response(&mut object);
    serde_json::from_slice(&object).unwrap()
}

fn kinds(events: &[Kept]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind).collect()
}

fn background() -> Settings {
    Settings {
        background: true,
        ..Settings::default()
    }
}

#[test]
fn a_background_response_waits_until_its_source_begins() {
    let mut writer = writer(background());
    assert_eq!(
        (writer.status(), object(&writer)["status"].clone()),
        (Status::Queued, json!("queued"))
    );
    let retry = Update::Notice(Notice::Warning {
        kind: "x",
        message: "x".into(),
    });
    assert_eq!(
        kinds(&fold(&mut writer, &[retry])),
        ["response.created", "response.queued"]
    );
    assert_eq!(writer.status(), Status::Queued);
    assert_eq!(
        kinds(&fold(&mut writer, &[start(), start()])),
        ["response.in_progress"]
    );
    assert_eq!(object(&writer)["status"], "in_progress");
    assert!(!writer.status().is_final());
}

#[test]
fn what_is_created_early_is_not_created_again() {
    let updates = [start(), text("a"), finished(FinishReason::Stop)];
    let whole = fold(&mut writer(background()), &updates);
    let mut writer = writer(background());
    let mut early = Vec::new();
    for _ in 0..2 {
        writer.create(&mut |event| early.push(event.data.to_owned()));
    }
    assert_eq!(early.len(), 2);
    early.extend(fold(&mut writer, &updates).into_iter().map(|event| event.data));
    assert_eq!(
        early,
        whole.into_iter().map(|event| event.data).collect::<Vec<_>>()
    );
}

#[test]
fn the_object_shows_an_answer_under_way() {
    let mut writer = writer(Settings::default());
    fold(&mut writer, &[start(), text("Hel")]);
    let object = object(&writer);
    assert_eq!(object["output"][0]["status"], "in_progress");
    assert_eq!(object["output"][0]["content"][0]["text"], "Hel");
    assert_eq!((&object["usage"], writer.verdict()), (&Value::Null, None));
}

#[test]
fn statuses_follow_verdicts() {
    for (verdict, status) in [
        (Verdict::Complete, Status::Completed),
        (Verdict::Length, Status::Incomplete),
        (Verdict::Filtered, Status::Incomplete),
        (Verdict::Truncated, Status::Failed),
        (Verdict::Interrupted, Status::Failed),
        (Verdict::Failed(Fault::Caller), Status::Failed),
        (Verdict::TimedOut(Deadline::Idle), Status::Failed),
        (Verdict::Cancelled, Status::Cancelled),
    ] {
        // A source that owes a failure and has none: the answer must not look whole for that.
        let end = End {
            verdict,
            finish_reason: None,
            failure: None,
        };
        let mut writer = writer(Settings::default());
        let events = fold(&mut writer, &[start(), Update::End(end)]);
        assert_eq!((writer.status(), writer.verdict()), (status, Some(verdict)));
        assert_eq!(status, Status::of_verdict(verdict));
        assert!(status.is_final());
        assert_eq!(
            events.last().is_some_and(|event| event.kind == "error"),
            matches!(status, Status::Failed | Status::Cancelled),
            "{verdict:?}"
        );
    }
}

#[test]
fn errors_have_the_codes_of_the_reference() {
    let failure = |kind, status| Failure {
        status,
        param: Some("input".into()),
        ..Failure::new(kind, "why")
    };
    for (failure, code, kind) in [
        (
            failure(FailureKind::Status, Some(429)),
            "rate_limit_exceeded",
            "rate_limit_error",
        ),
        (
            failure(FailureKind::InvalidRequest, Some(400)),
            "invalid_prompt",
            "invalid_request_error",
        ),
        (
            failure(FailureKind::Status, Some(503)),
            "server_error",
            "server_error",
        ),
        (
            failure(FailureKind::Deadline(Deadline::Idle), None),
            "server_error",
            "timeout_error",
        ),
        (
            failure(FailureKind::UnexpectedEnd, None),
            "server_error",
            "stream_interrupted",
        ),
    ] {
        let mut writer = writer(Settings::default());
        fold(&mut writer, &[Update::End(End::of_failure(failure))]);
        assert_eq!(
            object(&writer)["error"],
            json!({"code": code, "message": "why", "param": "input", "type": kind})
        );
    }
}

#[test]
fn errors_name_fields_as_this_api_does() {
    let failure = Failure {
        param: Some("messages".into()),
        ..Failure::new(FailureKind::InvalidRequest, "messages: too long")
    };
    let mut writer = writer(Settings::default());
    let events = fold(&mut writer, &[Update::End(End::of_failure(failure))]);
    let error: Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
    for error in [&error, &error["error"], &object(&writer)["error"]] {
        assert_eq!(
            (&error["param"], &error["message"]),
            (&json!("input"), &json!("input: too long"))
        );
    }
}

#[test]
fn an_answer_beyond_the_limit_fails_and_keeps_what_there_was() {
    let mut writer = writer(Settings::default()).with_limit(1000);
    let piece = text(&"x".repeat(300));
    let events = fold(
        &mut writer,
        &[
            start(),
            piece.clone(),
            piece.clone(),
            piece,
            finished(FinishReason::Stop),
        ],
    );
    assert_eq!(kinds(&events)[events.len() - 2..], ["response.failed", "error"]);
    let object = object(&writer);
    assert_eq!(
        object["output"][0]["content"][0]["text"].as_str().unwrap().len(),
        600
    );
    assert_eq!(object["error"]["type"], "limit_error");
    assert_eq!(writer.verdict(), Some(Verdict::Failed(Fault::Server)));
    let named = Failure::new(FailureKind::Limit(Limit::Answer), "").kind.as_str();
    assert_eq!(named, "answer_limit");
}

#[test]
fn endless_tiny_items_meet_the_limit() {
    let mut writer = writer(Settings::default()).with_limit(1 << 16);
    for _ in 0..(1 << 16) {
        fold(&mut writer, &[text("a"), reasoning("b")]);
    }
    let items = object(&writer)["output"].as_array().unwrap().len();
    assert!((200..256).contains(&items), "{items}");
    assert_eq!(writer.status(), Status::Failed);
}

#[test]
fn the_source_names_its_model_once() {
    let mut writer = writer(Settings::default());
    let other = Update::Start(Start {
        model: "m-2".into(),
        ..Start::default()
    });
    fold(&mut writer, &[Update::Start(Start::default())]);
    assert_eq!(object(&writer)["model"], "asked");
    let mut writer = self::writer(Settings::default());
    fold(&mut writer, &[start(), other]);
    assert_eq!(object(&writer)["model"], "m-1");
}

#[test]
fn nothing_comes_after_the_end() {
    let mut writer = writer(Settings::default());
    fold(&mut writer, &[start(), finished(FinishReason::Stop)]);
    let before = object(&writer);
    let late = [start(), text("late"), usage(), Update::End(End::cancelled())];
    assert_eq!(fold(&mut writer, &late), []);
    assert_eq!(object(&writer), before);
}

#[test]
fn a_name_that_comes_late_is_told_at_the_end() {
    let updates = [
        call(0, "", "", "{"),
        call(0, "late", "f", "}"),
        finished(FinishReason::ToolCalls),
    ];
    let mut writer = writer(Settings::default());
    fold(&mut writer, &updates);
    assert_eq!(
        object(&writer)["output"],
        json!([{"id": "fc_1_0", "status": "completed", "type": "function_call", "call_id": "call_1_0", "name": "f", "arguments": "{}"}])
    );
}

#[test]
fn a_deletion_names_what_is_gone() {
    assert_eq!(
        String::from_utf8(deletion("resp_1")).unwrap(),
        r#"{"id":"resp_1","object":"response","deleted":true}"#
    );
}
