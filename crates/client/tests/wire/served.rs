//! A recording served again by the scripted upstream gives the same updates: nothing that matters is lost in it.

use std::time::Duration;

use aurora_chat::{End, Notice, Update};
use aurora_client::{Answer, Endpoint};
use aurora_testkit::{FaultProxy, Faults, Reply, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{client, endpoint, recordings::Sink, request};

/// The updates, without what the call drew by lot.
async fn all(answer: Answer) -> Vec<Update> {
    let updates = answer.map(|mut update| {
        if let Update::Notice(Notice::Retry { wait, .. }) = &mut update {
            *wait = Duration::ZERO;
        }
        update
    });
    updates.collect().await
}

/// Records a call, serves the recording, and calls again.
async fn again(endpoint: &mut Endpoint, speed: f64) -> (Vec<Update>, Vec<Update>) {
    let sink = Sink::default();
    let told = all(client().start_recorded(endpoint, request(), Box::new(sink.clone()))).await;
    let recording = String::from_utf8(sink.bytes()).expect("JSON lines");
    let upstream = Upstream::start(Script::recording(&recording, speed));
    let served = Endpoint::new("up", &upstream.url()).expect("a URL");
    endpoint.base_url = served.base_url;
    let told_again = all(client().start(endpoint, request())).await;
    (told, told_again)
}

#[tokio::test]
async fn every_ending_is_the_same_when_it_is_served_again() {
    let answer = fixtures::sse_answer(&["Grü", "ße"]).concat();
    let scripts: Vec<Script> = vec![
        Reply::sse(answer.as_bytes().chunks(5)).into(),
        Reply::sse([&answer[..answer.len() / 2]]).cut().into(),
        Reply::sse([fixtures::text("x")]).into(),
        Reply::sse([fixtures::text("x")]).stall().into(),
        Reply::raw("").stall().into(),
        Reply::json(400, &fixtures::error_body(400, "bad")).into(),
        Reply::status(307).header("location", "/elsewhere").into(),
        Script::sequence([
            Reply::raw(""),
            Reply::status(503).header("retry-after-ms", "20"),
            Reply::sse([fixtures::text("a"), fixtures::error(500, "boom")]),
        ]),
        Reply::status(429).header("retry-after", "500").into(),
    ];
    for script in scripts {
        let upstream = Upstream::start(script);
        let mut endpoint = endpoint(&upstream.url());
        endpoint.deadlines.idle = Some(Duration::from_millis(400));
        endpoint.deadlines.headers = Some(Duration::from_millis(800));
        let (told, told_again) = again(&mut endpoint, 4.0).await;
        assert_eq!(told_again, told);
    }
}

#[tokio::test]
async fn faults_of_the_wire_are_served_again_where_they_were() {
    let body = fixtures::sse_answer(&["one ", "two ", "three ", "four"]);
    let upstream = Upstream::start(Reply::sse(body));
    for bytes in [150, 300, 500, 700] {
        let faults = Faults::new().slice(11).cut_after(bytes);
        let proxy = FaultProxy::start(upstream.addr(), faults);
        let mut endpoint = endpoint(&proxy.url());
        endpoint.retries = 0;
        let (told, told_again) = again(&mut endpoint, 10.0).await;
        assert_eq!(unworded(told_again), unworded(told), "cut after {bytes} bytes");
    }
}

/// The updates without the words of the failure: whether a chunk or its frame was cut is not in a recording.
fn unworded(mut updates: Vec<Update>) -> Vec<Update> {
    for update in &mut updates {
        if let Update::End(End {
            failure: Some(failure),
            ..
        }) = update
        {
            failure.message.clear();
        }
    }
    updates
}
