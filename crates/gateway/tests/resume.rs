//! Answers that outlive their readers: ids, replays, coming back, leaving, cancelling, and who may.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aurora_chat::{End, Failure, FailureKind, Update};
use aurora_gateway::Options;
use aurora_streamlog::{Memory, MemoryOptions};
use support::{Answer, Gateway, begun, get, prompt, request, soon, unchunked};

/// The body of a stream that is read to its end.
async fn body(gateway: &Gateway, head: String) -> String {
    let mut client = gateway.client().await;
    client.write(head).await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    assert_eq!(head.status, 200, "{head:?}");
    unchunked(&client.stream_end().await)
}

async fn state(gateway: &Gateway, id: &str) -> serde_json::Value {
    let answer = get(
        gateway,
        &format!("/v1/streams/{id}"),
        &["accept: application/json"],
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until the stream has ended, and says how.
async fn verdict(gateway: &Gateway, id: &str) -> String {
    soon(async {
        loop {
            let state = state(gateway, id).await;
            if let Some(verdict) = state["verdict"].as_str() {
                return verdict.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

fn resume(id: &str, after: Option<u64>) -> String {
    let cursor = after.map(|seq| format!("last-event-id: {id}.{seq}"));
    request(
        "GET",
        &format!("/v1/streams/{id}"),
        &cursor.iter().map(String::as_str).collect::<Vec<_>>(),
        "",
    )
}

#[tokio::test]
async fn every_event_has_its_place_and_every_replay_is_the_same_bytes() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(true)).await;
    let feed = gateway.job().await.run();
    for text in ["Hel", "lo ", "wörld\n\n世界"] {
        feed.text(text).await;
    }
    feed.finish().await;
    let head = Answer::parse(&client.until("\r\n\r\n").await);
    let id = head.header("x-stream-id").expect("a name").to_owned();
    assert!(
        id.len() >= 22
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
        "{id}"
    );
    let first = unchunked(&client.stream_end().await);

    let events: Vec<&str> = first.split_inclusive("\n\n").collect();
    for (seq, event) in events.iter().enumerate() {
        assert!(event.starts_with(&format!("id: {id}.{seq}\ndata: ")), "{event}");
    }
    assert!(
        events
            .last()
            .is_some_and(|event| event.ends_with("data: [DONE]\n\n"))
    );
    assert_eq!(body(&gateway, resume(&id, None)).await, first);
    for seq in 0..events.len() {
        let rest = events[seq + 1..].concat();
        let seq = seq as u64;
        assert_eq!(body(&gateway, resume(&id, Some(seq))).await, rest);
        let after = request("GET", &format!("/v1/streams/{id}?after={id}.{seq}"), &[], "");
        assert_eq!(body(&gateway, after).await, rest);
        let cursor = format!("last-event-id: {id}.{seq}");
        let again = request("POST", "/v1/chat/completions", &[&cursor], &prompt(true));
        assert_eq!(body(&gateway, again).await, rest);
    }
    assert!(
        gateway.jobs.try_recv().is_err(),
        "nothing was asked for a second time"
    );
}

#[tokio::test]
async fn a_reader_that_lost_its_connection_goes_on_where_it_was() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (client, feed, id) = begun(&mut gateway, &[]).await;
    drop(client);
    feed.text("while nobody reads").await;
    let mut back = gateway.client().await;
    back.write(resume(&id, Some(1))).await;
    let seen = back.until("while nobody reads").await;
    assert!(!seen.contains("first"), "{seen}");
    feed.text("live again").await;
    back.until("live again").await;
    feed.finish().await;
    let rest = back.stream_end().await;
    assert!(rest.contains("[DONE]"), "{rest}");
    assert_eq!(verdict(&gateway, &id).await, "complete");
}

#[tokio::test]
async fn three_readers_see_the_same_and_a_slow_one_holds_up_nobody() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut first, feed, id) = begun(&mut gateway, &[]).await;
    let mut second = gateway.client().await;
    second.write(resume(&id, None)).await;
    second.until("\r\n\r\n").await;
    let mut slow = gateway.client().await;
    slow.write(resume(&id, None)).await;
    // Text in which nothing repeats itself, so that no store can make it small.
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    let text: String = (0..64 * 1024).map(|_| letter()).collect();
    // More than sockets and buffers hold, and only the slow one does not read.
    for _ in 0..256 {
        feed.text(&text).await;
    }
    feed.finish().await;
    let (one, two) = (
        unchunked(&first.stream_end().await),
        unchunked(&second.stream_end().await),
    );
    assert!(one.ends_with("data: [DONE]\n\n") && two.ends_with(&one[one.len() - 1_000_000..]));
    slow.until("\r\n\r\n").await;
    let late = unchunked(&slow.stream_end().await);
    assert!(
        late.ends_with(&one[one.len() - 10_000_000..]),
        "{} {}",
        late.len(),
        one.len()
    );
}

#[tokio::test]
async fn three_readers_that_reload_in_mid_answer_and_one_that_sleeps_miss_nothing() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (first, feed, id) = begun(&mut gateway, &[]).await;
    drop(first);
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = gateway.client().await;
        reader.write(resume(&id, None)).await;
        readers.push((reader, String::new()));
    }
    let mut sleeper = gateway.client().await;
    sleeper.write(resume(&id, Some(1))).await;
    for n in 0..12 {
        feed.text(&format!("<{n}>")).await;
        // Each has its own time to reload; what it has not read by then goes with its connection.
        let (reader, seen) = &mut readers[n % 3];
        *seen += &events_until(reader, &format!("<{n}>")).await;
        let last = seen.matches("\n\n").count() as u64 - 1;
        *reader = gateway.client().await;
        reader.write(resume(&id, Some(last))).await;
    }
    feed.finish().await;
    let all = body(&gateway, resume(&id, None)).await;
    assert!((0..12).all(|n| all.contains(&format!("<{n}>"))) && all.ends_with("[DONE]\n\n"));
    for (mut reader, mut seen) in readers {
        reader.until("\r\n\r\n").await;
        seen += &unchunked(&reader.stream_end().await);
        assert_eq!(seen, all);
    }
    sleeper.until("\r\n\r\n").await;
    let late = unchunked(&sleeper.stream_end().await);
    assert!(all.ends_with(&late) && late.contains("<0>"), "{late}");
}

/// The events of a response that has just begun, up to the one with this text.
async fn events_until(reader: &mut support::Client, text: &str) -> String {
    reader.until("\r\n\r\n").await;
    let begun = reader.until(text).await;
    let event = reader.until("\n\n\r\n").await;
    unchunked(&(begun + &event + "0\r\n\r\n"))
}

#[tokio::test]
async fn without_a_reader_the_source_stops_after_the_grace() {
    let options = || Options {
        grace: Duration::from_millis(50),
        ..Options::default()
    };
    let mut gateway = Gateway::start(options()).await;
    let (client, feed, id) = begun(&mut gateway, &[]).await;
    drop(client);
    feed.dropped().await;
    assert_eq!(verdict(&gateway, &id).await, "cancelled");
    let rest = body(&gateway, resume(&id, Some(1))).await;
    assert!(
        rest.starts_with(&format!("id: {id}.2\ndata: {{\"error\":")),
        "{rest}"
    );
    assert!(
        rest.contains(r#""type":"cancelled""#) && !rest.contains("[DONE]"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_reader_within_the_grace_keeps_the_source() {
    let mut gateway = Gateway::start(Options {
        grace: Duration::from_secs(2),
        ..Options::default()
    })
    .await;
    let (client, feed, id) = begun(&mut gateway, &[]).await;
    drop(client);
    let mut back = gateway.client().await;
    back.write(resume(&id, None)).await;
    back.until("first").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    feed.text("still here").await;
    back.until("still here").await;
}

#[tokio::test]
async fn a_request_says_what_its_absence_means() {
    let mut gateway = Gateway::start(Options {
        grace: Duration::from_millis(20),
        ..Options::default()
    })
    .await;
    let (client, feed, id) = begun(&mut gateway, &["x-on-disconnect: continue"]).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(200)).await;
    feed.text("alone").await;
    feed.finish().await;
    assert_eq!(verdict(&gateway, &id).await, "complete");
    assert!(body(&gateway, resume(&id, None)).await.contains("alone"));

    let mut gateway = Gateway::start(Options::default()).await;
    let (client, feed, id) = begun(&mut gateway, &["x-on-disconnect: cancel"]).await;
    drop(client);
    feed.dropped().await;
    assert_eq!(verdict(&gateway, &id).await, "cancelled");

    let mut client = gateway.client().await;
    client
        .write(request(
            "POST",
            "/v1/chat/completions",
            &["x-on-disconnect: perhaps"],
            &prompt(true),
        ))
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &"x-on-disconnect".into())
    );
}

#[tokio::test]
async fn a_cancel_ends_a_stream_once_also_a_resumed_one() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (client, feed, id) = begun(&mut gateway, &[]).await;
    drop(client);
    let mut back = gateway.client().await;
    back.write(resume(&id, None)).await;
    back.until("\r\n\r\n").await;
    for _ in 0..2 {
        let mut other = gateway.client().await;
        other
            .write(request("POST", &format!("/v1/streams/{id}/cancel"), &[], ""))
            .await;
        let answer = other.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["verdict"], "cancelled");
        assert_eq!(answer.json()["last_cursor"], format!("{id}.2"));
    }
    feed.dropped().await;
    let all = unchunked(&back.stream_end().await);
    assert!(
        all.contains("first") && all.contains(r#""type":"cancelled""#),
        "{all}"
    );
    assert!(!all.contains("[DONE]"), "{all}");
    let mut other = gateway.client().await;
    other
        .write(request(
            "POST",
            "/v1/streams/AAAAAAAAAAAAAAAAAAAAAA/cancel",
            &[],
            "",
        ))
        .await;
    assert_eq!(other.answer().await.status, 404);
}

#[tokio::test]
async fn how_a_stream_stands() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &[]).await;
    let open = state(&gateway, &id).await;
    assert_eq!(open["id"], id.as_str());
    assert_eq!(
        (&open["state"], &open["verdict"]),
        (&"open".into(), &serde_json::Value::Null)
    );
    assert_eq!(open["last_cursor"], format!("{id}.1"));
    assert!(open["expires_at"].is_null());
    feed.finish().await;
    client.until("[DONE]").await;
    let ended = state(&gateway, &id).await;
    assert_eq!(
        (&ended["state"], &ended["verdict"]),
        (&"finished".into(), &"complete".into())
    );
    assert_eq!(
        (&ended["finish_reason"], &ended["last_cursor"]),
        (&"stop".into(), &format!("{id}.3").into())
    );
    let lives =
        ended["expires_at"].as_u64().expect("a time") - ended["finished_at"].as_u64().expect("a time");
    assert!((599..=601).contains(&lives), "{lives}");
}

#[tokio::test]
async fn a_broken_source_ends_its_stream_with_an_error_that_has_its_place() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (mut client, feed, id) = begun(&mut gateway, &[]).await;
    let lost = Failure::new(FailureKind::ConnectionLost, "the connection was reset");
    feed.send(Update::End(End::of_failure(lost))).await;
    let rest = client.until("0\r\n\r\n").await;
    let expected = format!(
        "id: {id}.2\ndata: {{\"error\":{{\"message\":\"the connection was reset\",\"type\":\"stream_interrupted\""
    );
    assert!(rest.contains(&expected), "{rest}");
    assert!(!rest.contains("[DONE]"));
    assert_eq!(verdict(&gateway, &id).await, "interrupted");
}

#[tokio::test]
async fn places_that_do_not_exist() {
    let mut gateway = Gateway::start(Options::default()).await;
    let (_client, _feed, id) = begun(&mut gateway, &[]).await;
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    let path = format!("/v1/streams/{id}");
    for cursor in [
        format!("{other}.0"),
        format!("{id}.-1"),
        format!("{id}.2"),
        format!("{id}.99999999999999999999999999"),
        format!("{id}."),
        format!("{id}.01"),
        "7".to_owned(),
        "x".to_owned(),
    ] {
        for (path, header) in [
            (path.clone(), format!("last-event-id: {cursor}")),
            (format!("{path}?after={cursor}"), "x-nothing: 1".to_owned()),
        ] {
            let answer = get(&gateway, &path, &[&header]).await;
            assert_eq!(answer.status, 400, "{cursor}: {answer:?}");
            assert!(answer.json()["error"]["message"].is_string());
        }
    }
    for path in [format!("/v1/streams/{other}"), "/v1/streams/nonsense".to_owned()] {
        assert_eq!(get(&gateway, &path, &[]).await.status, 404);
    }
    let mut client = gateway.client().await;
    let unknown = format!("last-event-id: {other}.0");
    client
        .write(request(
            "POST",
            "/v1/chat/completions",
            &[&unknown],
            &prompt(true),
        ))
        .await;
    assert_eq!(client.answer().await.status, 404);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_gone_and_not_unknown() {
    let store = Memory::new(MemoryOptions {
        keep: Duration::from_millis(50),
        ..MemoryOptions::default()
    });
    let mut gateway = Gateway::kept(Options::default(), Arc::new(store)).await;
    let (mut client, feed, id) = begun(&mut gateway, &[]).await;
    feed.finish().await;
    client.until("[DONE]").await;
    let answer = soon(async {
        loop {
            let answer = get(
                &gateway,
                &format!("/v1/streams/{id}"),
                &["accept: application/json"],
            )
            .await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (410, &"stream_expired".into())
    );
}

#[tokio::test]
async fn a_whole_answer_can_be_read_again_as_a_stream() {
    let mut gateway = Gateway::start(Options::default()).await;
    let mut client = gateway.client().await;
    client.chat(&prompt(false)).await;
    let feed = gateway.job().await.run();
    feed.text("all of it").await;
    feed.finish().await;
    let answer = client.answer().await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "all of it");
    let id = answer.header("x-stream-id").expect("a name").to_owned();
    assert!(body(&gateway, resume(&id, None)).await.contains("all of it"));
}
