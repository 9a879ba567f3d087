//! Answers as they come: when each byte is on the wire, what ends a stream, and what a client's absence ends.

mod support;

use std::time::Duration;

use aurora_chat::{Delta, End, Failure, FailureKind, Fault, Update, Usage, Verdict};
use aurora_gateway::{Options, Refusal};
use support::{Answer, Client, Feed, Gateway, prompt, request, soon, unchunked};
use tokio::net::TcpSocket;

/// A server, a client whose request for a stream is being answered, and the answer's feed.
async fn streaming(options: Options) -> (Gateway, Client, Feed) {
    let mut gateway = Gateway::start(options).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    (gateway, client, feed)
}

fn lost() -> Update {
    let failure = Failure::new(FailureKind::ConnectionLost, "the connection was reset");
    Update::End(End {
        verdict: Verdict::Interrupted,
        finish_reason: None,
        failure: Some(failure),
    })
}

#[tokio::test]
async fn every_delta_is_on_the_wire_before_the_next_exists() {
    let (_gateway, mut client, feed) = streaming(Options::default()).await;
    feed.start().await;
    for text in ["Hel", "lo ", "wörld"] {
        feed.text(text).await;
        // Nothing more is produced until this has arrived, and it arrives as a whole event in a chunk of its own.
        let seen = client.until("\n\n\r\n").await;
        assert!(seen.contains(&format!(r#""content":"{text}""#)), "{seen}");
    }
    feed.finish().await;
    let end = client.until("0\r\n\r\n").await;
    assert!(end.contains(r#""finish_reason":"stop""#), "{end}");
    assert!(end.contains("data: [DONE]\n\n"), "{end}");
}

#[tokio::test]
async fn the_head_of_a_stream() {
    let (_gateway, mut client, feed) = streaming(Options::default()).await;
    feed.text("a").await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert!(head.header("x-request-id").is_some_and(|id| id.len() > 20));
    assert_eq!(head.header("content-encoding"), None);
    assert_eq!(head.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives_without_ending_an_event() {
    let options = Options {
        keepalive: Duration::from_millis(20),
        ..Options::default()
    };
    let (_gateway, mut client, feed) = streaming(options).await;
    feed.text("a").await;
    client.until("\n\n\r\n").await;
    for _ in 0..3 {
        assert_eq!(client.until("keepalive\n\r\n").await, "C\r\n: keepalive\n\r\n");
    }
    feed.finish().await;
    let end = client.until("0\r\n\r\n").await;
    assert!(end.contains("data: [DONE]\n\n"), "{end}");
    assert!(!end.contains("keepalive\n\n"), "{end}");
}

#[tokio::test]
async fn an_error_before_the_first_event_is_a_status() {
    let failure = Failure {
        status: Some(429),
        retry_after: Some(Duration::from_millis(6_500)),
        ..Failure::new(FailureKind::Status, "slow down")
    };
    let (_gateway, mut client, feed) = streaming(Options::default()).await;
    feed.start().await;
    feed.send(Update::End(End::failed(Fault::Server, failure))).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["error"]["message"], "slow down");
    assert_eq!(answer.json()["error"]["status"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_refusal_is_a_status_streamed_or_not() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    for stream in [true, false] {
        client.chat(&prompt(stream)).await;
        gateway.job().await.refuse(Refusal::busy(Duration::from_secs(3)));
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("3")));
        assert_eq!(answer.json()["error"]["code"], "busy");
    }
}

#[tokio::test]
async fn after_a_while_a_stream_is_committed_and_errors_are_events() {
    let options = Options {
        commit_after: Duration::from_millis(30),
        keepalive: Duration::from_millis(30),
        ..Options::default()
    };
    let mut gateway = Gateway::start(options).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let job = gateway.job().await;
    assert_eq!(Answer::parse(&client.until("\r\n\r\n").await).status, 200);
    client.until(": keepalive\n").await;
    job.refuse(Refusal::busy(Duration::from_secs(3)));
    let end = client.until("0\r\n\r\n").await;
    assert!(end.contains(r#"data: {"error":{"message""#), "{end}");
    assert!(end.contains(r#""code":"busy","status":503"#), "{end}");
    assert!(!end.contains("[DONE]"), "{end}");
}

#[tokio::test]
async fn an_answer_that_begins_in_time_is_not_committed_early() {
    let options = Options {
        commit_after: Duration::from_secs(600),
        ..Options::default()
    };
    let (_gateway, mut client, feed) = streaming(options).await;
    feed.start().await;
    assert!(
        tokio::time::timeout(Duration::from_millis(50), client.until("HTTP"))
            .await
            .is_err(),
        "a start is no event yet"
    );
    feed.text("a").await;
    client.until("200 OK").await;
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_is_not_done() {
    let (_gateway, mut client, feed) = streaming(Options::default()).await;
    feed.text("half").await;
    feed.send(lost()).await;
    client.until("\r\n\r\n").await;
    let body = unchunked(&client.until("0\r\n\r\n").await);
    assert!(body.contains(r#""content":"half""#), "{body}");
    assert!(body.contains(r#""type":"stream_interrupted""#), "{body}");
    assert!(body.contains("the connection was reset"), "{body}");
    assert!(!body.contains("[DONE]"), "{body}");
    assert!(!body.contains(r#""finish_reason":"stop""#), "{body}");
}

#[tokio::test]
async fn a_source_that_crashes_or_just_stops_is_an_error() {
    let (_gateway, mut client, feed) = streaming(Options::default()).await;
    feed.text("half").await;
    drop(feed);
    let end = client.until("0\r\n\r\n").await;
    assert!(end.contains(r#"{"error":{"#), "{end}");
    assert!(!end.contains("[DONE]"), "{end}");
}

#[tokio::test]
async fn usage_is_sent_where_it_was_asked_for() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    let body = prompt(true).replace(
        r#""stream":true"#,
        r#""stream":true,"stream_options":{"include_usage":true}"#,
    );
    client.chat(&body).await;
    let feed = gateway.job().await.run();
    feed.text("a").await;
    let usage = Usage {
        input_tokens: 3,
        output_tokens: 1,
        ..Usage::default()
    };
    feed.send(Update::Delta(Delta::Usage(usage))).await;
    feed.finish().await;
    client.until("\r\n\r\n").await;
    let body = unchunked(&client.until("0\r\n\r\n").await);
    let events: Vec<_> = body.split_terminator("\n\n").collect();
    assert!(events[events.len() - 2].contains(r#""total_tokens":4"#), "{body}");
    assert!(
        events.last().is_some_and(|last| last.ends_with("data: [DONE]")),
        "{body}"
    );
}

#[tokio::test]
async fn a_whole_answer_is_one_document() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(false)).await;
    let feed = gateway.job().await.run();
    feed.start().await;
    feed.text("Hel").await;
    feed.text("lo").await;
    feed.finish().await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["model"], "real");
    assert_eq!(json["choices"][0]["message"]["content"], "Hello");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_whole_answer_that_broke_off_is_never_an_answer() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(false)).await;
    let feed = gateway.job().await.run();
    feed.text("half").await;
    feed.send(lost()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 502);
    let error = &answer.json()["error"];
    assert_eq!(error["type"], "stream_interrupted");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("4 bytes") && message.contains("the connection was reset"),
        "{message}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let mut gateway = Gateway::start(Options {
        grace: Duration::from_millis(20),
        ..Options::default()
    })
    .await;

    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let mut job = gateway.job().await;
    drop(client);
    soon(job.start.closed()).await;

    for stream in [true, false] {
        let mut client = gateway.client().await;
        client.chat(&prompt(stream)).await;
        let feed = gateway.job().await.run();
        drop(client);
        feed.dropped().await;
    }

    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    feed.text("a").await;
    client.until("\n\n").await;
    drop(client);
    feed.dropped().await;
}

/// A client with a small buffer that has read the first event and reads no more.
async fn stalled(gateway: &mut Gateway) -> (Client, Feed) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
    let socket = socket.connect(gateway.addr).await.expect("the server listens");
    let mut client = Client {
        socket,
        seen: Vec::new(),
    };
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    feed.text("first").await;
    client.until("first").await;
    (client, feed)
}

#[tokio::test]
async fn a_reader_that_stalls_for_ever_is_cut_off() {
    let options = Options {
        write_timeout: Duration::from_millis(100),
        grace: Duration::from_millis(20),
        ..Options::default()
    };
    let mut gateway = Gateway::start(options).await;
    let (_client, feed) = stalled(&mut gateway).await;
    let text = "x".repeat(1024 * 1024);
    // More than the sockets hold, and less than a stream may.
    for _ in 0..16 {
        feed.try_send(Update::Delta(Delta::Text(text.clone()))).await;
    }
    feed.dropped().await;
}

#[tokio::test]
async fn http_1_0_gets_a_stream_that_ends_with_the_connection() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    let old = request("POST", "/v1/chat/completions", &[], &prompt(true)).replace("HTTP/1.1", "HTTP/1.0");
    client.write(old).await;
    let feed = gateway.job().await.run();
    feed.text("a").await;
    feed.finish().await;
    let all = client.rest().await;
    assert!(all.ends_with("data: [DONE]\n\n"), "{all}");
    assert!(!all.contains("chunked"), "{all}");
}
