//! What an answer tells of its call besides the updates, and how it is cancelled.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use aurora_chat::{Deadline, Update, Verdict};
use aurora_client::{Prospect, Recording, Throttle};
use aurora_testkit::{Reply, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{LONG, Told, client, endpoint, recordings::Sink, request};

/// Waits for what is noticed only while the answer is polled.
async fn poll_a_while(answer: &mut aurora_client::Answer) {
    let nothing = tokio::time::timeout(Duration::from_millis(50), answer.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn the_prospect_is_the_deadline_or_the_attempt_that_is_next() {
    let upstream = Upstream::start(Script::sequence([
        Reply::status(503).header("retry-after", "50"),
        Reply::sse([fixtures::text("x")]).stall(),
    ]));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.deadlines.idle = Some(LONG);
    let mut answer = client().start(&endpoint, request());
    assert_eq!((answer.prospect(), answer.elapsed()), (None, Duration::ZERO));
    while !matches!(answer.next().await, Some(Update::Notice(_))) {}
    let Some(Prospect::Retry(left)) = answer.prospect() else {
        panic!("{:?}", answer.prospect())
    };
    assert!(left > LONG && left <= Duration::from_secs(50), "{left:?}");
    endpoint.deadlines.total = Some(LONG);
    let mut answer = client().start(&endpoint, request());
    while !matches!(answer.next().await, Some(Update::Delta(_))) {}
    let elapsed = answer.elapsed();
    poll_a_while(&mut answer).await;
    assert_eq!(answer.elapsed(), elapsed, "nothing has happened since");
    // The call began before its last byte came, so its own deadline passes first.
    let Some(Prospect::GiveUp(Deadline::Total, left)) = answer.prospect() else {
        panic!("{:?}", answer.prospect())
    };
    assert!(left <= LONG - Duration::from_millis(50), "{left:?}");
}

#[tokio::test]
async fn while_a_connection_is_made_its_own_deadline_is_next() {
    // TLS to a server that accepts and says nothing: the connection never stands.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let mut tls = endpoint(&format!("https://{address}/v1"));
    let upstream = Upstream::start(Reply::raw("").stall());
    let mut plain = endpoint(&upstream.url());
    for (endpoint, deadline) in [(&mut tls, Deadline::Connect), (&mut plain, Deadline::Headers)] {
        endpoint.deadlines.connect = Some(LONG / 2);
        endpoint.deadlines.headers = Some(LONG);
        let mut answer = client().start(endpoint, request());
        let begun = Instant::now();
        while !matches!(answer.prospect(), Some(Prospect::GiveUp(next, left)) if next == deadline && left < LONG)
        {
            poll_a_while(&mut answer).await;
            assert!(begun.elapsed() < LONG / 3, "{:?}", answer.prospect());
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_gives_what_had_come_and_its_recording_says_the_same() {
    let body = ["a", "b", "c"].map(fixtures::text).concat();
    let upstream = Upstream::start(Reply::sse([body]).stall());
    let sink = Sink::default();
    let answer = client().start_recorded(&endpoint(&upstream.url()), request(), Box::new(sink.clone()));
    let mut answer = Throttle::new(answer, Duration::ZERO);
    let mut told = Told { updates: Vec::new() };
    while told.text().is_empty() {
        told.updates.extend(answer.next().await);
    }
    answer.source_mut().cancel();
    let closed = tokio::time::timeout(LONG, upstream.left(0)).await;
    assert!(closed.is_ok(), "the connection is closed before the rest is read");
    while let Some(update) = answer.next().await {
        told.updates.push(update);
    }
    assert_eq!(
        (told.text().as_str(), told.verdict()),
        ("abc", Verdict::Cancelled)
    );
    let elapsed = answer.source().elapsed();
    answer.source_mut().cancel();
    assert_eq!(answer.next().await, None, "there is one end");

    let mut again = Recording::parse(&sink.bytes())
        .expect("a recording")
        .play(f64::INFINITY);
    let played: Vec<Update> = again.by_ref().collect().await;
    assert_eq!(played, told.updates);
    assert_eq!(again.elapsed(), elapsed);
    assert_eq!(again.prospect(), None);
}

#[tokio::test]
async fn cancelling_needs_no_poll_before_and_changes_no_end_that_was_reached() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("x"), fixtures::DONE.to_owned()]));
    let mut answer = client().start(&endpoint(&upstream.url()), request());
    answer.cancel();
    let told = Told {
        updates: answer.collect().await,
    };
    assert_eq!(
        (told.verdict(), upstream.requests().len()),
        (Verdict::Cancelled, 0)
    );

    let mut recorded = client().start(&endpoint(&upstream.url()), request());
    let mut updates = Vec::new();
    while let Some(update) = recorded.next().await {
        updates.push(update);
    }
    recorded.cancel();
    assert_eq!(recorded.next().await, None);
    assert_eq!(Told { updates }.verdict(), Verdict::Complete);
}
