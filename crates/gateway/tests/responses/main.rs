//! The Responses API on the wire: what is sent, coming back to any event of it, and the life of a response.

mod input_items;
mod life;
mod reading;
mod refused;
mod restart;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use aurora_chat::{Delta, End, FinishReason, Update, Usage};
use serde_json::{Value, json};
use support::{Answer, Client, Feed, Gateway, get, request, soon, unchunked};

pub(crate) const PATH: &str = "/v1/responses";

pub(crate) fn asking(more: &Value) -> String {
    let mut body = json!({ "model": "plain", "input": "hi" });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more.clone());
    }
    body.to_string()
}

pub(crate) async fn send(
    gateway: &Gateway,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut client = gateway.client().await;
    client.write(request(method, path, headers, body)).await;
    client.answer().await
}

pub(crate) async fn post(gateway: &Gateway, more: &Value) -> Client {
    let mut client = gateway.client().await;
    client.write(request("POST", PATH, &[], &asking(more))).await;
    client
}

/// A streamed response that has said `first`, its client, and its id.
pub(crate) async fn begun(gateway: &mut Gateway, more: &Value) -> (Client, Feed, String) {
    let mut body = json!({ "stream": true });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more.clone());
    }
    let mut client = post(gateway, &body).await;
    let feed = gateway.job().await.run();
    feed.start().await;
    feed.text("first").await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200, "{head:?}");
    let id = format!("resp_{}", head.header("x-stream-id").expect("a name"));
    client.until(r#""delta":"first""#).await;
    client.until("\n\n\r\n").await;
    (client, feed, id)
}

/// The events of a response that is read to its end, each with its blank line.
pub(crate) async fn events(gateway: &Gateway, path: &str, headers: &[&str]) -> Vec<String> {
    let mut client = gateway.client().await;
    client.write(request("GET", path, headers, "")).await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(Answer::parse(&head).status, 200, "{head}");
    split(&unchunked(&client.stream_end().await))
}

pub(crate) fn split(body: &str) -> Vec<String> {
    body.split_inclusive("\n\n").map(str::to_owned).collect()
}

pub(crate) fn kinds(events: &[String]) -> Vec<&str> {
    let kind = |event: &'_ String| event.strip_prefix("event: ").and_then(|event| event.find('\n'));
    events
        .iter()
        .map(|event| kind(event).map_or("", |end| &event[7..7 + end]))
        .collect()
}

pub(crate) fn data(event: &str) -> Value {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.expect("an event has data")).expect("JSON")
}

pub(crate) async fn status(gateway: &Gateway, id: &str) -> String {
    let answer = get(gateway, &format!("{PATH}/{id}"), &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["status"].as_str().expect("a status").to_owned()
}

pub(crate) async fn until_status(gateway: &Gateway, id: &str, wanted: &str) {
    soon(async {
        while status(gateway, id).await != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn finish(feed: Feed) {
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 4,
        ..Usage::default()
    };
    feed.send(Update::Delta(Delta::Finish(FinishReason::Stop))).await;
    feed.send(Update::Delta(Delta::Usage(usage))).await;
    feed.send(Update::End(End::finished(Some(FinishReason::Stop))))
        .await;
}

/// The body of an event stream that is read to its end.
pub(crate) async fn get_stream(gateway: &Gateway, path: &str) -> String {
    let mut client = gateway.client().await;
    client.write(request("GET", path, &[], "")).await;
    client.until("\r\n\r\n").await;
    unchunked(&client.stream_end().await)
}
