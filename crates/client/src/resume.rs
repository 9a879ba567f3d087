//! Picking up a lost connection where it broke: which event comes next, and how often it is tried. Values and pure
//! functions; what is sent and when is the [`Call`](crate::call::Call)'s to say.
//!
//! A server that keeps streams names each in `x-stream-id` and each of its events by a cursor, `<stream>.<seq>`, in the
//! event's id. `seq` counts from 0. After a loss the rest of the stream is asked for with the last cursor that arrived.
//! Every event is checked against its cursor, so that what two connections brought is one answer or an error: an event
//! that was there before is dropped, and a gap, another stream's cursor or none at all ends the call.
//!
//! What is not here: continuing an answer of a server that keeps no streams.

use std::time::Duration;

use aurora_chat::{Failure, FailureKind};

use crate::retry::{self, Hints, MAX_WAIT};

/// The longest id of a stream, in bytes.
const MAX_STREAM_ID: usize = 128;

/// How long after the loss a try may still begin or wait for an answer, if no new event has come since.
pub(crate) const WITHIN: Duration = Duration::from_secs(75);

/// How many tries are made without a new event. With full jitter they take about as long as [`WITHIN`].
const MAX_TRIES: u32 = 20;

/// The place in a stream of which each event has a cursor.
#[derive(Clone, Debug)]
pub(crate) struct Cursors {
    stream: String,
    /// The `seq` of the last event that was new.
    last: Option<u64>,
    /// The `seq` of the last event of this connection.
    here: Option<u64>,
    /// The connection is not the first one.
    resumed: bool,
    /// This connection brought an event that was new.
    advanced: bool,
    /// The server does as it says: each event has a cursor of its own.
    kept: bool,
}

/// What an event is, by its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The next one, or one of a server that gives no cursors.
    Next,
    /// One that was there before.
    Seen,
}

/// From where the rest of a stream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumeFrom<'a> {
    /// The stream's id, fit for a URL.
    pub(crate) stream: &'a str,
    /// The last event that arrived; `None` asks for the whole stream.
    pub(crate) seq: Option<u64>,
}

/// Whether this can be a stream's id: at most 128 letters, digits, `_` and `-`.
pub(crate) fn is_stream_id(stream: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_STREAM_ID).contains(&stream.len()) && stream.bytes().all(plain)
}

impl Cursors {
    /// The beginning of the stream with this id. `None` if it [is no id](is_stream_id).
    pub(crate) fn new(stream: &str) -> Option<Self> {
        is_stream_id(stream).then(|| Self {
            stream: stream.to_owned(),
            last: None,
            here: None,
            resumed: false,
            advanced: false,
            kept: true,
        })
    }

    /// Whether a lost connection can be picked up: nothing speaks against it, or the server has shown that it can.
    pub(crate) fn can_resume(&self) -> bool {
        self.kept
    }

    /// Whether the connection is not the first one.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// From where.
    pub(crate) fn resume_from(&self) -> ResumeFrom<'_> {
        ResumeFrom {
            stream: &self.stream,
            seq: self.last,
        }
    }

    /// Another connection carries the stream from here on.
    pub(crate) fn reconnect(&mut self) {
        self.here = None;
        self.resumed = true;
        self.advanced = false;
    }

    /// Takes the next event of the connection. `id` is the last event id in force, and `said` whether the event says
    /// something of the answer: one that does not, a ping or `[DONE]`, may lack a cursor.
    ///
    /// The first connection decides whether the server gives cursors at all: one whose first event has none, or that
    /// leaves one out, is read as any other, and is not resumed.
    ///
    /// # Errors
    ///
    /// A failure if an event is missing, is another stream's, or, on a connection that was picked up, has no cursor. It
    /// is of kind [`FailureKind::Protocol`] on the first connection. On a later one it is
    /// [`FailureKind::ConnectionLost`], since the loss is the cause: what came before it stands.
    pub(crate) fn place(&mut self, id: &str, said: bool) -> Result<Place, Failure> {
        if !self.kept {
            return Ok(Place::Next);
        }
        let seq = self
            .seq(id)
            .filter(|seq| self.here.is_none_or(|here| here < *seq));
        let Some(seq) = seq else {
            return match (said, self.resumed || self.is_foreign(id)) {
                (false, _) => Ok(Place::Next),
                (true, true) => Err(self.broken(id)),
                (true, false) => {
                    self.kept = false;
                    Ok(Place::Next)
                }
            };
        };
        let next = self.last.map_or(0, |last| last.saturating_add(1));
        if seq > next {
            if self.last.is_none() && !self.resumed {
                self.kept = false;
                return Ok(Place::Next);
            }
            return Err(self.broken(id));
        }
        self.here = Some(seq);
        if seq < next {
            return Ok(Place::Seen);
        }
        self.last = Some(seq);
        self.advanced = true;
        Ok(Place::Next)
    }

    /// Whether this connection brought an event that was new.
    pub(crate) fn has_advanced(&self) -> bool {
        self.advanced
    }

    /// Whether an id is the cursor of another stream, after events of this one.
    fn is_foreign(&self, id: &str) -> bool {
        self.here.is_some()
            && id
                .rsplit_once('.')
                .is_some_and(|(stream, _)| stream != self.stream)
    }

    fn seq(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(&self.stream)?.strip_prefix('.')?;
        // `parse` would take a sign too.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    }

    fn broken(&self, id: &str) -> Failure {
        let after = match self.last {
            Some(last) => format!("event {last}"),
            None => "the beginning".to_owned(),
        };
        let what = match self.seq(id) {
            Some(seq) => format!("event {seq} of the stream came after {after}"),
            None => format!("an event without a cursor of the stream came after {after}"),
        };
        let broke = format!("the server broke the order of its stream: {what}");
        match self.resumed {
            false => Failure::new(FailureKind::Protocol, broke),
            true => {
                let message = format!("the connection was lost and could not be picked up: {broke}");
                Failure::new(FailureKind::ConnectionLost, message)
            }
        }
    }
}

impl ResumeFrom<'_> {
    /// The cursor of the last event that arrived.
    pub(crate) fn cursor(&self) -> Option<String> {
        self.seq.map(|seq| format!("{}.{seq}", self.stream))
    }
}

/// The tries to pick a connection up since the last new event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tries {
    /// When the connection was lost.
    lost_at: Duration,
    /// How it was lost.
    loss: String,
    made: u32,
    /// After which cursor the connection stands again, of which nothing new has come yet; empty for the beginning.
    picked_up: Option<String>,
}

/// What to do after a try has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again after this long.
    Again(Duration),
    /// Do not, for the reason in words.
    GiveUp(String),
}

impl Tries {
    /// None yet, after a loss at this time.
    pub(crate) fn new(loss: &Failure, lost_at: Duration) -> Self {
        Self {
            lost_at,
            loss: loss.message.clone(),
            made: 0,
            picked_up: None,
        }
    }

    /// How the connection was lost.
    pub(crate) fn loss(&self) -> &str {
        &self.loss
    }

    /// How many were made, with the one that is being made.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// The connection stands again, after this cursor.
    pub(crate) fn pick_up(&mut self, cursor: String) {
        self.picked_up = Some(cursor);
    }

    /// After which cursor it does, once something new has come and the tries are over.
    pub(crate) fn picked_up(self) -> Option<String> {
        self.picked_up
    }

    /// When a try that is still without an answer is given up.
    pub(crate) fn until(&self) -> Duration {
        self.lost_at.saturating_add(WITHIN)
    }

    /// How long to wait before the next try. `failure` is that of the last one, `None` after a connection that stood.
    pub(crate) fn next(&mut self, failure: Option<&Failure>, hints: Hints, now: Duration, seed: u64) -> Next {
        if let Some(failure) = failure
            && !hints.should_retry.unwrap_or_else(|| retry::is_retryable(failure))
        {
            return Next::GiveUp(failure.message.clone());
        }
        let last = failure.map_or("the connection was lost again", |failure| &failure.message);
        let wait = hints.after.unwrap_or_else(|| retry::backoff(self.made, seed));
        if wait > MAX_WAIT {
            return Next::GiveUp(format!(
                "{last} (the server asks to wait {wait:?}, and {MAX_WAIT:?} is the limit)"
            ));
        }
        if self.made >= MAX_TRIES || now.saturating_add(wait) >= self.until() {
            return Next::GiveUp(format!("{last} (after {})", self.count()));
        }
        self.made += 1;
        self.picked_up = None;
        Next::Again(wait)
    }

    /// The failure of a call whose lost connection is not picked up, for this reason.
    pub(crate) fn given_up(&self, reason: &str) -> Failure {
        let message = format!("{}; it could not be picked up again: {reason}", self.loss);
        Failure::new(FailureKind::ConnectionLost, message)
    }

    /// That [`until`](Self::until) has passed, in words.
    pub(crate) fn too_late(&self) -> String {
        format!("no answer within {WITHIN:?} (after {})", self.count())
    }

    fn count(&self) -> String {
        match self.made {
            1 => "1 try".to_owned(),
            n => format!("{n} tries"),
        }
    }
}

#[cfg(test)]
mod tests;
