//! One answer of many: a source is asked, and what it says becomes one value.
//!
//! Commands that ask for many answers at once show none of them as it comes, or only its latest words. Which are asked,
//! how many at once, and whether one that failed is asked for again is theirs to decide; here one is gathered.

use std::time::Duration;

use aurora_chat::{ChatRequest, Delta, End, Fault, Notice, Start, Transcript, Update, Usage};
use futures_util::StreamExt as _;

use crate::problem::Result;
use crate::source::{Answering, Source};

/// What came of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the source said when it accepted the request; `None` if it never did.
    pub(crate) start: Option<Start>,
    /// As much of the answer as came, with its token counts.
    pub(crate) answer: Transcript,
    /// The verdict, and what went wrong.
    pub(crate) end: End,
    /// How many requests were sent for it, at least one: the source's own retries are counted.
    pub(crate) attempts: u32,
    /// From the asking to the first piece of the answer.
    pub(crate) first: Option<Duration>,
    /// From the asking to the end.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// What it cost in tokens, where the source counts them.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.answer.usage
    }
}

/// Asks a source and gathers its answer, whatever becomes of it. `watch` is shown every update as it comes, the last of
/// which is the end. Dropped before that, it stops all work.
///
/// # Errors
/// There is no source to be asked: a local model cannot be fetched or read (configuration).
pub(crate) async fn gather(
    source: Source,
    request: ChatRequest,
    watch: impl FnMut(&Update),
) -> Result<Outcome> {
    let answering = source.ask(request, None).await?;
    Ok(gathered(answering, watch).await)
}

async fn gathered(mut answering: Answering, mut watch: impl FnMut(&Update)) -> Outcome {
    let mut outcome = Outcome {
        start: None,
        answer: Transcript::new(),
        end: End::cancelled(),
        attempts: 1,
        first: None,
        elapsed: Duration::ZERO,
    };
    while let Some(update) = answering.next().await {
        outcome.elapsed = answering.elapsed();
        let Some(end) = outcome.take(&update) else {
            watch(&update);
            continue;
        };
        // Not always the source's own end: one that goes beyond the limit is asked no more.
        let is_own = matches!(update, Update::End(_));
        watch(&Update::End(end.clone()));
        outcome.end = end;
        if is_own {
            // Polled once more, it lets go of its connection in a state that the next call can use.
            let _ = answering.next().await;
        }
        break;
    }
    outcome
}

impl Outcome {
    /// Takes an update; returns the end, if this is it.
    fn take(&mut self, update: &Update) -> Option<End> {
        match update {
            Update::Start(start) => self.start = Some(start.clone()),
            Update::Delta(delta) => {
                if is_content(delta) {
                    self.first.get_or_insert(self.elapsed);
                }
                if let Err(failure) = self.answer.push(delta) {
                    return Some(End::failed(Fault::Server, failure));
                }
            }
            // Once something has come, what is tried again is to pick the connection up.
            Update::Notice(Notice::Retry { .. }) if self.first.is_none() => self.attempts += 1,
            Update::Notice(_) => {}
            Update::End(end) => return Some(end.clone()),
        }
        None
    }
}

/// Whether a delta carries something of the answer.
fn is_content(delta: &Delta) -> bool {
    match delta {
        Delta::Text(_) | Delta::Reasoning(_) | Delta::Refusal(_) | Delta::ToolCall(_) => true,
        Delta::Logprobs(_) | Delta::Usage(_) | Delta::Finish(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aurora_chat::{FailureKind, FinishReason, Limit, Verdict};
    use futures_util::stream;

    use super::*;

    fn gather(updates: Vec<Update>) -> (Outcome, usize) {
        let answering = Answering::made(Instant::now(), stream::iter(updates).boxed());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut seen = 0;
        let outcome = runtime.block_on(gathered(answering, |_| seen += 1));
        (outcome, seen)
    }

    fn text(text: impl Into<String>) -> Update {
        Update::Delta(Delta::Text(text.into()))
    }

    fn retry() -> Update {
        Update::Notice(Notice::Retry {
            attempt: 1,
            wait: Duration::ZERO,
            reason: "busy".to_owned(),
        })
    }

    #[test]
    fn an_answer_is_gathered_with_what_it_cost() {
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 2,
            ..Usage::default()
        };
        let (outcome, seen) = gather(vec![
            retry(),
            retry(),
            Update::Start(Start::default()),
            text("Hel"),
            text("lo"),
            // To pick up what was begun is no attempt of its own.
            retry(),
            Update::Delta(Delta::Usage(usage)),
            Update::End(End::finished(Some(FinishReason::Stop))),
        ]);
        assert_eq!(outcome.answer.text, "Hello");
        assert_eq!((outcome.attempts, outcome.usage()), (3, Some(usage)));
        assert_eq!(outcome.end.verdict, Verdict::Complete);
        assert!(outcome.start.is_some() && outcome.first.is_some());
        assert_eq!(seen, 8);
    }

    #[test]
    fn what_came_of_a_broken_answer_stays_with_its_verdict() {
        let end = End::failed(
            Fault::Server,
            aurora_chat::Failure::new(FailureKind::ErrorEvent, "no"),
        );
        let (outcome, _) = gather(vec![text("half"), Update::End(end.clone())]);
        assert_eq!((outcome.answer.text.as_str(), &outcome.end), ("half", &end));
    }

    #[test]
    fn an_answer_beyond_the_limit_ends_there() {
        let piece = "x".repeat(40 << 20);
        let (outcome, seen) = gather(vec![text(piece.clone()), text(piece), text("more")]);
        let kind = outcome.end.failure.map(|failure| failure.kind);
        assert_eq!((kind, seen), (Some(FailureKind::Limit(Limit::Answer)), 2));
        assert_eq!(outcome.answer.text.len(), 40 << 20);
    }
}
