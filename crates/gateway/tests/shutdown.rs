//! The end of a server: who may finish, for how long, and what the others are told.

mod support;

use std::time::Duration;

use aurora_gateway::Options;
use support::{Client, Gateway, prompt, request, soon, unchunked};
use tokio::net::TcpStream;

#[tokio::test]
async fn answers_under_way_may_finish() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut idle = gateway.client().await;
    idle.write(request("GET", "/health", &[], "")).await;
    idle.answer().await;
    let mut fresh = gateway.client().await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    feed.text("first").await;
    client.until("first").await;

    gateway.stop();
    assert_eq!(idle.rest().await, "", "a connection without a request is closed");
    assert_eq!(fresh.rest().await, "", "also one that never had any");
    soon(async { while TcpStream::connect(gateway.addr).await.is_ok() {} }).await;

    feed.text("last").await;
    feed.finish().await;
    let rest = client.rest().await;
    assert!(rest.contains("last") && rest.contains("[DONE]"), "{rest}");
    soon(gateway.running).await.expect("the server ends well");
}

#[tokio::test]
async fn a_stream_that_begins_while_the_server_drains_says_that_it_is_the_last() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let job = gateway.job().await;
    gateway.stop();
    // The connection hears of the stop at the same time, and before the answer begins.
    soon(async { while TcpStream::connect(gateway.addr).await.is_ok() {} }).await;
    let feed = job.run();
    feed.text("late").await;
    feed.finish().await;
    let answer = client.rest().await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("\r\nconnection: close"), "{head}");
    assert!(body.contains("late") && body.ends_with("0\r\n\r\n"), "{body}");
    soon(gateway.running).await.expect("the server ends well");
}

#[tokio::test]
async fn what_outlives_the_drain_limit_is_ended_honestly() {
    let mut gateway = Gateway::start(Options {
        drain: Duration::from_millis(50),
        ..Options::default()
    })
    .await;
    let mut streaming = gateway.client().await;
    streaming.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    feed.text("half").await;
    streaming.until("\r\n\r\n").await;

    let mut whole = gateway.client().await;
    whole.chat(&prompt(false)).await;
    let collecting = gateway.job().await.run();
    let mut waiting = gateway.client().await;
    waiting.chat(&prompt(true)).await;
    let starting = gateway.job().await;

    gateway.stop();
    let body = unchunked(&streaming.rest().await);
    assert!(body.contains("half"), "{body}");
    assert!(body.contains(r#""type":"stream_interrupted""#), "{body}");
    assert!(
        !body.contains("[DONE]") && !body.contains(r#""finish_reason":"stop""#),
        "{body}"
    );
    for client in [&mut whole, &mut waiting] {
        let answer = client.answer().await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.json()["error"]["type"], "stream_interrupted");
    }
    feed.dropped().await;
    collecting.dropped().await;
    drop(starting);
    soon(gateway.running).await.expect("the server ends well");
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_the_server() {
    let mut gateway = Gateway::start(Options {
        drain: Duration::from_millis(50),
        ..Options::default()
    })
    .await;
    let mut client: Client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    let text = "x".repeat(1024 * 1024);
    // More than the sockets hold.
    for _ in 0..16 {
        feed.text(&text).await;
    }
    gateway.stop();
    soon(gateway.running).await.expect("the server ends well");
}
