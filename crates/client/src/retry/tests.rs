//! The retry rules as tables.

use aurora_chat::Deadline;
use proptest::prelude::*;

use super::*;

const NONE: Hints = Hints {
    should_retry: None,
    after: None,
};

fn status(status: u16) -> Failure {
    let mut failure = Failure::new(FailureKind::Status, "no");
    failure.status = Some(status);
    failure
}

fn retries(failure: &Failure, hints: Hints) -> bool {
    matches!(decide(failure, hints, 0, 4, 1), Decision::Retry(_))
}

#[test]
fn statuses() {
    for retried in [408, 409, 425, 429, 500, 502, 503, 504, 529, 599] {
        assert!(retries(&status(retried), NONE), "{retried}");
    }
    for final_one in [301, 400, 401, 403, 404, 410, 413, 422, 426, 428, 451] {
        assert!(!retries(&status(final_one), NONE), "{final_one}");
    }
}

#[test]
fn kinds() {
    for (kind, retried) in [
        (FailureKind::Connect, true),
        (FailureKind::ConnectionLost, true),
        (FailureKind::Deadline(Deadline::Connect), false),
        (FailureKind::Deadline(Deadline::FirstEvent), false),
        (FailureKind::Limit(aurora_chat::Limit::Headers), false),
        (FailureKind::Protocol, false),
        (FailureKind::InvalidRequest, false),
        (FailureKind::UnexpectedEnd, true),
        (FailureKind::ErrorEvent, true),
    ] {
        assert_eq!(retries(&Failure::new(kind, ""), NONE), retried, "{kind:?}");
    }
    let mut event = Failure::new(FailureKind::ErrorEvent, "");
    event.status = Some(503);
    assert!(retries(&event, NONE));
}

#[test]
fn an_error_event_without_a_status_is_judged_by_its_words() {
    for (word, retried) in [
        ("server_error", true),
        ("overloaded_error", true),
        ("rate_limit_error", true),
        ("stream_interrupted", true),
        ("invalid_request_error", false),
        ("invalid_api_key", false),
        ("authentication_error", false),
        ("permission_error", false),
        ("not_found_error", false),
        ("model_not_found", false),
        ("billing_error", false),
        ("context_length_exceeded", false),
        ("insufficient_quota", false),
        ("cancelled", false),
    ] {
        let mut typed = Failure::new(FailureKind::ErrorEvent, "no");
        typed.error_type = Some(word.into());
        let mut coded = Failure::new(FailureKind::ErrorEvent, "no");
        coded.code = Some(word.into());
        for failure in [typed, coded] {
            assert_eq!(retries(&failure, NONE), retried, "{word}");
        }
    }
    let mut refused = Failure::new(FailureKind::ErrorEvent, "no");
    (refused.status, refused.error_type) = (Some(400), Some("server_error".into()));
    assert!(!retries(&refused, NONE), "a status says more than a word");
}

#[test]
fn the_server_overrules_the_status_but_not_an_empty_account() {
    let yes = Hints {
        should_retry: Some(true),
        ..NONE
    };
    let no = Hints {
        should_retry: Some(false),
        ..NONE
    };
    assert!(retries(&status(400), yes));
    assert!(!retries(&status(503), no));
    let mut quota = status(429);
    quota.code = Some("insufficient_quota".into());
    assert!(!retries(&quota, NONE));
    assert!(!retries(&quota, yes));
}

#[test]
fn a_wait_the_server_asks_for_is_kept_exactly_up_to_the_limit() {
    let asks = |millis| Hints {
        after: Some(Duration::from_millis(millis)),
        ..NONE
    };
    let wait = |millis| decide(&status(429), asks(millis), 0, 4, 1);
    assert_eq!(wait(0), Decision::Retry(Duration::ZERO));
    assert_eq!(wait(1500), Decision::Retry(Duration::from_millis(1500)));
    assert_eq!(wait(60_000), Decision::Retry(MAX_WAIT));
    let endless = Hints {
        after: Some(LONGEST),
        ..NONE
    };
    assert_eq!(decide(&status(429), endless, 0, 4, 1), Decision::TooLong(LONGEST));
    assert_eq!(wait(60_001), Decision::TooLong(Duration::from_millis(60_001)));
    assert_eq!(decide(&status(400), asks(90_000), 0, 4, 1), Decision::GiveUp);
}

#[test]
fn retries_are_counted() {
    let last = |made, allowed| decide(&status(503), NONE, made, allowed, 1);
    assert!(matches!(last(3, 4), Decision::Retry(_)));
    assert_eq!(last(4, 4), Decision::GiveUp);
    assert_eq!(last(0, 0), Decision::GiveUp);
}

#[test]
fn headers() {
    // 2026-01-01T00:00:00Z
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let ms = |millis| Some(Duration::from_millis(millis));
    for (headers, after) in [
        (&[("retry-after", "2")][..], ms(2000)),
        (&[("retry-after", " 0.5 ")], ms(500)),
        (&[("retry-after", "0")], ms(0)),
        (&[("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")], ms(30_000)),
        (&[("retry-after", "Wed, 31 Dec 2025 23:59:00 GMT")], ms(0)),
        (&[("retry-after-ms", "250"), ("retry-after", "9")], ms(250)),
        (&[("retry-after-ms", "soon"), ("retry-after", "9")], ms(9000)),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", "+1")], None),
        (&[("retry-after", "99999999999999999999999999")], Some(LONGEST)),
        (&[("retry-after-ms", "1e400")], Some(LONGEST)),
        (&[("retry-after", "soon")], None),
        (&[], None),
    ] {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, value)| *value)
        };
        assert_eq!(
            Hints::read(find, now),
            Hints {
                should_retry: None,
                after
            },
            "{headers:?}"
        );
    }
    for (text, should_retry) in [("true", Some(true)), ("false", Some(false)), ("maybe", None)] {
        let find = |name: &str| (name == "x-should-retry").then_some(text);
        assert_eq!(
            Hints::read(find, now),
            Hints {
                should_retry,
                after: None
            }
        );
    }
}

proptest! {
    #[test]
    fn the_backoff_stays_within_its_step(made in 0_u32..=u32::MAX, seed: u64) {
        let step = Duration::from_secs_f64((0.5 * 2_f64.powi(made.min(10) as i32)).min(8.0));
        prop_assert!(backoff(made, seed) < step);
        prop_assert_eq!(backoff(made, seed), backoff(made, seed));
    }
}

#[test]
fn the_backoff_uses_its_whole_step() {
    let waits: Vec<f64> = (0..1000)
        .map(|seed| backoff(4, seed * 7919).as_secs_f64())
        .collect();
    let mean = waits.iter().sum::<f64>() / 1000.0;
    assert!(
        (3.5..4.5).contains(&mean),
        "full jitter to 8 s has the mean 4 s, not {mean}"
    );
    assert!(waits.iter().any(|wait| *wait < 0.5) && waits.iter().any(|wait| *wait > 7.5));
}

#[test]
fn what_the_server_says_about_trying_again_goes_before_its_status() {
    let said = |number, should_retry| Failure {
        should_retry: Some(should_retry),
        ..status(number)
    };
    assert!(is_retryable(&said(400, true)) && !is_retryable(&said(503, false)));
    let quota = Failure {
        code: Some("insufficient_quota".to_owned()),
        ..said(429, true)
    };
    assert!(!is_retryable(&quota));
}
