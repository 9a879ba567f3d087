//! One answer in the making: what the caller holds, and what the scheduler feeds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use aurora_chat::{Delta, End, Failure, FailureKind, Fault, FinishReason, Start, Update, Usage};
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::text::{Assembler, Sampler, Stops, Thoughts, Tokenizer};

/// An answer as it is generated: a start, text, token counts, a finish reason, an end.
///
/// Dropping it cancels: the model stops working on it within one block of one step, a few milliseconds. It needs no
/// particular runtime.
#[derive(Debug)]
pub struct Generation {
    updates: mpsc::Receiver<Update>,
    ended: bool,
}

impl Stream for Generation {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let update = match std::task::ready!(self.updates.poll_recv(cx)) {
            Some(update) => update,
            // The engine was dropped, or its thread died: the promise of one end is kept here.
            None => Update::End(stopped()),
        };
        self.ended = matches!(update, Update::End(_));
        Poll::Ready(Some(update))
    }
}

impl Generation {
    /// The next update, for callers without an async runtime. `None` after the end.
    ///
    /// # Panics
    /// If called from async code, which it would block.
    pub fn blocking_next(&mut self) -> Option<Update> {
        if self.ended {
            return None;
        }
        let update = self
            .updates
            .blocking_recv()
            .unwrap_or_else(|| Update::End(stopped()));
        self.ended = matches!(update, Update::End(_));
        Some(update)
    }
}

fn stopped() -> End {
    let failure = Failure::new(
        FailureKind::Internal,
        "the local engine stopped before the answer was finished",
    );
    End::failed(Fault::Server, failure)
}

/// The scheduler's side of an answer: tokens in, updates out.
#[derive(Debug)]
pub(crate) struct Writer {
    updates: mpsc::Sender<Update>,
    sampler: Sampler,
    assembler: Assembler,
    stops: Stops,
    thoughts: Thoughts,
    usage: Usage,
    /// Tokens that may still be generated.
    remaining: usize,
    /// Given back before the end is told, so that who has seen the end finds room for the next.
    place: Option<Place>,
}

/// One place among the answers that may wait or run at once.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes a place, if less than `most` are taken.
    pub(crate) fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let next = |taken: usize| (taken < most).then_some(taken + 1);
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
            .ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether an answer goes on after a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Feed this token, and ask again.
    Next(u32),
    /// The answer has ended, or nobody wants it any more.
    Finished,
}

/// The two sides of an answer of at most `limit` tokens, to a prompt of `prompt` tokens.
///
/// The channel between them has room for every update there can be, so the scheduler never waits for a slow reader;
/// what it can hold is bounded by the model's context.
pub(crate) fn generation(
    start: Start,
    prompt: usize,
    limit: usize,
    sampler: Sampler,
    stops: Stops,
    thoughts: Thoughts,
    place: Place,
) -> (Writer, Generation) {
    let (updates, receiver) = mpsc::channel(limit + 8);
    let usage = Usage {
        input_tokens: prompt as u64,
        ..Usage::default()
    };
    let writer = Writer {
        updates,
        sampler,
        assembler: Assembler::default(),
        stops,
        thoughts,
        usage,
        remaining: limit,
        place: Some(place),
    };
    writer.send(Update::Start(start));
    (
        writer,
        Generation {
            updates: receiver,
            ended: false,
        },
    )
}

impl Writer {
    /// Whether nobody wants the answer any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.updates.is_closed()
    }

    /// Notes how many of the prompt's tokens did not have to be read.
    pub(crate) fn begin(&mut self, cached: usize) {
        self.usage.cached_input_tokens = Some(cached as u64);
    }

    /// Chooses the next token from its logits, and passes on the text it completes.
    pub(crate) fn advance(&mut self, logits: &mut [f32], tokenizer: &Tokenizer) -> Progress {
        let token = self.sampler.sample(logits);
        self.usage.output_tokens += 1;
        if self.thoughts.is_inside() {
            *self.usage.reasoning_tokens.get_or_insert(0) += 1;
        }
        if tokenizer.is_end(token) {
            return self.finish(FinishReason::Stop);
        }
        let (mut whole, mut text) = (String::new(), String::new());
        self.assembler.push(tokenizer.bytes(token), &mut whole);
        if self.stops.push(&whole, &mut text) {
            self.text(&text);
            return self.end(FinishReason::Stop);
        }
        self.text(&text);
        self.remaining -= 1;
        if self.remaining == 0 {
            return self.finish(FinishReason::Length);
        }
        Progress::Next(token)
    }

    /// Ends the answer with a failure of the engine.
    pub(crate) fn fail(&mut self, error: &crate::Error) {
        self.place = None;
        self.send(Update::End(End::failed(
            Fault::Server,
            Failure::new(FailureKind::Internal, error.to_string()),
        )));
    }

    /// Ends the answer, with what was held back for characters and stop strings.
    fn finish(&mut self, reason: FinishReason) -> Progress {
        let (mut whole, mut text) = (String::new(), String::new());
        self.assembler.finish(&mut whole);
        let stopped = self.stops.push(&whole, &mut text);
        if !stopped {
            self.stops.finish(&mut text);
        }
        self.text(&text);
        self.end(reason)
    }

    fn end(&mut self, reason: FinishReason) -> Progress {
        self.thoughts
            .finish(|delta| send(&self.updates, Update::Delta(delta)));
        self.place = None;
        self.send(Update::Delta(Delta::Finish(reason.clone())));
        self.send(Update::Delta(Delta::Usage(self.usage)));
        self.send(Update::End(End::finished(Some(reason))));
        Progress::Finished
    }

    fn text(&mut self, text: &str) {
        self.thoughts
            .push(text, |delta| send(&self.updates, Update::Delta(delta)));
    }

    fn send(&self, update: Update) {
        send(&self.updates, update);
    }
}

fn send(updates: &mpsc::Sender<Update>, update: Update) {
    // Closed: nobody listens, which is_cancelled() tells. Full: impossible, see generation().
    let _ = updates.try_send(update);
}
