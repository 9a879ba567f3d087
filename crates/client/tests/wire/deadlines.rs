//! Each deadline over a socket that is silent where it hurts. The exact rules are tested without time in the library.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use aurora_chat::{Deadline, Verdict};
use aurora_client::Deadlines;
use aurora_testkit::{Reply, Upstream, fixtures};

use crate::{LONG, Told, call, closed, endpoint};

const SHORT: Duration = Duration::from_millis(300);

/// A call to a silent upstream: it must end by this deadline, in time, and close its connection.
async fn ends_by(deadline: Deadline, reply: Reply, set: impl FnOnce(&mut Deadlines)) -> Told {
    let upstream = Upstream::start(reply);
    let mut endpoint = endpoint(&upstream.url());
    set(&mut endpoint.deadlines);
    let begun = Instant::now();
    let told = call(&endpoint).await;
    assert_eq!(told.verdict(), Verdict::TimedOut(deadline));
    assert!(
        (SHORT..LONG / 2).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    closed(&upstream).await;
    assert_eq!(upstream.requests().len(), 1, "a deadline is not tried again");
    told
}

#[tokio::test]
async fn headers() {
    let told = ends_by(Deadline::Headers, Reply::raw("").stall(), |d| {
        d.headers = Some(SHORT)
    })
    .await;
    assert!(told.failure().message.contains("no response headers within"));
}

#[tokio::test]
async fn first_event_covers_the_headers() {
    let silent = Reply::raw("").stall();
    let told = ends_by(Deadline::FirstEvent, silent, |d| d.first_event = Some(SHORT)).await;
    assert!(told.failure().message.contains("no first event within"));
}

#[tokio::test]
async fn first_event_is_not_put_off_by_comments() {
    let comments = Reply::sse([""]).drip(": x\n".repeat(100), 4, SHORT / 10).stall();
    ends_by(Deadline::FirstEvent, comments, |d| d.first_event = Some(SHORT)).await;
}

#[tokio::test]
async fn idle_keeps_the_partial_answer() {
    let told = ends_by(Deadline::Idle, Reply::sse([fixtures::text("Hel")]).stall(), |d| {
        d.idle = Some(SHORT)
    })
    .await;
    assert_eq!(told.text(), "Hel");
    assert!(
        told.failure()
            .message
            .contains("not a byte from the server within")
    );
}

#[tokio::test]
async fn idle_is_put_off_by_comments() {
    let pause = Duration::from_millis(400);
    let slow = Reply::sse([fixtures::text("x")])
        .drip(": x\n".repeat(5), 4, pause)
        .piece(fixtures::DONE);
    let upstream = Upstream::start(slow);
    let mut endpoint = endpoint(&upstream.url());
    endpoint.deadlines.idle = Some(pause * 4);
    assert_eq!(call(&endpoint).await.verdict(), Verdict::Complete);
}

#[tokio::test]
async fn total_ends_a_stream_that_never_pauses() {
    let endless = Reply::sse([""]).drip(
        fixtures::text("x").repeat(1000),
        fixtures::text("x").len(),
        SHORT / 10,
    );
    let told = ends_by(Deadline::Total, endless, |d| d.total = Some(SHORT)).await;
    assert!(!told.text().is_empty());
    assert!(told.failure().message.contains("no end of the call within"));
}

#[tokio::test]
async fn total_ends_a_wait_between_attempts() {
    let upstream = Upstream::start(Reply::status(503).header("retry-after", "50"));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.deadlines.total = Some(SHORT);
    let told = call(&endpoint).await;
    assert_eq!(told.verdict(), Verdict::TimedOut(Deadline::Total));
    assert!(told.failure().message.contains("503"));
}

#[tokio::test]
async fn connect() {
    // TLS to a server that accepts and says nothing: the connection never stands.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endpoint = endpoint(&format!("https://{}/v1", listener.local_addr().unwrap()));
    endpoint.deadlines.connect = Some(SHORT);
    let told = call(&endpoint).await;
    assert_eq!(told.verdict(), Verdict::TimedOut(Deadline::Connect));
    assert!(told.failure().message.contains("no connection within"));
    assert_eq!(told.notices().len(), 0);
}

#[tokio::test]
async fn none_at_all_is_allowed() {
    let upstream = Upstream::start(
        Reply::sse([""])
            .wait(SHORT)
            .piece(fixtures::sse_answer(&["x"]).concat()),
    );
    let mut endpoint = endpoint(&upstream.url());
    endpoint.deadlines = Deadlines {
        connect: None,
        headers: None,
        first_event: None,
        idle: None,
        total: None,
    };
    assert_eq!(call(&endpoint).await.verdict(), Verdict::Complete);
}
