//! Lost connections to a server that keeps streams, over sockets that are cut, reset and silent.

use std::time::Duration;

use aurora_chat::{Deadline, FailureKind, Notice, Update, Verdict};
use aurora_client::{Passage, Recording, Secret};
use aurora_testkit::{FaultProxy, Faults, Reply, Request, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{LONG, Told, call, client, endpoint, recordings::Sink, request};

const STREAM: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const TEXTS: [&str; 10] = ["Grü", "ße ", "日本", "a", "a", "a", "\n", "b", "c", "."];

fn events() -> Vec<String> {
    fixtures::with_cursors(STREAM, &fixtures::sse_answer(&TEXTS))
}

/// The first events, and a cut.
pub(crate) fn cut() -> Reply {
    Reply::sse(&events()[..4]).header("x-stream-id", STREAM).cut()
}

/// The events from this place on, in one response.
pub(crate) fn from(seq: usize) -> Reply {
    Reply::sse(&events()[seq..]).header("x-stream-id", STREAM)
}

/// How many events a request says that it has.
pub(crate) fn seen(request: &Request) -> usize {
    let cursor = request.header("last-event-id").map(|id| {
        let seq = id.strip_prefix(STREAM).and_then(|rest| rest.strip_prefix('.'));
        seq.and_then(|seq| seq.parse::<usize>().ok())
            .expect("a cursor of the stream")
    });
    cursor.map_or(0, |seq| seq + 1)
}

/// A server that keeps the stream.
fn keeping() -> Script {
    Script::with(|_, request| from(seen(request)))
}

/// How often a connection was picked up.
fn resumes(told: &Told) -> usize {
    let resumes = told.notices().into_iter();
    resumes
        .filter(|notice| matches!(notice, Notice::Resume { .. }))
        .count()
}

#[tokio::test]
async fn an_answer_arrives_whole_and_once_however_often_it_is_cut() {
    // A head is about 120 bytes and an event 200: one or two of them a connection.
    for faults in [
        Faults::new().cut_after(600),
        Faults::new().slice(7).reset_after(500),
    ] {
        let upstream = Upstream::start(keeping());
        let proxy = FaultProxy::start(upstream.addr(), faults);
        let told = call(&endpoint(&proxy.url())).await;
        assert_eq!((told.text(), told.verdict()), (TEXTS.concat(), Verdict::Complete));
        let requests = upstream.requests();
        assert!(requests.len() > 3, "{}", requests.len());
        assert_eq!(resumes(&told), requests.len() - 1);
        let places: Vec<usize> = requests.iter().map(seen).collect();
        assert!(places.is_sorted() && places[1] > 0, "{places:?}");
    }
}

#[tokio::test]
async fn the_rest_is_asked_for_with_the_same_key_and_headers() {
    let script = Script::with(|n, request| match n {
        0 => Reply::sse(&events()[..3]).header("x-stream-id", STREAM).cut(),
        _ => from(seen(request)),
    });
    let upstream = Upstream::start(script);
    let mut endpoint = endpoint(&upstream.url());
    endpoint.api_key = Some(Secret::new("hunter2-hunter2"));
    endpoint.header("x-custom", "kept").unwrap();
    assert_eq!(call(&endpoint).await.verdict(), Verdict::Complete);
    let [first, second] = &upstream.requests()[..] else {
        panic!("two requests")
    };
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    let path = format!("/v1/streams/{STREAM}");
    assert_eq!(
        (second.method.as_str(), second.path.as_str()),
        ("GET", path.as_str())
    );
    assert_eq!(
        second.header("last-event-id"),
        Some(format!("{STREAM}.2").as_str())
    );
    assert!(second.body.is_empty());
    assert_eq!(second.header("content-type"), None);
    for name in [
        "authorization",
        "x-custom",
        "accept",
        "accept-encoding",
        "user-agent",
    ] {
        assert!(first.header(name).is_some(), "{name}");
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_picked_up_and_one_that_stays_silent_is_not() {
    let silent = |seq: usize| {
        Reply::sse(&events()[seq..seq + 3])
            .header("x-stream-id", STREAM)
            .stall()
    };
    let short = Duration::from_millis(300);
    let upstream = Upstream::start(Script::with(move |n, request| match n {
        0 | 1 => silent(seen(request)),
        _ => from(seen(request)),
    }));
    let mut patient = endpoint(&upstream.url());
    patient.deadlines.idle = Some(short);
    let told = call(&patient).await;
    assert_eq!(
        (told.text(), told.verdict(), resumes(&told)),
        (TEXTS.concat(), Verdict::Complete, 2)
    );

    let upstream = Upstream::start(Script::with(move |n, _| match n {
        0 => silent(0),
        _ => Reply::sse([": nothing new\n"]).stall(),
    }));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.deadlines.idle = Some(short);
    let told = call(&endpoint).await;
    assert_eq!(
        (told.text(), told.verdict()),
        (TEXTS[..2].concat(), Verdict::TimedOut(Deadline::Idle))
    );
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_forgot_the_stream_interrupts_it_and_a_busy_one_does_not() {
    for status in [400, 401, 403, 404, 410] {
        let gone = Reply::json(status, &fixtures::error_body(status, "we forgot it"));
        let upstream = Upstream::start(Script::sequence([cut(), gone]));
        let told = call(&endpoint(&upstream.url())).await;
        assert_eq!(
            (told.text(), told.verdict()),
            (TEXTS[..3].concat(), Verdict::Interrupted),
            "{status}"
        );
        assert_eq!(told.kind(), FailureKind::ConnectionLost);
        assert!(
            told.failure().message.contains("we forgot it"),
            "{}",
            told.failure()
        );
        assert_eq!(upstream.requests().len(), 2);
    }
    let busy = Reply::status(503).header("retry-after-ms", "0");
    let rest = [busy.clone(), Reply::raw(""), busy];
    let mut replies = vec![cut()];
    replies.extend(rest);
    replies.push(from(4));
    let upstream = Upstream::start(Script::sequence(replies));
    let told = call(&endpoint(&upstream.url())).await;
    assert_eq!(
        (told.text(), told.verdict(), resumes(&told)),
        (TEXTS.concat(), Verdict::Complete, 1)
    );
}

#[tokio::test]
async fn what_is_recorded_of_it_plays_again_and_events_are_each_told_once() {
    let upstream = Upstream::start(keeping());
    let proxy = FaultProxy::start(upstream.addr(), Faults::new().cut_after(700));
    let sink = Sink::default();
    let answer = client().start_recorded(&endpoint(&proxy.url()), request(), Box::new(sink.clone()));
    let updates: Vec<Update> = tokio::time::timeout(LONG, answer.collect())
        .await
        .expect("in time");
    let told = Told { updates };
    assert_eq!(told.text(), TEXTS.concat());
    assert!(resumes(&told) > 1);
    let recording = Recording::parse(&sink.bytes()).expect("a recording");
    let played: Vec<Update> = recording.play(f64::INFINITY).collect().await;
    assert_eq!(played, told.updates);

    let verbatim = client().start_verbatim(&endpoint(&proxy.url()), request());
    let passages: Vec<Passage> = tokio::time::timeout(LONG, verbatim.collect())
        .await
        .expect("in time");
    let said = passages.iter().filter_map(|passage| match passage {
        Passage::Event(data) => Some(format!("data: {data}\n\n")),
        Passage::Update(_) => None,
    });
    let said: Vec<String> = said.collect();
    let sent = fixtures::sse_answer(&TEXTS);
    // After the finish reason the answer is whole, and a cut costs no more than the counts after it.
    assert!(
        said.len() >= sent.len() - 2 && sent.starts_with(&said),
        "{said:?}"
    );
}
