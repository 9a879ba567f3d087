//! Calls that are held to a pace: each attempt waits for its turn, and only the whole call's deadline counts the wait.

use std::num::NonZeroU32;

use super::*;

/// A call to an endpoint that takes one at once, with this bound on the whole call.
fn held(total: Option<Duration>) -> Call {
    call_with(|terms| {
        terms.pace.max_concurrent = NonZeroU32::new(1);
        terms.deadlines.total = total;
    })
}

fn warnings(updates: &[Update]) -> Vec<&str> {
    let warnings = updates.iter().filter_map(|update| match update {
        Update::Notice(Notice::Warning { kind, message }) => Some((*kind, message.as_str())),
        _ => None,
    });
    warnings
        .inspect(|(kind, _)| assert_eq!(*kind, "queued"))
        .map(|(_, message)| message)
        .collect()
}

#[test]
fn a_short_wait_is_not_told_and_no_deadline_counts_it() {
    let mut call = held(None);
    assert_eq!((call.need(), call.wake_at()), (Need::Turn, Some(secs(1))));
    call.handle(Input::Turn, Duration::from_millis(900));
    assert_eq!(call.need(), Need::Send);
    assert_eq!(
        call.wake_at(),
        Some(Duration::from_millis(120_900)),
        "headers, from the sending on"
    );
    assert_eq!(updates(&mut call), []);
}

#[test]
fn a_long_wait_is_told_once_a_call() {
    let mut call = held(None);
    call.handle(Input::Time, secs(1));
    assert_eq!(call.wake_at(), None);
    let told = updates(&mut call);
    assert_eq!(
        warnings(&told),
        ["the call waits for its turn: the endpoint up is held to 1 at once"]
    );
    call.handle(Input::Time, secs(300));
    assert_eq!(call.need(), Need::Turn, "no deadline passed");
    call.handle(Input::Turn, secs(300));
    call.handle_head(head(503), secs(301));
    call.handle_end(BodyEnd::Proper, secs(301));
    assert_eq!(call.need(), Need::Wait);
    call.handle(Input::Time, secs(310));
    assert_eq!(
        (call.need(), call.wake_at()),
        (Need::Turn, None),
        "an attempt is a request"
    );
    assert_eq!(warnings(&updates(&mut call)).len(), 0);
    call.handle(Input::Turn, secs(400));
    assert_eq!(call.wake_at(), Some(secs(520)));
}

#[test]
fn the_whole_calls_deadline_counts_the_wait_and_says_so() {
    let mut call = held(Some(secs(5)));
    call.handle(Input::Time, secs(1));
    assert_eq!(call.wake_at(), Some(secs(5)));
    call.handle(Input::Time, secs(5));
    let updates = updates(&mut call);
    assert_eq!(end(&updates).verdict, Verdict::TimedOut(Deadline::Total));
    let message = &end(&updates).failure.as_ref().unwrap().message;
    assert!(
        message.contains("within 5s") && message.contains("1 at once"),
        "{message}"
    );
}

#[test]
fn a_full_queue_ends_the_call_as_nobodys_fault_who_asked() {
    let mut call = held(None);
    let failure = Failure::new(FailureKind::Limit(aurora_chat::Limit::Queue), "too many");
    call.handle(
        Input::Unsent {
            failure,
            retryable: false,
        },
        secs(0),
    );
    assert_eq!(end(&updates(&mut call)).verdict, Verdict::Failed(Fault::Server));
}
