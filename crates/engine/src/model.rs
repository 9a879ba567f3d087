//! A model as the scheduler sees it: rows of (token, position, sequence) in, logits out.
//!
//! What is behind it (candle, llama.cpp, a script in the scheduler's tests) decides how rows are computed and where keys and
//! values lie. It knows nothing of text, requests or the order in which sequences get their turn.

use std::fmt;

use crate::error::Result;

/// What runs a model. A sequence is a number below [`Shape::sequences`]; at first all are empty.
pub(crate) trait Model: fmt::Debug {
    /// What the scheduler has to know of it. Does not change.
    fn shape(&self) -> Shape;

    /// Rows of a prompt that a step is to hold at most while others are answering: the more, the sooner the prompt is read,
    /// and the longer they wait for their next tokens. At least 1; may change with every step.
    fn beside(&self) -> usize;

    /// Pages that hold tokens of sequences, each counted once however many share it. At most [`Shape::pages`].
    fn pages_taken(&self) -> usize;

    /// Computes rows, each sequence's at most once. `stop` is asked now and then, and ends the step when it says so.
    ///
    /// # Errors
    /// If a token is not of the vocabulary, or the pages do not suffice. The sequences hold what they held before.
    fn step(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome>;

    /// The logits of the last step: a row of the vocabulary's size for each row they were wanted for, in order. The
    /// caller may change them.
    fn logits(&mut self) -> &mut [f32];

    /// Forgets all but the first `length` tokens of a sequence.
    fn truncate(&mut self, sequence: usize, length: usize);

    /// Gives `to` the first `length` tokens of `from`, instead of what it held; returns how many it got, which is fewer
    /// where there is no page left to copy one into that is wanted in part. Whole pages are shared.
    fn copy(&mut self, from: usize, to: usize, length: usize) -> usize;
}

/// What the scheduler has to know of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) vocabulary: usize,
    /// Sequences that it holds at once.
    pub(crate) sequences: usize,
    /// Positions of a page.
    pub(crate) page: usize,
    /// Pages that there are for all sequences.
    pub(crate) pages: usize,
    /// From a prompt of this many tokens on, its rows take the way that is fast for many. `usize::MAX`: there is but one.
    pub(crate) bulk: usize,
    /// Whether a sequence's beginning can be copied, and its end cut off. Where not, nothing is shared or kept.
    pub(crate) prefixes: bool,
}

/// Rows of one sequence in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) sequence: usize,
    /// The first row's position: how many tokens the sequence holds.
    pub(crate) position: usize,
    /// At least one.
    pub(crate) tokens: &'a [u32],
    pub(crate) logits: Logits,
    /// Whether the rows take the way that is fast for many; at most the first run of a step. The two ways round
    /// differently, so a row's way may depend on its own request alone.
    pub(crate) bulk: bool,
}

/// Which rows of a run logits are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logits {
    None,
    Last,
    All,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// The sequences hold the rows.
    Done,
    /// It was stopped; the sequences hold what they held before.
    Stopped,
}
