//! What each passage is in the log, and which ends are called an end.

use std::time::Duration;

use aurora_chat::{Failure, FailureKind, Fault, FinishReason, Notice, Start, Usage, Verdict};
use serde_json::{Value, json};

use super::*;

fn records(include_usage: bool) -> Records {
    Records::new(Title {
        id: "chatcmpl-1".to_owned(),
        model: "asked".to_owned(),
        created: 7,
        include_usage,
        ..Title::default()
    })
}

fn text(text: &str) -> Update {
    Update::Delta(Delta::Text(text.to_owned()))
}

fn usage() -> Update {
    Update::Delta(Delta::Usage(Usage {
        input_tokens: 3,
        output_tokens: 2,
        ..Usage::default()
    }))
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

#[derive(Default)]
struct Log(Vec<String>);

impl Put for Log {
    fn put(&mut self, record: &[u8]) {
        self.0
            .push(String::from_utf8(record.to_vec()).expect("records are text"));
    }

    fn put_last(&mut self, record: &[u8]) {
        self.put(record);
    }
}

/// What is in the log, and the verdict.
fn log(records: &mut Records, passages: impl IntoIterator<Item = Passage>) -> (Vec<String>, Option<Verdict>) {
    let mut log = Log::default();
    let mut verdict = None;
    for passage in passages {
        assert_eq!(verdict, None, "a passage after the end");
        verdict = records.passage(passage, &mut log).map(|end| end.verdict);
    }
    (log.0, verdict)
}

/// What is in the log of a source that has no events of its own, parsed, and the verdict.
fn events(records: &mut Records, updates: impl IntoIterator<Item = Update>) -> (Vec<Value>, Option<Verdict>) {
    let (log, verdict) = log(records, updates.into_iter().map(Passage::Update));
    let events = log.iter().map(|record| match record.as_str() {
        "[DONE]" => json!("[DONE]"),
        data => serde_json::from_str(data).expect("a record is JSON"),
    });
    (events.collect(), verdict)
}

fn event(data: &str) -> Passage {
    Passage::Event(data.to_owned())
}

fn said(update: Update) -> Passage {
    Passage::Update(update)
}

const CHUNK: &str = r#"{ "choices":[{"index":0,"delta":{"content":"a"}}], "x_field": [1e3] }"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
const BOTH: &str =
    r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
const LAST: &str =
    r#"{"choices":[{"delta":{},"finish_reason":null}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

#[test]
fn an_upstreams_events_are_kept_as_they_came() {
    let passages = [
        said(start("real")),
        event(CHUNK),
        said(text("a")),
        event(r#"{"choices":[],"prompt_filter_results":[]}"#),
        event(CHUNK),
        said(text("a")),
        said(finish()),
        said(end()),
    ];
    let (got, verdict) = log(&mut records(false), passages);
    assert_eq!(verdict, Some(Verdict::Complete));
    assert_eq!(
        got,
        [
            CHUNK,
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            CHUNK,
            "[DONE]"
        ]
    );
}

#[test]
fn token_counts_that_nobody_asked_for_are_left_out_where_they_stand_alone() {
    for (include_usage, data, also, kept) in [
        (false, USAGE, None, false),
        (true, USAGE, None, true),
        (false, BOTH, Some(text("a")), true),
        (false, LAST, None, true),
    ] {
        let mut passages = vec![event(CHUNK), said(text("a")), event(data)];
        passages.extend(also.map(said));
        passages.extend([said(usage()), said(end())]);
        let (got, _) = log(&mut records(include_usage), passages);
        assert_eq!(got.contains(&data.to_owned()), kept, "{data}");
        assert_eq!(got.len(), 2 + usize::from(kept), "{got:?}");
    }
}

#[test]
fn an_event_does_not_wait_for_the_next_one() {
    let mut records = records(false);
    let mut log = Log::default();
    records.passage(event(CHUNK), &mut log);
    records.passage(said(text("a")), &mut log);
    assert!(log.0.is_empty());
    assert!(records.settle(&mut log));
    assert!(!records.settle(&mut log), "it is written once");
    assert_eq!(log.0, [CHUNK]);
}

#[test]
fn a_broken_upstream_ends_with_an_error_after_its_last_event() {
    let lost = End::of_failure(Failure::new(FailureKind::ConnectionLost, "reset"));
    let (got, verdict) = log(
        &mut records(false),
        [event(CHUNK), said(text("a")), said(Update::End(lost))],
    );
    assert_eq!(verdict, Some(Verdict::Interrupted));
    assert_eq!(got[0], CHUNK);
    assert!(got[1].contains(r#""type":"stream_interrupted""#), "{got:?}");
    assert_eq!(got.len(), 2);
}

#[test]
fn a_whole_answer() {
    let updates = [start("real"), text("Hel"), text("lo"), finish(), usage(), end()];
    let (got, verdict) = events(&mut records(true), updates);
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
    let (got, _) = events(&mut records(false), [text("a"), usage(), finish(), end()]);
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
    let (got, verdict) = events(&mut records(false), [Update::Notice(retry), start("real")]);
    assert_eq!((got.len(), verdict), (0, None));
}

#[test]
fn a_finish_reason_is_not_invented() {
    let (got, verdict) = events(&mut records(false), [text("a"), Update::End(End::finished(None))]);
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
        let (got, verdict) = events(&mut records(true), [text("a"), Update::End(end.clone())]);
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
        &mut records(false),
        [Update::End(End::failed(Fault::Server, failure))],
    );
    let expected = json!({ "error": {
        "message": "try later", "type": "overloaded_error", "param": null, "code": "overloaded", "status": 503,
    }});
    assert_eq!(got, [expected]);
}
