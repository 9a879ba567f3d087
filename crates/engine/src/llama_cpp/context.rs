//! Steps of the scheduler as batches of llama.cpp.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::cells::Cells;
use super::weights::{BATCH, Weights};
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::model::{Logits, Model, Outcome, Run, Shape};
use crate::pace::Pace;

self_cell::self_cell!(
    /// A context and the model that it borrows.
    pub(super) struct Bound {
        owner: Arc<LlamaModel>,
        #[covariant]
        dependent: LlamaContext,
    }
);

/// A model that is ready to run.
pub(crate) struct LlamaCpp {
    bound: Bound,
    batch: LlamaBatch<'static>,
    cells: Cells,
    shape: Shape,
    logits: Vec<f32>,
    pace: Pace,
}

/// As many rows of a prompt are read beside answers, however long they take: fewer are not much quicker.
const LEAST_BESIDE: usize = 16;

/// A row of a step.
struct Row {
    token: u32,
    position: usize,
    sequence: usize,
    wanted: bool,
}

impl LlamaCpp {
    /// A model on a context that was made for so many sequences and cells.
    pub(super) fn new(weights: &Weights, bound: Bound, sequences: usize, cells: u32) -> Self {
        Self {
            bound,
            batch: LlamaBatch::new(BATCH, 1),
            cells: Cells::new(sequences, cells),
            shape: Shape {
                vocabulary: weights.vocabulary(),
                sequences,
                page: 1,
                pages: cells as usize,
                bulk: usize::MAX,
                prefixes: weights.prefixes(),
            },
            logits: Vec::new(),
            pace: Pace::new(LEAST_BESIDE),
        }
    }

    /// Computes all rows, or as many as there are before `stop` says so.
    fn compute(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome> {
        self.logits.clear();
        let rows: usize = runs.iter().map(|run| run.tokens.len()).sum();
        if rows > self.cells.free() {
            return Err(Error::new(ErrorKind::Machine, "the keys and values do not fit"));
        }
        for run in runs {
            if run.position != self.cells.len(run.sequence) {
                return Err(corrupt("a run does not begin where its sequence ends"));
            }
            let outside = |token: &&u32| **token as usize >= self.shape.vocabulary;
            if let Some(token) = run.tokens.iter().find(outside) {
                return Err(corrupt(format!("token {token} is outside the vocabulary")));
            }
        }
        let began = Instant::now();
        let mut rest = runs.iter().flat_map(rows_of).peekable();
        while rest.peek().is_some() {
            // What has no end to cut off cannot be stopped.
            if self.shape.prefixes && stop() {
                return Ok(Outcome::Stopped);
            }
            self.batch(&mut rest)?;
        }
        self.pace.step(runs, began.elapsed());
        for run in runs {
            self.cells.add(run.sequence, run.tokens.len());
        }
        Ok(Outcome::Done)
    }

    /// Computes as many rows as a batch holds.
    fn batch(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<()> {
        self.batch.clear();
        let mut wanted = Vec::new();
        for (index, row) in (0_i32..).zip(rows.take(BATCH)) {
            let (Ok(token), Ok(position), Ok(sequence)) = (
                i32::try_from(row.token),
                i32::try_from(row.position),
                i32::try_from(row.sequence),
            ) else {
                return Err(corrupt("a row beyond what llama.cpp counts"));
            };
            self.batch
                .add(LlamaToken(token), position, &[sequence], row.wanted)
                .map_err(failed)?;
            if row.wanted {
                wanted.push(index);
            }
        }
        let Self {
            bound, batch, logits, ..
        } = self;
        bound.with_dependent_mut(|_, context| {
            context.decode(batch).map_err(failed)?;
            for index in wanted {
                logits.extend_from_slice(context.get_logits_ith(index));
            }
            Ok(())
        })
    }

    /// Has llama.cpp forget all but the first `length` tokens of a sequence.
    fn forget(&mut self, sequence: usize, length: usize) {
        let from = u32::try_from(length).ok().filter(|&from| from > 0);
        let sequence = i32::try_from(sequence).unwrap_or(i32::MAX);
        let removed = self
            .bound
            .with_dependent_mut(|_, context| context.kv_cache_seq_rm(sequence, from, None));
        if let Err(error) = removed {
            // The next step of the sequence says so, since it is not as long as that expects.
            tracing::error!(%error, "the end of a sequence could not be cut off");
        }
    }
}

impl Model for LlamaCpp {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn beside(&self) -> usize {
        self.pace.rows()
    }

    fn pages_taken(&self) -> usize {
        self.cells.taken()
    }

    fn step(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome> {
        let outcome = self.compute(runs, stop);
        if !matches!(outcome, Ok(Outcome::Done)) {
            for run in runs {
                self.forget(run.sequence, run.position);
            }
        }
        outcome
    }

    fn logits(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        if length < self.cells.len(sequence) {
            self.forget(sequence, length);
            self.cells.truncate(sequence, length);
        }
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) -> usize {
        let length = length.min(self.cells.len(from));
        self.truncate(to, 0);
        let (Ok(source), Ok(target), Ok(end)) =
            (i32::try_from(from), i32::try_from(to), u32::try_from(length))
        else {
            return 0;
        };
        let copied = self
            .bound
            .with_dependent_mut(|_, context| context.kv_cache_seq_cp(source, target, Some(0), Some(end)));
        match copied {
            Ok(()) => {
                self.cells.copy(from, to, length);
                length
            }
            Err(error) => {
                tracing::error!(%error, "the beginning of a sequence could not be copied");
                0
            }
        }
    }
}

impl fmt::Debug for LlamaCpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaCpp")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

fn rows_of<'r>(run: &Run<'r>) -> impl Iterator<Item = Row> + use<'r> {
    let Run {
        sequence,
        position,
        tokens,
        logits,
        ..
    } = *run;
    tokens.iter().enumerate().map(move |(offset, &token)| Row {
        token,
        position: position + offset,
        sequence,
        wanted: match logits {
            Logits::None => false,
            Logits::Last => offset + 1 == tokens.len(),
            Logits::All => true,
        },
    })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Machine, "llama.cpp did not compute a step").with_source(error)
}
