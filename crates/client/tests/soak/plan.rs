//! What the upstream does to one stream, and what the client has to make of it.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aurora_chat::Verdict;
use aurora_client::Endpoint;
use aurora_testkit::Reply;

/// The deadlines that are not meant to pass.
const LONG: Duration = Duration::from_secs(100);

/// One stream.
#[derive(Debug)]
pub(crate) struct Plan {
    /// For the report.
    pub(crate) kind: &'static str,
    /// The replies to the first attempts, then one for every further attempt.
    pub(crate) early: Vec<Reply>,
    pub(crate) last: Reply,
    pub(crate) attempts: AtomicUsize,
    pub(crate) terms: fn(&mut Endpoint),
    pub(crate) consumer: Consumer,
    pub(crate) expected: Expected,
}

/// What whoever reads the stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    Stays,
    /// Drops the answer after the first text.
    Leaves,
    /// Cancels the answer after the first text.
    Cancels,
}

/// What has to come of it.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
    /// The text may be cut short, at any event: a reset takes with it what was not read yet.
    pub(crate) prefix: bool,
    /// How many retries are told; `None` where luck decides.
    pub(crate) retries: Option<usize>,
    /// How many events are told to be no JSON.
    pub(crate) garbage: usize,
}

impl Plan {
    /// The reply to the next attempt, and whether it is the first of those that are not early.
    pub(crate) fn reply(&self) -> (Reply, bool) {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.early.get(attempt) {
            Some(early) => (early.clone(), false),
            None => (self.last.clone(), attempt == self.early.len()),
        }
    }

    /// The endpoint that this stream is asked of.
    pub(crate) fn endpoint(&self, url: &str) -> Endpoint {
        let mut endpoint = endpoint(url);
        (self.terms)(&mut endpoint);
        endpoint
    }
}

/// An endpoint whose deadlines do not pass.
pub(crate) fn endpoint(url: &str) -> Endpoint {
    let mut endpoint = Endpoint::new("soak", url).expect("a URL");
    endpoint.deadlines.connect = Some(LONG);
    endpoint.deadlines.headers = Some(LONG);
    endpoint.deadlines.first_event = Some(LONG);
    endpoint.deadlines.idle = Some(LONG);
    endpoint
}

/// How many streams there are of each kind, for the report.
pub(crate) fn census(plans: &[Plan]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for plan in plans {
        match kinds.iter_mut().find(|(kind, _)| *kind == plan.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((plan.kind, 1)),
        }
    }
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds.iter().fold(String::new(), |mut text, (kind, count)| {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{kind} {count}");
        text
    })
}
