//! How fast calls to one endpoint may follow each other, and the queue of those that have to wait: rules as values,
//! without a clock and without a task. Times count from any beginning; `line` is the shell that keeps them.
//!
//! The queue is strictly in order. The first in it goes as soon as every limit has room for it, and nobody goes before
//! the first, even where a smaller call would fit: that is what keeps a large one from waiting for ever.

mod bucket;

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use aurora_chat::{ChatRequest, Content, Part};

use bucket::Bucket;

/// The most calls that wait for one endpoint. One more is refused.
pub(crate) const MAX_WAITING: usize = 10_000;

/// What a part of a message that is no text counts for, in tokens: about what a picture of middling size costs.
const TOKENS_OF_A_PART: u64 = 1000;

/// Bytes of text to a token, about right for English and for Chinese.
const BYTES_A_TOKEN: u64 = 4;

/// How fast calls to an endpoint may follow each other. Nothing is limited by default.
///
/// The calls of one [`Client`](crate::Client) and its clones to endpoints of the same name and address share these
/// limits. Those that have to wait do so in the order of their first polls; every attempt of a call counts, and one
/// that tries again keeps the call's place. An answer whose connection was lost is under way until it is picked up or given
/// up, and goes before those that have not begun. Of two endpoints that differ only in their pace, the one called last sets it
/// for both, so that a changed configuration holds at once; a call without any limit waits for nothing and is
/// not counted.
///
/// Up to 10,000 calls wait; one more fails at once with [`Limit::Queue`](aurora_chat::Limit::Queue). Waiting counts
/// against [`Deadlines::total`](crate::Deadlines::total) and no other deadline, and is told by one
/// [warning](aurora_chat::Notice::Warning) of the kind `queued` after a second. An answer is polled or dropped: one that is
/// only kept holds up those behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How many attempts may be under way at once, from the sending to the end of the answer.
    pub max_concurrent: Option<NonZeroU32>,
    /// How many attempts may begin in a minute, as a token bucket: as many at once, and then one whenever a minute's
    /// share has passed.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many tokens, prompt and answer, may be spent in a minute; a token bucket too. An attempt is charged an
    /// estimate before it is sent: a token for every 4 bytes of text, tool calls and tools, 1000 for every other part of a
    /// message, and `max_tokens` if it is given. Where the server reports its count, that takes the estimate's place when
    /// the attempt ends. A call larger than the whole budget goes when the bucket is full, and those after it wait
    /// until its cost has come in. What a server reports makes the wait at most a minute longer.
    pub tokens_per_minute: Option<NonZeroU32>,
}

impl Pace {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// The limits that are set, for a person: `2 calls at once, 60 requests a minute`.
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = [
            (self.max_concurrent, "at once"),
            (self.requests_per_minute, "requests a minute"),
            (self.tokens_per_minute, "tokens a minute"),
        ];
        let mut between = "";
        for (limit, what) in limits {
            if let Some(limit) = limit {
                write!(f, "{between}{limit} {what}")?;
                between = ", ";
            }
        }
        Ok(())
    }
}

/// A call's place in the order of calls. Smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Who goes before whom, whatever their tickets: what holds its place waits for nobody who waits for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Its answer is to be picked up, and nobody else has got its place meanwhile.
    Holds,
    /// It has no place yet.
    Comes,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The calls to one endpoint: those that wait and those that are under way.
#[derive(Debug)]
pub(crate) struct Queue {
    pace: Pace,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// In order, with what is to be charged to each.
    waiting: BTreeMap<(Rank, Ticket), u64>,
    /// With what each was charged.
    running: BTreeMap<Ticket, u64>,
    next: u64,
}

impl Queue {
    /// An empty queue, whose buckets are full.
    pub(crate) fn new(pace: Pace, now: Duration) -> Self {
        let full = |limit: Option<NonZeroU32>| limit.map(|limit| Bucket::full(limit, now));
        Self {
            pace,
            requests: full(pace.requests_per_minute),
            tokens: full(pace.tokens_per_minute),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            next: 0,
        }
    }

    /// Changes the limits. What was spent stays spent; a limit that is new starts with a full bucket.
    pub(crate) fn set_pace(&mut self, pace: Pace, now: Duration) {
        if pace == self.pace {
            return;
        }
        let change = |bucket: Option<Bucket>, limit: Option<NonZeroU32>| {
            limit.map(|limit| match bucket {
                Some(bucket) => bucket.with_rate(limit, now),
                None => Bucket::full(limit, now),
            })
        };
        self.requests = change(self.requests.take(), pace.requests_per_minute);
        self.tokens = change(self.tokens.take(), pace.tokens_per_minute);
        self.pace = pace;
    }

    /// The place of a new call, after all others.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Lets a call wait for its turn, at the place its ticket gives it; `estimate` is what it may cost, in tokens. A call that
    /// was admitted and has not left asks for one more request for the same answer, which is charged already.
    ///
    /// # Errors
    ///
    /// [`Full`] if [`MAX_WAITING`] calls wait already.
    pub(crate) fn enqueue(&mut self, ticket: Ticket, estimate: u64) -> Result<(), Full> {
        if self.running.contains_key(&ticket) {
            self.waiting.insert((Rank::Holds, ticket), 0);
            return Ok(());
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(Full);
        }
        self.waiting.insert((Rank::Comes, ticket), estimate);
        Ok(())
    }

    /// Admits the first call in the queue, if all limits have room for it. To be asked until it gives nothing.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<Ticket> {
        let (&(rank, ticket), &estimate) = self.waiting.first_key_value()?;
        if !self.has_place(rank) || self.ready_at(estimate, now) > now {
            return None;
        }
        for (bucket, cost) in [(&mut self.requests, 1), (&mut self.tokens, estimate)] {
            if let Some(bucket) = bucket {
                bucket.take(cost, now);
            }
        }
        self.waiting.remove(&(rank, ticket));
        self.running.entry(ticket).or_insert(estimate);
        Some(ticket)
    }

    /// When [`poll`](Self::poll) admits the first call, if nobody leaves before; `None` if only somebody's leaving helps,
    /// or nobody waits.
    pub(crate) fn wake_at(&self, now: Duration) -> Option<Duration> {
        let (&(rank, _), &estimate) = self.waiting.first_key_value()?;
        self.has_place(rank).then(|| self.ready_at(estimate, now))
    }

    /// The first call that waits.
    pub(crate) fn first(&self) -> Option<Ticket> {
        self.waiting.keys().next().map(|(_, ticket)| *ticket)
    }

    /// Whether this call was admitted, and neither left nor waits again.
    pub(crate) fn is_running(&self, ticket: Ticket) -> bool {
        self.running.contains_key(&ticket) && !self.waiting.contains_key(&(Rank::Holds, ticket))
    }

    /// A call waits no more, or its attempt is over. `spent` is what the attempt cost in tokens, if that is known;
    /// otherwise the estimate stands.
    pub(crate) fn leave(&mut self, ticket: Ticket, spent: Option<u64>, now: Duration) {
        for rank in [Rank::Holds, Rank::Comes] {
            self.waiting.remove(&(rank, ticket));
        }
        let Some(charged) = self.running.remove(&ticket) else {
            return;
        };
        if let (Some(bucket), Some(spent)) = (&mut self.tokens, spent) {
            bucket.correct(charged, spent, now);
        }
    }

    /// Whether forgetting this queue would change nothing: nobody is here and nothing is owed.
    pub(crate) fn is_at_rest(&self, now: Duration) -> bool {
        let full = |bucket: &Option<Bucket>| bucket.as_ref().is_none_or(|bucket| bucket.is_full(now));
        self.waiting.is_empty() && self.running.is_empty() && full(&self.requests) && full(&self.tokens)
    }

    fn has_place(&self, rank: Rank) -> bool {
        let limit = self.pace.max_concurrent;
        rank == Rank::Holds
            || limit
                .is_none_or(|limit| self.running.len() < usize::try_from(limit.get()).unwrap_or(usize::MAX))
    }

    fn ready_at(&self, estimate: u64, now: Duration) -> Duration {
        let at = |bucket: &Option<Bucket>, cost| {
            let bucket = bucket.as_ref();
            bucket.map_or(now, |bucket| bucket.ready_at(cost, now))
        };
        at(&self.requests, 1).max(at(&self.tokens, estimate))
    }
}

/// What an attempt may cost in tokens, before anybody has counted: see [`Pace::tokens_per_minute`].
pub(crate) fn estimate(request: &ChatRequest) -> u64 {
    estimate_prompt(request).saturating_add(u64::from(request.max_tokens.unwrap_or(0)))
}

/// About how many tokens a prompt is, by its length alone: a token for every 4 bytes of text, tool calls and tools, and 1000
/// for every other part of a message.
#[must_use]
pub fn estimate_prompt(request: &ChatRequest) -> u64 {
    let (mut bytes, mut others) = (0, 0);
    for message in &request.messages {
        match &message.content {
            Content::Empty => {}
            Content::Text(text) => bytes += text.len(),
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => bytes += text.len(),
                        Part::Other(_) => others += 1,
                    }
                }
            }
        }
        bytes += message
            .tool_calls
            .iter()
            .map(|call| call.to_string().len())
            .sum::<usize>();
    }
    bytes += request
        .tools
        .iter()
        .map(|tool| tool.to_string().len())
        .sum::<usize>();
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    bytes.div_ceil(BYTES_A_TOKEN) + others * TOKENS_OF_A_PART
}

#[cfg(test)]
mod tests;
