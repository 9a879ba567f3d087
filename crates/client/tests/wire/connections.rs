//! Connections: closed at once where an answer is dropped, used again where it is whole, many at a time, and no faster
//! than the consumer.

use std::time::Duration;

use aurora_chat::{Delta, Update, Verdict};
use aurora_testkit::{Reply, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{LONG, client, endpoint, request};

/// A drop is a matter of milliseconds; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn nothing_is_sent_before_the_first_poll() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["x"])));
    let answer = client().start(&endpoint(&upstream.url()), request());
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(answer);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn dropping_an_answer_closes_its_connection() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("x")]).stall());
    let mut answer = client().start(&endpoint(&upstream.url()), request());
    while !matches!(answer.next().await, Some(Update::Delta(_))) {}
    drop(answer);
    tokio::time::timeout(SOON, upstream.left(0))
        .await
        .expect("the upstream sees it");
}

#[tokio::test]
async fn dropping_an_answer_before_its_head_closes_the_connection_too() {
    let upstream = Upstream::start(Reply::raw("").stall());
    let mut answer = client().start(&endpoint(&upstream.url()), request());
    let nothing = tokio::time::timeout(Duration::from_millis(200), answer.next()).await;
    assert!(nothing.is_err());
    assert_eq!(upstream.requests().len(), 1);
    drop(answer);
    tokio::time::timeout(SOON, upstream.left(0))
        .await
        .expect("the upstream sees it");
}

#[tokio::test]
async fn a_whole_answer_leaves_its_connection_to_the_next_call() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["x"])));
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for _ in 0..3 {
        let mut answer = client.start(&endpoint, request());
        while answer.next().await.is_some() {}
    }
    assert_eq!(upstream.requests().len(), 3);
    assert!(!upstream.left_within(0, Duration::ZERO));
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_at_once() {
    let texts: Vec<String> = (0..20).map(|n| format!("{n} ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let events = fixtures::sse_answer(&texts);
    let half = events.len() / 2;
    let reply = Reply::sse(&events[..half]).wait(Duration::from_millis(500));
    let reply = events[half..]
        .iter()
        .fold(reply, |reply, event| reply.piece(event));
    let upstream = Upstream::start(reply);
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let calls = (0..200).map(|_| {
        let mut answer = client.start(&endpoint, request());
        tokio::spawn(async move {
            let mut text = String::new();
            loop {
                match answer.next().await {
                    Some(Update::Delta(Delta::Text(more))) => text += &more,
                    Some(Update::End(end)) => return (text, end.verdict),
                    Some(_) => {}
                    None => panic!("no end"),
                }
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let told = tokio::time::timeout(LONG, call)
            .await
            .expect("in time")
            .expect("no panic");
        assert_eq!(told, (texts.concat(), Verdict::Complete));
    }
}

#[tokio::test]
async fn a_consumer_that_waits_makes_the_server_wait() {
    const PIECES: usize = 1000;
    let piece = fixtures::text(&"x".repeat(64 << 10));
    let upstream = Upstream::start(Reply::sse(vec![piece.clone(); PIECES]));
    let mut answer = client().start(&endpoint(&upstream.url()), request());
    while !matches!(answer.next().await, Some(Update::Delta(_))) {}
    tokio::time::sleep(Duration::from_millis(300)).await;
    // What the server got rid of lies in the kernel's buffers: a few MiB, not all there is.
    let taken = upstream.bytes_written();
    assert!(
        taken < PIECES * piece.len() / 2,
        "{taken} bytes were taken although nobody reads"
    );
    let rest = answer
        .filter(|update| std::future::ready(matches!(update, Update::Delta(_))))
        .count();
    assert_eq!(
        tokio::time::timeout(LONG, rest).await.expect("in time"),
        PIECES - 1
    );
}
