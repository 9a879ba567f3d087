//! Lost connections to a server that keeps streams: picked up where they broke, or ended honestly.

use super::*;
use crate::{progress::Prospect, resume};

pub(super) const STREAM: &str = "kept-stream";

pub(super) fn events(texts: &[&str]) -> Vec<String> {
    fixtures::with_cursors(STREAM, &fixtures::sse_answer(texts))
}

pub(super) fn kept_head(status: u16) -> Head {
    Head {
        stream: Some(STREAM.into()),
        ..head(status)
    }
}

pub(super) fn lost() -> BodyEnd {
    BodyEnd::Failed(Failure::new(FailureKind::ConnectionLost, "reset by peer"))
}

/// A call at 10 s whose connection to a server that keeps streams was lost after two events, the last with text.
fn broken() -> Call {
    let mut call = call();
    call.handle_head(kept_head(200), secs(1));
    let events = events(&["Hel", "lo"]);
    call.handle_bytes(events[..2].concat().as_bytes(), secs(9));
    call.handle_bytes(&events[2].as_bytes()[..60], secs(9));
    call.handle_end(lost(), secs(10));
    call
}

/// The same, when the rest of the stream is asked for; and the time.
fn asking() -> (Call, Duration) {
    let mut call = broken();
    assert_eq!(call.need(), Need::Wait);
    let at = call.wake_at().expect("a wait");
    assert!(at < secs(11), "the first wait is short");
    call.handle_time(at);
    assert_eq!(call.need(), Need::Send);
    (call, at)
}

pub(super) fn resume_from(call: &Call) -> Option<resume::ResumeFrom<'_>> {
    match call.ask() {
        Ask::Rest(from) => Some(from),
        Ask::Answer | Ask::Continuation(_) => None,
    }
}

fn cursor(call: &Call) -> Option<String> {
    resume_from(call).and_then(|from| from.cursor())
}

fn resumes(updates: &[Update]) -> Vec<&str> {
    let cursors = updates.iter().filter_map(|update| match update {
        Update::Notice(Notice::Resume { cursor }) => Some(cursor.as_str()),
        _ => None,
    });
    cursors.collect()
}

/// The end of a call that could not be picked up: its text and its failure's message.
fn interrupted(call: &mut Call) -> String {
    let updates = updates(call);
    assert_eq!(text(&updates), "Hel", "the partial is kept");
    assert_eq!(end(&updates).verdict, Verdict::Interrupted);
    assert_eq!(kind(end(&updates)), Some(FailureKind::ConnectionLost));
    end(&updates).failure.as_ref().expect("a failure").message.clone()
}

#[test]
fn a_lost_connection_is_picked_up_after_the_last_whole_event() {
    let (mut call, at) = asking();
    assert_eq!(cursor(&call).as_deref(), Some("kept-stream.1"));
    call.handle_head(kept_head(200), at);
    assert_eq!(resume_from(&call), None);
    call.handle_bytes(events(&["Hel", "lo"])[2..].concat().as_bytes(), at);
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("Hello", Verdict::Complete)
    );
    assert_eq!(resumes(&updates), ["kept-stream.1"]);
    assert_eq!(
        (call.attempts(), call.resumes()),
        (1, 1),
        "it is the same attempt"
    );
}

#[test]
fn a_body_that_ends_too_early_and_one_that_falls_silent_are_picked_up_too() {
    let mut early = call();
    early.handle_head(kept_head(200), secs(1));
    early.handle_bytes(events(&["x"])[..2].concat().as_bytes(), secs(1));
    early.handle_end(BodyEnd::Proper, secs(1));
    let mut silent = call();
    silent.handle_head(kept_head(200), secs(1));
    silent.handle_bytes(events(&["x"])[..2].concat().as_bytes(), secs(1));
    assert_eq!(silent.prospect(), Some(Prospect::Resume(secs(61))));
    silent.handle_time(secs(61));
    for call in [early, silent] {
        assert_eq!(call.need(), Need::Wait);
        assert_eq!(cursor(&call).as_deref(), Some("kept-stream.1"));
    }
}

#[test]
fn before_the_first_event_the_whole_stream_is_asked_for() {
    let mut call = call();
    call.handle_head(kept_head(200), secs(1));
    call.handle_bytes(b": hello\n", secs(1));
    call.handle_end(lost(), secs(2));
    let at = call.wake_at().unwrap();
    call.handle_time(at);
    assert_eq!(
        resume_from(&call),
        Some(resume::ResumeFrom {
            stream: STREAM,
            seq: None
        })
    );
    call.handle_head(kept_head(200), at);
    call.handle_bytes(events(&["x"]).concat().as_bytes(), at);
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("x", Verdict::Complete)
    );
    assert_eq!(resumes(&updates), [""]);
}

#[test]
fn a_resumption_is_told_with_the_first_new_event() {
    let (mut call, at) = asking();
    call.handle_head(kept_head(200), at);
    call.handle_bytes(b": here\n\n", at);
    let rest = events(&["Hel", "lo"]);
    call.handle_bytes(rest[..2].concat().as_bytes(), at);
    assert!(
        resumes(&updates(&mut call)).is_empty(),
        "all of that was there before"
    );
    call.handle_end(lost(), at);
    let again = call.wake_at().expect("a wait");
    call.handle_time(again);
    call.handle_head(kept_head(200), again);
    call.handle_bytes(rest[2].as_bytes(), again);
    let told = updates(&mut call);
    assert_eq!(
        (resumes(&told), text(&told)),
        (vec!["kept-stream.1"], "lo".to_owned())
    );
    assert!(
        matches!(told[0], Update::Notice(Notice::Resume { .. })),
        "{told:?}"
    );
    assert_eq!(call.resumes(), 1);
}

#[test]
fn events_that_were_there_before_are_dropped() {
    let (mut call, at) = asking();
    call.handle_head(kept_head(200), at);
    call.handle_bytes(events(&["Hel", "lo"]).concat().as_bytes(), at);
    assert_eq!(text(&updates(&mut call)), "Hello");
}

#[test]
fn two_answers_are_never_glued_together() {
    let foreign = fixtures::with_cursors("other", &fixtures::sse_answer(&["Hel", "lo"]));
    let gap = events(&["Hel", "lo", "!"]);
    for rest in [&foreign[2..], &gap[3..], &fixtures::sse_answer(&["lo"])] {
        let (mut call, at) = asking();
        call.handle_head(kept_head(200), at);
        call.handle_bytes(rest.concat().as_bytes(), at);
        let updates = updates(&mut call);
        assert_eq!(
            (text(&updates).as_str(), end(&updates).verdict),
            ("Hel", Verdict::Interrupted)
        );
        assert_eq!(kind(end(&updates)), Some(FailureKind::ConnectionLost));
        assert!(resumes(&updates).is_empty(), "nothing was resumed: {updates:?}");
    }
    let (mut call, at) = asking();
    call.handle_head(
        Head {
            stream: Some("other".into()),
            ..head(200)
        },
        at,
    );
    assert!(interrupted(&mut call).contains("the stream other"));
}

#[test]
fn a_refusal_ends_it_at_once_with_what_the_server_said() {
    for status in [400, 401, 403, 404, 410] {
        let (mut call, at) = asking();
        call.handle_head(head(status), at);
        call.handle_bytes(
            fixtures::error_body(status, "we forgot it")
                .to_string()
                .as_bytes(),
            at,
        );
        call.handle_end(BodyEnd::Proper, at);
        let message = interrupted(&mut call);
        for word in ["reset by peer", "we forgot it"] {
            assert!(message.contains(word), "{message}");
        }
    }
    let (mut redirected, at) = asking();
    redirected.handle_head(head(307), at);
    assert!(interrupted(&mut redirected).contains("307"));
    let (mut page, at) = asking();
    let content_type = Some("text/html".into());
    page.handle_head(
        Head {
            content_type,
            ..head(200)
        },
        at,
    );
    assert!(interrupted(&mut page).contains("without an event stream"));
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_a_long_wait_is_refused() {
    let (mut call, at) = asking();
    let hints = |seconds| Hints {
        after: Some(secs(seconds)),
        should_retry: None,
    };
    call.handle_head(
        Head {
            hints: hints(20),
            ..head(503)
        },
        at,
    );
    call.handle_end(BodyEnd::Proper, at);
    assert_eq!((call.need(), call.wake_at()), (Need::Wait, Some(at + secs(20))));
    let told = updates(&mut call);
    assert_eq!(text(&told), "Hel");
    let Some(Update::Notice(Notice::Retry {
        attempt: 2,
        wait,
        reason,
    })) = told.last()
    else {
        panic!("a wait that is asked for is told: {told:?}")
    };
    assert_eq!(*wait, secs(20));
    assert!(reason.contains("503"), "{reason}");
    call.handle_time(at + secs(20));
    call.handle_head(
        Head {
            hints: hints(61),
            ..head(429)
        },
        at + secs(20),
    );
    call.handle_end(BodyEnd::Proper, at + secs(20));
    let told = updates(&mut call);
    assert_eq!(end(&told).verdict, Verdict::Interrupted);
    let message = &end(&told).failure.as_ref().expect("a failure").message;
    assert!(message.contains("61s"), "{message}");
}

#[test]
fn a_server_that_is_gone_ends_as_interrupted_within_75_seconds() {
    // One refuses connections, one takes them and says nothing.
    for refuses in [true, false] {
        let mut call = broken();
        let mut now = secs(10);
        while call.need() != Need::Nothing {
            if refuses && call.need() == Need::Send {
                let failure = Failure::new(FailureKind::Connect, "connection refused");
                call.handle(
                    Input::Unsent {
                        failure,
                        retryable: true,
                    },
                    now,
                );
                continue;
            }
            now = call.wake_at().expect("never for ever");
            call.handle_time(now);
        }
        assert!((secs(40)..=secs(10) + resume::WITHIN).contains(&now), "{now:?}");
        let message = interrupted(&mut call);
        assert!(message.contains("tr"), "{message}");
    }
}

#[test]
fn silence_after_a_resumption_without_anything_new_is_the_servers_own() {
    let (mut call, at) = asking();
    call.handle_head(kept_head(200), at);
    call.handle_bytes(b": still here\n", at + secs(1));
    assert_eq!(
        call.prospect(),
        Some(Prospect::GiveUp(Deadline::Idle, at + secs(61)))
    );
    call.handle_time(at + secs(61));
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::TimedOut(Deadline::Idle));
    assert_eq!(text(&updates), "Hel");

    let (mut mute, at) = asking();
    mute.handle_head(kept_head(200), at);
    assert_eq!(mute.wake_at(), Some(at + secs(60)), "not even a byte");
}

#[test]
fn the_total_deadline_and_a_cancel_hold_while_a_connection_is_lost() {
    let mut bounded = call_with(|terms| terms.deadlines.total = Some(secs(10)));
    bounded.handle_head(kept_head(200), secs(1));
    bounded.handle_bytes(events(&["Hel"])[..2].concat().as_bytes(), secs(9));
    bounded.handle_end(lost(), secs(9) + Duration::from_millis(900));
    bounded.handle_time(secs(10));
    let told = updates(&mut bounded);
    assert_eq!(
        (text(&told).as_str(), end(&told).verdict),
        ("Hel", Verdict::TimedOut(Deadline::Total))
    );

    let mut call = broken();
    call.handle(
        Input::Abort(Failure::new(FailureKind::Cancelled, "cancelled")),
        secs(10),
    );
    let told = updates(&mut call);
    assert_eq!(
        (text(&told).as_str(), end(&told).verdict),
        ("Hel", Verdict::Cancelled)
    );
}

#[test]
fn an_honest_end_is_not_resumed() {
    let interrupted = r#"data: {"error":{"message":"the source broke","type":"stream_interrupted"}}"#;
    for (event, verdict) in [
        (format!("{interrupted}\n\n"), Verdict::Interrupted),
        (fixtures::error(500, "broken"), Verdict::Failed(Fault::Server)),
    ] {
        let mut call = call();
        call.handle_head(kept_head(200), secs(1));
        let stream = [fixtures::role(), fixtures::text("x"), event];
        call.handle_bytes(
            fixtures::with_cursors(STREAM, &stream).concat().as_bytes(),
            secs(1),
        );
        assert_eq!(end(&updates(&mut call)).verdict, verdict);
    }
    let mut finished = call();
    finished.handle_head(kept_head(200), secs(1));
    let events = events(&["x"]);
    finished.handle_bytes(events[..3].concat().as_bytes(), secs(1));
    finished.handle_end(lost(), secs(1));
    assert_eq!(
        end(&updates(&mut finished)).verdict,
        Verdict::Complete,
        "the answer is whole"
    );
}

#[test]
fn a_server_that_gives_no_cursors_is_not_asked_for_the_rest() {
    let plain = fixtures::sse_answer(&["Hel", "lo"]);
    for (stream, events) in [
        (None, &events(&["Hel", "lo"])),
        (Some("../x"), &plain),
        (Some(STREAM), &plain),
    ] {
        let mut call = call();
        let stream = stream.map(str::to_owned);
        call.handle_head(Head { stream, ..head(200) }, secs(1));
        call.handle_bytes(events[..2].concat().as_bytes(), secs(1));
        call.handle_end(lost(), secs(1));
        assert!(!interrupted(&mut call).contains("picked up"));
    }
}

#[test]
fn a_loss_before_the_first_delta_keeps_the_attempt_and_an_error_after_it_may_still_be_retried() {
    let mut call = call();
    call.handle_head(kept_head(200), secs(1));
    call.handle_bytes(events(&["x"])[0].as_bytes(), secs(1));
    call.handle_end(lost(), secs(1));
    let at = call.wake_at().unwrap();
    call.handle_time(at);
    call.handle_head(kept_head(200), at);
    let error = fixtures::with_cursors(STREAM, &[fixtures::role(), fixtures::error(503, "busy")]);
    call.handle_bytes(error[1].as_bytes(), at);
    assert_eq!((call.need(), resume_from(&call)), (Need::Wait, None));
    let updates = updates(&mut call);
    assert!(matches!(
        updates[..],
        [
            Update::Notice(Notice::Resume { .. }),
            Update::Notice(Notice::Retry { .. })
        ]
    ));
}
