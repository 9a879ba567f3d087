//! The source of one answer, held to its contract.
//!
//! A backend's stream should give at most one start, then deltas, then exactly one end, and between them the events they
//! came in, if they came in any. Here it does: a panic becomes a failed end, a stream that just stops is given one, and
//! nothing comes after an end, at which the stream is dropped. So nothing downstream can take a broken source for a
//! finished answer.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use aurora_chat::{End, Failure, FailureKind, Fault, Notice, Update};
use aurora_client::Passage;

use crate::{BoxFuture, PassageStream, Refusal};

/// How much is looked at before the first delta; a source that has said more than that has begun.
const LEAD: usize = 256;

/// A source that is being started, runs, or is over. Dropping it stops the work behind it.
pub(crate) struct Source {
    state: State,
    /// What [`Source::lead`] saw and nobody else has.
    lead: VecDeque<Passage>,
    begun: bool,
}

enum State {
    Starting(BoxFuture<Result<PassageStream, Refusal>>),
    Running(PassageStream),
    Over,
}

impl Source {
    pub(crate) fn new(starting: BoxFuture<Result<PassageStream, Refusal>>) -> Self {
        Self {
            state: State::Starting(starting),
            lead: VecDeque::new(),
            begun: false,
        }
    }

    /// Waits until it is known how the answer begins: `Err` if with an error, which is still an HTTP status then.
    /// What was seen is kept for [`Source::poll_passage`].
    ///
    /// Cancel safe: waiting again goes on where this stopped.
    pub(crate) async fn lead(&mut self) -> Result<(), Refusal> {
        while !self.begun {
            match poll_fn(|cx| self.poll_live(cx)).await {
                None => break,
                Some(Err(refusal)) => return Err(refusal),
                Some(Ok(Passage::Update(Update::Notice(_)))) => {}
                Some(Ok(Passage::Update(Update::End(End {
                    failure: Some(failure),
                    ..
                })))) => return Err(Refusal::from(&failure)),
                Some(Ok(passage)) => {
                    let said = matches!(passage, Passage::Update(Update::Delta(_) | Update::End(_)));
                    self.lead.push_back(passage);
                    self.begun = said || self.lead.len() >= LEAD;
                }
            }
        }
        Ok(())
    }

    /// The next passage. A refusal or an [`Update::End`] is the last but for `None`.
    pub(crate) fn poll_passage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Passage, Refusal>>> {
        match self.lead.pop_front() {
            Some(passage) => Poll::Ready(Some(Ok(passage))),
            None => self.poll_live(cx),
        }
    }

    /// Lets go of the source: whatever worked behind it stops.
    pub(crate) fn stop(&mut self) {
        self.state = State::Over;
    }

    fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Passage, Refusal>>> {
        // After a panic the state is dropped and never polled again, so nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| self.state.poll(cx)));
        let passage = match polled {
            Ok(polled) => ready!(polled),
            Err(_panic) => Some(Ok(broken("the source of the answer crashed"))),
        };
        match &passage {
            Some(Ok(Passage::Update(Update::Notice(notice)))) => log(notice),
            None | Some(Err(_) | Ok(Passage::Update(Update::End(_)))) => self.stop(),
            Some(Ok(Passage::Event(_) | Passage::Update(Update::Start(_) | Update::Delta(_)))) => {}
        }
        Poll::Ready(passage)
    }
}

impl State {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Passage, Refusal>>> {
        loop {
            match self {
                Self::Starting(starting) => match ready!(starting.as_mut().poll(cx)) {
                    Ok(stream) => *self = Self::Running(stream),
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                },
                Self::Running(stream) => {
                    let passage = ready!(stream.as_mut().poll_next(cx));
                    let passage =
                        passage.unwrap_or_else(|| broken("the source of the answer stopped without a word"));
                    return Poll::Ready(Some(Ok(passage)));
                }
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}

fn broken(what: &str) -> Passage {
    tracing::error!(what, "a source broke its contract");
    Passage::Update(Update::End(End::failed(
        Fault::Server,
        Failure::new(FailureKind::Internal, what),
    )))
}

/// Notices are for whoever runs the server; the API has no place for them.
fn log(notice: &Notice) {
    match notice {
        // The seam between two answers is worth knowing of; what was skipped is for those who look for a fault.
        Notice::Warning { kind, message } if *kind == "continued" => tracing::warn!(kind, message),
        Notice::Warning { kind, message } => tracing::debug!(kind, message, "part of the input was skipped"),
        Notice::Retry {
            attempt,
            wait,
            reason,
        } => tracing::info!(attempt, ?wait, reason, "the call is tried again"),
        Notice::Resume { cursor } => tracing::info!(cursor, "a lost connection was picked up again"),
    }
}

#[cfg(test)]
mod tests {
    use aurora_chat::{Delta, FinishReason, Start, Verdict};
    use futures_util::{StreamExt, stream};

    use super::*;

    fn source(updates: Vec<Update>) -> Source {
        let stream: PassageStream = Box::pin(stream::iter(updates).map(Passage::Update));
        Source::new(Box::pin(async { Ok(stream) }))
    }

    fn text(text: &str) -> Update {
        Update::Delta(Delta::Text(text.to_owned()))
    }

    fn end() -> Update {
        Update::End(End::finished(Some(FinishReason::Stop)))
    }

    async fn rest(mut source: Source) -> Vec<Update> {
        let mut updates = Vec::new();
        while let Some(passage) = poll_fn(|cx| source.poll_passage(cx)).await {
            match passage.expect("no refusal") {
                Passage::Update(update) => updates.push(update),
                Passage::Event(data) => panic!("an event from nowhere: {data:?}"),
            }
        }
        updates
    }

    #[tokio::test]
    async fn the_lead_is_looked_at_and_not_lost() {
        let start = Update::Start(Start {
            model: "m".to_owned(),
            ..Start::default()
        });
        let mut source = source(vec![start.clone(), text("a"), text("b"), end()]);
        source.lead().await.expect("the lead is a delta");
        source.lead().await.expect("asking twice changes nothing");
        assert_eq!(rest(source).await, [start, text("a"), text("b"), end()]);
    }

    #[tokio::test]
    async fn nothing_comes_after_an_end() {
        let source = source(vec![text("a"), end(), text("b"), end()]);
        assert_eq!(rest(source).await, [text("a"), end()]);
    }

    #[tokio::test]
    async fn an_error_that_comes_first_is_a_refusal() {
        let failure = Failure {
            status: Some(503),
            ..Failure::new(FailureKind::ErrorEvent, "overloaded")
        };
        let mut source = source(vec![Update::End(End::failed(Fault::Server, failure))]);
        assert_eq!(
            source.lead().await.expect_err("the end is an error").status(),
            503
        );
        assert!(poll_fn(|cx| source.poll_passage(cx)).await.is_none());
    }

    #[tokio::test]
    async fn a_source_that_just_stops_has_failed() {
        let updates = rest(source(vec![text("a")])).await;
        let Some(Update::End(end)) = updates.last() else {
            panic!("no end in {updates:?}")
        };
        assert_eq!(end.verdict, Verdict::Failed(Fault::Server));
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_end() {
        let stream = stream::iter(["a"])
            .map(text)
            .chain(stream::once(async { panic!("a bug, on purpose") }));
        let stream: PassageStream = Box::pin(stream.map(Passage::Update));
        let updates = rest(Source::new(Box::pin(async { Ok(stream) }))).await;
        assert_eq!(updates.len(), 2);
        assert!(matches!(
            &updates[1],
            Update::End(End {
                verdict: Verdict::Failed(Fault::Server),
                ..
            })
        ));
    }
}
