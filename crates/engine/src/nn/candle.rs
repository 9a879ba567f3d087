//! A Llama model with its keys and values, threads and buffers: what the scheduler drives.

use std::fmt;
use std::sync::Arc;

use super::cache::{KvStore, PAGE};
use super::linear::DENSE_ROWS;
use super::llama::{Llama, Workspace};
use super::parallel::Pool;
use crate::error::Result;
use crate::model::{Model, Outcome, Run, Shape};

/// A model that is ready to run.
pub(crate) struct Candle {
    weights: Arc<Llama>,
    pool: Arc<Pool>,
    store: KvStore,
    workspace: Workspace,
    sequences: usize,
}

impl Candle {
    /// A model for so many sequences, whose keys and values take at most `kv_bytes`, or a page if that is more.
    pub(crate) fn new(weights: Arc<Llama>, pool: Arc<Pool>, sequences: usize, kv_bytes: usize) -> Self {
        let pages = pages_of(&weights, kv_bytes);
        let store = KvStore::new(weights.config(), sequences, pages);
        Self {
            weights,
            pool,
            store,
            workspace: Workspace::default(),
            sequences,
        }
    }

    /// A model for so many sequences of at most `tokens` tokens.
    pub(crate) fn with_room(weights: Arc<Llama>, pool: Arc<Pool>, sequences: usize, tokens: usize) -> Self {
        let bytes = sequences * tokens.div_ceil(PAGE) * KvStore::page_bytes(weights.config());
        Self::new(weights, pool, sequences, bytes)
    }
}

/// Bytes that the keys and values of a whole context take.
pub(crate) fn context_bytes(weights: &Llama) -> usize {
    let config = weights.config();
    config
        .context
        .div_ceil(PAGE)
        .saturating_mul(KvStore::page_bytes(config))
}

/// How many pages so many bytes are, but one at least.
pub(crate) fn pages_of(weights: &Llama, bytes: usize) -> usize {
    (bytes / KvStore::page_bytes(weights.config())).max(1)
}

impl Model for Candle {
    fn shape(&self) -> Shape {
        Shape {
            vocabulary: self.weights.config().vocabulary,
            sequences: self.sequences,
            page: PAGE,
            pages: self.store.pages(),
            bulk: DENSE_ROWS,
        }
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
            ..
        } = self;
        let outcome = pool.run(|| weights.step(runs, store, workspace, stop));
        if !matches!(outcome, Ok(Outcome::Done)) {
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
