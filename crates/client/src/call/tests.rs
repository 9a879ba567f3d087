//! The call as a state machine: what it needs and tells, at which time.

use aurora_chat::{Deadline, Delta, Fault, Update, Verdict};
use aurora_testkit::fixtures;

use super::*;
use crate::{Deadlines, Limits, Pace, Secret, mask::Mask};

mod bodies;
mod continuing;
mod cutting;
mod resuming;
mod turns;
mod verbatim;

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
        continues: false,
        pace: Pace::default(),
        mask: Mask::new(Some(&Secret::new("hunter2hunter2"))),
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

/// The same, of a call that is not tried again.
fn streaming_once() -> Call {
    let mut call = call_with(|terms| terms.retries = 0);
    call.handle_head(head(200), secs(1));
    call
}

fn updates(call: &mut Call) -> Vec<Update> {
    let passages = std::iter::from_fn(|| call.poll_passage());
    let updates = passages.map(|passage| match passage {
        Passage::Update(update) => update,
        Passage::Event(event) => panic!("nobody asked for an event: {event}"),
    });
    updates.collect()
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
    let measure = call.measure();
    assert_eq!(
        (call.attempts(), measure.first(), measure.tokens()),
        (1, Some(secs(2)), Some(9))
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
    assert_eq!(call.attempts(), 5);
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
            vec!["data: {\"error\":{\"type\":\"server_error\"}}\n\n".to_owned()],
            Need::Wait,
        ),
        (
            vec!["event: error\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n".to_owned()],
            Need::Wait,
        ),
        (
            vec!["data: {\"error\":{\"type\":\"invalid_request_error\"}}\n\n".to_owned()],
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
fn a_body_that_is_cut_is_tried_again_only_before_the_first_delta() {
    let cut = || BodyEnd::Failed(Failure::new(FailureKind::ConnectionLost, "reset by peer"));
    let garbled = BodyEnd::Failed(Failure::new(FailureKind::Protocol, "no chunk"));
    for (events, ending, need) in [
        (vec![], cut(), Need::Wait),
        (vec![], BodyEnd::Proper, Need::Wait),
        (vec![fixtures::role()], cut(), Need::Wait),
        (vec![fixtures::role()], BodyEnd::Proper, Need::Wait),
        (vec![], garbled, Need::Nothing),
        (vec![fixtures::text("x")], cut(), Need::Nothing),
        (vec![fixtures::text("x")], BodyEnd::Proper, Need::Nothing),
        (vec![fixtures::finish("stop")], cut(), Need::Nothing),
    ] {
        let mut call = streaming();
        events
            .iter()
            .for_each(|event| call.handle_bytes(event.as_bytes(), secs(1)));
        call.handle_end(ending.clone(), secs(1));
        assert_eq!(call.need(), need, "{events:?}, {ending:?}");
    }
    let mut last = call_with(|terms| terms.retries = 0);
    last.handle_head(head(200), secs(1));
    last.handle_bytes(fixtures::role().as_bytes(), secs(1));
    last.handle_end(cut(), secs(1));
    let updates = updates(&mut last);
    assert!(matches!(updates[0], Update::Start(_)), "{updates:?}");
    assert_eq!(end(&updates).verdict, Verdict::Interrupted);
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
    call.handle_bytes(b"data: [DONE]", secs(1));
    assert_eq!(call.need(), Need::Body, "the line may go on");
    call.handle_bytes(b"\n", secs(1));
    assert_eq!(call.need(), Need::Nothing, "at once");
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("x", Verdict::Complete)
    );
}

#[test]
fn a_finished_answer_is_waited_on_for_a_moment_only() {
    let mut call = streaming();
    let finished = fixtures::text("x") + &fixtures::finish("length");
    call.handle_bytes(finished.as_bytes(), secs(10));
    assert_eq!(call.wake_at(), Some(secs(10) + closing::CLOSING));
    call.handle_bytes(b": still here\n", secs(11));
    assert_eq!(
        call.wake_at(),
        Some(secs(10) + closing::CLOSING),
        "a comment is no event"
    );
    call.handle_bytes(fixtures::usage(1, 2).as_bytes(), secs(12));
    let at = secs(12) + closing::CLOSING;
    assert_eq!(call.wake_at(), Some(at));
    call.handle_time(at);
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::Length);
    assert!(
        updates.iter().any(|update| matches!(
            update,
            Update::Notice(Notice::Warning {
                kind: "bad_close",
                ..
            })
        )),
        "{updates:?}"
    );
    assert_eq!(call.measure().tokens(), Some(3));
}

#[test]
fn silence_after_the_head_ends_without_a_first_events_deadline_too() {
    let mut call = call_with(|terms| terms.deadlines.first_event = None);
    call.handle_head(head(200), secs(30));
    assert_eq!(call.wake_at(), Some(secs(90)));
    call.handle_time(secs(90));
    assert_eq!(
        end(&updates(&mut call)).verdict,
        Verdict::TimedOut(Deadline::Idle)
    );
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
