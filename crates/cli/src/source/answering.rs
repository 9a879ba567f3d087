//! An answer that is on its way, whoever makes it: a stream of updates that knows its own time and can be cancelled.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aurora_chat::{End, Update};
use aurora_client::{Answer, Prospect};
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};

/// An answer on its way. It keeps the contract of [`Update`] and stops all work when it is dropped.
pub(crate) enum Answering {
    /// Of an upstream, or of a recording of one, by the call's own clock: a recording tells the times it was made.
    Call(Answer),
    /// Of the local engine, and when it was asked for.
    #[cfg_attr(
        not(feature = "engine"),
        expect(dead_code, reason = "only the engine makes one")
    )]
    Local(Instant, BoxStream<'static, Update>),
}

impl Answering {
    /// An answer of the local engine that was asked for then.
    #[cfg(feature = "engine")]
    pub(crate) fn local(asked: Instant, updates: BoxStream<'static, Update>) -> Self {
        Self::Local(asked, updates)
    }

    /// How long the answer had been asked for when the last update came.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Call(answer) => answer.elapsed(),
            Self::Local(asked, _) => asked.elapsed(),
        }
    }

    /// What becomes of the answer if nothing comes.
    pub(crate) fn prospect(&self) -> Option<Prospect> {
        match self {
            Self::Call(answer) => answer.prospect(),
            Self::Local(..) => None,
        }
    }

    /// Stops the work; what had come is still given, and then the end.
    pub(crate) fn cancel(&mut self) {
        match self {
            Self::Call(answer) => answer.cancel(),
            Self::Local(_, updates) => *updates = stream::iter([Update::End(End::cancelled())]).boxed(),
        }
    }
}

impl Stream for Answering {
    type Item = Update;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        match self.get_mut() {
            Self::Call(answer) => answer.poll_next_unpin(cx),
            Self::Local(_, updates) => updates.poll_next_unpin(cx),
        }
    }
}
