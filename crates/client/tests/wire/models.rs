//! The list of an endpoint's models.

use std::time::Duration;

use aurora_chat::{Deadline, FailureKind, Limit};
use aurora_client::Secret;
use aurora_testkit::{Reply, Upstream};
use serde_json::json;

use crate::{LONG, client, endpoint};

#[tokio::test]
async fn the_names_are_asked_for_with_the_key_and_without_a_body() {
    let list = json!({"object": "list", "data": [{"id": "one"}, {"id": "my sk-secret-key"}]});
    let upstream = Upstream::start(Reply::json(200, &list));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.api_key = Some(Secret::new("sk-secret-key"));
    let names = client().models(&endpoint, LONG).await.unwrap();
    assert_eq!(names[0], "one");
    assert!(!names[1].contains("sk-secret-key"), "{names:?}");
    let request = upstream.requests().remove(0);
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret-key"));
    assert_eq!(request.header("content-type"), None);
    assert!(request.path.ends_with("/models") && request.body.is_empty());
}

#[tokio::test]
async fn what_is_no_list_is_named() {
    let long = " ".repeat(5 << 20);
    for (reply, kind) in [
        (Reply::json(401, &json!({})), FailureKind::Status),
        (Reply::json(200, &json!({"models": []})), FailureKind::Protocol),
        (
            Reply::raw(format!("HTTP/1.1 200 OK\r\n\r\n{long}")),
            FailureKind::Limit(Limit::Event),
        ),
        (Reply::raw("").stall(), FailureKind::Deadline(Deadline::Total)),
    ] {
        let upstream = Upstream::start(reply);
        let within = match kind {
            FailureKind::Deadline(_) => Duration::from_millis(300),
            _ => LONG,
        };
        let failure = client()
            .models(&endpoint(&upstream.url()), within)
            .await
            .unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
    }
}
