//! Cursors and tries as tables.

use proptest::prelude::*;

use super::*;

const STREAM: &str = "abcdefghijklmnopqrstuv";

fn cursors() -> Cursors {
    Cursors::new(STREAM).expect("an id")
}

fn id(seq: u64) -> String {
    format!("{STREAM}.{seq}")
}

/// Cursors after these events of the first connection, and the loss of it.
fn resumed(events: u64) -> Cursors {
    let mut cursors = cursors();
    for seq in 0..events {
        assert_eq!(cursors.place(&id(seq), true), Ok(Place::Next));
    }
    cursors.reconnect();
    cursors
}

#[test]
fn only_what_is_fit_for_a_url_is_an_id() {
    for id in [STREAM, "a", "A-_9", &"x".repeat(128)] {
        assert!(Cursors::new(id).is_some(), "{id}");
    }
    for id in ["", "a.b", "a/b", "../a", "a b", "a%2f", "ß", &"x".repeat(129)] {
        assert!(Cursors::new(id).is_none(), "{id}");
    }
}

#[test]
fn a_resumed_connection_goes_on_where_the_last_one_broke() {
    let mut cursors = resumed(3);
    assert_eq!(cursors.resume_from().cursor(), Some(id(2)));
    assert!(!cursors.has_advanced());
    assert_eq!(cursors.place(&id(1), true), Ok(Place::Seen));
    assert_eq!(cursors.place(&id(2), true), Ok(Place::Seen));
    assert!(!cursors.has_advanced(), "what was there before is nothing new");
    assert_eq!(cursors.place(&id(3), true), Ok(Place::Next));
    assert!(cursors.has_advanced());
    assert_eq!(
        cursors.place("", false),
        Ok(Place::Next),
        "a ping needs no cursor"
    );
    assert_eq!(cursors.resume_from().cursor(), Some(id(3)));
    cursors.reconnect();
    assert!(!cursors.has_advanced());
    assert_eq!(cursors.place(&id(4), false), Ok(Place::Next));
}

#[test]
fn without_an_event_the_whole_stream_is_asked_for() {
    let mut cursors = cursors();
    assert_eq!(cursors.resume_from().cursor(), None);
    cursors.reconnect();
    assert_eq!(cursors.place(&id(0), true), Ok(Place::Next));
}

#[test]
fn what_does_not_fit_ends_a_resumed_stream() {
    let foreign = format!("{}.3", STREAM.to_uppercase());
    let no_cursors = [
        "".to_owned(),
        "3".to_owned(),
        STREAM.to_owned(),
        foreign,
        format!("{STREAM}.+3"),
        format!("{STREAM}.-1"),
        format!("{STREAM}."),
        format!("{STREAM}.3.4"),
        format!("x{STREAM}.3"),
        format!("{STREAM}.18446744073709551616"),
    ];
    for id in no_cursors.into_iter().chain([id(4), id(u64::MAX)]) {
        let failure = resumed(3).place(&id, true).expect_err(&id);
        assert_eq!(failure.kind, FailureKind::ConnectionLost, "the loss is the cause");
        assert!(failure.message.contains("event 2"), "{failure}");
    }
    let mut first = cursors();
    assert_eq!(first.place(&id(0), true), Ok(Place::Next));
    let failure = first.place(&id(2), true).expect_err("a gap");
    assert_eq!(failure.kind, FailureKind::Protocol, "nothing was lost");
    let mut twice = resumed(3);
    assert_eq!(twice.place(&id(3), true), Ok(Place::Next));
    assert!(
        twice.place(&id(3), true).is_err(),
        "an event without a cursor of its own"
    );
    assert!(resumed(0).place(&id(1), true).is_err());
    assert!(
        resumed(3).place(&id(4), false).is_err(),
        "an end after a gap is a gap"
    );
}

#[test]
fn a_first_connection_without_cursors_is_read_as_any_other_and_not_resumed() {
    for ids in [
        vec!["".to_owned()],
        vec!["7".into(), "8".into()],
        vec![id(1)],
        vec![id(0), id(0)],
    ] {
        let mut cursors = cursors();
        for id in &ids {
            assert_eq!(cursors.place(id, true), Ok(Place::Next), "{ids:?}");
        }
        assert!(!cursors.can_resume(), "{ids:?}");
    }
    let mut cursors = cursors();
    assert_eq!(cursors.place("", false), Ok(Place::Next));
    assert!(cursors.can_resume(), "a ping proves nothing");
}

#[test]
fn a_gap_and_another_stream_end_a_first_connection_too() {
    for id in [id(2), "other.1".to_owned()] {
        let mut cursors = cursors();
        assert_eq!(cursors.place(&self::id(0), true), Ok(Place::Next));
        assert!(cursors.place(&id, true).is_err(), "{id}");
    }
}

fn failure(kind: FailureKind, status: Option<u16>) -> Failure {
    let mut failure = Failure::new(kind, "no");
    failure.status = status;
    failure
}

fn tries() -> Tries {
    Tries::new(
        &failure(FailureKind::ConnectionLost, None),
        Duration::from_secs(100),
    )
}

#[test]
fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
    let next = |kind, status| {
        tries().next(
            Some(&failure(kind, status)),
            Hints::default(),
            Duration::from_secs(101),
            1,
        )
    };
    for status in [408, 409, 425, 429, 500, 502, 503, 529] {
        assert!(
            matches!(next(FailureKind::Status, Some(status)), Next::Again(_)),
            "{status}"
        );
    }
    for status in [301, 400, 401, 403, 404, 410, 422] {
        assert_eq!(
            next(FailureKind::Status, Some(status)),
            Next::GiveUp("no".into()),
            "{status}"
        );
    }
    for kind in [
        FailureKind::Connect,
        FailureKind::ConnectionLost,
        FailureKind::Deadline(aurora_chat::Deadline::Connect),
    ] {
        assert!(matches!(next(kind, None), Next::Again(_)), "{kind:?}");
    }
    assert!(matches!(next(FailureKind::Protocol, None), Next::GiveUp(_)));
}

#[test]
fn a_wait_the_server_asks_for_is_kept_within_the_bounds() {
    let asked = |seconds| {
        let hints = Hints {
            after: Some(Duration::from_secs(seconds)),
            should_retry: None,
        };
        tries().next(
            Some(&failure(FailureKind::Status, Some(503))),
            hints,
            Duration::from_secs(101),
            1,
        )
    };
    assert_eq!(asked(0), Next::Again(Duration::ZERO));
    assert_eq!(asked(60), Next::Again(MAX_WAIT));
    assert!(matches!(asked(61), Next::GiveUp(reason) if reason.contains("61s") && reason.contains("60s")));
}

proptest! {
    #[test]
    fn a_server_that_is_gone_is_given_up_in_time(seed: u64, answer_ms in 0_u64..20_000) {
        let lost_at = Duration::from_secs(100);
        let gone = failure(FailureKind::Connect, None);
        let (mut tries, mut now, mut made) = (tries(), lost_at, 0);
        let mut last = None;
        while let Next::Again(wait) = tries.next(last.as_ref(), Hints::default(), now, seed) {
            prop_assert!(wait < Duration::from_secs(8));
            now += wait;
            prop_assert!(now < tries.until());
            // The call gives up when the time is up, whatever the try is waiting for.
            now = (now + Duration::from_millis(answer_ms)).min(tries.until());
            last = Some(gone.clone());
            made += 1;
        }
        prop_assert!(made <= MAX_TRIES && now <= lost_at + WITHIN);
        prop_assert!(made == MAX_TRIES || now > lost_at + WITHIN - Duration::from_secs(9));
    }

    #[test]
    fn any_ids_are_survived(ids in proptest::collection::vec("(abcdefghijklmnopqrstuv)?[.x]?[0-9]{0,21}", 0..20)) {
        let mut cursors = resumed(3);
        for id in ids {
            let _ = cursors.place(&id, true);
        }
    }
}
