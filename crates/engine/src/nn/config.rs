//! The shape of a Llama model, read from a file's metadata and checked, so that nothing after it need doubt a size.

use crate::error::{Result, corrupt, unsupported};
use crate::gguf::Gguf;

/// The shape and constants of a model of the Llama architecture.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) blocks: usize,
    /// Values a row.
    pub(crate) width: usize,
    pub(crate) feed_forward: usize,
    pub(crate) heads: usize,
    /// Divides `heads`: this many queries share each key and value.
    pub(crate) kv_heads: usize,
    /// Values a head; even.
    pub(crate) head_width: usize,
    /// Tokens the model was trained to look back on.
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
    pub(crate) epsilon: f32,
    pub(crate) rope_base: f32,
    /// How many values of a head are rotated; even, at most `head_width`.
    pub(crate) rope_width: usize,
    /// Positions are divided by this (linear scaling); 1 without scaling.
    pub(crate) rope_scale: f32,
}

impl Config {
    /// Reads and checks the shape.
    pub(crate) fn read(gguf: &Gguf) -> Result<Self> {
        let file = gguf.path().display();
        match gguf.string("general.architecture")? {
            Some("llama") => {}
            Some(other) => {
                return Err(unsupported(format!(
                    "{file} holds a model of the {other} architecture; this engine runs the llama architecture"
                )));
            }
            None => {
                return Err(corrupt(format!(
                    "{file} has no general.architecture: it is not a model file"
                )));
            }
        }
        if gguf.integer("llama.expert_count")?.unwrap_or(0) > 0 {
            return Err(unsupported(format!(
                "{file} is a mixture of experts, which this engine does not run"
            )));
        }
        let width = gguf.required("llama.embedding_length", 1..=1 << 16)?;
        let heads = gguf.required("llama.attention.head_count", 1..=1024)?;
        let kv_heads = gguf.integer("llama.attention.head_count_kv")?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(corrupt(format!(
                "{file}: {heads} heads cannot share {kv_heads} key and value heads"
            )));
        }
        let head_width = match gguf.integer("llama.attention.key_length")? {
            Some(head_width) => head_width,
            None if width.is_multiple_of(heads) => width / heads,
            None => {
                return Err(corrupt(format!(
                    "{file}: {heads} heads do not divide a width of {width}"
                )));
            }
        };
        if gguf
            .integer("llama.attention.value_length")?
            .is_some_and(|value| value != head_width)
        {
            return Err(unsupported(format!(
                "{file}: keys and values of different widths are not supported"
            )));
        }
        let rope_width = gguf.integer("llama.rope.dimension_count")?.unwrap_or(head_width);
        if head_width == 0 || head_width > 1024 || rope_width > head_width || !rope_width.is_multiple_of(2) {
            return Err(corrupt(format!(
                "{file}: {rope_width} rotated values in heads of {head_width}"
            )));
        }
        let rope_scale = match gguf.string("llama.rope.scaling.type")? {
            None | Some("none") => 1.0,
            Some("linear") => gguf.float("llama.rope.scaling.factor")?.unwrap_or(1.0),
            Some(other) => {
                return Err(unsupported(format!(
                    "{file}: {other} scaling of positions is not supported"
                )));
            }
        };
        let epsilon = gguf
            .float("llama.attention.layer_norm_rms_epsilon")?
            .unwrap_or(1e-5);
        let rope_base = gguf.float("llama.rope.freq_base")?.unwrap_or(10_000.0);
        if !(epsilon > 0.0 && rope_base > 0.0 && rope_scale > 0.0) {
            return Err(corrupt(format!(
                "{file}: a constant that must be positive is not"
            )));
        }
        Ok(Self {
            blocks: gguf.required("llama.block_count", 1..=1024)?,
            width,
            feed_forward: gguf.required("llama.feed_forward_length", 1..=1 << 20)?,
            heads,
            kv_heads,
            head_width,
            context: gguf.required("llama.context_length", 1..=1 << 24)?,
            vocabulary: gguf.strings("tokenizer.ggml.tokens")?.len(),
            epsilon,
            rope_base,
            rope_width,
            rope_scale,
        })
    }

    /// Values of all heads' queries together.
    pub(crate) fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Values of all heads' keys, or values, together.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }
}
