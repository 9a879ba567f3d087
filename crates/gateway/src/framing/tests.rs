//! What each update is on the wire, and which ends are called an end.

use std::time::Duration;

use aurora_chat::{FailureKind, Fault, FinishReason, Notice, Start, Usage};
use serde_json::{Value, json};

use super::*;

fn framing(include_usage: bool) -> Framing {
    Framing::new(Title {
        id: "chatcmpl-1".to_owned(),
        model: "asked".to_owned(),
        created: 7,
        include_usage,
    })
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn finish() -> Update {
    Update::Delta(Delta::Finish(FinishReason::Stop))
}

fn end() -> Update {
    Update::End(End::finished(Some(FinishReason::Stop)))
}

fn start(model: &str) -> Update {
    Update::Start(Start {
        model: model.to_owned(),
        ..Start::default()
    })
}

/// The data of every event, parsed, and the verdict. Fails on anything but `data: …` and a blank line.
fn events(framing: &mut Framing, updates: impl IntoIterator<Item = Update>) -> (Vec<Value>, Option<Verdict>) {
    let mut out = Vec::new();
    let mut verdict = None;
    for update in updates {
        assert_eq!(verdict, None, "an update after the end");
        verdict = framing.update(update, &mut out);
    }
    let out = String::from_utf8(out).expect("events are text");
    let events = out.split_terminator("\n\n").map(|event| {
        let data = event.strip_prefix("data: ").expect("an event is one data line");
        match data {
            "[DONE]" => json!("[DONE]"),
            data => serde_json::from_str(data).expect("data is JSON"),
        }
    });
    (events.collect(), verdict)
}

#[test]
fn a_whole_answer() {
    let usage = Update::Delta(Delta::Usage(Usage {
        input_tokens: 3,
        output_tokens: 2,
        ..Usage::default()
    }));
    let updates = [start("real"), text("Hel"), text("lo"), finish(), usage, end()];
    let (got, verdict) = events(&mut framing(true), updates);
    assert_eq!(verdict, Some(Verdict::Complete));
    assert_eq!(got[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(got[0]["id"], "chatcmpl-1");
    assert_eq!(got[0]["model"], "real");
    assert_eq!(got[0]["created"], 7);
    assert_eq!(got[1]["choices"][0]["delta"]["content"], "Hel");
    assert_eq!(got[2]["choices"][0]["delta"]["content"], "lo");
    assert_eq!(got[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(got[4]["choices"], json!([]));
    assert_eq!(got[4]["usage"]["total_tokens"], 5);
    assert_eq!(got[5], "[DONE]");
    assert_eq!(got.len(), 6);
}

#[test]
fn usage_comes_only_where_it_was_asked_for() {
    let usage = Update::Delta(Delta::Usage(Usage {
        input_tokens: 3,
        output_tokens: 2,
        ..Usage::default()
    }));
    let (got, _) = events(&mut framing(false), [text("a"), usage, finish(), end()]);
    assert!(
        got.iter()
            .all(|event| event.get("usage").is_none_or(Value::is_null)),
        "{got:?}"
    );
}

#[test]
fn notices_are_not_for_the_client() {
    let retry = Notice::Retry {
        attempt: 1,
        wait: Duration::ZERO,
        reason: "503".to_owned(),
    };
    let (got, verdict) = events(&mut framing(false), [Update::Notice(retry), start("real")]);
    assert_eq!((got.len(), verdict), (0, None));
}

#[test]
fn a_finish_reason_is_not_invented() {
    let (got, verdict) = events(&mut framing(false), [text("a"), Update::End(End::finished(None))]);
    assert_eq!(verdict, Some(Verdict::Complete));
    assert_eq!(got.last(), Some(&json!("[DONE]")));
    assert!(
        got.iter()
            .all(|event| event["choices"][0]["finish_reason"].is_null()),
        "{got:?}"
    );
}

#[test]
fn only_a_proper_end_is_done() {
    let failed = |verdict, kind| End {
        verdict,
        finish_reason: None,
        failure: Some(Failure::new(kind, "it broke")),
    };
    let table = [
        (
            failed(Verdict::Truncated, FailureKind::UnexpectedEnd),
            "stream_interrupted",
        ),
        (
            failed(Verdict::Interrupted, FailureKind::ConnectionLost),
            "stream_interrupted",
        ),
        (
            failed(Verdict::Interrupted, FailureKind::Protocol),
            "stream_interrupted",
        ),
        (
            failed(Verdict::Failed(Fault::Server), FailureKind::Internal),
            "server_error",
        ),
        (failed(Verdict::Cancelled, FailureKind::Cancelled), "cancelled"),
        (
            End {
                verdict: Verdict::Cancelled,
                finish_reason: None,
                failure: None,
            },
            "server_error",
        ),
        (
            End {
                verdict: Verdict::Truncated,
                finish_reason: None,
                failure: None,
            },
            "stream_interrupted",
        ),
    ];
    for (end, expected) in table {
        let (got, verdict) = events(&mut framing(true), [text("a"), Update::End(end.clone())]);
        assert_eq!(verdict, Some(end.verdict));
        let last = got.last().expect("an error event");
        assert_eq!(last["error"]["type"], expected, "{end:?}");
        assert!(last["error"]["message"].is_string());
        assert!(!got.contains(&json!("[DONE]")), "{end:?}");
    }
}

#[test]
fn an_error_of_the_source_keeps_its_words() {
    let failure = Failure {
        status: Some(503),
        error_type: Some("overloaded_error".to_owned()),
        code: Some("overloaded".to_owned()),
        ..Failure::new(FailureKind::ErrorEvent, "try later")
    };
    let (got, _) = events(
        &mut framing(false),
        [Update::End(End::failed(Fault::Server, failure))],
    );
    let expected = json!({ "error": {
        "message": "try later", "type": "overloaded_error", "param": null, "code": "overloaded", "status": 503,
    }});
    assert_eq!(got, [expected]);
}

#[test]
fn a_sign_of_life_is_one_line() {
    let mut out = Vec::new();
    keepalive(&mut out);
    assert_eq!(out, b": keepalive\n");
}
