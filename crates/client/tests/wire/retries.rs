//! When a call is tried again, and when it is not.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use aurora_chat::{FailureKind, Fault, Notice, Verdict};
use aurora_testkit::{Reply, Script, Upstream, fixtures};

use crate::{Told, call, endpoint};

fn good() -> Reply {
    Reply::sse(fixtures::sse_answer(&["x"]))
}

fn bad(status: u16) -> Reply {
    Reply::json(status, &fixtures::error_body(status, "no"))
}

/// A wait of nothing, so that tests need not wait.
fn soon(reply: Reply) -> Reply {
    reply.header("retry-after-ms", "0")
}

async fn calls(script: impl Into<Script>) -> (Told, usize) {
    let upstream = Upstream::start(script);
    let told = call(&endpoint(&upstream.url())).await;
    (told, upstream.requests().len())
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for status in [408, 409, 425, 429, 500, 503, 529] {
        let (told, requests) = calls(Script::sequence([soon(bad(status)), good()])).await;
        assert_eq!((told.verdict(), requests), (Verdict::Complete, 2), "{status}");
        let [
            Notice::Retry {
                attempt: 1,
                wait: Duration::ZERO,
                reason,
            },
        ] = &told.notices()[..]
        else {
            panic!("one retry: {told:?}")
        };
        assert!(reason.contains(&status.to_string()), "{reason}");
    }
}

#[tokio::test]
async fn what_would_fail_again_is_not() {
    for status in [400, 401, 403, 404, 422] {
        let (told, requests) = calls(soon(bad(status))).await;
        assert_eq!(
            (told.verdict(), requests),
            (Verdict::Failed(Fault::Caller), 1),
            "{status}"
        );
    }
}

#[tokio::test]
async fn after_four_retries_the_failure_stands() {
    let (told, requests) = calls(soon(bad(503))).await;
    assert_eq!(
        (told.verdict(), requests, told.notices().len()),
        (Verdict::Failed(Fault::Server), 5, 4)
    );
}

#[tokio::test]
async fn no_retries_means_one_attempt() {
    let upstream = Upstream::start(soon(bad(503)));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.retries = 0;
    assert_eq!(call(&endpoint).await.verdict(), Verdict::Failed(Fault::Server));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn every_attempt_sends_the_same_request() {
    let upstream = Upstream::start(Script::sequence([soon(bad(503)), good()]));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.header("x-custom", "kept").unwrap();
    call(&endpoint).await;
    let [first, second] = &upstream.requests()[..] else {
        panic!("two requests")
    };
    assert_eq!((first.json(), &first.path), (second.json(), &second.path));
    assert_eq!(first.path, "/v1/chat/completions");
    assert_eq!(first.json()["stream"], true);
    assert_eq!(first.json()["stream_options"]["include_usage"], true);
    for (name, value) in [
        ("accept", "text/event-stream"),
        ("accept-encoding", "identity"),
        ("content-type", "application/json"),
        ("x-custom", "kept"),
    ] {
        assert_eq!(
            (first.header(name), second.header(name)),
            (Some(value), Some(value))
        );
    }
    assert!(first.header("user-agent").unwrap().starts_with("aurora/"));
    assert_eq!(first.header("authorization"), None, "no key, no header");
}

#[tokio::test]
async fn a_wait_the_server_asks_for_is_kept() {
    let busy = bad(429).header("retry-after", "1");
    let begun = Instant::now();
    let (told, requests) = calls(Script::sequence([busy, good()])).await;
    assert_eq!((told.verdict(), requests), (Verdict::Complete, 2));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_beyond_a_minute_ends_the_call_at_once() {
    for wait in ["61", "Fri, 01 Jan 2100 00:00:00 GMT"] {
        let (told, requests) = calls(bad(429).header("retry-after", wait)).await;
        assert_eq!((told.verdict(), requests), (Verdict::Failed(Fault::Server), 1));
        assert!(
            told.failure().message.contains("the server asks to wait"),
            "{:?}",
            told.failure()
        );
        assert!(told.failure().retry_after > Some(Duration::from_secs(60)));
    }
}

#[tokio::test]
async fn the_server_may_overrule_the_status() {
    let again = soon(bad(400)).header("x-should-retry", "true");
    assert_eq!(calls(Script::sequence([again, good()])).await.1, 2);
    let never = soon(bad(503)).header("x-should-retry", "false");
    let (told, requests) = calls(never).await;
    assert_eq!((told.verdict(), requests), (Verdict::Failed(Fault::Server), 1));
}

#[tokio::test]
async fn an_empty_account_is_not_asked_again() {
    let error = serde_json::json!({"error": {"message": "pay", "type": "insufficient_quota", "code": null}});
    let (told, requests) = calls(soon(Reply::json(429, &error))).await;
    assert_eq!((told.verdict(), requests), (Verdict::Failed(Fault::Server), 1));
}

#[tokio::test]
async fn an_error_event_before_the_first_delta_is_tried_again_and_one_after_it_is_not() {
    let early = Reply::sse([fixtures::role(), fixtures::error(503, "busy")]);
    assert_eq!(calls(Script::sequence([early, good()])).await.1, 2);

    let late = Reply::sse([fixtures::text("Hel"), fixtures::error(503, "busy")]);
    let (told, requests) = calls(Script::sequence([late, good()])).await;
    assert_eq!(
        (told.text().as_str(), requests),
        ("Hel", 1),
        "two answers are never glued together"
    );
    assert_eq!(told.verdict(), Verdict::Failed(Fault::Server));
}

#[tokio::test]
async fn a_connection_lost_before_the_first_delta_is_tried_again_and_one_after_it_is_not() {
    for lost in [
        Reply::raw(""),
        Reply::raw("HTTP/1.1 200 OK\r\nconte"),
        Reply::raw("").reset(),
        Reply::sse([""]).reset(),
        Reply::sse([fixtures::role()]).cut(),
        Reply::sse([fixtures::role()]),
    ] {
        let (told, requests) = calls(Script::sequence([lost, good()])).await;
        assert_eq!((told.verdict(), requests), (Verdict::Complete, 2));
    }
    let late = Reply::sse([fixtures::text("Hel")]).cut();
    let (told, requests) = calls(Script::sequence([late, good()])).await;
    assert_eq!(
        (told.text().as_str(), told.verdict(), requests),
        ("Hel", Verdict::Interrupted, 1)
    );
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut endpoint = endpoint(&format!("http://127.0.0.1:{port}/v1"));
    endpoint.retries = 1;
    let told = call(&endpoint).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::Connect, Verdict::Failed(Fault::Server))
    );
    assert_eq!(told.notices().len(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let redirect = Reply::status(307).header("location", "http://user:pw@127.0.0.1:1/x?key=hunter2");
    let (told, requests) = calls(redirect).await;
    assert_eq!((told.verdict(), requests), (Verdict::Failed(Fault::Server), 1));
    let message = &told.failure().message;
    assert!(
        message.contains("http://127.0.0.1:1/x") && !message.contains("hunter2"),
        "{message}"
    );
}
