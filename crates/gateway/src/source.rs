//! The source of one answer, held to its contract.
//!
//! A backend's stream should give at most one start, then deltas, then exactly one end. Here it does: a panic becomes
//! a failed end, a stream that just stops is given one, and nothing comes after an end, at which the stream is dropped.
//! So nothing downstream can take a broken source for a finished answer.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use aurora_chat::{End, Failure, FailureKind, Fault, Notice, Start, Update};

use crate::{BoxFuture, Refusal, UpdateStream};

/// A source that is being started, runs, or is over. Dropping it stops the work behind it.
pub(crate) struct Source {
    state: State,
    /// What [`Source::lead`] saw before the first delta or end, and that.
    start: Option<Start>,
    lead: Option<Update>,
}

enum State {
    Starting(BoxFuture<Result<UpdateStream, Refusal>>),
    Running(UpdateStream),
    Over,
}

impl Source {
    pub(crate) fn new(starting: BoxFuture<Result<UpdateStream, Refusal>>) -> Self {
        Self {
            state: State::Starting(starting),
            start: None,
            lead: None,
        }
    }

    /// Waits until it is known how the answer begins: `Err` if with an error, which is still an HTTP status then.
    /// What was seen is kept for [`Source::poll_update`].
    ///
    /// Cancel safe: waiting again goes on where this stopped.
    pub(crate) async fn lead(&mut self) -> Result<(), Refusal> {
        while self.lead.is_none() {
            match poll_fn(|cx| self.poll_live(cx)).await {
                None => break,
                Some(Err(refusal)) => return Err(refusal),
                Some(Ok(Update::Start(start))) => self.start = Some(start),
                Some(Ok(Update::Notice(_))) => {}
                Some(Ok(Update::End(End {
                    failure: Some(failure),
                    ..
                }))) => return Err(Refusal::from(&failure)),
                Some(Ok(update)) => self.lead = Some(update),
            }
        }
        Ok(())
    }

    /// The next update. A refusal or an [`Update::End`] is the last but for `None`.
    pub(crate) fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Update, Refusal>>> {
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(Update::Start(start))));
        }
        if let Some(update) = self.lead.take() {
            return Poll::Ready(Some(Ok(update)));
        }
        self.poll_live(cx)
    }

    /// The next update, as a future. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Update, Refusal>> {
        poll_fn(|cx| self.poll_update(cx)).await
    }

    fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Update, Refusal>>> {
        // After a panic the state is dropped and never polled again, so nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| self.state.poll(cx)));
        let update = match polled {
            Ok(polled) => ready!(polled),
            Err(_panic) => Some(Ok(broken("the source of the answer crashed"))),
        };
        match &update {
            Some(Ok(Update::Notice(notice))) => log(notice),
            None | Some(Err(_) | Ok(Update::End(_))) => self.state = State::Over,
            Some(Ok(Update::Start(_) | Update::Delta(_))) => {}
        }
        Poll::Ready(update)
    }
}

impl State {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Update, Refusal>>> {
        loop {
            match self {
                Self::Starting(starting) => match ready!(starting.as_mut().poll(cx)) {
                    Ok(stream) => *self = Self::Running(stream),
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                },
                Self::Running(stream) => {
                    let update = ready!(stream.as_mut().poll_next(cx));
                    let update =
                        update.unwrap_or_else(|| broken("the source of the answer stopped without a word"));
                    return Poll::Ready(Some(Ok(update)));
                }
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}

fn broken(what: &str) -> Update {
    tracing::error!(what, "a source broke its contract");
    Update::End(End::failed(
        Fault::Server,
        Failure::new(FailureKind::Internal, what),
    ))
}

/// Notices are for whoever runs the server; the API has no place for them.
fn log(notice: &Notice) {
    match notice {
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
    use aurora_chat::{Delta, FinishReason, Verdict};
    use futures_util::{StreamExt, stream};

    use super::*;

    fn source(updates: Vec<Update>) -> Source {
        let stream: UpdateStream = Box::pin(stream::iter(updates));
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
        while let Some(update) = source.next().await {
            updates.push(update.expect("no refusal"));
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
        assert!(source.next().await.is_none());
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
        let stream: UpdateStream = Box::pin(stream);
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
