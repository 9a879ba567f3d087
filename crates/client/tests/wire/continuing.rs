//! A lost answer that is continued by another request, over a socket.

use aurora_chat::{Notice, Update, Verdict};
use aurora_client::{OnDrop, Recording};
use aurora_testkit::{Reply, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{Told, call, client, endpoint, recordings::Sink, request};

#[tokio::test]
async fn the_rest_is_asked_for_with_the_partial_answer_as_its_beginning() {
    let lost = || Reply::sse([fixtures::role(), fixtures::text("The quick br")]).cut();
    let rest = Reply::sse(fixtures::sse_answer(&["ick brown", " fox"]));
    let upstream = Upstream::start(Script::sequence([lost(), Reply::status(503), rest, lost()]));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.on_drop = OnDrop::Continue;
    let sink = Sink::default();
    let answer = client().start_recorded(&endpoint, request(), Box::new(sink.clone()));
    let told = Told {
        updates: answer.collect().await,
    };
    assert_eq!(
        (told.text().as_str(), told.verdict()),
        ("The quick brown fox", Verdict::Complete)
    );
    assert!(
        matches!(
            told.notices()[..],
            [Notice::Warning {
                kind: "continued",
                ..
            }]
        ),
        "{told:?}"
    );

    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    let (first, rest) = (requests[0].json(), requests[2].json());
    assert_eq!(requests[2].path, requests[0].path);
    assert_eq!(
        requests[1].json(),
        rest,
        "a request that was refused is sent again as it was"
    );
    assert_eq!(
        rest["messages"][1],
        serde_json::json!({"role": "assistant", "content": "The quick br"})
    );
    assert_eq!(rest["messages"][0], first["messages"][0]);
    assert_eq!(
        (&rest["continue_final_message"], &rest["add_generation_prompt"]),
        (&true.into(), &false.into())
    );
    assert_eq!(first.get("continue_final_message"), None);

    let played: Vec<Update> = Recording::parse(&sink.bytes())
        .expect("a recording")
        .play(f64::INFINITY)
        .collect()
        .await;
    assert_eq!(played, told.updates);
}

#[tokio::test]
async fn without_being_asked_for_nothing_is_continued() {
    let lost = Reply::sse([fixtures::text("The quick br")]).cut();
    let upstream = Upstream::start(lost);
    let told = call(&endpoint(&upstream.url())).await;
    assert_eq!(
        (told.text().as_str(), told.verdict()),
        ("The quick br", Verdict::Interrupted)
    );
    assert_eq!(upstream.requests().len(), 1);
}
