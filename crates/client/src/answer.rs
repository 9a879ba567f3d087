//! The thin shell around a [`Call`]: it sends, reads, waits and keeps the time, all of it while it is polled.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use aurora_chat::{Failure, FailureKind, Update};
use futures_core::Stream;
use http::Uri;
use tracing::Span;

use crate::{
    Passage, Verbatim,
    call::{Ask, BodyEnd, Call, Input, Need},
    clock::Clock,
    line::Place,
    log,
    progress::{Progress, Prospect},
    record::Recorder,
    response::{Response, head_of},
    transport::{Outgoing, Unsent},
};

/// How long the last bytes of a body may take after `[DONE]`, when nobody waits for them any more but the connection,
/// which could carry another call after them. Some servers never send them.
const LAST_BYTES: Duration = Duration::from_millis(50);

/// An answer as it comes: a [`Stream`] of [`Update`]s, the last of which, always and only once, is [`Update::End`].
///
/// It works while it is polled and only then: a consumer that takes its time slows the server down by TCP's own means,
/// and memory stays within the endpoint's [`Limits`](crate::Limits) plus one read. Dropping it closes the connection at
/// once, or resets the stream of an HTTP/2 connection.
#[derive(Debug)]
pub struct Answer {
    /// The same call, of which no events were asked for.
    verbatim: Verbatim,
}

impl Answer {
    /// The next update; `None` after the end. Cancel safe: an update is either returned or still to come.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time.
    pub async fn next(&mut self) -> Option<Update> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Ends the call as cancelled. The connection is closed before this returns; [`next`](Self::next) still gives what
    /// had come by then, and the end. A recording says the same. Without effect after the end.
    pub fn cancel(&mut self) {
        self.verbatim.cancel();
    }

    /// How long the call had run when the last thing happened to it, by its own clock: zero before the first poll. A
    /// recording that is played tells the times of the call that was recorded.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.verbatim.elapsed()
    }

    /// What becomes of the call, and when, if nothing comes from its server; `None` if it waits without a deadline, has
    /// ended, or is played from a recording.
    #[must_use]
    pub fn prospect(&self) -> Option<Prospect> {
        self.verbatim.prospect()
    }
}

impl From<Verbatim> for Answer {
    /// The updates alone.
    fn from(verbatim: Verbatim) -> Self {
        Self { verbatim }
    }
}

impl Stream for Answer {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        loop {
            match ready!(Pin::new(&mut self.verbatim).poll_next(cx)) {
                Some(Passage::Update(update)) => return Poll::Ready(Some(update)),
                Some(Passage::Event(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The passages of this call, which is driven while they are polled.
pub(crate) fn drive(
    call: Call,
    place: Option<Place>,
    outgoing: Result<Outgoing, Failure>,
    recorder: Option<Recorder>,
    span: Span,
) -> Verbatim {
    let progress = Progress::default();
    let driver = Driver {
        call,
        place,
        outgoing,
        recorder,
        span,
        clock: Clock::start(),
        begun: false,
        response: None,
        progress: progress.clone(),
    };
    // On the heap, since it is passed on with every passage: 30 ns of 200 (bench/README.md, `delta`).
    let passages = futures_util::stream::unfold(Box::new(driver), |mut driver| async move {
        let passage = driver.next().await?;
        Some((passage, driver))
    });
    Verbatim::new(passages, progress)
}

/// Does what the call needs.
struct Driver {
    call: Call,
    /// Where its attempts wait for their turn, if anything limits them.
    place: Option<Place>,
    outgoing: Result<Outgoing, Failure>,
    recorder: Option<Recorder>,
    span: Span,
    clock: Clock,
    /// False until the first poll, with which time begins.
    begun: bool,
    response: Option<Response>,
    progress: Progress,
}

impl Driver {
    async fn next(&mut self) -> Option<Passage> {
        if !self.begun {
            self.begun = true;
            self.clock = Clock::start();
            self.progress.note(&self.call, Duration::ZERO);
        }
        loop {
            if let Some(passage) = self.call.poll_passage() {
                return Some(passage);
            }
            match self.call.need() {
                Need::Turn => self.wait_for_turn().await,
                Need::Send => self.send().await,
                Need::Body => self.read().await,
                Need::Wait => {
                    self.clock.wait(self.call.wake_at()).await;
                    self.step(Input::Time);
                }
                Need::Nothing => {
                    if let Some(response) = self.response.take() {
                        take_last_bytes(response).await;
                    }
                    return None;
                }
            }
        }
    }

    async fn wait_for_turn(&mut self) {
        let turn = async {
            match &mut self.place {
                Some(place) => place.turn().await,
                // Only a call that is held to a pace asks for its turn.
                None => Ok(()),
            }
        };
        match self.clock.bound(self.call.wake_at(), turn).await {
            Some(Ok(())) => self.step(Input::Turn),
            Some(Err(failure)) => self.step(Input::Unsent {
                failure,
                retryable: false,
            }),
            None => self.step(Input::Time),
        }
    }

    async fn send(&mut self) {
        let sent = match &self.outgoing {
            // The future is large, and made once an attempt.
            Ok(outgoing) => {
                log::sending(&self.span, &self.call, outgoing);
                let sending = outgoing.send(self.call.ask());
                let sending = Box::pin(self.progress.sending(sending));
                self.clock.bound(self.call.wake_at(), sending).await
            }
            Err(failure) => Some(Err(Unsent {
                failure: failure.clone(),
                retryable: false,
            })),
        };
        match sent {
            Some(Ok(mut response)) => {
                // What was sent was made of it.
                let ask = self.call.ask();
                let url = self
                    .outgoing
                    .as_ref()
                    .map_or_else(|_| Uri::default(), |outgoing| outgoing.url(ask));
                let head = head_of(&response, &url).clean(self.call.mask());
                log::head(&self.span, &self.call, &head);
                response.forget_headers();
                self.response = Some(response);
                self.step(Input::Head(head));
            }
            Some(Err(Unsent { failure, retryable })) => self.step(Input::Unsent { failure, retryable }),
            None => self.step(Input::Time),
        }
    }

    async fn read(&mut self) {
        let Some(response) = &mut self.response else {
            // The call asks for a body only after a head, and a head comes with one.
            return self.step(Input::End(BodyEnd::Proper));
        };
        match self.clock.bound(self.call.wake_at(), response.chunk()).await {
            Some(Ok(Some(bytes))) => self.step(Input::Bytes(&bytes)),
            Some(Ok(None)) => self.step(Input::End(BodyEnd::Proper)),
            Some(Err(error)) => self.step(Input::End(BodyEnd::Failed(error))),
            None => self.step(Input::Time),
        }
    }

    /// Tells the call what happened, and lets go of a response it is finished with.
    fn step(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.record(&input, now)
        {
            self.recorder = None;
            let message = format!("the recording ends here, since it cannot be written: {error}");
            self.call.warn("recording", message);
        }
        self.span.in_scope(|| self.call.handle(input, now));
        self.progress.note(&self.call, now);
        if let Some(place) = &mut self.place {
            match self.call.need() {
                Need::Wait if matches!(self.call.ask(), Ask::Rest(_)) => place.lose(),
                Need::Wait | Need::Nothing => place.leave(self.call.measure().tokens()),
                Need::Turn | Need::Send | Need::Body => {}
            }
        }
        log::ended(&self.span, &self.call, now);
        let spare = self.call.need() == Need::Nothing && self.call.is_whole();
        if self.call.need() != Need::Body && !spare {
            self.response = None;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A call that is dropped before its end was cancelled, and its recording says so.
        if self.call.need() != Need::Nothing {
            let cancelled = Input::Abort(Failure::new(FailureKind::Cancelled, "cancelled"));
            let now = if self.begun {
                self.clock.now()
            } else {
                Duration::ZERO
            };
            if self.begun
                && let Some(recorder) = &mut self.recorder
            {
                // There is nobody left to tell of an error.
                let _ = recorder.record(&cancelled, now);
            }
            self.call.handle(cancelled, now);
            if let Some(place) = &mut self.place {
                place.leave(self.call.measure().tokens());
            }
            if self.begun {
                log::ended(&self.span, &self.call, now);
            }
            self.progress.note(&self.call, now);
        }
        self.progress.leave(&mut self.call);
    }
}

/// Reads to the end of a body that has said everything, for a moment. What it says is of no interest.
async fn take_last_bytes(mut response: Response) {
    let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
    // Time is up: the connection closes with the response.
    let _ = tokio::time::timeout(LAST_BYTES, rest).await;
}
