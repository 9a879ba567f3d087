//! The server before a real upstream, through the client: which of the upstream's troubles is which status, and what
//! a client is told about the rest.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aurora_client::{Client as Upstreams, Endpoint, OnDrop, Secret};
use aurora_gateway::{Options, Router, Upstream};
use aurora_testkit::{Reply, Upstream as Script, fixtures};
use serde_json::json;
use support::{Client, prompt, serve, soon, unchunked};
use tokio::sync::oneshot;

const KEY: &str = "sk-test-0123456789abcdef";

/// A gateway whose only endpoint, `up`, is this upstream, asked once and never again.
async fn gateway(upstream: &Script) -> (Client, oneshot::Sender<()>) {
    let mut endpoint = Endpoint::new("up", &upstream.url()).expect("a good URL");
    endpoint.api_key = Some(Secret::new(KEY));
    endpoint.retries = 0;
    let backend = Upstream::new(Upstreams::new().expect("a client"), endpoint);
    let router = Router::builder()
        .endpoint("up", Arc::new(backend))
        .alias("plain", "up/their-model");
    let router = router.build().expect("the alias leads to the endpoint");
    let options = Options {
        grace: Duration::from_millis(20),
        ..Options::default()
    };
    let (addr, stop, _running) = serve(options, Arc::new(router)).await;
    (Client::connect(addr).await, stop)
}

#[tokio::test]
async fn an_answer_passes_through() {
    let upstream = Script::start(Reply::sse(fixtures::sse_answer(&["Hel", "lo"])));
    let (mut client, _stop) = gateway(&upstream).await;
    client.chat(&prompt(true)).await;
    client.until("\r\n\r\n").await;
    let body = unchunked(&client.until("0\r\n\r\n").await);
    for part in [
        r#""content":"Hel""#,
        r#""content":"lo""#,
        r#""finish_reason":"stop""#,
        "data: [DONE]\n\n",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    client.chat(&prompt(false)).await;
    let answer = client.answer().await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello");
    let asked = upstream.requests();
    assert_eq!(asked[0].json()["model"], "their-model");
    assert_eq!(asked[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
}

#[tokio::test]
async fn trouble_before_the_first_event_is_a_status() {
    let said = |status: u16| {
        let body = json!({ "error": { "message": format!("no, {KEY}"), "type": "their_type", "code": "their_code" } });
        Reply::json(status, &body)
    };
    let table = [
        ("400", said(400), 400..=400),
        ("401", said(401), 502..=502),
        ("403", said(403), 502..=502),
        ("404", said(404), 404..=404),
        ("429", said(429).header("retry-after", "7"), 429..=429),
        ("500", said(500), 502..=502),
        ("503", said(503), 502..=503),
        (
            "an error event",
            Reply::sse([fixtures::error(503, "overloaded")]),
            500..=504,
        ),
        (
            "an error event that blames us",
            Reply::sse([fixtures::error(400, "bad")]),
            500..=504,
        ),
        ("nothing", Reply::sse([""; 0]), 502..=502),
        ("a reset", Reply::sse([": hello\n"]).reset(), 502..=502),
    ];
    for (name, reply, expected) in table {
        let upstream = Script::start(reply);
        let (mut client, _stop) = gateway(&upstream).await;
        for stream in [true, false] {
            client.chat(&prompt(stream)).await;
            let answer = client.answer().await;
            assert!(expected.contains(&answer.status), "{name}: {answer:?}");
            assert!(answer.json()["error"]["message"].is_string(), "{name}");
            assert!(
                !String::from_utf8_lossy(&answer.body).contains(KEY),
                "{name} shows the key"
            );
            assert_eq!(answer.header("retry-after") == Some("7"), name == "429", "{name}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_an_end_is_interrupted() {
    let half = || fixtures::sse_answer(&["Hel", "lo"]).into_iter().take(2);
    let table = [
        ("a clean end", Reply::sse(half())),
        ("a cut body", Reply::sse(half()).cut()),
        ("a reset", Reply::sse(half()).reset()),
    ];
    for (name, reply) in table {
        let upstream = Script::start(reply);
        let (mut client, _stop) = gateway(&upstream).await;
        client.chat(&prompt(true)).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{name}: {head}");
        let body = unchunked(&client.until("0\r\n\r\n").await);
        assert!(body.contains(r#""content":"Hel""#), "{name}: {body}");
        assert!(body.contains(r#""type":"stream_interrupted""#), "{name}: {body}");
        assert!(
            !body.contains("[DONE]") && !body.contains(r#""finish_reason":"stop""#),
            "{name}: {body}"
        );

        client.chat(&prompt(false)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 502, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_keeps_the_upstreams_words() {
    let mut pieces: Vec<_> = fixtures::sse_answer(&["Hel"]).into_iter().take(2).collect();
    pieces.push(fixtures::error(503, "overloaded"));
    let upstream = Script::start(Reply::sse(pieces));
    let (mut client, _stop) = gateway(&upstream).await;
    client.chat(&prompt(true)).await;
    client.until("\r\n\r\n").await;
    let body = unchunked(&client.until("0\r\n\r\n").await);
    assert!(body.contains("overloaded") && !body.contains("[DONE]"), "{body}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_work() {
    let half = fixtures::sse_answer(&["Hel"]).into_iter().take(2);
    let upstream = Script::start(Reply::sse(half).stall());
    let (mut client, _stop) = gateway(&upstream).await;
    client.chat(&prompt(true)).await;
    client.until("Hel").await;
    drop(client);
    soon(upstream.left(0)).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_continued_where_the_endpoint_says_so() {
    let half = fixtures::sse_answer(&["The quick ", "brown fox "])
        .into_iter()
        .take(2);
    let script = aurora_testkit::Script::sequence([
        Reply::sse(half).cut(),
        Reply::sse(fixtures::sse_answer(&["brown fox ", "jumps."])),
    ]);
    let upstream = Script::start(script);
    let mut endpoint = Endpoint::new("up", &upstream.url()).expect("a good URL");
    endpoint.on_drop = OnDrop::Continue;
    let backend = Upstream::new(Upstreams::new().expect("a client"), endpoint);
    let (addr, _stop, _running) = serve(Options::default(), Arc::new(backend)).await;
    let mut client = Client::connect(addr).await;
    client.chat(&prompt(false)).await;
    let answer = client.answer().await;
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        "The quick brown fox jumps."
    );
    assert_eq!(upstream.requests().len(), 2);
}
