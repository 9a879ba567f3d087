//! The events of a response: live, late, after each of them, and out of whatever source.

use std::sync::Arc;
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind, Update};
use aurora_client::{Client as Upstreams, Endpoint};
use aurora_gateway::{Options, Router, Upstream};
use aurora_testkit::{Reply, Upstream as Script};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Gateway, get, request, serve, unchunked};
use crate::*;

#[tokio::test]
async fn the_events_of_a_response_and_their_suffix_after_each_of_them() {
    let mut gateway = Gateway::start(Options::default()).await;
    let more = json!({ "stream": true, "metadata": { "order": "17" }, "instructions": "Be brief." });
    let mut client = post(&gateway, &more).await;
    let job = gateway.job().await;
    let said: Vec<_> = job
        .request
        .messages
        .iter()
        .map(|m| m.plain_text().into_owned())
        .collect();
    assert_eq!(said, ["Be brief.", "hi"]);
    let feed = job.run();
    feed.start().await;
    for text in ["Hel", "lo\n\n世界"] {
        feed.text(text).await;
    }
    finish(feed).await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    let stream = head.header("x-stream-id").expect("a name").to_owned();
    let id = format!("resp_{stream}");
    let live = split(&unchunked(&client.stream_end().await));

    assert_eq!(
        kinds(&live),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, event) in live.iter().enumerate() {
        let data = data(event);
        let kind = data["type"].as_str().expect("a type");
        assert!(
            event.starts_with(&format!(
                "event: {kind}\nid: {id}.{number}\ndata: {{\"type\":\"{kind}\","
            )),
            "{event}"
        );
        assert_eq!(data["sequence_number"], number);
    }
    let expected = format!(
        "event: response.output_text.delta\nid: {id}.5\ndata: {{\"type\":\"response.output_text.delta\",\
         \"sequence_number\":5,\"item_id\":\"msg_{stream}_0\",\"output_index\":0,\"content_index\":0,\
         \"delta\":\"lo\\n\\n世界\",\"logprobs\":[]}}\n\n"
    );
    assert_eq!(live[5], expected);
    let whole = &data(&live[9])["response"];
    assert_eq!((&whole["id"], &whole["model"]), (&json!(id), &json!("real")));
    assert_eq!(whole["output"][0]["content"][0]["text"], "Hello\n\n世界");
    assert_eq!(whole["metadata"], json!({ "order": "17" }));
    assert_eq!(whole["usage"]["total_tokens"], 13);

    let path = format!("{PATH}/{id}");
    assert_eq!(events(&gateway, &format!("{path}?stream=true"), &[]).await, live);
    for number in 0..live.len() {
        let rest = &live[number + 1..];
        let after = format!("{path}?stream=true&starting_after={number}");
        assert_eq!(events(&gateway, &after, &[]).await, rest, "{number}");
        let last = format!("last-event-id: {id}.{number}");
        assert_eq!(
            events(&gateway, &format!("{path}?stream=true"), &[&last]).await,
            rest
        );
        // What the program has seen is newer than what its address says.
        assert_eq!(
            events(
                &gateway,
                &format!("{path}?stream=true&starting_after=0"),
                &[&last]
            )
            .await,
            rest
        );
    }
    let object = get(&gateway, &path, &[]).await;
    assert_eq!(object.header("x-stream-id"), Some(&*stream));
    assert_eq!(&object.json(), whole);
    let chunks = get_stream(&gateway, &format!("/v1/streams/{stream}")).await;
    assert!(
        chunks.contains("chat.completion.chunk") && chunks.ends_with("data: [DONE]\n\n"),
        "{chunks}"
    );
    assert!(
        gateway.jobs.try_recv().is_err(),
        "nothing was asked for a second time"
    );
}

#[tokio::test]
async fn parallel_readers_see_the_same_live_and_late() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &json!({})).await;
    let path = format!("{PATH}/{id}?stream=true");
    let mut second = gateway.client().await;
    second.write(request("GET", &path, &[], "")).await;
    second.until(r#""delta":"first""#).await;
    for text in ["a", "b", "c"] {
        feed.text(text).await;
    }
    finish(feed).await;
    let late = events(&gateway, &path, &[]).await;
    let rest = late[5..].concat();
    assert_eq!(unchunked(&client.stream_end().await), rest);
    assert!(second.stream_end().await.contains("response.completed"));
    assert_eq!(events(&gateway, &path, &[]).await, late);
}

#[tokio::test]
async fn a_background_stream_is_dropped_and_picked_up() {
    let mut gateway = Gateway::start(Options {
        grace: Duration::from_millis(1),
        ..Options::default()
    })
    .await;
    let mut client = post(&gateway, &json!({ "background": true, "stream": true })).await;
    // The first two events need nothing of the source.
    let head = client.until("event: response.queued").await;
    let id = format!(
        "resp_{}",
        Answer::parse(&head).header("x-stream-id").expect("a name")
    );
    let feed = gateway.job().await.run();
    feed.text("one").await;
    client.until(r#""delta":"one""#).await;
    drop(client);
    feed.text("two").await;
    let mut back = gateway.client().await;
    let path = format!("{PATH}/{id}?stream=true&starting_after=5");
    back.write(request("GET", &path, &[], "")).await;
    let seen = back.until(r#""delta":"two""#).await;
    assert!(
        seen.contains(r#""sequence_number":6"#) && !seen.contains(r#""sequence_number":5"#),
        "{seen}"
    );
    feed.text("three").await;
    back.until(r#""delta":"three""#).await;
    finish(feed).await;
    back.until("response.completed").await;
}

#[tokio::test]
async fn a_broken_source_fails_the_response() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &json!({})).await;
    let lost = Failure::new(FailureKind::ConnectionLost, "the connection was reset");
    feed.send(Update::End(End::of_failure(lost))).await;
    let rest = split(&unchunked(&client.stream_end().await));
    assert_eq!(kinds(&rest), ["response.failed", "error"]);
    let failed = &data(&rest[0])["response"];
    assert_eq!(failed["error"]["type"], "stream_interrupted");
    assert_eq!(failed["error"]["message"], "the connection was reset");
    assert_eq!(data(&rest[1])["error"]["type"], "stream_interrupted");
    assert_eq!(
        events(
            &gateway,
            &format!("{PATH}/{id}?stream=true&starting_after=4"),
            &[]
        )
        .await,
        rest
    );
    assert_eq!(&get(&gateway, &format!("{PATH}/{id}"), &[]).await.json(), failed);

    let mut client = post(&gateway, &json!({})).await;
    let feed = gateway.job().await.run();
    feed.text("half").await;
    let lost = Failure::new(FailureKind::ConnectionLost, "the connection was reset");
    feed.send(Update::End(End::of_failure(lost))).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (502, &json!("stream_interrupted"))
    );
}

#[tokio::test]
async fn an_upstreams_own_events_become_events_of_a_response() {
    let chunk = |choices: Value, usage: Value| {
        let chunk =
            json!({ "id": "theirs", "model": "theirs", "choices": choices, "usage": usage, "unknown": 1 });
        format!("data: {chunk}\n\n")
    };
    let delta =
        |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let call = json!({ "tool_calls": [{ "index": 0, "id": "call_1", "type": "function",
        "function": { "name": "look", "arguments": "{}" } }] });
    let body = [
        chunk(delta(json!({ "content": "Hello" }), Value::Null), Value::Null),
        chunk(delta(call, json!("tool_calls")), Value::Null),
        chunk(
            json!([]),
            json!({ "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 }),
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let upstream = Script::start(Reply::sse(body));
    let endpoint = Endpoint::new("up", &upstream.url()).expect("a good URL");
    let backend = Upstream::new(Upstreams::new().expect("a client"), endpoint);
    let router = Router::builder()
        .endpoint("up", Arc::new(backend))
        .alias("plain", "up/m");
    let (addr, _stop, _running) = serve(
        Options::default(),
        Arc::new(router.build().expect("the alias leads somewhere")),
    )
    .await;
    let mut client = Client::connect(addr).await;
    let body = asking(&json!({ "tools": [{ "type": "function", "name": "look", "parameters": {} }] }));
    client.write(request("POST", PATH, &[], &body)).await;
    let object = client.answer().await.json();
    assert_eq!(
        (&object["status"], &object["model"]),
        (&json!("completed"), &json!("theirs"))
    );
    assert_eq!(object["output"][1]["call_id"], "call_1");
    assert_eq!(object["usage"]["total_tokens"], 5);
    // A name that nobody has is refused at once, though nobody waits for the answer.
    let body = asking(&json!({ "model": "nobody", "background": true }));
    client.write(request("POST", PATH, &[], &body)).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (404, &json!("model"))
    );
    assert_eq!(
        upstream.requests()[0].json()["tools"][0]["function"]["name"],
        "look"
    );
}
