//! One request on its way: how much of it was fed, and what comes next.

use std::sync::Arc;

use super::{AHEAD, FEW, Job, Piece, Sink};
use crate::generation::Progress;
use crate::model::{Logits, Run, Shape};

/// A request that waits or runs.
pub(super) struct Sequence {
    pub(super) sink: Box<dyn Sink>,
    /// The prompt, then the answer as far as it is known.
    pub(super) tokens: Vec<u32>,
    prompt: usize,
    /// Tokens of prompt and answer together, at most.
    capacity: usize,
    /// How many of the first tokens take the way of many: all of the prompt or none.
    pub(super) bulk: usize,
    /// Rows that take the way of few, at once.
    few: usize,
    /// How many tokens the model has read.
    pub(super) fed: usize,
    /// How many it did not have to read, because another sequence had.
    taken_over: usize,
    /// The model's sequence, once it runs.
    pub(super) slot: usize,
    /// When it was last fed a piece of its prompt.
    pub(super) turn: u64,
    /// The logits after the prompt, once it was read: whoever asks the very same has nothing to read.
    pub(super) after_prompt: Option<AfterPrompt>,
}

/// The logits after a prompt.
#[derive(Clone, Debug)]
pub(super) struct AfterPrompt {
    /// Tokens of the prompt.
    prompt: usize,
    logits: Arc<[f32]>,
}

impl Sequence {
    /// A request that waits.
    pub(super) fn new(job: Job, shape: &Shape) -> Self {
        let prompt = job.prompt.len();
        Self {
            sink: job.sink,
            tokens: job.prompt,
            prompt,
            capacity: job.capacity,
            bulk: if prompt >= shape.bulk { prompt } else { 0 },
            // Where there is but one way, it is as fast for many.
            few: if shape.bulk == usize::MAX { usize::MAX } else { FEW },
            fed: 0,
            taken_over: 0,
            slot: 0,
            turn: 0,
            after_prompt: None,
        }
    }

    /// Whether it needs but the rows of its last tokens: the one that was chosen, and those that have to follow it.
    pub(super) fn is_answering(&self) -> bool {
        self.fed >= self.prompt && (1..=FEW).contains(&self.unread())
    }

    /// How many tokens the model has not read.
    pub(super) fn unread(&self) -> usize {
        self.tokens.len() - self.fed
    }

    /// Holds the first `fed` tokens now, as another sequence had read them.
    pub(super) fn take_over(&mut self, fed: usize) {
        self.taken_over += fed.saturating_sub(self.fed);
        self.fed = fed;
    }

    /// Has the next token chosen.
    pub(super) fn advance(&mut self, logits: &mut [f32]) -> Progress {
        if self.tokens.len() == self.prompt {
            self.after_prompt = Some(AfterPrompt {
                prompt: self.prompt,
                logits: Arc::from(&*logits),
            });
            self.sink.begin(self.taken_over);
        }
        self.sink.advance(logits, &mut self.tokens)
    }

    /// Has the first token chosen with the logits that another one had after the same prompt.
    pub(super) fn advance_as(&mut self, other: &AfterPrompt) -> Progress {
        self.advance(&mut other.logits.to_vec())
    }

    /// How many pages it is about to need, its own if it shares none.
    pub(super) fn claim(&self, shape: &Shape) -> usize {
        (self.tokens.len() + AHEAD)
            .min(self.capacity)
            .div_ceil(shape.page)
    }

    /// The next rows, about `most`, and whether they take the way of many.
    pub(super) fn next_piece(&self, most: usize) -> (usize, bool) {
        let bulk = self.fed < self.bulk;
        let end = if bulk { self.bulk } else { self.tokens.len() };
        let left = end - self.fed;
        // A small remainder costs nearly as much as a piece, so it goes along.
        let rows = if left <= most + most / 4 { left } else { most };
        (if bulk { rows } else { rows.min(self.few) }, bulk)
    }

    /// The rows of a piece, for the model.
    pub(super) fn run(&self, piece: &Piece) -> Run<'_> {
        let end = self.fed + piece.rows;
        Run {
            sequence: self.slot,
            position: self.fed,
            tokens: &self.tokens[self.fed..end],
            logits: if end == self.tokens.len() {
                Logits::Last
            } else {
                Logits::None
            },
            bulk: piece.bulk,
        }
    }

    /// How many of its first tokens another sequence has read, and each the way this one would have. The last token is
    /// not among them, as its logits are needed, unless the other one has them.
    pub(super) fn common(&self, read: &[u32], bulk: usize, after_prompt: Option<&AfterPrompt>) -> usize {
        let same = self.tokens.iter().zip(read).take_while(|(a, b)| a == b).count();
        let has_logits = after_prompt.is_some_and(|after| after.prompt == self.tokens.len());
        let same = if has_logits {
            same
        } else {
            same.min(self.tokens.len() - 1)
        };
        if bulk == self.bulk {
            same
        } else {
            same.min(bulk).min(self.bulk)
        }
    }
}
