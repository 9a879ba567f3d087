//! An answer that is on its way, whoever makes it: a stream of updates that knows its own time and can be cancelled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use aurora_chat::{End, Update};
use aurora_client::{Answer, Prospect};
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};

use super::joining::Joining;
use crate::history::Recorder;

/// An answer on its way. It keeps the contract of [`Update`] and stops all work when it is dropped.
pub(crate) enum Answering {
    /// Of an upstream, or of a recording of one, by the call's own clock: a recording tells the times it was made.
    Call(Answer),
    /// One that is made here, by the local engine or of several others, and when it was asked for.
    Made(Instant, BoxStream<'static, Update>),
    /// One that is recorded in the history as it comes.
    Kept(Box<Self>, Recorder),
    /// One that goes on with what there is.
    Joined(Box<Joining>),
}

impl Answering {
    /// An answer that is made here and was asked for then.
    pub(crate) fn made(asked: Instant, updates: BoxStream<'static, Update>) -> Self {
        Self::Made(asked, updates)
    }

    /// The same answer, every update of which the recorder takes before anybody sees it.
    pub(crate) fn kept(self, recorder: Recorder) -> Self {
        Self::Kept(Box::new(self), recorder)
    }

    /// The same answer, which is the rest of this one: what it repeats is left out, and the seam is told.
    pub(crate) fn joined_to(self, partial: &str) -> Self {
        Self::Joined(Box::new(Joining::new(self, partial)))
    }

    /// How long the answer had been asked for when the last update came.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Call(answer) => answer.elapsed(),
            Self::Made(asked, _) => asked.elapsed(),
            Self::Kept(answer, _) => answer.elapsed(),
            Self::Joined(joining) => joining.answer().elapsed(),
        }
    }

    /// What becomes of the answer if nothing comes.
    pub(crate) fn prospect(&self) -> Option<Prospect> {
        match self {
            Self::Call(answer) => answer.prospect(),
            Self::Made(..) => None,
            Self::Kept(answer, _) => answer.prospect(),
            Self::Joined(joining) => joining.answer().prospect(),
        }
    }

    /// Stops the work; what had come is still given, and then the end.
    pub(crate) fn cancel(&mut self) {
        match self {
            Self::Call(answer) => answer.cancel(),
            Self::Made(_, updates) => *updates = stream::iter([Update::End(End::cancelled())]).boxed(),
            Self::Kept(answer, _) => answer.cancel(),
            Self::Joined(joining) => joining.answer_mut().cancel(),
        }
    }
}

impl Stream for Answering {
    type Item = Update;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        match self.get_mut() {
            Self::Call(answer) => answer.poll_next_unpin(cx),
            Self::Made(_, updates) => updates.poll_next_unpin(cx),
            Self::Joined(joining) => joining.poll_next_unpin(cx),
            Self::Kept(answer, recorder) => {
                let update = ready!(answer.poll_next_unpin(cx));
                if let Some(update) = &update {
                    recorder.update(answer.elapsed(), update);
                }
                Poll::Ready(update)
            }
        }
    }
}
