//! Answers as streams of an HTTP/2 connection: their endings are their own, and the connection outlives them.

use std::sync::Arc;

use aurora_chat::{Delta, FailureKind, Update, Verdict};
use aurora_client::{Answer, Client};
use aurora_testkit::fixtures;
use h2::Reason;
use tokio::sync::{Notify, mpsc};

use crate::{
    Told,
    authority::{Authority, trusting},
    call,
    server::Server,
    start,
};

/// The protocol's name in TLS.
const H2: &str = "h2";

fn client() -> Client {
    Client::new().expect("a client")
}

fn whole() -> String {
    fixtures::sse_answer(&["whole"]).concat()
}

#[test]
fn text_comes_as_it_is_sent_through_an_authority_of_ones_own() {
    trusting(
        "streams::text_comes_as_it_is_sent_through_an_authority_of_ones_own",
        async |authority: Authority| {
            let seen = Arc::new(Notify::new());
            let shared = Arc::clone(&seen);
            let server = Server::start(authority.certify(H2, |_| {}), move |mut exchange| {
                let seen = Arc::clone(&shared);
                async move {
                    let mut body = exchange.accept();
                    for piece in ["one ", "two ", "three"] {
                        body.send(fixtures::text(piece));
                        // Nothing more is sent before the client has told its consumer.
                        seen.notified().await;
                    }
                    body.send(fixtures::finish("stop"));
                    body.finish();
                }
            })
            .await;
            let mut answer = start(&client(), &server.endpoint());
            let mut text = String::new();
            let end = loop {
                match answer.next().await.expect("an end") {
                    Update::Delta(Delta::Text(more)) => {
                        text += &more;
                        seen.notify_one();
                    }
                    Update::End(end) => break end,
                    _ => {}
                }
            };
            assert_eq!((text.as_str(), end.verdict), ("one two three", Verdict::Complete));
        },
    );
}

/// What an answer says after its first text, of which `seen` is told.
async fn after_the_first_text(mut answer: Answer, seen: &Notify) -> Told {
    while !matches!(
        answer.next().await.expect("an end"),
        Update::Delta(Delta::Text(_))
    ) {}
    seen.notify_one();
    Told::all(answer).await
}

#[test]
fn a_reset_in_mid_stream_is_an_interruption_reqwest_1689() {
    trusting(
        "streams::a_reset_in_mid_stream_is_an_interruption_reqwest_1689",
        async |authority: Authority| {
            for (reason, verdict) in [
                (Reason::INTERNAL_ERROR, Verdict::Interrupted),
                (Reason::CANCEL, Verdict::Interrupted),
                // A server that wants to hear no more, not one that broke: its bytes just end.
                (Reason::NO_ERROR, Verdict::Truncated),
            ] {
                let seen = Arc::new(Notify::new());
                let shared = Arc::clone(&seen);
                let server = Server::start(authority.certify(H2, |_| {}), move |mut exchange| {
                    let seen = Arc::clone(&shared);
                    async move {
                        let mut body = exchange.accept();
                        body.send(fixtures::text("half "));
                        seen.notified().await;
                        body.reset(reason);
                    }
                })
                .await;
                let told = after_the_first_text(start(&client(), &server.endpoint()), &seen).await;
                assert_eq!(
                    (told.end().verdict, told.retries()),
                    (verdict, 0),
                    "{reason:?}: {told:?}"
                );
                assert_eq!(server.connections(), 1);
            }
        },
    );
}

#[test]
fn a_request_that_is_refused_before_its_head_is_tried_again() {
    trusting(
        "streams::a_request_that_is_refused_before_its_head_is_tried_again",
        async |authority: Authority| {
            let server = Server::start(authority.certify(H2, |_| {}), |mut exchange| async move {
                if exchange.number == 0 {
                    return exchange.reset(Reason::REFUSED_STREAM);
                }
                let mut body = exchange.accept();
                body.send(whole());
                body.finish();
            })
            .await;
            let told = call(&client(), &server.endpoint()).await;
            assert_eq!((told.end().verdict, told.retries()), (Verdict::Complete, 1));
        },
    );
}

#[test]
fn a_goodbye_lets_streams_finish_and_the_next_call_connects_anew() {
    trusting(
        "streams::a_goodbye_lets_streams_finish_and_the_next_call_connects_anew",
        async |authority: Authority| {
            let server = Server::start(authority.certify(H2, |_| {}), |mut exchange| async move {
                let mut body = exchange.accept();
                body.send(fixtures::role());
                exchange.say_goodbye(None).await;
                body.send(whole());
                body.finish();
            })
            .await;
            let client = client();
            for n in 1..=2 {
                let told = call(&client, &server.endpoint()).await;
                assert_eq!(
                    (told.end().verdict, told.retries()),
                    (Verdict::Complete, 0),
                    "{told:?}"
                );
                assert_eq!(server.connections(), n);
            }
        },
    );
}

#[test]
fn an_abrupt_goodbye_is_an_interruption() {
    trusting(
        "streams::an_abrupt_goodbye_is_an_interruption",
        async |authority: Authority| {
            let seen = Arc::new(Notify::new());
            let shared = Arc::clone(&seen);
            let server = Server::start(authority.certify(H2, |_| {}), move |mut exchange| {
                let seen = Arc::clone(&shared);
                async move {
                    let mut body = exchange.accept();
                    body.send(fixtures::text("half "));
                    seen.notified().await;
                    exchange.say_goodbye(Some(Reason::ENHANCE_YOUR_CALM)).await;
                    std::future::pending().await
                }
            })
            .await;
            let told = after_the_first_text(start(&client(), &server.endpoint()), &seen).await;
            let kind = told.end().failure.as_ref().map(|failure| failure.kind);
            assert_eq!(
                (told.end().verdict, kind),
                (Verdict::Interrupted, Some(FailureKind::ConnectionLost))
            );
        },
    );
}

#[test]
fn a_dropped_answer_resets_its_stream_and_leaves_the_connection_to_others() {
    trusting(
        "streams::a_dropped_answer_resets_its_stream_and_leaves_the_connection_to_others",
        async |authority: Authority| {
            let (resets, mut reset) = mpsc::channel(1);
            let server = Server::start(authority.certify(H2, |_| {}), move |mut exchange| {
                let resets = resets.clone();
                async move {
                    let mut body = exchange.accept();
                    if exchange.number == 0 {
                        body.send(fixtures::text("half "));
                        let reason = body.reset_by_client().await;
                        resets.send(reason).await.expect("the test waits");
                    } else {
                        body.send(whole());
                        body.finish();
                    }
                }
            })
            .await;
            let (client, endpoint) = (client(), server.endpoint());
            let mut answer = start(&client, &endpoint);
            while !matches!(answer.next().await, Some(Update::Delta(_))) {}
            let other = call(&client, &endpoint).await;
            assert_eq!(other.end().verdict, Verdict::Complete, "beside the first");
            drop(answer);
            assert_eq!(reset.recv().await, Some(Reason::CANCEL));
            assert_eq!(call(&client, &endpoint).await.end().verdict, Verdict::Complete);
            assert_eq!(server.connections(), 1);
        },
    );
}

#[test]
fn fifty_streams_share_a_connection() {
    trusting(
        "streams::fifty_streams_share_a_connection",
        async |authority: Authority| {
            const CALLS: usize = 50;
            let all_there = Arc::new(tokio::sync::Barrier::new(CALLS));
            let server = Server::start(authority.certify(H2, |_| {}), move |mut exchange| {
                let all_there = Arc::clone(&all_there);
                async move {
                    if exchange.number > 0 {
                        // All of them at once, whatever the order.
                        all_there.wait().await;
                    }
                    let mut body = exchange.accept();
                    body.send(whole());
                    body.finish();
                }
            })
            .await;
            let (client, endpoint) = (client(), server.endpoint());
            // The first makes the connection.
            call(&client, &endpoint).await;
            let calls = (0..CALLS).map(|_| Told::all(start(&client, &endpoint)));
            for told in futures_util::future::join_all(calls).await {
                assert_eq!(
                    (told.text().as_str(), told.end().verdict),
                    ("whole", Verdict::Complete)
                );
            }
            assert_eq!(server.connections(), 1);
        },
    );
}
