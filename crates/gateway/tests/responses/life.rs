//! A response from its request to its end: whole, in the background, cancelled, deleted, not stored, gone on from.

use std::time::Duration;

use aurora_chat::{Delta, End, FinishReason, Update};
use aurora_gateway::Options;
use serde_json::json;

use crate::support::{Gateway, get, soon, unchunked};
use crate::*;

#[tokio::test]
async fn a_whole_response() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = post(&gateway, &json!({ "max_output_tokens": 16 })).await;
    let job = gateway.job().await;
    assert_eq!(job.request.max_tokens, Some(16));
    let feed = job.run();
    feed.text("all of").await;
    feed.send(Update::Delta(Delta::Finish(FinishReason::Length)))
        .await;
    feed.send(Update::End(End::finished(Some(FinishReason::Length))))
        .await;
    let answer = client.answer().await;
    let object = answer.json();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(object["status"], "incomplete");
    assert_eq!(object["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(object["output"][0]["content"][0]["text"], "all of");
    let id = object["id"].as_str().expect("an id");
    assert_eq!(get(&gateway, &format!("{PATH}/{id}"), &[]).await.json(), object);
}

#[tokio::test]
async fn a_background_response_is_there_at_once_and_read_later() {
    let mut gateway = Gateway::start(Options {
        grace: Duration::from_millis(1),
        ..Options::default()
    })
    .await;
    let mut client = post(&gateway, &json!({ "background": true })).await;
    let created = client.answer().await.json();
    assert_eq!(
        (&created["status"], &created["background"]),
        (&json!("queued"), &json!(true))
    );
    let id = created["id"].as_str().expect("an id").to_owned();
    drop(client);
    let feed = gateway.job().await.run();
    feed.text("alone").await;
    until_status(&gateway, &id, "in_progress").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    finish(feed).await;
    until_status(&gateway, &id, "completed").await;
    let all = events(&gateway, &format!("{PATH}/{id}?stream=true"), &[]).await;
    assert_eq!(
        kinds(&all)[..3],
        ["response.created", "response.queued", "response.in_progress"]
    );
    assert_eq!(data(&all[0])["response"], created);
}

#[tokio::test]
async fn a_response_is_cancelled_once_and_says_so() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &json!({})).await;
    let path = format!("{PATH}/{id}/cancel");
    for _ in 0..2 {
        let answer = send(&gateway, "POST", &path, &[], "").await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!("cancelled"))
        );
        assert_eq!(answer.json()["output"][0]["content"][0]["text"], "first");
    }
    feed.dropped().await;
    let rest = split(&unchunked(&client.stream_end().await));
    assert_eq!(kinds(&rest), ["error"]);
    assert_eq!(data(&rest[0])["error"]["type"], "cancelled");
    assert_eq!(
        events(
            &gateway,
            &format!("{PATH}/{id}?stream=true&starting_after=4"),
            &[]
        )
        .await,
        rest
    );

    let (mut client, feed, id) = begun(&mut gateway, &json!({})).await;
    finish(feed).await;
    client.until("response.completed").await;
    let answer = send(&gateway, "POST", &format!("{PATH}/{id}/cancel"), &[], "").await;
    assert_eq!(
        answer.json()["status"],
        "completed",
        "what has ended stays as it is"
    );
}

#[tokio::test]
async fn a_deleted_response_is_gone() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, feed, id) = begun(&mut gateway, &json!({})).await;
    let path = format!("{PATH}/{id}");
    let answer = send(&gateway, "DELETE", &path, &[], "").await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "id": id, "object": "response", "deleted": true }))
    );
    feed.dropped().await;
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/cancel")),
    ] {
        let answer = send(&gateway, method, &path, &[], "").await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("response_not_found"))
        );
    }
    let stream = id.trim_start_matches("resp_");
    assert_eq!(
        get(&gateway, &format!("/v1/streams/{stream}"), &[]).await.status,
        404
    );
}

#[tokio::test]
async fn what_is_not_stored_goes_with_its_reader() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &json!({ "store": false })).await;
    assert_eq!(get(&gateway, &format!("{PATH}/{id}"), &[]).await.status, 404);
    finish(feed).await;
    client.until("response.completed").await;
    client.until("0\r\n\r\n").await;
    let stream = format!("/v1/streams/{}", id.trim_start_matches("resp_"));
    let gone = async || while get(&gateway, &stream, &["accept: application/json"]).await.status != 404 {};
    soon(gone()).await;

    let (client, feed, _) = begun(&mut gateway, &json!({ "store": false })).await;
    drop(client);
    feed.dropped().await;
}

#[tokio::test]
async fn a_response_goes_on_from_another() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, first) =
        begun(&mut gateway, &json!({ "instructions": "Not carried over." })).await;
    let more = json!({ "previous_response_id": first, "input": "and then?" });
    let answer = send(&gateway, "POST", PATH, &[], &asking(&more)).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &json!("previous_response_id")),
        "it is still being made"
    );
    finish(feed).await;
    client.until("response.completed").await;
    let mut client = post(&gateway, &more).await;
    let job = gateway.job().await;
    let said: Vec<_> = job
        .request
        .messages
        .iter()
        .map(|m| m.plain_text().into_owned())
        .collect();
    assert_eq!(said, ["hi", "first", "and then?"]);
    let feed = job.run();
    feed.text("the end").await;
    finish(feed).await;
    let second = client.answer().await.json();
    assert_eq!(second["previous_response_id"], json!(first));

    // The first one is not needed any more.
    assert_eq!(
        send(&gateway, "DELETE", &format!("{PATH}/{first}"), &[], "")
            .await
            .status,
        200
    );
    let more = json!({ "previous_response_id": second["id"], "input": "why?" });
    let _client = post(&gateway, &more).await;
    let job = gateway.job().await;
    let said: Vec<_> = job
        .request
        .messages
        .iter()
        .map(|m| m.plain_text().into_owned())
        .collect();
    assert_eq!(said, ["hi", "first", "and then?", "the end", "why?"]);
    let answer = send(
        &gateway,
        "POST",
        PATH,
        &[],
        &asking(&json!({ "previous_response_id": first })),
    )
    .await;
    assert_eq!(answer.status, 404, "{answer:?}");
}
