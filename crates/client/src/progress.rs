//! What an answer knows of its call between two polls: how long the call has run and what becomes of it if its server
//! stays silent; and, once the call was dropped, what it still had to tell.
//!
//! The call itself is inside a future while it is polled, so it leaves a note here whenever something happened to it. Who
//! makes its connection leaves one, too: that has a deadline of its own, which the call does not see.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aurora_chat::Deadline;

use crate::{Passage, call::Call};

/// What becomes of a call if nothing comes from its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prospect {
    /// The call ends as timed out, because this deadline passes, after this long.
    GiveUp(Deadline, Duration),
    /// The request is sent again after this long.
    Retry(Duration),
    /// The connection counts as lost after this long, and is picked up; or that is tried again.
    Resume(Duration),
}

impl Prospect {
    /// When, from the same moment from which it was counted.
    pub(crate) fn at(self) -> Duration {
        match self {
            Self::GiveUp(_, at) | Self::Retry(at) | Self::Resume(at) => at,
        }
    }

    /// The same, counted from `now`.
    fn after(self, now: Duration) -> Self {
        let left = self.at().saturating_sub(now);
        match self {
            Self::GiveUp(deadline, _) => Self::GiveUp(deadline, left),
            Self::Retry(_) => Self::Retry(left),
            Self::Resume(_) => Self::Resume(left),
        }
    }
}

tokio::task_local! {
    /// The progress of the call whose request is being sent.
    static SENDING: Progress;
}

/// Shared by an answer and what drives its call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<Note>>);

#[derive(Debug, Default)]
struct Note {
    /// The time of the last thing that happened, since the call began, in the microseconds that recordings count.
    elapsed: Duration,
    /// When that was.
    noted: Option<Instant>,
    /// The call's next step by itself, its time counted since the call began.
    next: Option<Prospect>,
    /// Since when a connection is being made, and how long that may take.
    connecting: Option<(Instant, Duration)>,
    rest: VecDeque<Passage>,
}

impl Progress {
    /// Notes where the call stands at `now`.
    pub(crate) fn note(&self, call: &Call, now: Duration) {
        let mut note = self.lock();
        note.elapsed = whole_micros(now);
        note.noted = Some(Instant::now());
        note.next = call.prospect();
        note.connecting = None;
    }

    /// Sends the call's request, so that [`connecting`](Self::connecting) is told of it.
    pub(crate) fn sending<F: Future>(&self, send: F) -> impl Future<Output = F::Output> {
        SENDING.scope(self.clone(), send)
    }

    /// Notes that a connection is being made for the call that is sending, until the result is dropped.
    pub(crate) fn connecting(limit: Duration) -> Connecting {
        let progress = SENDING.try_with(Self::clone).ok();
        if let Some(progress) = &progress {
            progress.lock().connecting = Some((Instant::now(), limit));
        }
        Connecting(progress)
    }

    /// Notes the time of a call that has no server, because it is played.
    pub(crate) fn note_time(&self, now: Duration) {
        self.lock().elapsed = now;
    }

    /// Keeps what the call still has to tell.
    pub(crate) fn leave(&self, call: &mut Call) {
        let rest = std::iter::from_fn(|| call.poll_passage());
        self.lock().rest.extend(rest);
    }

    /// Takes what was left.
    pub(crate) fn take_rest(&self) -> VecDeque<Passage> {
        std::mem::take(&mut self.lock().rest)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    pub(crate) fn prospect(&self) -> Option<Prospect> {
        let note = self.lock();
        let now = note.elapsed + note.noted.map_or(Duration::ZERO, |noted| noted.elapsed());
        let next = note.next.map(|next| next.after(now));
        let connect = note.connecting.map(|(since, limit)| {
            let left = limit.saturating_sub(since.elapsed());
            match next {
                // A connection that was lost is tried for again.
                Some(Prospect::Resume(_)) => Prospect::Resume(left),
                _ => Prospect::GiveUp(Deadline::Connect, left),
            }
        });
        next.into_iter().chain(connect).min_by_key(|next| next.at())
    }

    /// No invariant spans two fields, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Note> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is being made.
#[derive(Debug)]
pub(crate) struct Connecting(Option<Progress>);

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.lock().connecting = None;
        }
    }
}

fn whole_micros(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_micros() * 1000)
}
