//! Calls that are held to a pace, over real sockets: in order, one after the other, and told when they wait.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use aurora_chat::{Deadline, Delta, Notice, Update, Verdict};
use aurora_client::{Answer, Client, Endpoint, Pace};
use aurora_testkit::{Reply, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{
    LONG, Told, client, endpoint,
    recordings::{Sink, parse},
    request,
    resuming::{cut, from, seen},
};

fn held(upstream: &Upstream, pace: Pace) -> Endpoint {
    let mut endpoint = endpoint(&upstream.url());
    endpoint.pace = pace;
    endpoint
}

fn at_once(calls: u32) -> Pace {
    Pace {
        max_concurrent: NonZeroU32::new(calls),
        ..Pace::default()
    }
}

fn a_minute(requests: u32) -> Pace {
    Pace {
        requests_per_minute: NonZeroU32::new(requests),
        ..Pace::default()
    }
}

fn good() -> Reply {
    Reply::sse(fixtures::sse_answer(&["x"]))
}

async fn all(answer: Answer) -> Told {
    let updates = tokio::time::timeout(LONG, answer.collect()).await;
    Told {
        updates: updates.expect("an end in time"),
    }
}

async fn call(client: &Client, endpoint: &Endpoint) -> Told {
    all(client.start(endpoint, request())).await
}

fn queued(told: &Told) -> usize {
    let queued = |notice: &&&Notice| matches!(notice, Notice::Warning { kind: "queued", .. });
    told.notices().iter().filter(queued).count()
}

/// Polls until the first delta.
async fn begun(mut answer: Answer) -> Answer {
    let first = async { while !matches!(answer.next().await, Some(Update::Delta(_))) {} };
    tokio::time::timeout(LONG, first).await.expect("a delta in time");
    answer
}

/// Waits until the upstream has got this many requests.
async fn requests(upstream: &Upstream, n: usize) {
    let come = async {
        while upstream.requests().len() < n {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, come).await.expect("the requests come");
}

#[tokio::test]
async fn no_more_at_once_than_allowed_and_a_dropped_answer_makes_room() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("x")]).stall());
    let (client, endpoint) = (client(), held(&upstream, at_once(2)));
    let first = begun(client.start(&endpoint, request())).await;
    let _second = begun(client.start(&endpoint, request())).await;
    let third = tokio::spawn(begun(client.clone().start(&endpoint, request())));
    let fourth = tokio::spawn(begun(client.start(&endpoint, request())));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(upstream.requests().len(), 2);
    third.abort();
    drop(first);
    requests(&upstream, 3).await;
    assert!(fourth.await.is_ok());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        upstream.requests().len(),
        3,
        "the third left the queue and never asked"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_goes_in_order_and_all_of_it_goes() {
    const CALLS: usize = 60;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&seen);
    let upstream = Upstream::start(Script::with(move |_, request| {
        let model = request.json()["model"].as_str().map(str::to_owned);
        shared.lock().unwrap().push(model.expect("a model"));
        good()
    }));
    let (client, endpoint) = (client(), held(&upstream, at_once(1)));
    let calls = (0..CALLS).map(|n| {
        let mut request = request();
        request.model = n.to_string();
        all(client.start(&endpoint, request))
    });
    // Polled in this order, which is the order of their tickets.
    let told = futures_util::future::join_all(calls).await;
    assert!(told.iter().all(|told| told.verdict() == Verdict::Complete));
    let order: Vec<String> = (0..CALLS).map(|n| n.to_string()).collect();
    assert_eq!(*seen.lock().unwrap(), order);
}

#[tokio::test]
async fn the_wait_is_told_once_counts_for_no_deadline_but_the_last_and_can_be_recorded() {
    let slow = Reply::sse([fixtures::text("slow")]).wait(Duration::from_millis(2500));
    let upstream = Upstream::start(Script::sequence([slow.piece(fixtures::DONE), good()]));
    let (client, mut endpoint) = (client(), held(&upstream, at_once(1)));
    endpoint.deadlines.headers = Some(Duration::from_secs(2));
    endpoint.deadlines.first_event = Some(Duration::from_secs(2));
    let first = begun(client.start(&endpoint, request())).await;
    let first = tokio::spawn(all(first));
    let sink = Sink::default();
    let told = all(client.start_recorded(&endpoint, request(), Box::new(sink.clone()))).await;
    assert_eq!(
        (told.verdict(), queued(&told)),
        (Verdict::Complete, 1),
        "{told:?}"
    );
    assert_eq!(first.await.unwrap().verdict(), Verdict::Complete);
    assert_eq!(all(parse(&sink).play(f64::INFINITY)).await.updates, told.updates);
}

#[tokio::test]
async fn the_whole_calls_deadline_holds_in_the_queue() {
    let upstream = Upstream::start(good());
    let (client, mut endpoint) = (client(), held(&upstream, a_minute(1)));
    assert_eq!(call(&client, &endpoint).await.verdict(), Verdict::Complete);
    endpoint.deadlines.total = Some(Duration::from_millis(1500));
    let told = call(&client, &endpoint).await;
    assert_eq!(
        (told.verdict(), queued(&told)),
        (Verdict::TimedOut(Deadline::Total), 1)
    );
    assert!(
        told.failure().message.contains("1 requests a minute"),
        "{}",
        told.failure()
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_retry_is_a_request() {
    let busy = Reply::status(503).header("retry-after-ms", "0");
    let upstream = Upstream::start(Script::sequence([busy, good()]));
    let mut endpoint = held(&upstream, a_minute(1));
    endpoint.deadlines.total = Some(Duration::from_millis(1500));
    let told = call(&client(), &endpoint).await;
    assert_eq!(
        (told.verdict(), queued(&told)),
        (Verdict::TimedOut(Deadline::Total), 1)
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_picked_up_keeps_its_place() {
    let upstream = Upstream::start(Script::with(|n, request| match n {
        0 => cut(),
        _ => from(seen(request)),
    }));
    let (client, endpoint) = (client(), held(&upstream, at_once(1)));
    // The second waits while the first is cut and has no connection.
    let (first, second) = tokio::join!(call(&client, &endpoint), call(&client, &endpoint));
    assert_eq!(
        (first.verdict(), second.verdict()),
        (Verdict::Complete, Verdict::Complete)
    );
    assert_eq!(first.text(), second.text());
    let requests = upstream.requests();
    let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "POST"]);
}

#[tokio::test]
async fn tokens_are_paid_as_the_server_counts_them() {
    let uncounted = Reply::sse([
        fixtures::text("x"),
        fixtures::finish("stop"),
        fixtures::DONE.into(),
    ]);
    let upstream = Upstream::start(Script::sequence([good(), uncounted, good()]));
    let tokens_per_minute = NonZeroU32::new(600);
    let mut endpoint = held(
        &upstream,
        Pace {
            tokens_per_minute,
            ..Pace::default()
        },
    );
    endpoint.deadlines.total = Some(Duration::from_millis(1500));
    let client = client();
    let told = |max_tokens| {
        let mut request = request();
        request.max_tokens = Some(max_tokens);
        all(client.start(&endpoint, request))
    };
    let first = told(500).await;
    assert!(
        first
            .deltas()
            .iter()
            .any(|delta| matches!(delta, Delta::Usage(_)))
    );
    let second = told(500).await;
    assert_eq!(
        second.verdict(),
        Verdict::Complete,
        "the first turned out to cost 8"
    );
    let third = told(500).await;
    assert_eq!(
        third.verdict(),
        Verdict::TimedOut(Deadline::Total),
        "the second was not counted"
    );
    assert_eq!(upstream.requests().len(), 2);
}
