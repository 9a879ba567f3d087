//! The key goes to the server and nowhere else.

use aurora_chat::{Fault, Update, Verdict};
use aurora_client::Secret;
use aurora_testkit::{Reply, Upstream, fixtures};

use crate::{call, endpoint, play};

const KEY: &str = "hunter2-hunter2-hunter2";

#[tokio::test]
async fn the_key_is_sent_and_never_shown() {
    let message = format!("the key {KEY} is wrong, and so is Bearer {KEY}");
    for reply in [
        Reply::json(401, &fixtures::error_body(401, &message)),
        Reply::sse([fixtures::error(401, &message)]),
        Reply::status(307).header("location", &format!("/{KEY}")),
        Reply::sse([format!("data: {KEY}\n\n{}", fixtures::DONE)]),
        Reply::sse(fixtures::sse_answer(&["an answer"])).header("x-stream-id", KEY),
        Reply::sse(fixtures::sse_answer(&[KEY])),
        Reply::json(
            200,
            &serde_json::json!({"choices": [{"message": {"content": KEY}}]}),
        ),
    ] {
        let upstream = Upstream::start(reply);
        let mut endpoint = endpoint(&upstream.url());
        endpoint.api_key = Some(Secret::new(KEY));
        let told = call(&endpoint).await;
        let authorization = upstream.requests()[0].header("authorization").map(str::to_owned);
        assert_eq!(authorization, Some(format!("Bearer {KEY}")));
        assert!(!format!("{told:?} {endpoint:?}").contains("hunter2"), "{told:?}");
    }
}

#[tokio::test]
async fn a_placeholder_is_a_word_like_any_other() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["Ask ", "ollama"])));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.api_key = Some(Secret::new("ollama"));
    assert_eq!(call(&endpoint).await.text(), "Ask ollama");
}

#[tokio::test]
async fn a_stream_id_that_is_none_is_not_told() {
    for (header, told) in [("abc-0_9", Some("abc-0_9")), ("a b", None), ("", None)] {
        let reply = Reply::sse(fixtures::sse_answer(&["x"])).header("x-stream-id", header);
        let updates = play(reply).await.updates;
        assert!(
            matches!(&updates[0], Update::Start(start) if start.stream.as_deref() == told),
            "{updates:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_the_callers_fault() {
    let mut endpoint = endpoint("http://127.0.0.1:1/v1");
    endpoint.api_key = Some(Secret::new("hunter2\nhunter2"));
    let told = call(&endpoint).await;
    assert_eq!(told.verdict(), Verdict::Failed(Fault::Caller));
    assert!(!told.failure().message.contains("hunter2"));
}
