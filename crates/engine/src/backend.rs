//! What runs a model: candle, always there, or llama.cpp, where it was compiled in. Which of the two is a setting, and
//! this is the only place that knows both.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::engine::Options;
use crate::error::Result;
use crate::gguf::Gguf;
#[cfg(feature = "llama-cpp")]
use crate::llama_cpp;
use crate::model::{Model, Outcome, Run, Shape};
use crate::nn::{Candle, Llama, Pool};
use crate::text::{self, Template, Tokenizer};

/// What runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The engine's own forward pass on candle's arithmetic, on the processor alone. Always there.
    #[default]
    Candle,
    /// llama.cpp, which reads more models and uses graphics processors. There with the feature `llama-cpp`.
    LlamaCpp,
}

impl Backend {
    /// All there are, compiled in or not.
    pub const ALL: [Self; 2] = [Self::Candle, Self::LlamaCpp];

    /// Its name, as settings have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candle => "candle",
            Self::LlamaCpp => "llama-cpp",
        }
    }

    /// Whether this build can run it.
    #[must_use]
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Candle => true,
            Self::LlamaCpp => cfg!(feature = "llama-cpp"),
        }
    }

    /// Whether a request's text is the same to the last bit in any company and with any kept beginning. llama.cpp
    /// multiplies one row another way than several, so there it is not where two tokens are nearly as likely.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self == Self::Candle
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no backend of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no backend; there are candle and llama-cpp")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.as_str() == name)
            .ok_or_else(|| UnknownBackend(name.to_owned()))
    }
}

/// A model's file, read: whatever a conversation with it needs.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) weights: Weights,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) template: Template,
    pub(crate) quantisation: String,
}

/// Weights, of which any number of models can be made that run one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Weights {
    Candle(Arc<Llama>, Arc<Pool>),
    #[cfg(feature = "llama-cpp")]
    LlamaCpp(llama_cpp::Weights),
}

impl Loaded {
    /// Reads a file for the backend that the options name.
    ///
    /// # Errors
    /// If the file is missing or damaged, or of a kind that the backend does not run, or the backend was not compiled in.
    pub(crate) fn read(path: &Path, options: &Options) -> Result<Self> {
        match options.backend {
            Backend::Candle => {
                let mut gguf = Gguf::open(path)?;
                let weights = Arc::new(Llama::read(&mut gguf)?);
                let (tokenizer, template) = text::read(&gguf)?;
                Ok(Self {
                    template,
                    tokenizer: Arc::new(tokenizer),
                    quantisation: gguf.quantisation(),
                    weights: Weights::Candle(weights, Arc::new(Pool::new(options.threads)?)),
                })
            }
            #[cfg(feature = "llama-cpp")]
            Backend::LlamaCpp => llama_cpp::read(path, options),
            #[cfg(not(feature = "llama-cpp"))]
            Backend::LlamaCpp => Err(crate::error::unsupported(
                "llama.cpp is not in this build (cargo build --release --features llama-cpp puts it in)",
            )),
        }
    }
}

impl Weights {
    /// Tokens that the model was trained to look back on.
    pub(crate) fn context(&self) -> usize {
        match self {
            Self::Candle(weights, _) => weights.config().context,
            #[cfg(feature = "llama-cpp")]
            Self::LlamaCpp(weights) => weights.context(),
        }
    }

    /// Threads a step runs on.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Candle(_, pool) => pool.threads(),
            #[cfg(feature = "llama-cpp")]
            Self::LlamaCpp(weights) => weights.threads(),
        }
    }

    /// Tokens of a page of keys and values.
    fn page(&self) -> usize {
        match self {
            Self::Candle(..) => Candle::PAGE,
            #[cfg(feature = "llama-cpp")]
            Self::LlamaCpp(_) => 1,
        }
    }

    /// Bytes of a page of keys and values.
    fn page_bytes(&self) -> usize {
        match self {
            Self::Candle(weights, _) => Candle::page_bytes(weights),
            #[cfg(feature = "llama-cpp")]
            Self::LlamaCpp(weights) => weights.cell_bytes(),
        }
    }

    /// Bytes that the keys and values of so many tokens take.
    pub(crate) fn kv_bytes(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.page()).saturating_mul(self.page_bytes())
    }

    /// How many pages so many bytes are, but one at least.
    pub(crate) fn pages(&self, bytes: usize) -> usize {
        (bytes / self.page_bytes()).max(1)
    }

    /// A model for so many sequences, whose keys and values take at most `kv_bytes`, or a page if that is more.
    ///
    /// # Errors
    /// If the backend cannot hold so many sequences, or has no memory for so many bytes.
    pub(crate) fn model(&self, sequences: usize, kv_bytes: usize) -> Result<Box<dyn Model + Send>> {
        Ok(match self {
            Self::Candle(weights, pool) => Box::new(Candle::new(
                Arc::clone(weights),
                Arc::clone(pool),
                sequences,
                self.pages(kv_bytes),
            )),
            #[cfg(feature = "llama-cpp")]
            Self::LlamaCpp(weights) => Box::new(weights.model(sequences, self.pages(kv_bytes))?),
        })
    }
}

impl<M: Model + ?Sized> Model for Box<M> {
    fn shape(&self) -> Shape {
        (**self).shape()
    }

    fn beside(&self) -> usize {
        (**self).beside()
    }

    fn pages_taken(&self) -> usize {
        (**self).pages_taken()
    }

    fn step(&mut self, runs: &[Run<'_>], stop: &(dyn Fn() -> bool + Sync)) -> Result<Outcome> {
        (**self).step(runs, stop)
    }

    fn logits(&mut self) -> &mut [f32] {
        (**self).logits()
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        (**self).truncate(sequence, length);
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) -> usize {
        (**self).copy(from, to, length)
    }
}
