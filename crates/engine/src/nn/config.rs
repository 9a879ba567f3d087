//! The shape of a model, read from a file's metadata and checked, so that nothing after it need doubt a size.

use super::rope::{Pairing, Scaling};
use crate::error::{Result, corrupt, unsupported};
use crate::gguf::Gguf;

/// Model families whose forward pass is the one of this engine, but for what [`Config`] says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// Llama 1 to 3, and what is built like them: Mistral, SmolLM, TinyLlama, Yi, DeepSeek's distillations of Llama, …
    Llama,
    /// Qwen 1.5 to 2.5: queries, keys and values have biases.
    Qwen2,
    /// Qwen 3: queries and keys are normalised head by head.
    Qwen3,
}

impl Architecture {
    const ALL: [Self; 3] = [Self::Llama, Self::Qwen2, Self::Qwen3];

    /// Its name in `general.architecture`, which is also what its keys begin with.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    fn read(gguf: &Gguf) -> Result<Self> {
        let file = gguf.path().display();
        let Some(name) = gguf.string("general.architecture")? else {
            return Err(corrupt(format!(
                "{file} has no general.architecture: it is not a model file"
            )));
        };
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            unsupported(format!(
                "{file} holds a model of the {name} architecture; this engine runs these: {names}"
            ))
        })
    }

    /// Which values of a head are turned together. Files of Llama models have their rows in the order for neighbours.
    fn pairing(self) -> Pairing {
        match self {
            Self::Llama => Pairing::Neighbours,
            Self::Qwen2 | Self::Qwen3 => Pairing::Halves,
        }
    }
}

/// The shape and constants of a model.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) architecture: Architecture,
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
    pub(crate) rope_pairing: Pairing,
    pub(crate) rope_scaling: Scaling,
}

impl Config {
    /// Reads and checks the shape.
    pub(crate) fn read(gguf: &Gguf) -> Result<Self> {
        let file = gguf.path().display();
        let architecture = Architecture::read(gguf)?;
        let key = |part: &str| format!("{}.{part}", architecture.name());
        if gguf.integer(&key("expert_count"))?.unwrap_or(0) > 0 {
            return Err(unsupported(format!(
                "{file} is a mixture of experts, which this engine does not run"
            )));
        }
        let width = gguf.required(&key("embedding_length"), 1..=1 << 16)?;
        let heads = gguf.required(&key("attention.head_count"), 1..=1024)?;
        let kv_heads = gguf.integer(&key("attention.head_count_kv"))?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(corrupt(format!(
                "{file}: {heads} heads cannot share {kv_heads} key and value heads"
            )));
        }
        let head_width = match gguf.integer(&key("attention.key_length"))? {
            Some(head_width) => head_width,
            None if width.is_multiple_of(heads) => width / heads,
            None => {
                return Err(corrupt(format!(
                    "{file}: {heads} heads do not divide a width of {width}"
                )));
            }
        };
        if gguf
            .integer(&key("attention.value_length"))?
            .is_some_and(|value| value != head_width)
        {
            return Err(unsupported(format!(
                "{file}: keys and values of different widths are not supported"
            )));
        }
        let rope_width = gguf.integer(&key("rope.dimension_count"))?.unwrap_or(head_width);
        if head_width == 0
            || head_width > 1024
            || rope_width == 0
            || rope_width > head_width
            || !rope_width.is_multiple_of(2)
        {
            return Err(corrupt(format!(
                "{file}: {rope_width} rotated values in heads of {head_width}"
            )));
        }
        let context = gguf.required(&key("context_length"), 1..=1 << 24)?;
        let epsilon = gguf
            .float(&key("attention.layer_norm_rms_epsilon"))?
            .unwrap_or(1e-5);
        let rope_base = gguf.float(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        if !(epsilon > 0.0 && rope_base > 0.0) {
            return Err(corrupt(format!(
                "{file}: a constant that must be positive is not"
            )));
        }
        Ok(Self {
            architecture,
            blocks: gguf.required(&key("block_count"), 1..=1024)?,
            width,
            feed_forward: gguf.required(&key("feed_forward_length"), 1..=1 << 20)?,
            heads,
            kv_heads,
            head_width,
            context,
            vocabulary: gguf.strings("tokenizer.ggml.tokens")?.len(),
            epsilon,
            rope_base,
            rope_width,
            rope_pairing: architecture.pairing(),
            rope_scaling: Scaling::read(gguf, architecture.name(), context)?,
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
