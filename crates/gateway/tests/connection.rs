//! What a connection is good for around an event stream: requests before it, behind it and after it, other versions of
//! HTTP, and a server that is told to stop meanwhile.

mod support;

use aurora_gateway::Options;
use support::{Answer, Client, Gateway, begun, prompt, request, soon, unchunked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// The id of a stream that has ended with the text "first".
async fn finished(gateway: &mut Gateway) -> String {
    let (mut client, feed, id) = begun(gateway, &[]).await;
    feed.finish().await;
    client.until("0\r\n\r\n").await;
    id
}

async fn health(client: &mut Client) {
    assert_eq!(client.answer().await.body, br#"{"status":"ok"}"#);
}

#[tokio::test]
async fn a_stream_is_followed_by_other_requests_on_its_connection() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, _) = begun(&mut gateway, &[]).await;
    feed.finish().await;
    client.until("0\r\n\r\n").await;
    client.write(request("GET", "/health", &[], "")).await;
    health(&mut client).await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    feed.text("second").await;
    client.until("second").await;
    feed.finish().await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn requests_that_come_too_early_are_answered_in_their_turn() {
    let mut gateway = Gateway::start(Options::default()).await;
    let id = finished(&mut gateway).await;
    let mut client = gateway.client().await;
    let health_request = request("GET", "/health", &[], "");
    let stream = request("GET", &format!("/v1/streams/{id}"), &[], "");
    let all = [&*health_request, &*stream, &*stream, &*health_request].concat();
    client.write(all).await;
    health(&mut client).await;
    let first = client.until("0\r\n\r\n").await;
    let second = client.until("0\r\n\r\n").await;
    let body = |response: &str| {
        response
            .split_once("\r\n\r\n")
            .map(|(_, body)| unchunked(body))
            .expect("a head")
    };
    assert!(body(&first).contains("data: [DONE]\n\n"), "{first}");
    assert_eq!(body(&first), body(&second));
    health(&mut client).await;

    // One that comes while a stream is under way.
    let (mut client, feed, _) = begun(&mut gateway, &[]).await;
    client.write(&health_request).await;
    feed.text("more").await;
    client.until("more").await;
    feed.finish().await;
    client.until("0\r\n\r\n").await;
    health(&mut client).await;
}

#[tokio::test]
async fn what_a_slow_client_has_not_read_yet_comes_before_a_stream() {
    const EARLIER: usize = 4000;
    let mut gateway = Gateway::start(Options::default()).await;
    let id = finished(&mut gateway).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let socket = socket.connect(gateway.addr).await.expect("the server listens");
    let (mut reads, mut writes) = socket.into_split();
    let mut all = request("GET", "/health", &[], "").repeat(EARLIER);
    all += &request("GET", &format!("/v1/streams/{id}"), &["connection: close"], "");
    let writing = tokio::spawn(async move {
        writes.write_all(all.as_bytes()).await.expect("the server reads");
        writes
    });
    // Nothing is read until all that can be written has been.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut text = String::new();
    soon(reads.read_to_string(&mut text)).await.expect("text");
    soon(writing).await.expect("the writer ends");
    assert_eq!(text.matches(r#"{"status":"ok"}"#).count(), EARLIER);
    assert!(text.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{}", text.len());
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_body_without_chunks() {
    let mut gateway = Gateway::start(Options::default()).await;
    let id = finished(&mut gateway).await;
    let mut client = gateway.client().await;
    client
        .write(format!(
            "GET /v1/streams/{id} HTTP/1.0\r\nhost: localhost\r\n\r\n"
        ))
        .await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("connection"), Some("close"));
    let body = client.rest().await;
    assert!(
        body.starts_with("id: ") && body.ends_with("data: [DONE]\n\n"),
        "{body}"
    );
}

#[tokio::test]
async fn a_client_that_asks_for_the_head_gets_no_more() {
    let mut gateway = Gateway::start(Options::default()).await;
    let id = finished(&mut gateway).await;
    let mut client = gateway.client().await;
    client
        .write(request("HEAD", &format!("/v1/streams/{id}"), &[], ""))
        .await;
    client
        .write(request("GET", "/health", &["connection: close"], ""))
        .await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!((head.status, head.header("x-stream-id")), (200, Some(&*id)));
    health(&mut client).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_that_wants_the_connection_closed_has_it_closed() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, _) = begun(&mut gateway, &["connection: close"]).await;
    feed.finish().await;
    assert!(client.rest().await.ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_server_that_stops_closes_the_connection_after_the_stream() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, _) = begun(&mut gateway, &[]).await;
    gateway.stop();
    feed.text("more").await;
    client.until("more").await;
    feed.finish().await;
    assert!(client.rest().await.ends_with("\r\n0\r\n\r\n"));
}
