//! A recording plays the same updates again, whatever happened in the call.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aurora_chat::{Deadline, Delta, FailureKind, Notice, Update, Verdict};
use aurora_client::{Answer, Recording, Secret, Throttle};
use aurora_testkit::{Reply, Script, Upstream, fixtures};
use futures_util::StreamExt as _;

use crate::{Told, client, endpoint, request};

/// What a recording is written to, and read from afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn all(answer: Answer) -> Told {
    Told {
        updates: answer.collect().await,
    }
}

pub(crate) fn parse(sink: &Sink) -> Recording {
    Recording::parse(&sink.bytes()).expect("a recording")
}

#[tokio::test]
async fn every_kind_of_call_plays_again_as_it_was() {
    let answer = fixtures::sse_answer(&["Grü", "ße"]).concat();
    let short = Duration::from_millis(200);
    let scripts: Vec<Script> = vec![
        Reply::sse(answer.as_bytes().chunks(5)).into(),
        Reply::sse([&answer[..answer.len() / 2]]).cut().into(),
        Reply::sse([fixtures::text("x")]).into(),
        Reply::sse([fixtures::text("x")]).stall().into(),
        Reply::raw("").stall().into(),
        Reply::json(400, &fixtures::error_body(400, "bad")).into(),
        Reply::status(307).header("location", "/elsewhere").into(),
        Reply::raw("nonsense").into(),
        Script::sequence([
            Reply::raw(""),
            Reply::status(503).header("retry-after-ms", "20"),
            Reply::sse([&answer]),
        ]),
        Reply::status(429).header("retry-after", "500").into(),
    ];
    for script in scripts {
        let upstream = Upstream::start(script);
        let mut endpoint = endpoint(&upstream.url());
        endpoint.deadlines.idle = Some(short);
        endpoint.deadlines.headers = Some(short * 3);
        let sink = Sink::default();
        let told = all(client().start_recorded(&endpoint, request(), Box::new(sink.clone()))).await;
        let recording = parse(&sink);
        assert_eq!((recording.endpoint(), recording.model()), ("up", "m"));
        assert_eq!(recording.request()["messages"][0]["content"], "Hello?");
        assert_eq!(all(recording.play(f64::INFINITY)).await.updates, told.updates);
    }
}

#[tokio::test]
async fn the_speed_is_the_recordings_or_a_multiple_of_it() {
    let pause = Duration::from_millis(400);
    let upstream = Upstream::start(
        Reply::sse([fixtures::text("x")])
            .wait(pause)
            .piece(fixtures::DONE),
    );
    let sink = Sink::default();
    all(client().start_recorded(&endpoint(&upstream.url()), request(), Box::new(sink.clone()))).await;
    for speed in [1.0, 2.0] {
        let begun = Instant::now();
        all(parse(&sink).play(speed)).await;
        assert!(begun.elapsed() >= pause.div_f64(speed), "{speed}");
    }
}

#[tokio::test]
async fn a_dropped_call_plays_as_cancelled_and_one_that_breaks_off_as_interrupted() {
    let upstream = Upstream::start(Reply::sse([fixtures::text("x")]).stall());
    let sink = Sink::default();
    let mut answer = client().start_recorded(&endpoint(&upstream.url()), request(), Box::new(sink.clone()));
    while !matches!(answer.next().await, Some(Update::Delta(_))) {}
    let broken_off = parse(&sink);
    drop(answer);
    let told = all(parse(&sink).play(f64::INFINITY)).await;
    assert_eq!((told.text().as_str(), told.verdict()), ("x", Verdict::Cancelled));
    let told = all(broken_off.play(f64::INFINITY)).await;
    assert_eq!(
        (told.text().as_str(), told.verdict()),
        ("x", Verdict::Interrupted)
    );
}

#[tokio::test]
async fn the_key_is_not_in_the_recording_wherever_reads_cut_it() {
    const KEY: &str = "hunter2-hunter2-hunter2";
    let body = format!(
        "{}{}",
        fixtures::text("x"),
        fixtures::error(401, &format!("{KEY} hunter2-hunter {KEY}"))
    );
    let pieces = body.as_bytes().chunks(1);
    let upstream = Upstream::start(Reply::sse(pieces).header("location", KEY));
    let mut endpoint = endpoint(&upstream.url());
    endpoint.api_key = Some(Secret::new(KEY));
    let mut request = request();
    request.model = format!("m {KEY}");
    let sink = Sink::default();
    let told = all(client().start_recorded(&endpoint, request, Box::new(sink.clone()))).await;
    assert!(told.failure().message.contains("[masked]"));
    let lines = String::from_utf8(sink.bytes()).unwrap();
    let texts: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let body: String = texts.iter().filter_map(|line| line["text"].as_str()).collect();
    assert!(!lines.contains(KEY) && !body.contains(KEY), "{body}");
    assert!(body.contains("[masked] hunter2-hunter [masked]"), "{body}");
    assert_eq!(all(parse(&sink).play(f64::INFINITY)).await.updates, told.updates);
}

#[tokio::test]
async fn a_key_that_is_echoed_is_hidden_alike_in_the_call_and_its_recording() {
    // With the looks of a key, since diagnostics hide those too, in another way.
    const KEY: &str = "sk-hunter2hunter2hunter2";
    let delta = format!("{{\"reasoning_content\":\"{KEY}\",\"content\":\"a {KEY} b\"}}");
    let chunk = format!("data: {{\"model\":\"m-{KEY}\",\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let unreadable = format!("data: {{ {KEY}\n\n");
    let whole = format!(
        "{{\"model\":\"{KEY}\",\"choices\":[{{\"message\":{{\"content\":\"a {KEY} b\"}},\"finish_reason\":\"{KEY}\"}}]}}"
    );
    for reply in [
        Reply::sse([&chunk, &unreadable, &fixtures::finish("stop"), fixtures::DONE]),
        Reply::sse([
            &chunk,
            &fixtures::error(400, &format!("{}{KEY}", "x".repeat(490))),
        ]),
        Reply::sse([&chunk, &unreadable]),
        Reply::json(200, &serde_json::from_str(&whole).unwrap()),
    ] {
        let upstream = Upstream::start(reply.header("x-stream-id", KEY));
        let mut endpoint = endpoint(&upstream.url());
        endpoint.api_key = Some(Secret::new(KEY));
        let sink = Sink::default();
        let told = all(client().start_recorded(&endpoint, request(), Box::new(sink.clone()))).await;
        assert_eq!(told.text(), "a [masked] b");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
        assert_eq!(all(parse(&sink).play(f64::INFINITY)).await.updates, told.updates);
    }
}

#[tokio::test]
async fn what_may_begin_the_key_is_played_at_its_own_time() {
    // What was held back when the deadline passed came before it, and does not move it.
    for piece in ["data: hunter2-hun", ": hunter2"] {
        let upstream = Upstream::start(Reply::sse([&fixtures::text("x"), piece]).stall());
        let mut endpoint = endpoint(&upstream.url());
        endpoint.api_key = Some(Secret::new("hunter2-hunter2-hunter2"));
        endpoint.deadlines.idle = Some(Duration::from_millis(200));
        let sink = Sink::default();
        let told = all(client().start_recorded(&endpoint, request(), Box::new(sink.clone()))).await;
        assert_eq!(told.verdict(), Verdict::TimedOut(Deadline::Idle));
        assert_eq!(all(parse(&sink).play(f64::INFINITY)).await.updates, told.updates);
    }
}

#[tokio::test]
async fn a_sink_that_fails_ends_the_recording_and_not_the_call() {
    #[derive(Debug)]
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["x"])));
    let told = all(client().start_recorded(&endpoint(&upstream.url()), request(), Box::new(Full))).await;
    assert_eq!(told.verdict(), Verdict::Complete);
    assert!(matches!(
        told.notices()[..],
        [Notice::Warning {
            kind: "recording",
            ..
        }]
    ));
}

#[tokio::test]
async fn a_recording_that_was_tampered_with_is_refused_or_ends_honestly() {
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&["x"])));
    let sink = Sink::default();
    all(client().start_recorded(&endpoint(&upstream.url()), request(), Box::new(sink.clone()))).await;
    let bytes = sink.bytes();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut strange = bytes[..header].to_vec();
    strange.extend_from_slice(b"{\"at_us\":1,\"what\":2}\n");
    let message = Recording::parse(&strange).unwrap_err().to_string();
    assert!(message.contains("line 2"), "{message}");
    let told = all(Recording::parse(&bytes[..header]).unwrap().play(1.0)).await;
    assert_eq!(
        (told.kind(), told.verdict()),
        (FailureKind::ConnectionLost, Verdict::Interrupted)
    );
}

#[tokio::test]
async fn a_throttled_answer_has_fewer_deltas_and_the_same_text() {
    let texts: Vec<String> = (0..100).map(|n| format!("{n} ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut reply = Reply::sse([""]);
    for event in fixtures::sse_answer(&texts) {
        reply = reply.piece(event).wait(Duration::from_millis(2));
    }
    let upstream = Upstream::start(reply);
    let throttled = async |window| {
        let answer = client().start(&endpoint(&upstream.url()), request());
        Told {
            updates: Throttle::new(answer, window).collect().await,
        }
    };
    let told = throttled(Duration::MAX).await;
    assert_eq!((told.text(), told.verdict()), (texts.concat(), Verdict::Complete));
    let told = throttled(Duration::from_millis(50)).await;
    let pieces = told
        .deltas()
        .into_iter()
        .filter(|delta| matches!(delta, Delta::Text(_)))
        .count();
    assert_eq!((told.text(), told.verdict()), (texts.concat(), Verdict::Complete));
    assert!((2..60).contains(&pieces), "{pieces}");
}
