//! The call and the bytes of a body: cut anywhere, in any chunks, over a limit, with a key in them, or garbage.

use super::*;

#[test]
fn limits_are_named() {
    let over = |change: fn(&mut Limits), bytes: &str| {
        let mut call = call_with(|terms| change(&mut terms.limits));
        call.handle_head(head(200), secs(0));
        call.handle_bytes(bytes.as_bytes(), secs(0));
        let updates = updates(&mut call);
        assert_eq!(end(&updates).verdict, Verdict::Failed(Fault::Server));
        kind(end(&updates)).unwrap()
    };
    let long = fixtures::text(&"x".repeat(2000));
    assert_eq!(
        over(|limits| limits.event = 1000, &long),
        FailureKind::Limit(Limit::Event)
    );
    assert_eq!(
        over(|limits| limits.event = 1000, &long[..1500]),
        FailureKind::Limit(Limit::Event)
    );
    assert_eq!(
        over(|limits| limits.answer = 1000, &long),
        FailureKind::Limit(Limit::Answer)
    );

    let mut call = call();
    call.handle_head(
        Head {
            bytes: (64 << 10) + 1,
            ..head(200)
        },
        secs(0),
    );
    assert_eq!(
        kind(end(&updates(&mut call))),
        Some(FailureKind::Limit(Limit::Headers))
    );
}

#[test]
fn an_error_body_is_bounded_in_size_and_time() {
    let mut large = call();
    large.handle_head(head(400), secs(0));
    (0..100).for_each(|_| large.handle_bytes(&[b'x'; 1024], secs(0)));
    assert_eq!(end(&updates(&mut large)).verdict, Verdict::Failed(Fault::Caller));

    let mut slow = call();
    slow.handle_head(head(400), secs(0));
    slow.handle_bytes(b"why", secs(1));
    assert_eq!(slow.wake_at(), Some(secs(5)));
    slow.handle_time(secs(5));
    let updates = updates(&mut slow);
    assert!(end(&updates).failure.as_ref().unwrap().message.contains("why"));
}

#[test]
fn a_body_that_is_no_event_stream_is_read_whole() {
    let body = r#" {"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#;
    for cut in 0..body.len() {
        let mut call = call();
        call.handle_head(
            Head {
                content_type: Some("application/json".into()),
                ..head(200)
            },
            secs(0),
        );
        call.handle_bytes(&body.as_bytes()[..cut], secs(0));
        call.handle_bytes(&body.as_bytes()[cut..], secs(0));
        call.handle_end(BodyEnd::Proper, secs(0));
        let updates = updates(&mut call);
        assert_eq!(
            (text(&updates).as_str(), end(&updates).verdict),
            ("Hello", Verdict::Complete)
        );
    }
    let mut page = call();
    page.handle_head(
        Head {
            content_type: Some("text/html".into()),
            ..head(200)
        },
        secs(0),
    );
    page.handle_bytes(b"<!doctype html><p>Log in first", secs(0));
    page.handle_end(BodyEnd::Proper, secs(0));
    assert_eq!(kind(end(&updates(&mut page))), Some(FailureKind::Protocol));
    let mut mislabelled = call();
    mislabelled.handle_head(
        Head {
            content_type: Some("text/plain".into()),
            ..head(200)
        },
        secs(0),
    );
    mislabelled.handle_bytes(fixtures::sse_answer(&["x"]).concat().as_bytes(), secs(0));
    assert_eq!(end(&updates(&mut mislabelled)).verdict, Verdict::Complete);
}

/// Servers that do not stream answer with JSON all the same, also under the header of a stream.
#[test]
fn json_under_the_header_of_an_event_stream_is_read_for_what_it_is() {
    let answer = r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#;
    let error = r#"{"error":{"message":"no such field","code":400}}"#;
    let pretty = |json: &str| {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let read = |body: &str, cut: usize| {
        let mut call = streaming_once();
        call.handle_bytes(&body.as_bytes()[..cut], secs(1));
        call.handle_bytes(&body.as_bytes()[cut..], secs(1));
        call.handle_end(BodyEnd::Proper, secs(2));
        updates(&mut call)
    };
    for body in [
        answer.to_owned(),
        format!("\r\n{answer}\n\n"),
        pretty(answer),
        pretty(answer).replace('\n', "\r\n\r\n"),
    ] {
        for cut in 0..body.len() {
            let updates = read(&body, cut);
            assert_eq!(
                (text(&updates).as_str(), end(&updates).verdict),
                ("Hello", Verdict::Complete),
                "{body:?} cut at {cut}"
            );
        }
    }
    for body in [error.to_owned(), pretty(error)] {
        for cut in 0..body.len() {
            assert_eq!(
                end(&read(&body, cut)).verdict,
                Verdict::Failed(Fault::Caller),
                "{body:?} cut at {cut}"
            );
        }
    }
    // Half a value is half an answer, and an event shows that it is a stream.
    let half = &answer[..40];
    assert_eq!(end(&read(half, 3)).verdict, Verdict::Truncated);
    let stream = format!("{answer}\n{}", fixtures::text("Hi"));
    let updates = read(&stream, 3);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("Hi", Verdict::Truncated)
    );
}

#[test]
fn a_body_that_is_no_event_stream_is_bounded_whatever_its_header_says() {
    for content_type in ["application/json", "text/event-stream"] {
        let mut call = call_with(|terms| terms.limits.event = 1000);
        let content_type = Some(content_type.to_owned());
        call.handle_head(
            Head {
                content_type,
                ..head(200)
            },
            secs(0),
        );
        // Lines of their own, so that none of them is too long.
        call.handle_bytes(b"[\n", secs(0));
        (0..499).for_each(|_| call.handle_bytes(b"0\n", secs(0)));
        assert_ne!(call.need(), Need::Nothing, "not yet over it");
        call.handle_bytes(b"0", secs(0));
        let updates = updates(&mut call);
        assert_eq!(kind(end(&updates)), Some(FailureKind::Limit(Limit::Event)));
    }
}

#[test]
fn a_body_in_an_encoding_that_was_not_asked_for_is_named() {
    let encoded = |status, encoding: &str| {
        let mut call = call();
        let content_encoding = Some(encoding.to_owned());
        call.handle_head(
            Head {
                content_encoding,
                ..head(status)
            },
            secs(1),
        );
        call
    };
    let updates = updates(&mut encoded(200, "gzip"));
    assert_eq!(kind(end(&updates)), Some(FailureKind::Protocol));
    let message = &end(&updates).failure.as_ref().unwrap().message;
    assert!(message.contains("encoded as gzip"), "{message}");
    for plain in ["identity", "Identity", ""] {
        assert_eq!(encoded(200, plain).need(), Need::Body, "{plain:?}");
    }
    let mut refused = encoded(400, "br");
    assert_eq!(refused.need(), Need::Nothing, "its explanation cannot be read");
    let updates = super::updates(&mut refused);
    assert_eq!(kind(end(&updates)), Some(FailureKind::Status));
    assert_eq!(encoded(503, "br").need(), Need::Wait);
}

#[test]
fn the_key_is_masked_wherever_a_server_repeats_it_also_where_a_long_message_is_cut() {
    let key = "hunter2hunter2";
    for before in [0, 1, 1980, 1985, 1990, 1995, 1999] {
        let message = format!("{}{key} is not welcome", "x".repeat(before));
        let mut by_status = call();
        by_status.handle_head(head(401), secs(0));
        by_status.handle_bytes(
            fixtures::error_body(401, &message).to_string().as_bytes(),
            secs(0),
        );
        by_status.handle_end(BodyEnd::Proper, secs(0));
        let mut by_event = streaming();
        by_event.handle_bytes(fixtures::error(401, &message).as_bytes(), secs(1));
        let mut by_code = streaming_once();
        let event =
            format!(r#"data: {{"error":{{"message":"no","type":"{key}","code":"{key}","param":"{key}"}}}}"#);
        by_code.handle_bytes(format!("{event}\n\n").as_bytes(), secs(1));
        let mut by_line = streaming_once();
        by_line.handle_bytes(format!("{{\"error\":\"{message}\"}}\n").as_bytes(), secs(1));
        let mut by_body = streaming_once();
        let pretty = format!("{{\n\"error\": \"{message}\"\n}}");
        by_body.handle_bytes(pretty.as_bytes(), secs(1));
        by_body.handle_end(BodyEnd::Proper, secs(1));
        for mut call in [by_status, by_event, by_code, by_line, by_body] {
            let updates = updates(&mut call);
            assert!(matches!(end(&updates).verdict, Verdict::Failed(_)), "{updates:?}");
            assert!(
                !format!("{updates:?}").contains("hunter2"),
                "{before}: {updates:?}"
            );
        }
    }
}

#[test]
fn every_cut_position_in_every_manner_gives_a_prefix_and_a_true_verdict() {
    let stream = fixtures::sse_answer(&["Grü", "ße ", "日本"]).concat();
    // Where the JSON of the chunk with the finish reason is complete.
    let finish_at = stream.find("\"stop\"").unwrap();
    let finished = finish_at + stream[finish_at..].find("\n\n").unwrap();
    for cut in 0..=stream.len() {
        for lost in [false, true] {
            let mut call = streaming_once();
            for byte in &stream.as_bytes()[..cut] {
                call.handle_bytes(&[*byte], secs(1));
            }
            let lost_failure = Failure::new(FailureKind::ConnectionLost, "reset");
            let end_of_body = if lost {
                BodyEnd::Failed(lost_failure)
            } else {
                BodyEnd::Proper
            };
            call.handle_end(end_of_body, secs(2));
            let updates = updates(&mut call);
            let verdict = end(&updates).verdict;
            assert!("Grüße 日本".starts_with(&text(&updates)));
            let expected = match (cut < finished, lost) {
                (false, _) => Verdict::Complete,
                (true, true) => Verdict::Interrupted,
                (true, false) => Verdict::Truncated,
            };
            assert_eq!(verdict, expected, "{cut}");
            assert!(verdict != Verdict::Complete || text(&updates) == "Grüße 日本");
        }
    }
}

proptest::proptest! {
    #[test]
    fn chunking_changes_nothing(cuts in proptest::collection::vec(0_usize..1000, 0..8)) {
        let stream = [&fixtures::sse_answer(&["Grü", "ße"]).concat(), "data: never read\n\n"].concat();
        let whole = {
            let mut call = streaming();
            call.handle_bytes(stream.as_bytes(), secs(1));
            updates(&mut call)
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.sort_unstable();
        cuts.push(stream.len());
        let mut call = streaming();
        let mut from = 0;
        for cut in cuts {
            call.handle_bytes(&stream.as_bytes()[from..cut], secs(1));
            from = cut;
        }
        proptest::prop_assert_eq!(updates(&mut call), whole);
    }

    #[test]
    fn garbage_never_panics_and_always_ends_once(
        garbage: Vec<u8>,
        status in 100_u16..600,
        typed: bool,
    ) {
        let mut call = call_with(|terms| terms.retries = 0);
        let content_type = typed.then(|| "text/event-stream".to_owned());
        call.handle_head(Head { content_type, ..head(status) }, secs(0));
        call.handle_bytes(&garbage, secs(1));
        call.handle_end(BodyEnd::Proper, secs(2));
        let updates = updates(&mut call);
        proptest::prop_assert!(matches!(updates.last(), Some(Update::End(_))));
        proptest::prop_assert_eq!(call.need(), Need::Nothing);
    }
}
