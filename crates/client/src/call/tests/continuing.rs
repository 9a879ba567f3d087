//! Answers that are continued by another one, where the endpoint wants that.

use super::*;

fn continuing() -> Call {
    let mut call = call_with(|terms| terms.continues = true);
    call.handle_head(head(200), secs(1));
    call
}

fn lose(call: &mut Call, now: Duration) {
    let lost = Failure::new(FailureKind::ConnectionLost, "reset by peer");
    call.handle_end(BodyEnd::Failed(lost), now);
}

/// A call that asks for a continuation of these texts; and the time.
fn asking(texts: &[&str]) -> (Call, Duration) {
    let mut call = continuing();
    let events = fixtures::sse_answer(texts);
    call.handle_bytes(events[..=texts.len()].concat().as_bytes(), secs(2));
    lose(&mut call, secs(2));
    let at = call.wake_at().expect("a wait");
    call.handle_time(at);
    assert_eq!(
        (call.need(), call.ask()),
        (Need::Send, Ask::Continuation(&texts.concat()))
    );
    (call, at)
}

/// The notices at seams, and how much text stood before each.
fn seams(updates: &[Update]) -> Vec<(usize, String)> {
    let mut before = 0;
    let mut seams = Vec::new();
    for update in updates {
        match update {
            Update::Delta(Delta::Text(text)) => before += text.len(),
            Update::Notice(Notice::Warning {
                kind: "continued",
                message,
            }) => seams.push((before, message.clone())),
            _ => {}
        }
    }
    seams
}

#[test]
fn a_lost_text_is_continued_and_its_seam_told() {
    for (rest, overlap) in [
        (&["own ", "fox"][..], "nothing"),
        (&["quick ", "brown fox"], "8 bytes"),
        (&["The ", "quick", " brown fox"], "12 bytes"),
    ] {
        let (mut call, at) = asking(&["The ", "quick br"]);
        call.handle_head(head(200), at);
        call.handle_bytes(fixtures::sse_answer(rest).concat().as_bytes(), at);
        let updates = updates(&mut call);
        assert_eq!(
            (text(&updates).as_str(), end(&updates).verdict),
            ("The quick brown fox", Verdict::Complete)
        );
        let [(12, message)] = &seams(&updates)[..] else {
            panic!("one seam, after 12 bytes: {updates:?}")
        };
        assert!(message.contains(overlap), "{message}");
        let starts = updates.iter().filter(|update| matches!(update, Update::Start(_)));
        assert_eq!(starts.count(), 1);
    }
}

/// Something that ends a call at this time.
type Finish = fn(&mut Call, Duration);

#[test]
fn a_rest_that_ends_while_it_is_compared_is_told_all_the_same() {
    let cases: [(Finish, Verdict); 4] = [
        (
            |call, at| call.handle_bytes(fixtures::finish("stop").as_bytes(), at),
            Verdict::Complete,
        ),
        (
            |call, at| call.handle_bytes(fixtures::error(500, "no").as_bytes(), at),
            Verdict::Failed(Fault::Server),
        ),
        (
            |call, at| call.handle_time(at + secs(60)),
            Verdict::TimedOut(Deadline::Idle),
        ),
        (
            |call, at| {
                call.handle(
                    Input::Abort(Failure::new(FailureKind::Cancelled, "cancelled")),
                    at,
                )
            },
            Verdict::Cancelled,
        ),
    ];
    for (finish, verdict) in cases {
        let (mut call, at) = asking(&["one two one three"]);
        call.handle_head(head(200), at);
        call.handle_bytes(fixtures::text("one t").as_bytes(), at);
        assert_eq!(
            text(&updates(&mut call)),
            "one two one three",
            "it may be a repetition yet"
        );
        finish(&mut call, at);
        call.handle_end(BodyEnd::Proper, at);
        let updates = updates(&mut call);
        assert_eq!(
            (text(&updates).as_str(), end(&updates).verdict),
            ("one t", verdict)
        );
    }
}

#[test]
fn what_no_prefix_can_say_is_not_continued() {
    let thought = fixtures::event(&serde_json::json!({"choices": [{"delta": {"reasoning_content": "hm"}}]}));
    let called = fixtures::event(&serde_json::json!({"choices": [{"delta": {"tool_calls": [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}
    ]}}]}));
    for events in [
        vec![thought, fixtures::text("x")],
        vec![fixtures::text("x"), called],
    ] {
        let mut call = continuing();
        call.handle_bytes(events.concat().as_bytes(), secs(2));
        lose(&mut call, secs(2));
        assert_eq!(call.need(), Need::Nothing, "{events:?}");
        assert_eq!(end(&updates(&mut call)).verdict, Verdict::Interrupted);
    }
    let mut empty = continuing();
    empty.handle_bytes(fixtures::role().as_bytes(), secs(2));
    lose(&mut empty, secs(2));
    assert_eq!(
        (empty.need(), empty.ask()),
        (Need::Wait, Ask::Answer),
        "it is tried again"
    );
    let mut whole = continuing();
    whole.handle_bytes(
        (fixtures::text("x") + &fixtures::finish("stop")).as_bytes(),
        secs(2),
    );
    lose(&mut whole, secs(2));
    assert_eq!(end(&updates(&mut whole)).verdict, Verdict::Complete);
    let mut silent = continuing();
    silent.handle_bytes(fixtures::text("x").as_bytes(), secs(2));
    silent.handle_time(secs(62));
    assert_eq!(
        end(&updates(&mut silent)).verdict,
        Verdict::TimedOut(Deadline::Idle)
    );
    let mut verbatim = call_with(|terms| terms.continues = true).verbatim();
    verbatim.handle_head(head(200), secs(1));
    verbatim.handle_bytes(fixtures::text("x").as_bytes(), secs(2));
    lose(&mut verbatim, secs(2));
    assert_eq!(
        verbatim.need(),
        Need::Nothing,
        "the events of two answers are not those of one"
    );
}

#[test]
fn a_server_that_does_not_want_to_go_on_leaves_the_partial() {
    let (mut call, at) = asking(&["Hel"]);
    call.handle_head(head(400), at);
    let body = fixtures::error_body(400, "unknown field continue_final_message");
    call.handle_bytes(body.to_string().as_bytes(), at);
    call.handle_end(BodyEnd::Proper, at);
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("Hel", Verdict::Interrupted)
    );
    let message = &end(&updates).failure.as_ref().expect("a failure").message;
    assert!(
        message.contains("reset by peer") && message.contains("continue_final_message"),
        "{message}"
    );
}

#[test]
fn an_answer_is_continued_a_bounded_number_of_times() {
    let (mut call, mut at) = asking(&["0 "]);
    let mut continued = 0;
    while call.need() != Need::Nothing {
        match call.need() {
            Need::Wait => {
                at = call.wake_at().expect("a wait");
                call.handle_time(at);
            }
            _ => {
                continued += 1;
                call.handle_head(head(200), at);
                call.handle_bytes(fixtures::text(&format!("{continued} ")).as_bytes(), at);
                lose(&mut call, at);
            }
        }
    }
    assert_eq!(continued, MAX_CONTINUED);
    let updates = updates(&mut call);
    assert_eq!(
        (text(&updates).as_str(), end(&updates).verdict),
        ("0 1 2 3 4 ", Verdict::Interrupted)
    );
    assert_eq!(seams(&updates).len(), 4);
}
