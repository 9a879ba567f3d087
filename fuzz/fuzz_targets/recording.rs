//! Recordings from anywhere: reading one never panics, playing it ends without a wait, and what it tells keeps the
//! contract of updates: at most one start, before any delta, and exactly one end, last.
//!
//! The input is the recording.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aurora_chat::Update;
use aurora_client::Recording;
use futures_core::Stream as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(updates) = play(input) else { return };
    let (last, before) = updates.split_last().expect("an end at the least");
    assert!(matches!(last, Update::End(_)));
    assert!(!before.iter().any(|update| matches!(update, Update::End(_))));
    let started = before
        .iter()
        .position(|update| matches!(update, Update::Start(_)));
    let delta = before
        .iter()
        .position(|update| matches!(update, Update::Delta(_)));
    assert!(delta.is_none() || started < delta && started.is_some());
    let starts = before.iter().filter(|update| matches!(update, Update::Start(_)));
    assert!(starts.count() <= 1);
    assert_eq!(
        play(input),
        Some(updates),
        "a replay is a function of its recording"
    );
});

/// All updates of a recording, without waits; `None` if it is none.
fn play(input: &[u8]) -> Option<Vec<Update>> {
    let recording = Recording::parse(input).ok()?;
    let mut answer = pin!(recording.play(f64::INFINITY));
    let mut context = Context::from_waker(Waker::noop());
    let mut updates = Vec::new();
    loop {
        match answer.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(update)) => updates.push(update),
            Poll::Ready(None) => return Some(updates),
            Poll::Pending => panic!("a replay at full speed waits for nothing"),
        }
    }
}
