//! The weights of one block of a model, as the families of [`Architecture`] have them.

use super::config::{Architecture, Config};
use super::linear::{Linear, Weights};
use crate::error::{Result, unsupported};
use crate::gguf::Gguf;

/// One block: attention, then a feed-forward network.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) attention_norm: Vec<f32>,
    /// Queries, keys and values stacked, or one layer each where their quantisations differ.
    pub(super) qkv: Vec<Linear>,
    /// What each head's query, and each key, is normalised with, in models that do.
    pub(super) head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) attention_output: Linear,
    pub(super) feed_forward_norm: Vec<f32>,
    /// Gate and up projection, stacked or one layer each.
    pub(super) gate_up: Vec<Linear>,
    pub(super) down: Linear,
}

impl Block {
    /// Reads the block with this number.
    pub(super) fn read(gguf: &mut Gguf, config: &Config, index: usize) -> Result<Self> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (width, query, kv) = (config.width, config.query_width(), config.kv_width());
        let forward = config.feed_forward;
        if gguf.has_tensor(&name("attn_qkv.weight")) || gguf.has_tensor(&name("ffn_gate_inp.weight")) {
            return Err(unsupported(format!(
                "{}: block {index} has tensors (attn_qkv, ffn_gate_inp) that this engine does not know in a model of the \
                 {} architecture",
                gguf.path().display(),
                config.architecture.name()
            )));
        }
        let mut weights = |part: &str, outputs, inputs| Weights::read(gguf, &name(part), outputs, inputs);
        let qkv = [
            weights("attn_q", query, width)?,
            weights("attn_k", kv, width)?,
            weights("attn_v", kv, width)?,
        ];
        let gate_up = [
            weights("ffn_gate", forward, width)?,
            weights("ffn_up", forward, width)?,
        ];
        let attention_output = weights("attn_output", width, query)?;
        let down = weights("ffn_down", width, forward)?;
        let has_head_norms =
            config.architecture == Architecture::Qwen3 || gguf.has_tensor(&name("attn_q_norm.weight"));
        let head_norms = if has_head_norms {
            Some((
                gguf.vector(&name("attn_q_norm.weight"), config.head_width)?,
                gguf.vector(&name("attn_k_norm.weight"), config.head_width)?,
            ))
        } else {
            None
        };
        Ok(Self {
            attention_norm: gguf.vector(&name("attn_norm.weight"), width)?,
            qkv: Linear::stacked(&qkv)?,
            head_norms,
            attention_output: Linear::new(&attention_output)?,
            feed_forward_norm: gguf.vector(&name("ffn_norm.weight"), width)?,
            gate_up: Linear::stacked(&gate_up)?,
            down: Linear::new(&down)?,
        })
    }
}
