//! A model of the Llama architecture: rows of tokens in, logits out.
//!
//! A step takes rows of several sequences at once. Linear layers run over all rows together, so that the weights are
//! read once for all; attention runs for each sequence over its own cache.

use super::attention::{Span, attend};
use super::cache::KvCache;
use super::config::Config;
use super::linear::Linear;
use super::ops::{rms_norm, silu_and_multiply};
use super::rope::Rope;
use crate::error::{Result, corrupt};
use crate::gguf::Gguf;

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

#[derive(Debug)]
struct Block {
    attention_norm: Vec<f32>,
    /// Queries, keys and values stacked, or one layer each where their quantisations differ.
    qkv: Vec<Linear>,
    attention_output: Linear,
    feed_forward_norm: Vec<f32>,
    /// Gate and up projection, stacked or one layer each.
    gate_up: Vec<Linear>,
    down: Linear,
}

/// The rows of one sequence in a step.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    /// The next tokens; their positions follow the cache's length, and the cache has room for them.
    pub(crate) tokens: &'a [u32],
    pub(crate) cache: &'a mut KvCache,
    pub(crate) logits: Logits,
    /// Whether the rows take the way that is fast for many: those of a prompt of at least
    /// [`DENSE_ROWS`](super::DENSE_ROWS) tokens, in whatever pieces it is fed. At most the first slot of a step.
    pub(crate) dense: bool,
}

/// Which rows of a slot logits are wanted for.
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
    /// The caches hold the rows, and the workspace the logits.
    Done,
    /// It was stopped between two blocks; the caches are as they were.
    Stopped,
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
    weights: Vec<f32>,
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
        let embedding = Linear::new(&gguf.weights("token_embd.weight", config.vocabulary, config.width)?)?;
        let output = if gguf.has_tensor("output.weight") {
            Some(Linear::new(&gguf.weights(
                "output.weight",
                config.vocabulary,
                config.width,
            )?)?)
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
    /// If a slot's tokens are outside the vocabulary or do not fit its cache.
    pub(crate) fn step(
        &self,
        slots: &mut [Slot<'_>],
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
            weights,
            angles,
            logits,
        } = workspace;
        let config = &self.config;
        let rows: usize = slots.iter().map(|slot| slot.tokens.len()).sum();
        let dense_rows = slots
            .first()
            .filter(|first| first.dense)
            .map_or(0, |first| first.tokens.len());
        debug_assert!(
            slots.iter().skip(1).all(|slot| !slot.dense),
            "only the first slot may be dense"
        );
        x.resize(rows * config.width, 0.0);
        norm.resize(rows * config.width, 0.0);
        attended.resize(rows * config.query_width(), 0.0);
        activated.resize(rows * config.feed_forward, 0.0);
        projected.resize(rows * config.width, 0.0);
        self.embed(slots, x, angles)?;
        for (index, block) in self.blocks.iter().enumerate() {
            if stop() {
                return Ok(Outcome::Stopped);
            }
            rms_norm(x, &block.attention_norm, config.epsilon, norm);
            apply_stacked(&block.qkv, norm, dense_rows, qkv, part, weights);
            self.attend(index, slots, qkv, angles, attended, heads);
            block
                .attention_output
                .apply(attended, dense_rows, projected, weights);
            add(x, projected);
            rms_norm(x, &block.feed_forward_norm, config.epsilon, norm);
            apply_stacked(&block.gate_up, norm, dense_rows, gate_up, part, weights);
            silu_and_multiply(gate_up, config.feed_forward, activated);
            block.down.apply(activated, dense_rows, projected, weights);
            add(x, projected);
        }
        let wanted = select_rows(slots, x, config.width, part);
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
            let dense_rows = if slots.iter().any(|slot| slot.logits == Logits::All) {
                dense_rows
            } else {
                0
            };
            output.apply(&norm[..wanted * config.width], dense_rows, logits, weights);
        }
        for slot in slots {
            slot.cache.advance(slot.tokens.len());
        }
        Ok(Outcome::Done)
    }

    /// Looks up the tokens' rows and their positions' angles.
    fn embed(&self, slots: &[Slot<'_>], x: &mut [f32], angles: &mut Vec<(f32, f32)>) -> Result<()> {
        angles.clear();
        let mut rows = x.chunks_exact_mut(self.config.width);
        for slot in slots {
            let start = slot.cache.len();
            if start + slot.tokens.len() > slot.cache.capacity() {
                return Err(corrupt(format!(
                    "a sequence outgrew its cache of {} tokens",
                    slot.cache.capacity()
                )));
            }
            for ((offset, &token), row) in slot.tokens.iter().enumerate().zip(&mut rows) {
                let token = token as usize;
                if token >= self.config.vocabulary {
                    return Err(corrupt(format!("token {token} is outside the vocabulary")));
                }
                self.embedding.dequantise(token..token + 1, row);
                self.rope.angles(start + offset, angles);
            }
        }
        Ok(())
    }

    /// Turns queries and keys, stores keys and values, and attends.
    fn attend(
        &self,
        block: usize,
        slots: &mut [Slot<'_>],
        qkv: &mut [f32],
        angles: &[(f32, f32)],
        out: &mut [f32],
        heads: &mut Vec<f32>,
    ) {
        let config = &self.config;
        let (query_width, kv_width) = (config.query_width(), config.kv_width());
        let stride = query_width + 2 * kv_width;
        let pairs = self.rope.pairs();
        for (row, qkv) in qkv.chunks_exact_mut(stride).enumerate() {
            self.rope.rotate(
                &mut qkv[..query_width + kv_width],
                &angles[row * pairs..][..pairs],
            );
        }
        let mut first = 0;
        let mut spans = Vec::with_capacity(slots.len());
        for slot in slots {
            let start = slot.cache.len();
            for offset in 0..slot.tokens.len() {
                let row = &qkv[(first + offset) * stride..][..stride];
                let (keys, values) = row[query_width..].split_at(kv_width);
                slot.cache.store(block, start + offset, keys, values);
            }
            let (rows, queries) = (slot.tokens.len(), &qkv[first * stride..]);
            spans.push(Span {
                queries,
                stride,
                start,
                rows,
                dense: slot.dense,
                cache: &*slot.cache,
            });
            first += rows;
        }
        attend(config, block, &spans, out, heads);
    }
}

impl Block {
    fn read(gguf: &mut Gguf, config: &Config, index: usize) -> Result<Self> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, kv, forward) = (config.width, config.kv_width(), config.feed_forward);
        if gguf.has_tensor(&format!("blk.{index}.attn_q.bias")) {
            return Err(crate::error::unsupported(format!(
                "{}: attention with biases is not supported",
                gguf.path().display()
            )));
        }
        let qkv = vec![
            gguf.weights(&name("attn_q"), config.query_width(), width)?,
            gguf.weights(&name("attn_k"), kv, width)?,
            gguf.weights(&name("attn_v"), kv, width)?,
        ];
        let gate_up = vec![
            gguf.weights(&name("ffn_gate"), forward, width)?,
            gguf.weights(&name("ffn_up"), forward, width)?,
        ];
        Ok(Self {
            attention_norm: gguf.vector(&name("attn_norm"), width)?,
            qkv: Linear::stacked(&qkv)?,
            attention_output: Linear::new(&gguf.weights(
                &name("attn_output"),
                width,
                config.query_width(),
            )?)?,
            feed_forward_norm: gguf.vector(&name("ffn_norm"), width)?,
            gate_up: Linear::stacked(&gate_up)?,
            down: Linear::new(&gguf.weights(&name("ffn_down"), width, forward)?)?,
        })
    }
}

/// Applies layers side by side: a row of `out` holds the first layer's result, then the second's, and so on.
fn apply_stacked(
    layers: &[Linear],
    x: &[f32],
    dense_rows: usize,
    out: &mut Vec<f32>,
    part: &mut Vec<f32>,
    weights: &mut Vec<f32>,
) {
    let outputs: usize = layers.iter().map(Linear::outputs).sum();
    let rows = x.len() / layers[0].inputs();
    out.resize(rows * outputs, 0.0);
    if let [layer] = layers {
        return layer.apply(x, dense_rows, out, weights);
    }
    let mut column = 0;
    for layer in layers {
        let width = layer.outputs();
        part.resize(rows * width, 0.0);
        layer.apply(x, dense_rows, part, weights);
        for (out, part) in out.chunks_exact_mut(outputs).zip(part.chunks_exact(width)) {
            out[column..column + width].copy_from_slice(part);
        }
        column += width;
    }
}

/// Copies the rows that logits are wanted for to the front of `out`; returns how many.
fn select_rows(slots: &[Slot<'_>], x: &[f32], width: usize, out: &mut Vec<f32>) -> usize {
    out.clear();
    let mut first = 0;
    for slot in slots {
        let end = first + slot.tokens.len();
        let from = match slot.logits {
            Logits::None => end,
            Logits::Last => end - 1,
            Logits::All => first,
        };
        out.extend_from_slice(&x[from * width..end * width]);
        first = end;
    }
    out.len() / width
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
