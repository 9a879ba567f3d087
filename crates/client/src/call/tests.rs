//! The call as a state machine: what it needs and tells, at which time.

use aurora_chat::{Deadline, Delta, Fault, Verdict};
use aurora_testkit::fixtures;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call() -> Call {
    call_with(|_| {})
}

fn call_with(change: impl FnOnce(&mut Terms)) -> Call {
    let mut terms = Terms {
        endpoint: "up".into(),
        model: "asked-for".into(),
        deadlines: Deadlines::default(),
        limits: Limits::default(),
        retries: 4,
        key: Some(Secret::new("hunter2hunter2")),
        seed: 1,
    };
    change(&mut terms);
    Call::new(terms)
}

fn head(status: u16) -> Head {
    Head {
        status,
        content_type: Some("text/event-stream; charset=utf-8".into()),
        ..Head::default()
    }
}

/// A call that has got the head of a stream at 1 s.
fn streaming() -> Call {
    let mut call = call();
    call.handle_head(head(200), secs(1));
    call
}

fn updates(call: &mut Call) -> Vec<Update> {
    std::iter::from_fn(|| call.poll_update()).collect()
}

fn text(updates: &[Update]) -> String {
    let texts = updates.iter().filter_map(|update| match update {
        Update::Delta(Delta::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The end, which must be the last update and the only one.
fn end(updates: &[Update]) -> &End {
    let ends = updates
        .iter()
        .filter(|update| matches!(update, Update::End(_)))
        .count();
    match updates.last() {
        Some(Update::End(end)) if ends == 1 => end,
        _ => panic!("one end, at the end: {updates:?}"),
    }
}

fn kind(end: &End) -> Option<FailureKind> {
    end.failure.as_ref().map(|failure| failure.kind)
}

#[test]
fn a_whole_answer_starts_once_and_ends_at_done() {
    let mut call = streaming();
    for event in fixtures::sse_answer(&["Hel", "lo"]) {
        assert_eq!(call.need(), Need::Body);
        call.handle_bytes(event.as_bytes(), secs(2));
    }
    assert_eq!(
        call.need(),
        Need::Nothing,
        "[DONE] is the end, whatever the socket does"
    );
    assert!(call.is_whole());
    let updates = updates(&mut call);
    let start = Start {
        model: fixtures::MODEL.into(),
        endpoint: "up".into(),
        stream: None,
    };
    assert_eq!(updates[0], Update::Start(start));
    assert_eq!(text(&updates), "Hello");
    assert_eq!(end(&updates).verdict, Verdict::Complete);
    assert_eq!(
        call.summary(),
        Summary {
            attempts: 1,
            time_to_first_delta: Some(secs(2))
        }
    );
    assert_eq!(call.wake_at(), None);
}

#[test]
fn retries_wait_and_send_again_until_they_are_used_up() {
    let mut call = call();
    let mut now = secs(0);
    for retry in 1..=4 {
        assert_eq!(call.need(), Need::Send);
        call.handle_head(head(503), now);
        call.handle_end(BodyEnd::Proper, now);
        assert_eq!(call.need(), Need::Wait);
        let updates = updates(&mut call);
        let [
            Update::Notice(Notice::Retry {
                attempt,
                wait,
                reason,
            }),
        ] = &updates[..]
        else {
            panic!("a retry: {updates:?}")
        };
        assert_eq!(*attempt, retry);
        assert!(reason.contains("503"), "{reason}");
        assert_eq!(call.wake_at(), Some(now + *wait));
        call.handle_time(now + *wait);
        now += *wait;
    }
    call.handle_head(head(503), now);
    call.handle_end(BodyEnd::Proper, now);
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::Failed(Fault::Server));
    assert!(
        end(&updates)
            .failure
            .as_ref()
            .unwrap()
            .message
            .contains("after 4 retries")
    );
    assert_eq!(call.summary().attempts, 5);
}

#[test]
fn a_wait_beyond_the_limit_is_refused_and_said() {
    let mut call = call();
    let after = Some(secs(120));
    call.handle_head(
        Head {
            hints: Hints {
                after,
                should_retry: None,
            },
            ..head(429)
        },
        secs(1),
    );
    call.handle_end(BodyEnd::Proper, secs(1));
    let updates = updates(&mut call);
    let failure = end(&updates).failure.as_ref().unwrap();
    assert_eq!(end(&updates).verdict, Verdict::Failed(Fault::Server));
    assert_eq!(failure.retry_after, after);
    assert!(
        failure.message.contains("120s") && failure.message.contains("60s"),
        "{failure}"
    );
}

#[test]
fn an_error_event_is_tried_again_only_before_the_first_delta_and_only_with_a_retryable_code() {
    for (events, need) in [
        (vec![fixtures::error(503, "busy")], Need::Wait),
        (vec![fixtures::role(), fixtures::error(429, "busy")], Need::Wait),
        (vec![fixtures::error(400, "bad")], Need::Nothing),
        (
            vec!["data: {\"error\":\"nobody knows\"}\n\n".to_owned()],
            Need::Nothing,
        ),
        (
            vec![fixtures::text("x"), fixtures::error(503, "busy")],
            Need::Nothing,
        ),
    ] {
        let mut call = streaming();
        events
            .iter()
            .for_each(|event| call.handle_bytes(event.as_bytes(), secs(1)));
        assert_eq!(call.need(), need, "{events:?}");
    }
}

#[test]
fn a_start_is_told_once_although_two_attempts_start() {
    let mut call = streaming();
    call.handle_bytes(
        (fixtures::role() + &fixtures::error(503, "busy")).as_bytes(),
        secs(1),
    );
    let at = call.wake_at().unwrap();
    call.handle_time(at);
    call.handle_head(head(200), at);
    call.handle_bytes(fixtures::sse_answer(&["x"]).concat().as_bytes(), at);
    let updates = updates(&mut call);
    assert_eq!(
        updates
            .iter()
            .filter(|update| matches!(update, Update::Start(_)))
            .count(),
        1
    );
    assert_eq!(end(&updates).verdict, Verdict::Complete);
}

#[test]
fn each_deadline_passes_at_its_time_and_names_itself() {
    fn at(call: &mut Call, seconds: u64, deadline: Deadline) {
        assert_eq!(call.wake_at(), Some(secs(seconds)));
        call.handle_time(secs(seconds) - Duration::from_millis(1));
        assert_ne!(call.need(), Need::Nothing);
        call.handle_time(secs(seconds));
        let updates = updates(call);
        assert_eq!(end(&updates).verdict, Verdict::TimedOut(deadline));
        assert_eq!(kind(end(&updates)), Some(FailureKind::Deadline(deadline)));
        assert!(!call.is_whole());
    }
    at(&mut call(), 120, Deadline::Headers);
    at(&mut streaming(), 120, Deadline::FirstEvent);
    let mut commented = streaming();
    commented.handle_bytes(b": still here\n", secs(100));
    at(&mut commented, 120, Deadline::FirstEvent);
    let mut speaking = streaming();
    speaking.handle_bytes(fixtures::text("x").as_bytes(), secs(5));
    speaking.handle_bytes(b": alive\n", secs(50));
    at(&mut speaking, 110, Deadline::Idle);
    let mut bounded = call_with(|terms| terms.deadlines.total = Some(secs(10)));
    bounded.handle_head(head(200), secs(1));
    at(&mut bounded, 10, Deadline::Total);
}

#[test]
fn the_total_deadline_bounds_the_waits_between_attempts() {
    let mut call = call_with(|terms| terms.deadlines.total = Some(secs(10)));
    let hints = Hints {
        after: Some(secs(30)),
        should_retry: None,
    };
    call.handle_head(Head { hints, ..head(503) }, secs(1));
    call.handle_end(BodyEnd::Proper, secs(1));
    assert_eq!((call.need(), call.wake_at()), (Need::Wait, Some(secs(10))));
    call.handle_time(secs(10));
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::TimedOut(Deadline::Total));
    assert!(end(&updates).failure.as_ref().unwrap().message.contains("503"));
}

#[test]
fn deadlines_that_bytes_do_not_move_are_checked_when_bytes_never_stop() {
    let mut dripping = streaming();
    (1..=119).for_each(|second| dripping.handle_bytes(b": x\n", secs(second)));
    assert_eq!(dripping.need(), Need::Body);
    dripping.handle_bytes(b": x\n", secs(120));
    assert_eq!(
        end(&updates(&mut dripping)).verdict,
        Verdict::TimedOut(Deadline::FirstEvent)
    );

    let mut endless = call_with(|terms| terms.deadlines.total = Some(secs(10)));
    endless.handle_head(head(200), secs(1));
    endless.handle_bytes(fixtures::text("x").as_bytes(), secs(9));
    endless.handle_bytes(fixtures::text("y").as_bytes(), secs(11));
    let updates = updates(&mut endless);
    assert_eq!(text(&updates), "x");
    assert_eq!(end(&updates).verdict, Verdict::TimedOut(Deadline::Total));
}

#[test]
fn done_without_its_blank_line_is_found_when_the_socket_stays_open() {
    let mut call = streaming();
    call.handle_bytes(fixtures::text("x").as_bytes(), secs(1));
    call.handle_bytes(b"data: [DONE]\n", secs(1));
    call.handle_time(secs(61));
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("x", Verdict::Complete)
    );
}

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
        let mut by_code = streaming();
        let event =
            format!(r#"data: {{"error":{{"message":"no","type":"{key}","code":"{key}","param":"{key}"}}}}"#);
        by_code.handle_bytes(format!("{event}\n\n").as_bytes(), secs(1));
        let mut by_line = streaming();
        by_line.handle_bytes(format!("{{\"error\":\"{message}\"}}\n").as_bytes(), secs(1));
        for mut call in [by_status, by_event, by_code, by_line] {
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
fn a_redirect_is_an_error_that_says_where_to() {
    let mut call = call();
    let location = Some("https://elsewhere/v1/chat/completions".to_owned());
    call.handle_head(
        Head {
            location,
            ..head(307)
        },
        secs(0),
    );
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::Failed(Fault::Server));
    assert!(
        end(&updates)
            .failure
            .as_ref()
            .unwrap()
            .message
            .contains("https://elsewhere")
    );
}

#[test]
fn every_cut_position_in_every_manner_gives_a_prefix_and_a_true_verdict() {
    let stream = fixtures::sse_answer(&["Grü", "ße ", "日本"]).concat();
    // Where the JSON of the chunk with the finish reason is complete.
    let finish_at = stream.find("\"stop\"").unwrap();
    let finished = finish_at + stream[finish_at..].find("\n\n").unwrap();
    for cut in 0..=stream.len() {
        for lost in [false, true] {
            let mut call = streaming();
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
