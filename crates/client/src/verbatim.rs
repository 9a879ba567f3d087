//! An answer together with the events it was read from, for programs that keep or pass on what a server said.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use aurora_chat::Update;
use futures_core::Stream;

use crate::progress::{Progress, Prospect};

/// One thing a [`Verbatim`] has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Passage {
    /// The data of the next event of the answer, byte for byte as it was received: one JSON object, with whatever
    /// no [`Delta`](aurora_chat::Delta) knows of. Only the endpoint's key is masked in it, and what nobody could read is
    /// corrected: an event that holds several objects is told as several, and what had to be mended to be JSON is
    /// mended.
    Event(String),
    /// The next update.
    Update(Update),
}

/// What [`Client::start_verbatim`](crate::Client::start_verbatim) gives: the same call as an [`Answer`](crate::Answer),
/// with the events too. A [`Stream`] of [`Passage`]s; its updates are those of the answer, with the same end, and the
/// last passage, always and only once, is [`Update::End`].
///
/// After the [`Start`](Update::Start), every event comes before the updates that were read from it, and all are in order.
/// Not among the events are `[DONE]`, errors, pings without data, and what could not be read: the updates say these. Nor
/// are the events of an attempt that was tried again, since nothing is told of an attempt before its answer begins. A
/// body that is one JSON value instead of an event stream has updates only.
///
/// Polling, memory, dropping and cancelling are as for an [`Answer`](crate::Answer).
pub struct Verbatim {
    passages: Pin<Box<dyn Stream<Item = Passage> + Send>>,
    progress: Progress,
    cancelled: bool,
}

impl Verbatim {
    /// `passages` keeps the contract above, and leaves in `progress` what it has not told when it is dropped.
    pub(crate) fn new(passages: impl Stream<Item = Passage> + Send + 'static, progress: Progress) -> Self {
        Self {
            passages: Box::pin(passages),
            progress,
            cancelled: false,
        }
    }

    /// The next passage; `None` after the end. Cancel safe: a passage is either returned or still to come.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time.
    pub async fn next(&mut self) -> Option<Passage> {
        poll_fn(|cx| self.passages.as_mut().poll_next(cx)).await
    }

    /// As [`Answer::cancel`](crate::Answer::cancel).
    pub fn cancel(&mut self) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        // What drives the call leaves the rest behind when it is dropped.
        self.passages = Box::pin(futures_util::stream::empty());
        self.passages = Box::pin(futures_util::stream::iter(self.progress.take_rest()));
    }

    /// As [`Answer::elapsed`](crate::Answer::elapsed).
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.progress.elapsed()
    }

    /// As [`Answer::prospect`](crate::Answer::prospect).
    #[must_use]
    pub fn prospect(&self) -> Option<Prospect> {
        self.progress.prospect()
    }
}

impl Stream for Verbatim {
    type Item = Passage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Passage>> {
        self.passages.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Verbatim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verbatim").finish_non_exhaustive()
    }
}
