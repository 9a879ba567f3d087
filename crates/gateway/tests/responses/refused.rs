//! What is refused: requests, places that no event has, and responses that are not there or somebody else's.

use std::sync::Arc;
use std::time::Duration;

use aurora_chat::RequestError;
use aurora_gateway::{Key, Options, Refusal};
use aurora_streamlog::{Memory, MemoryOptions};
use serde_json::json;

use crate::support::{Gateway, get, request, soon};
use crate::{PATH, asking, begun, finish, post, send};

const OTHER: &str = "resp_AAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn requests_are_refused_in_the_words_of_this_api() {
    let mut gateway = Gateway::start(Options::default()).await;
    let cancel = ["x-on-disconnect: cancel"];
    let table = [
        (&[][..], json!({ "input": null }), "input"),
        (&[], json!({ "messages": [] }), "messages"),
        (&[], json!({ "max_output_tokens": 0 }), "max_output_tokens"),
        (&[], json!({ "background": true, "store": false }), "background"),
        (&[], json!({ "conversation": "conv_1" }), "conversation"),
        (&cancel, json!({ "background": true }), "x-on-disconnect"),
    ];
    for (headers, more, param) in table {
        let answer = send(&gateway, "POST", PATH, headers, &asking(&more)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (400, &json!(param)),
            "{more}"
        );
    }
    // What only the source finds wrong, before there is anything to read.
    for more in [json!({}), json!({ "stream": true })] {
        let mut client = post(&gateway, &more).await;
        let error = RequestError::new("messages is too long", Some("messages".to_owned()), None);
        gateway.job().await.refuse(Refusal::from(error));
        let answer = client.answer().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["param"], "input");
        assert_eq!(answer.json()["error"]["message"], "input is too long");
    }
}

#[tokio::test]
async fn places_that_do_not_exist() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, _feed, id) = begun(&mut gateway, &json!({})).await;
    let path = format!("{PATH}/{id}");
    for query in [
        "stream=true&starting_after=5",
        "stream=true&starting_after=-1",
        "stream=true&starting_after=x",
        "stream=true&starting_after=18446744073709551616",
        "starting_after=0",
        "stream=perhaps",
    ] {
        let answer = get(&gateway, &format!("{path}?{query}"), &[]).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
    let stream = id.trim_start_matches("resp_");
    for place in [
        format!("{id}.5"),
        format!("{OTHER}.0"),
        format!("{stream}.0"),
        "0".to_owned(),
    ] {
        let header = format!("last-event-id: {place}");
        let answer = get(&gateway, &format!("{path}?stream=true"), &[&header]).await;
        assert_eq!(answer.status, 400, "{place}: {answer:?}");
    }
    let header = format!("last-event-id: {id}.0");
    for (method, path) in [
        ("GET", format!("/v1/streams/{stream}")),
        ("POST", "/v1/chat/completions".to_owned()),
    ] {
        let answer = send(&gateway, method, &path, &[&header], "").await;
        assert_eq!(
            answer.status, 400,
            "an event of a response is no place in its stream"
        );
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, _feed, chat) = crate::support::begun(&mut gateway, &[]).await;
    for name in [
        OTHER.to_owned(),
        "nonsense".to_owned(),
        chat.clone(),
        format!("resp_{chat}"),
    ] {
        for (method, path) in [
            ("GET", format!("{PATH}/{name}")),
            ("GET", format!("{PATH}/{name}?stream=true")),
            ("DELETE", format!("{PATH}/{name}")),
            ("POST", format!("{PATH}/{name}/cancel")),
        ] {
            let answer = send(&gateway, method, &path, &[], "").await;
            assert_eq!(answer.status, 404, "{method} {path}");
            assert_eq!(answer.json()["error"]["param"], "response_id");
        }
    }
}

#[tokio::test]
async fn another_keys_response_is_not_there() {
    let key = |name: &str| Key {
        name: name.to_owned(),
        sha256: Key::hash(name.as_bytes()),
        requests_per_minute: None,
        max_streams: std::num::NonZeroUsize::new(1),
    };
    let mut gateway = Gateway::start(Options {
        keys: vec![key("alpha"), key("beta")],
        ..Options::default()
    })
    .await;
    let background = asking(&json!({ "background": true }));
    let alpha = ["x-api-key: alpha"];
    let created = send(&gateway, "POST", PATH, &alpha, &background).await.json();
    let _feed = gateway.job().await.run();
    let id = created["id"].as_str().expect("an id");
    for (method, path) in [
        ("GET", format!("{PATH}/{id}")),
        ("GET", format!("{PATH}/{id}?stream=true")),
        ("DELETE", format!("{PATH}/{id}")),
        ("POST", format!("{PATH}/{id}/cancel")),
    ] {
        assert_eq!(send(&gateway, method, &path, &[], "").await.status, 401);
        let answer = send(&gateway, method, &path, &["x-api-key: beta"], "").await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    let more = asking(&json!({ "previous_response_id": id }));
    let answer = send(&gateway, "POST", PATH, &["x-api-key: beta"], &more).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let busy = send(&gateway, "POST", PATH, &alpha, &background).await;
    assert_eq!(busy.status, 429, "one in the background is under way: {busy:?}");
    let own = get(&gateway, &format!("{PATH}/{id}"), &alpha).await;
    assert_eq!((own.status, &own.json()["status"]), (200, &json!("queued")));
}

#[tokio::test]
async fn what_is_no_longer_kept_is_not_found_and_says_why() {
    let store = Memory::new(MemoryOptions {
        keep: Duration::from_millis(50),
        ..MemoryOptions::default()
    });
    let mut gateway = Gateway::kept(Options::default(), Arc::new(store)).await;
    let (mut client, feed, id) = begun(&mut gateway, &json!({})).await;
    finish(feed).await;
    client.until("response.completed").await;
    let answer = soon(async {
        loop {
            let answer = get(&gateway, &format!("{PATH}/{id}"), &[]).await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("response_expired"))
    );
}

#[tokio::test]
async fn a_post_with_a_place_goes_on_with_its_response() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, feed, id) = begun(&mut gateway, &json!({})).await;
    let mut back = gateway.client().await;
    let place = format!("last-event-id: {id}.4");
    back.write(request(
        "POST",
        PATH,
        &[&place],
        &asking(&json!({ "stream": true })),
    ))
    .await;
    feed.text("second").await;
    back.until(r#""sequence_number":5"#).await;
    assert!(
        gateway.jobs.try_recv().is_err(),
        "nothing was asked for a second time"
    );
}
