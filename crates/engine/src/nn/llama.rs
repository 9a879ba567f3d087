//! A model of the Llama family: rows of tokens in, logits out.
//!
//! A step takes rows of several sequences at once. Linear layers run over all rows together, so that the weights are
//! read once for all; attention runs for each sequence over its own cache.

use super::attention::{Span, attend};
use super::block::Block;
use super::cache::KvStore;
use super::config::Config;
use super::linear::{Linear, Scratch, Weights};
use super::ops::{add, rms_norm, rms_norm_in_place, silu_and_multiply};
use super::rope::Rope;
use crate::error::{Result, corrupt};
use crate::gguf::Gguf;
use crate::model::{Logits, Outcome, Run};

/// The weights of a model.
#[derive(Debug)]
pub(crate) struct Llama {
    config: Config,
    embedding: Linear,
    /// `None` where the embedding serves as output too.
    output: Option<Linear>,
    output_norm: Vec<f32>,
    blocks: Vec<Block>,
    rope: Rope,
}

/// Buffers that steps reuse. They grow to the largest step.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    x: Vec<f32>,
    norm: Vec<f32>,
    qkv: Vec<f32>,
    part: Vec<f32>,
    attended: Vec<f32>,
    heads: Vec<f32>,
    gate_up: Vec<f32>,
    activated: Vec<f32>,
    projected: Vec<f32>,
    dense: Scratch,
    angles: Vec<(f32, f32)>,
    logits: Vec<f32>,
}

impl Workspace {
    /// The logits of the last step, a row of the vocabulary's size for each row they were wanted for, in order.
    pub(crate) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }
}

impl Llama {
    /// Reads the weights of a file.
    pub(crate) fn read(gguf: &mut Gguf) -> Result<Self> {
        let config = Config::read(gguf)?;
        let (vocabulary, width) = (config.vocabulary, config.width);
        let embedding = Linear::new(&Weights::read(gguf, "token_embd", vocabulary, width)?)?;
        let output = if gguf.has_tensor("output.weight") {
            Some(Linear::new(&Weights::read(gguf, "output", vocabulary, width)?)?)
        } else {
            None
        };
        let factors = if gguf.has_tensor("rope_freqs.weight") {
            gguf.vector("rope_freqs.weight", config.rope_width / 2)?
        } else {
            Vec::new()
        };
        let rope = Rope::new(&config, &factors);
        let blocks = (0..config.blocks)
            .map(|index| Block::read(gguf, &config, index))
            .collect::<Result<_>>()?;
        let output_norm = gguf.vector("output_norm.weight", config.width)?;
        Ok(Self {
            config,
            embedding,
            output,
            output_norm,
            blocks,
            rope,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Runs one step. `stop` is asked between blocks, and ends the step when it says so.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, or a sequence is not where the run says or finds no room.
    pub(crate) fn step(
        &self,
        runs: &[Run<'_>],
        store: &mut KvStore,
        workspace: &mut Workspace,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Outcome> {
        let Workspace {
            x,
            norm,
            qkv,
            part,
            attended,
            heads,
            gate_up,
            activated,
            projected,
            dense,
            angles,
            logits,
        } = workspace;
        let config = &self.config;
        let rows: usize = runs.iter().map(|run| run.tokens.len()).sum();
        let dense_rows = runs
            .first()
            .filter(|first| first.bulk)
            .map_or(0, |first| first.tokens.len());
        debug_assert!(
            runs.iter().skip(1).all(|run| !run.bulk),
            "only the first run may be bulk"
        );
        for run in runs {
            if run.position != store.len(run.sequence) {
                return Err(corrupt("a run does not begin where its sequence ends"));
            }
            store.reserve(run.sequence, run.tokens.len())?;
        }
        x.resize(rows * config.width, 0.0);
        norm.resize(rows * config.width, 0.0);
        attended.resize(rows * config.query_width(), 0.0);
        activated.resize(rows * config.feed_forward, 0.0);
        projected.resize(rows * config.width, 0.0);
        self.embed(runs, x, angles)?;
        for (index, block) in self.blocks.iter().enumerate() {
            if stop() {
                return Ok(Outcome::Stopped);
            }
            rms_norm(x, &block.attention_norm, config.epsilon, norm);
            apply_stacked(&block.qkv, norm, dense_rows, qkv, part, dense);
            self.turn(block, qkv, angles);
            self.attend(index, runs, store, qkv, attended, heads);
            block
                .attention_output
                .apply(attended, dense_rows, projected, dense);
            add(x, projected);
            rms_norm(x, &block.feed_forward_norm, config.epsilon, norm);
            apply_stacked(&block.gate_up, norm, dense_rows, gate_up, part, dense);
            silu_and_multiply(gate_up, config.feed_forward, activated);
            block.down.apply(activated, dense_rows, projected, dense);
            add(x, projected);
        }
        let wanted = select_rows(runs, x, config.width, part);
        rms_norm(
            part,
            &self.output_norm,
            config.epsilon,
            &mut norm[..wanted * config.width],
        );
        logits.resize(wanted * config.vocabulary, 0.0);
        if wanted > 0 {
            let output = self.output.as_ref().unwrap_or(&self.embedding);
            // One row a sequence is too few for the dense way; all rows of one are what checks ask for.
            let dense_rows = if runs.iter().any(|run| run.logits == Logits::All) {
                dense_rows
            } else {
                0
            };
            output.apply(&norm[..wanted * config.width], dense_rows, logits, dense);
        }
        for run in runs {
            store.advance(run.sequence, run.tokens.len());
        }
        Ok(Outcome::Done)
    }

    /// Looks up the tokens' rows and their positions' angles.
    fn embed(&self, runs: &[Run<'_>], x: &mut [f32], angles: &mut Vec<(f32, f32)>) -> Result<()> {
        angles.clear();
        let mut rows = x.chunks_exact_mut(self.config.width);
        for run in runs {
            for ((offset, &token), row) in run.tokens.iter().enumerate().zip(&mut rows) {
                let token = token as usize;
                if token >= self.config.vocabulary {
                    return Err(corrupt(format!("token {token} is outside the vocabulary")));
                }
                self.embedding.dequantise(token..token + 1, row);
                self.rope.angles(run.position + offset, angles);
            }
        }
        Ok(())
    }

    /// Normalises queries and keys where the model does, and turns them by the angles of their positions.
    fn turn(&self, block: &Block, qkv: &mut [f32], angles: &[(f32, f32)]) {
        let (query_width, kv_width) = (self.config.query_width(), self.config.kv_width());
        let pairs = self.rope.pairs();
        for (row, qkv) in qkv.chunks_exact_mut(query_width + 2 * kv_width).enumerate() {
            let (turned, _) = qkv.split_at_mut(query_width + kv_width);
            if let Some((queries, keys)) = &block.head_norms {
                let (q, k) = turned.split_at_mut(query_width);
                rms_norm_in_place(q, queries, self.config.epsilon);
                rms_norm_in_place(k, keys, self.config.epsilon);
            }
            self.rope.rotate(turned, &angles[row * pairs..][..pairs]);
        }
    }

    /// Stores keys and values, and attends.
    fn attend(
        &self,
        block: usize,
        runs: &[Run<'_>],
        store: &mut KvStore,
        qkv: &[f32],
        out: &mut [f32],
        heads: &mut Vec<f32>,
    ) {
        let config = &self.config;
        let (query_width, kv_width) = (config.query_width(), config.kv_width());
        let stride = query_width + 2 * kv_width;
        let mut first = 0;
        let mut spans = Vec::with_capacity(runs.len());
        for run in runs {
            let rows = run.tokens.len();
            for offset in 0..rows {
                let row = &qkv[(first + offset) * stride..][..stride];
                let (keys, values) = row[query_width..].split_at(kv_width);
                store.store(run.sequence, block, run.position + offset, keys, values);
            }
            spans.push(Span {
                queries: &qkv[first * stride..],
                stride,
                start: run.position,
                rows,
                dense: run.bulk,
                sequence: run.sequence,
            });
            first += rows;
        }
        attend(config, store, block, &spans, out, heads);
    }
}

/// Applies layers side by side: a row of `out` holds the first layer's result, then the second's, and so on.
fn apply_stacked(
    layers: &[Linear],
    x: &[f32],
    dense_rows: usize,
    out: &mut Vec<f32>,
    part: &mut Vec<f32>,
    scratch: &mut Scratch,
) {
    let outputs: usize = layers.iter().map(Linear::outputs).sum();
    let rows = x.len() / layers[0].inputs();
    out.resize(rows * outputs, 0.0);
    if let [layer] = layers {
        return layer.apply(x, dense_rows, out, scratch);
    }
    let mut column = 0;
    for layer in layers {
        let width = layer.outputs();
        part.resize(rows * width, 0.0);
        layer.apply(x, dense_rows, part, scratch);
        for (out, part) in out.chunks_exact_mut(outputs).zip(part.chunks_exact(width)) {
            out[column..column + width].copy_from_slice(part);
        }
        column += width;
    }
}

/// Copies the rows that logits are wanted for to the front of `out`; returns how many.
fn select_rows(runs: &[Run<'_>], x: &[f32], width: usize, out: &mut Vec<f32>) -> usize {
    out.clear();
    let mut first = 0;
    for run in runs {
        let end = first + run.tokens.len();
        let from = match run.logits {
            Logits::None => end,
            Logits::Last => end - 1,
            Logits::All => first,
        };
        out.extend_from_slice(&x[from * width..end * width]);
        first = end;
    }
    out.len() / width
}
