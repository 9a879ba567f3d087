//! A Llama model with its keys and values, threads and buffers: what the scheduler drives.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::cache::{KvStore, PAGE};
use super::linear::DENSE_ROWS;
use super::llama::{Llama, Workspace};
use super::parallel::Pool;
use crate::error::Result;
use crate::model::{Model, Outcome, Run, Shape};
use crate::pace::Pace;

/// As many rows of a prompt are read beside answers, however long they take: 16 rows of SmolLM2 take 40 ms on two cores,
/// 64 rows 65 ms, and 128 rows 100.
const LEAST_BESIDE: usize = 32;

/// A model that is ready to run.
pub(crate) struct Candle {
    weights: Arc<Llama>,
    pool: Arc<Pool>,
    store: KvStore,
    workspace: Workspace,
    sequences: usize,
    pace: Pace,
}

impl Candle {
    /// Tokens of a page of keys and values.
    pub(crate) const PAGE: usize = PAGE;

    /// Bytes of a page of keys and values.
    pub(crate) fn page_bytes(weights: &Llama) -> usize {
        KvStore::page_bytes(weights.config())
    }

    /// A model for so many sequences, whose keys and values take at most so many pages.
    pub(crate) fn new(weights: Arc<Llama>, pool: Arc<Pool>, sequences: usize, pages: usize) -> Self {
        let store = KvStore::new(weights.config(), sequences, pages);
        Self {
            weights,
            pool,
            store,
            workspace: Workspace::default(),
            sequences,
            pace: Pace::new(LEAST_BESIDE),
        }
    }
}

impl Model for Candle {
    fn shape(&self) -> Shape {
        Shape {
            vocabulary: self.weights.config().vocabulary,
            sequences: self.sequences,
            page: PAGE,
            pages: self.store.pages(),
            bulk: DENSE_ROWS,
            prefixes: true,
        }
    }

    fn beside(&self) -> usize {
        self.pace.rows()
    }

    fn pages_taken(&self) -> usize {
        self.store.taken()
    }

    fn step(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome> {
        let Self {
            weights,
            pool,
            store,
            workspace,
            pace,
            ..
        } = self;
        let began = Instant::now();
        let outcome = pool.run(|| weights.step(runs, store, workspace, stop));
        if matches!(outcome, Ok(Outcome::Done)) {
            pace.step(runs, began.elapsed());
        } else {
            // Gives back what was reserved.
            for run in runs {
                store.truncate(run.sequence, run.position);
            }
        }
        outcome
    }

    fn logits(&mut self) -> &mut [f32] {
        self.workspace.logits_mut()
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        self.store.truncate(sequence, length);
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) -> usize {
        self.store.copy(from, to, length)
    }
}

impl fmt::Debug for Candle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candle")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
