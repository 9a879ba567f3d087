//! The events of an answer, and what is held back until it begins.

use super::*;

const KEY: &str = "hunter2hunter2";

/// A call of which the events are wanted, with the head of a stream at 1 s.
fn verbatim() -> Call {
    let mut call = call().verbatim();
    call.handle_head(head(200), secs(1));
    call
}

fn passages(call: &mut Call) -> Vec<Passage> {
    std::iter::from_fn(|| call.poll_passage()).collect()
}

fn events(passages: &[Passage]) -> Vec<&str> {
    let events = passages.iter().filter_map(|passage| match passage {
        Passage::Event(data) => Some(data.as_str()),
        Passage::Update(_) => None,
    });
    events.collect()
}

/// The data of events written by the fixtures.
fn data(events: &[String]) -> Vec<&str> {
    let data = events
        .iter()
        .map(|event| event.trim_start_matches("data: ").trim_end());
    data.filter(|data| *data != "[DONE]").collect()
}

/// The passages, one word each.
fn shape(passages: &[Passage]) -> Vec<&'static str> {
    let words = passages.iter().map(|passage| match passage {
        Passage::Event(_) => "event",
        Passage::Update(Update::Start(_)) => "start",
        Passage::Update(Update::Delta(_)) => "delta",
        Passage::Update(Update::Notice(_)) => "notice",
        Passage::Update(Update::End(_)) => "end",
    });
    words.collect()
}

#[test]
fn an_event_comes_before_what_it_caused() {
    let mut call = verbatim();
    let answer = fixtures::sse_answer(&["Hel", "lo"]);
    call.handle_bytes(answer.concat().as_bytes(), secs(2));
    let passages = passages(&mut call);
    assert_eq!(
        shape(&passages),
        [
            "start", "event", // the role
            "event", "delta", "event", "delta", // the texts
            "event", "delta", // the finish reason
            "event", "delta", // the usage
            "end",
        ]
    );
    assert_eq!(events(&passages), data(&answer));
}

#[test]
fn what_no_delta_knows_of_is_kept_byte_for_byte_and_what_is_no_event_is_left_out() {
    let first = r#"{"id":"a", "choices":[{"index":0,"delta":{"content":"a","x":[1.50, null]}}],"system_fingerprint":"fp" }"#;
    let second = first.replace("\"a\",", "\"b\",");
    let body = format!(
        ": comment\n\ndata: {first}\n\ndata:\n\nevent: keepalive\ndata: \n\ndata: {{broken\n\nid: 7\ndata:{second}\n\nstray\n\
         data: {{\"error\":{{\"message\":\"no\",\"code\":400}}}}\n\n"
    );
    let mut call = verbatim();
    call.handle_bytes(body.as_bytes(), secs(2));
    let passages = passages(&mut call);
    assert_eq!(events(&passages), [first, second.as_str()]);
    assert_eq!(
        shape(&passages),
        ["start", "event", "delta", "notice", "event", "delta", "end"]
    );
}

#[test]
fn one_json_value_has_updates_only() {
    let body = br#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#;
    let mut call = call().verbatim();
    let content_type = Some("application/json".into());
    call.handle_head(
        Head {
            content_type,
            ..head(200)
        },
        secs(0),
    );
    call.handle_bytes(body, secs(0));
    call.handle_end(BodyEnd::Proper, secs(0));
    assert_eq!(shape(&passages(&mut call)), ["start", "delta", "delta", "end"]);
}

#[test]
fn the_key_is_in_no_event() {
    let mut call = verbatim();
    call.handle_bytes(fixtures::text(&format!("a {KEY} b")).as_bytes(), secs(1));
    let passages = passages(&mut call);
    assert_eq!(events(&passages).len(), 1);
    assert!(events(&passages)[0].contains("a [masked] b"), "{passages:?}");
}

#[test]
fn nothing_is_told_of_an_attempt_that_is_tried_again_but_its_warnings() {
    let mut call = verbatim();
    let early = [
        fixtures::role(),
        fixtures::usage(7, 0),
        "data: {broken\n\n".into(),
        fixtures::error(503, "busy"),
    ];
    call.handle_bytes(early.concat().as_bytes(), secs(1));
    assert_eq!(
        shape(&passages(&mut call)),
        ["notice", "notice"],
        "a warning and the retry"
    );
    let at = call.wake_at().unwrap();
    call.handle_time(at);
    let stream = Some("second".to_owned());
    call.handle_head(
        Head {
            stream: stream.clone(),
            ..head(200)
        },
        at,
    );
    let answer = fixtures::sse_answer(&["x"]);
    call.handle_bytes(answer.concat().as_bytes(), at);
    let passages = passages(&mut call);
    assert_eq!(events(&passages), data(&answer));
    assert!(matches!(&passages[0], Passage::Update(Update::Start(start)) if start.stream == stream));
}

#[test]
fn the_look_ahead_is_bounded_whether_or_not_events_are_wanted() {
    let role = fixtures::role();
    let within = outbox::LOOK_AHEAD / data(std::slice::from_ref(&role))[0].len();
    for (roles, need) in [(within, Need::Wait), (within + 1, Need::Nothing)] {
        for mut call in [streaming(), verbatim()] {
            for _ in 0..roles {
                call.handle_bytes(role.as_bytes(), secs(1));
            }
            call.handle_bytes(fixtures::error(503, "busy").as_bytes(), secs(1));
            assert_eq!(call.need(), need, "{roles}");
        }
    }
}

#[test]
fn what_was_held_back_is_told_when_no_attempt_follows() {
    let mut silent = verbatim();
    silent.handle_bytes(fixtures::role().as_bytes(), secs(1));
    assert_eq!(passages(&mut silent), []);
    silent.handle_time(secs(61));
    let mut refused = verbatim();
    refused.handle_bytes(
        (fixtures::role() + &fixtures::error(400, "bad")).as_bytes(),
        secs(1),
    );
    for mut call in [silent, refused] {
        assert_eq!(shape(&passages(&mut call)), ["start", "event", "end"]);
    }
}

proptest::proptest! {
    #[test]
    fn the_updates_are_those_of_the_answer_in_any_chunks(
        cuts in proptest::collection::vec(0_usize..1500, 0..8),
        lost: bool,
    ) {
        let answer = fixtures::sse_answer(&["Grü", "ße", KEY]).concat();
        let stream = format!("data: {{broken\n\n{answer}");
        let stream = if lost { &stream[..stream.len() - 200] } else { &stream };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.sort_unstable();
        cuts.push(stream.len());
        let mut plain = streaming();
        plain.handle_bytes(stream.as_bytes(), secs(1));
        let (mut whole, mut cut) = (verbatim(), verbatim());
        whole.handle_bytes(stream.as_bytes(), secs(1));
        let mut from = 0;
        for to in cuts {
            cut.handle_bytes(&stream.as_bytes()[from..to], secs(1));
            from = to;
        }
        for call in [&mut plain, &mut whole, &mut cut] {
            call.handle_end(BodyEnd::Failed(Failure::new(FailureKind::ConnectionLost, "lost")), secs(2));
        }
        let whole = passages(&mut whole);
        proptest::prop_assert_eq!(&passages(&mut cut), &whole);
        let said = whole.into_iter().filter(|passage| matches!(passage, Passage::Update(_)));
        proptest::prop_assert_eq!(said.collect::<Vec<_>>(), passages(&mut plain));
    }
}
