//! A server with keys: who gets in, whose streams are whose, and what a key allows.

mod support;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use aurora_gateway::{Key, Options};
use support::{Gateway, begun, get, prompt, request, soon};

fn key(name: &str, secret: &str) -> Key {
    Key {
        name: name.to_owned(),
        sha256: Key::hash(secret.as_bytes()),
        requests_per_minute: None,
        max_streams: None,
    }
}

#[tokio::test]
async fn a_stream_is_its_owners() {
    let mut gateway = Gateway::start(Options {
        keys: vec![key("a", "alpha"), key("b", "beta")],
        ..Options::default()
    })
    .await;
    let (_client, _feed, id) = begun(&mut gateway, &["authorization: Bearer alpha"]).await;
    let path = format!("/v1/streams/{id}");
    let json = "accept: application/json";
    assert_eq!(
        get(&gateway, &path, &[json, "x-api-key: alpha"]).await.status,
        200
    );
    let foreign = get(&gateway, &path, &[json, "authorization: Bearer beta"]).await;
    let unknown = get(
        &gateway,
        "/v1/streams/AAAAAAAAAAAAAAAAAAAAAA",
        &[json, "authorization: Bearer beta"],
    )
    .await;
    assert_eq!(
        (foreign.status, &foreign.body),
        (404, &unknown.body),
        "the two cannot be told apart"
    );
    for headers in [vec![json], vec![json, "authorization: Bearer gamma"]] {
        let answer = get(&gateway, &path, &headers).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let mut other = gateway.client().await;
    other
        .write(request(
            "POST",
            &format!("{path}/cancel"),
            &["authorization: Bearer beta"],
            "",
        ))
        .await;
    assert_eq!(other.answer().await.status, 404);
    let cursor = format!("last-event-id: {id}.0");
    let mut other = gateway.client().await;
    other
        .write(request(
            "POST",
            "/v1/chat/completions",
            &[&cursor, "authorization: Bearer beta"],
            &prompt(true),
        ))
        .await;
    assert_eq!(other.answer().await.status, 404);
    assert_eq!(get(&gateway, "/health", &[]).await.status, 200);
    assert_eq!(get(&gateway, "/v1/models", &[]).await.status, 401);
}

#[tokio::test]
async fn a_key_has_its_limits() {
    let limited = Key {
        requests_per_minute: NonZeroU32::new(2),
        max_streams: NonZeroUsize::new(1),
        ..key("a", "alpha")
    };
    let mut gateway = Gateway::start(Options {
        keys: vec![limited],
        ..Options::default()
    })
    .await;
    let auth = "authorization: Bearer alpha";
    let (mut client, feed, _id) = begun(&mut gateway, &[auth]).await;
    let ask = async |gateway: &Gateway| {
        let mut client = gateway.client().await;
        client
            .write(request("POST", "/v1/chat/completions", &[auth], &prompt(true)))
            .await;
        client
    };
    let answer = ask(&gateway).await.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (429, &"too_many_streams".into())
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    feed.finish().await;
    client.until("0\r\n\r\n").await;
    // The stream's place is free once its end is kept.
    let (mut second, feed) = soon(async {
        loop {
            let second = ask(&gateway).await;
            tokio::select! {
                job = gateway.jobs.recv() => break (second, job.expect("a job").run()),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    })
    .await;
    feed.finish().await;
    second.until("[DONE]").await;
    let answer = soon(async {
        loop {
            let answer = ask(&gateway).await.answer().await;
            if answer.json()["error"]["code"] != "too_many_streams" {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (429, &"rate_limit_exceeded".into())
    );
    let wait: u64 = answer
        .header("retry-after")
        .expect("a wait")
        .parse()
        .expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
}
