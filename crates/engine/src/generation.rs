//! One answer in the making: what the caller holds, and what the scheduler feeds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use aurora_chat::{
    Delta, End, Failure, FailureKind, Fault, FinishReason, Start, TokenLogprob, Update, Usage,
};
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::constraint::Constraint;
use crate::text::{Measure, Sampler, Thoughts, Tokenizer, Wording};

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

/// The scheduler's side of an answer: logits in, updates out.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` once there was no room for an update, which ends the answer as broken.
    updates: Option<mpsc::Sender<Update>>,
    voice: Voice,
    usage: Usage,
    /// Tokens that may still be generated.
    remaining: usize,
    /// Given back before the end is told, so that who has seen the end finds room for the next.
    place: Option<Place>,
    /// What a token said; kept for its room.
    deltas: Vec<Delta>,
}

/// How an answer's tokens are chosen, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Voice {
    pub(crate) sampler: Sampler,
    pub(crate) wording: Wording,
    /// Where log probabilities are wanted.
    pub(crate) measure: Option<Measure>,
    /// What the answer has to be.
    pub(crate) constraint: Option<Constraint>,
    /// What the answer has to be once it begins a call, from behind the call's cue on.
    pub(crate) call: Option<Constraint>,
}

impl Voice {
    /// Tells reasoning apart. An answer that is held to something from its beginning has none: it is what it has to be.
    pub(crate) fn think(&mut self, thoughts: Thoughts) {
        if self.constraint.is_none() {
            self.wording.think(thoughts);
        }
    }
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

/// Whether an answer goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Feed the tokens that were added, and ask again.
    Next,
    /// The answer has ended, or nobody wants it any more.
    Finished,
}

/// Updates that a token may cause: reasoning, text, what is known of its tokens, and pieces of a call.
const UPDATES: usize = 6;

/// The two sides of an answer of at most `limit` tokens, to a prompt of `prompt` tokens.
///
/// The channel between them has room for every update there can be, so the scheduler never waits for a slow reader;
/// what it can hold is bounded by the model's context.
pub(crate) fn generation(
    start: Start,
    prompt: usize,
    limit: usize,
    voice: Voice,
    place: Place,
) -> (Writer, Generation) {
    // Room is taken up only as it is used.
    let (updates, receiver) = mpsc::channel(limit.saturating_mul(UPDATES).saturating_add(16));
    let usage = Usage {
        input_tokens: prompt as u64,
        ..Usage::default()
    };
    let mut writer = Writer {
        updates: Some(updates),
        voice,
        usage,
        remaining: limit,
        place: Some(place),
        deltas: Vec::new(),
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
        self.updates.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    /// Notes how many of the prompt's tokens did not have to be read.
    pub(crate) fn begin(&mut self, cached: usize) {
        self.usage.cached_input_tokens = Some(cached as u64);
    }

    /// Chooses the next token from its logits, passes on the text it completes, and adds it to `tokens` if it is to be fed;
    /// so it does with those that have to follow it.
    pub(crate) fn advance(
        &mut self,
        logits: &mut [f32],
        tokenizer: &Tokenizer,
        tokens: &mut Vec<u32>,
    ) -> Progress {
        match self.speak(logits, tokenizer, tokens) {
            Ok(progress) => progress,
            Err(why) => {
                tracing::warn!(why, "an answer's grammar cannot be followed any further");
                let message = format!("the answer cannot be held to what it was to obey any further: {why}");
                self.end_with(End::failed(
                    Fault::Server,
                    Failure::new(FailureKind::Internal, message),
                ));
                Progress::Finished
            }
        }
    }

    fn speak(
        &mut self,
        logits: &mut [f32],
        tokenizer: &Tokenizer,
        tokens: &mut Vec<u32>,
    ) -> Result<Progress, String> {
        let voice = &mut self.voice;
        if let Some(measure) = &mut voice.measure {
            measure.note(logits);
        }
        let mask = voice.constraint.as_mut().map(Constraint::mask).transpose()?;
        let token = voice.sampler.sample(logits, mask.as_ref());
        let logprob = voice.measure.as_ref().map(|measure| measure.of(token, tokenizer));
        if let Some(progress) = self.say(token, logprob, tokenizer)? {
            return Ok(progress);
        }
        tokens.push(token);
        // Each token's log probability needs the logits that it was chosen from.
        if self.voice.measure.is_some() {
            return Ok(Progress::Next);
        }
        let forced = self.voice.constraint.as_mut().map(Constraint::forced);
        for token in forced.unwrap_or_default() {
            self.voice.sampler.note(token);
            if let Some(progress) = self.say(token, None, tokenizer)? {
                return Ok(progress);
            }
            tokens.push(token);
        }
        Ok(Progress::Next)
    }

    /// Passes on what a token says. `None`: the answer goes on.
    fn say(
        &mut self,
        token: u32,
        logprob: Option<TokenLogprob>,
        tokenizer: &Tokenizer,
    ) -> Result<Option<Progress>, String> {
        self.usage.output_tokens += 1;
        if self.voice.wording.is_thinking() {
            *self.usage.reasoning_tokens.get_or_insert(0) += 1;
        }
        if tokenizer.is_end(token) {
            return Ok(Some(self.finish(FinishReason::Stop)));
        }
        let voice = &mut self.voice;
        if let Some(constraint) = &mut voice.constraint {
            constraint.accept(token)?;
        }
        let stopped = voice.wording.push(token, logprob, tokenizer, &mut self.deltas);
        // Of a call that nobody demanded: from its cue on it has to be one.
        if let Some(begun) = voice.wording.cue()
            && let Some(mut call) = voice.call.take()
        {
            if call.go_on_from(&tokenizer.encode_said(&begun)) {
                voice.constraint = Some(call);
            } else {
                tracing::debug!("a call begins in a way that cannot be held to its grammar");
            }
        }
        self.pass_on();
        if stopped {
            return Ok(Some(self.end(FinishReason::Stop)));
        }
        // A grammar that is fulfilled ends an answer that is whole, be it with the last token there was.
        if self.voice.constraint.as_ref().is_some_and(Constraint::is_over) {
            return Ok(Some(self.finish(FinishReason::Stop)));
        }
        self.remaining -= 1;
        Ok((self.remaining == 0).then(|| self.finish(FinishReason::Length)))
    }

    /// Ends the answer with a failure of the engine.
    pub(crate) fn fail(&mut self, error: &crate::Error) {
        let failure = Failure::new(FailureKind::Internal, error.to_string());
        self.end_with(End::failed(Fault::Server, failure));
    }

    /// Ends the answer, with what was held back for characters, calls and stop strings.
    fn finish(&mut self, reason: FinishReason) -> Progress {
        self.voice.wording.finish(&mut self.deltas);
        self.pass_on();
        self.end(reason)
    }

    fn end(&mut self, reason: FinishReason) -> Progress {
        let reason = match reason {
            FinishReason::Stop if self.voice.wording.has_called() => FinishReason::ToolCalls,
            reason => reason,
        };
        self.place = None;
        self.send(Update::Delta(Delta::Finish(reason.clone())));
        self.send(Update::Delta(Delta::Usage(self.usage)));
        self.send(Update::End(End::finished(Some(reason))));
        Progress::Finished
    }

    fn end_with(&mut self, end: End) {
        self.place = None;
        self.send(Update::End(end));
    }

    fn pass_on(&mut self) {
        let mut deltas = std::mem::take(&mut self.deltas);
        for delta in deltas.drain(..) {
            self.send(Update::Delta(delta));
        }
        self.deltas = deltas;
    }

    fn send(&mut self, update: Update) {
        let Some(updates) = &self.updates else { return };
        // Closed: nobody listens, which is_cancelled() tells. Full: there is no room for an end either.
        if let Err(mpsc::error::TrySendError::Full(_)) = updates.try_send(update) {
            tracing::error!("an answer has more updates than there is room for");
            self.updates = None;
        }
    }
}
