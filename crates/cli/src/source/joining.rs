//! The rest of an answer of which some is there already: what the rest repeats of it is left out, and the seam is told.
//!
//! The client does the same for a connection that it lost itself. Here the beginning is one that was kept, and the rest
//! is asked for by a later run.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aurora_chat::{Delta, Notice, Update};
use aurora_client::{Joined, Seam};
use futures_util::stream::{Stream, StreamExt as _};

use super::Answering;

/// An answer that is the rest of another.
pub(crate) struct Joining {
    answer: Answering,
    /// Where it is joined, until that is known.
    seam: Option<Seam>,
    /// What was found and is to be told.
    ready: VecDeque<Update>,
}

impl Joining {
    /// The rest of this.
    pub(super) fn new(answer: Answering, partial: &str) -> Self {
        Self {
            answer,
            seam: Some(Seam::new(partial)),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn answer(&self) -> &Answering {
        &self.answer
    }

    pub(super) fn answer_mut(&mut self) -> &mut Answering {
        &mut self.answer
    }

    fn take(&mut self, update: Update) {
        match (update, &mut self.seam) {
            (Update::Delta(Delta::Text(text)), Some(seam)) => {
                let joined = seam.push(&text);
                joined.into_iter().for_each(|joined| self.join(joined));
            }
            (Update::End(end), Some(seam)) => {
                let joined = seam.finish();
                // An answer of which nothing came has no seam.
                if joined.overlap > 0 || !joined.text.is_empty() {
                    self.join(joined);
                }
                self.ready.push_back(Update::End(end));
            }
            (update, _) => self.ready.push_back(update),
        }
    }

    fn join(&mut self, joined: Joined) {
        self.seam = None;
        let dropped = match joined.overlap {
            0 => "nothing of it was repeated".to_owned(),
            n => format!("{n} bytes that it repeated are left out"),
        };
        self.ready.push_back(Update::Notice(Notice::Warning {
            kind: "continued",
            message: format!(
                "from here on the answer is another one's continuation of what was kept; {dropped}"
            ),
        }));
        if !joined.text.is_empty() {
            self.ready.push_back(Update::Delta(Delta::Text(joined.text)));
        }
    }
}

impl Stream for Joining {
    type Item = Update;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let this = self.get_mut();
        loop {
            if let Some(update) = this.ready.pop_front() {
                return Poll::Ready(Some(update));
            }
            match ready!(this.answer.poll_next_unpin(cx)) {
                Some(update) => this.take(update),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aurora_chat::{End, FinishReason, Verdict};
    use futures_util::stream;

    use super::*;

    fn joined(partial: &str, pieces: &[&str]) -> (String, usize, Option<Update>) {
        let end = End {
            verdict: Verdict::Complete,
            finish_reason: Some(FinishReason::Stop),
            failure: None,
        };
        let deltas = pieces
            .iter()
            .map(|text| Update::Delta(Delta::Text((*text).to_owned())));
        let updates: Vec<Update> = deltas.chain([Update::End(end)]).collect();
        let answer = Answering::made(Instant::now(), stream::iter(updates).boxed());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let updates: Vec<Update> = runtime.block_on(answer.joined_to(partial).collect());
        let text = updates.iter().filter_map(|update| match update {
            Update::Delta(Delta::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        let notices = updates
            .iter()
            .filter(|update| matches!(update, Update::Notice(_)))
            .count();
        (text.collect(), notices, updates.last().cloned())
    }

    #[test]
    fn a_repetition_is_left_out_once_and_the_end_stays_last() {
        for (pieces, text, notices) in [
            (&["own fox"][..], "own fox", 1),
            (&["The qu", "ick br", "own", " fox"], "own fox", 1),
            (&["The quick br"], "", 1),
            (&[], "", 0),
        ] {
            let (joined, told, last) = joined("The quick br", pieces);
            assert_eq!((joined.as_str(), told), (text, notices), "{pieces:?}");
            assert!(matches!(last, Some(Update::End(_))), "{last:?}");
        }
    }
}
