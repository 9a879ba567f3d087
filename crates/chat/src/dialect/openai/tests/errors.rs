//! Errors in every shape.

use serde_json::{Value, json};

use super::*;
use crate::{FailureKind, Fault, RequestError};

/// The failure that one event, after some text, leads to.
#[track_caller]
fn failure(event: &str, data: &str) -> Failure {
    let seen = typed_stream(&[("", r#"{"choices":[{"delta":{"content":"a"}}]}"#), (event, data)]);
    assert_eq!(seen.deltas, [text("a")], "what came before the error is kept");
    assert_eq!(seen.failure().kind, FailureKind::ErrorEvent);
    seen.failure().clone()
}

#[test]
fn reads_an_error_inside_a_200_litellm_40578_goose_8027() {
    let seen = failure(
        "",
        r#"{"error":{"message":"overloaded","type":"server_error","param":"model","code":"busy"}}"#,
    );
    assert_eq!(seen.message, "overloaded");
    assert_eq!(seen.error_type.as_deref(), Some("server_error"));
    assert_eq!(
        (seen.param.as_deref(), seen.code.as_deref()),
        (Some("model"), Some("busy"))
    );
    assert_eq!((seen.status, seen.fault()), (None, Fault::Server));
}

#[test]
fn reads_errors_in_every_shape() {
    for (event, data, message, status) in [
        ("", r#"{"error":{"message":"x","code":400}}"#, "x", Some(400)),
        ("", r#"{"error":{"message":"x","code":"429"}}"#, "x", Some(429)),
        ("", r#"{"error":{"message":"x"},"status":404}"#, "x", Some(404)),
        (
            "",
            r#"{"error":{"message":"x","code":"busy","status":503}}"#,
            "x",
            Some(503),
        ),
        ("", r#"{"error":"x","status_code":500}"#, "x", Some(500)),
        ("", r#"{"error":"x","choices":[]}"#, "x", None), // OmniRoute#8210
        (
            "",
            r#"{"error":{"message":"x"},"choices":[{"delta":{"content":"no"},"finish_reason":"error"}]}"#,
            "x",
            None,
        ),
        (
            "",
            r#"{"choices":[{"delta":{"content":"no"},"error":{"message":"x","code":502}}]}"#,
            "x",
            Some(502),
        ),
        (
            "",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
            "x",
            None,
        ),
        ("", r#"{"type":"error","message":"x","code":"c"}"#, "x", None),
        (
            "",
            r#"{"object":"error","message":"x","type":"BadRequestError","code":400}"#,
            "x",
            Some(400),
        ),
        ("", r#"{"detail":"x"}"#, "x", None),
        (
            "",
            r#"{"detail":[{"loc":["body","messages",0],"msg":"x","type":"missing"}]}"#,
            "body.messages.0: x",
            None,
        ),
        ("", r#"{"message":"x","status":500}"#, "x", Some(500)),
        (
            "",
            r#"[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]"#,
            "x",
            Some(400),
        ),
        ("", r#"{"error":true,"message":"x"}"#, "true", None),
        (
            "",
            r#"{"error":{"error":{"message":"x","code":401}}}"#,
            "x",
            Some(401),
        ),
        ("", "error: out of memory", "error: out of memory", None), // mistral.rs#1874
        ("", "[ERROR] x", "[ERROR] x", None),
        ("error", "x", "x", None), // farzaa/clicky#132
        ("error", r#"{"message":"x"}"#, "x", None),
        ("error", r#""x""#, "x", None),
        ("error", r#"{"error":null}"#, r#"{"error":null}"#, None),
        (
            "error",
            "",
            "the server reported an error without an explanation",
            None,
        ),
        ("Error", r#"{"code":503,"error":"x"}"#, "x", Some(503)),
    ] {
        let seen = failure(event, data);
        assert_eq!((seen.message.as_str(), seen.status), (message, status), "{data}");
    }
}

#[test]
fn what_is_no_error_is_none() {
    for error in ["null", "false", "\"\"", "{}", "[]", "0"] {
        let seen = stream(&[
            &format!(r#"{{"error":{error},"choices":[{{"delta":{{"content":"a"}},"error":{error}}}]}}"#),
            FINISH,
        ]);
        assert_eq!(seen.deltas, [text("a"), STOP], "{error}");
    }
    // A chunk may have a message or a detail; only without choices they are errors.
    let seen =
        stream(&[r#"{"message":"m","detail":"d","status":500,"choices":[{"delta":{"content":"a"}}]}"#]);
    assert_eq!(seen.deltas, [text("a")]);
}

#[test]
fn a_4xx_code_is_the_callers_fault() {
    assert_eq!(
        failure("", r#"{"error":{"message":"x","code":400}}"#).fault(),
        Fault::Caller
    );
    assert_eq!(
        failure("", r#"{"error":{"message":"x","code":429}}"#).fault(),
        Fault::Server
    );
    assert_eq!(
        failure(
            "",
            r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#
        )
        .fault(),
        Fault::Server
    );
}

#[test]
fn a_finish_reason_of_error_is_no_completion() {
    let seen = stream(&[r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, "[DONE]"]);
    assert_eq!(seen.verdict(), Verdict::Failed(Fault::Server));
}

#[test]
fn an_error_after_the_finish_reason_fails() {
    let seen = stream(&[FINISH, r#"{"error":{"message":"x"}}"#]);
    assert_eq!(seen.verdict(), Verdict::Failed(Fault::Server));
}

#[test]
fn our_own_interruption_is_read_back() {
    let body = ErrorBody::new(crate::ending::STREAM_INTERRUPTED, "the upstream was lost").to_json();
    let seen = stream(&[std::str::from_utf8(&body).unwrap()]);
    assert_eq!(seen.verdict(), Verdict::Interrupted);
}

#[test]
fn messages_are_masked_bounded_and_harmless() {
    let seen = failure(
        "",
        r#"{"error":{"message":"bad key sk-abcdefghijklmnop\n\u001b[31m","type":"Bearer abcdefgh123"}}"#,
    );
    assert_eq!(seen.message, "bad key sk-[masked] \u{fffd}[31m");
    assert_eq!(seen.error_type.as_deref(), Some("Bearer [masked]"));
    assert!(failure("error", &"x".repeat(1 << 20)).message.len() <= 2000);
}

#[test]
fn reads_a_bare_json_line_toolhive_6037() {
    let mut reader = Reader::new();
    let failure = reader
        .read_stray_line(r#"{"error":{"message":"x","code":500}}"#)
        .unwrap_err();
    assert_eq!((failure.message.as_str(), failure.status), ("x", Some(500)));
    assert!(matches!(reader.read_stray_line("hello"), Ok(Flow::Warning(_))));
    assert_eq!(reader.read_stray_line(" "), Ok(Flow::Continue));
}

#[test]
fn bodies_that_are_no_answer_fail() {
    for (body, kind, message) in [
        (&br#"{"error":{"message":"x"}}"#[..], FailureKind::ErrorEvent, "x"),
        (b"", FailureKind::Protocol, "the response is empty"),
        (
            b"<html>",
            FailureKind::Protocol,
            "the response is neither an event stream nor JSON (expected value at line 1 column 1): <html>",
        ),
        (
            br#"{"models":[]}"#,
            FailureKind::Protocol,
            r#"the response is JSON, but neither an answer nor an error: {"models":[]}"#,
        ),
    ] {
        let failure = Reader::new().read_body(body, &mut Vec::new()).unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
    }
}

#[test]
fn reads_the_errors_of_http() {
    let page = b"<!DOCTYPE html><html><head><TITLE>502 Bad\n Gateway</TITLE></head><body>nginx</body></html>";
    for (status, body, message) in [
        (
            400,
            &br#"{"error":{"message":"x","type":"invalid_request_error","param":null,"code":null}}"#[..],
            "HTTP status 400: x",
        ),
        (
            422,
            br#"{"detail":[{"loc":["body","n"],"msg":"bad"}]}"#,
            "HTTP status 422: body.n: bad",
        ),
        (
            404,
            br#"{"message":"no such route"}"#,
            "HTTP status 404: no such route",
        ),
        (
            404,
            br#"{"error":"model not found"}"#,
            "HTTP status 404: model not found",
        ),
        (500, br#"{"errors":["a","b"]}"#, r#"HTTP status 500: ["a","b"]"#),
        (500, br#""boom""#, "HTTP status 500: boom"),
        (500, b" boom\r\n", "HTTP status 500: boom"),
        (502, page, "HTTP status 502: 502 Bad Gateway"),
        (503, b"", "HTTP status 503 without an explanation"),
        (500, b"{\"x\":1}", "HTTP status 500: {\"x\":1}"),
        (500, b"\xff\xfe", "HTTP status 500: \u{fffd}\u{fffd}"),
    ] {
        let failure = failure_from_status(status, body);
        assert_eq!(
            (failure.kind, failure.status, failure.message.as_str()),
            (FailureKind::Status, Some(status), message)
        );
    }
    let quota =
        br#"{"error":{"message":"x","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    assert!(failure_from_status(429, quota).is_quota());
    // The status line is what counts, whatever the body claims.
    assert_eq!(
        failure_from_status(500, br#"{"error":{"message":"x","code":400}}"#).status,
        Some(500)
    );
}

#[test]
fn writes_errors_as_the_api_does() {
    let error = RequestError::new("wrong \"x\"", Some("messages[0]".into()), Some("invalid_type"));
    assert_eq!(
        String::from_utf8(ErrorBody::from(&error).to_json()).unwrap(),
        r#"{"error":{"message":"wrong \"x\"","type":"invalid_request_error","param":"messages[0]","code":"invalid_type"}}"#
    );
    let failure = Failure {
        status: Some(429),
        ..Failure::new(FailureKind::Status, "slow down")
    };
    let written: Value = serde_json::from_slice(&ErrorBody::from(&failure).to_json()).unwrap();
    assert_eq!(
        written["error"],
        json!({"message": "slow down", "type": "rate_limit_error", "param": null, "code": null, "status": 429})
    );
}
