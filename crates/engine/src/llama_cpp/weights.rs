//! A file's weights in llama.cpp's hands, and what its metadata says of the caches they need.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

use super::context::{Bound, LlamaCpp};
use super::reasons;
use crate::engine::Options;
use crate::error::{Error, ErrorKind, Result, corrupt, unsupported};

/// Sequences that llama.cpp's caches can tell apart.
const MOST_SEQUENCES: usize = 256;
/// Cells come in multiples of this many.
const CELLS: usize = 256;
/// Rows of a batch, which it computes at once: with more, prompts are no faster on a processor.
pub(super) const BATCH: usize = 512;

/// What llama.cpp says of a file that ends before its tensors do.
const CUT_SHORT: &str = "corrupted or incomplete";

/// The weights of a model.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(super) model: Arc<LlamaModel>,
    threads: u16,
    context: usize,
    vocabulary: usize,
    cell_bytes: usize,
    prefixes: bool,
}

impl Weights {
    /// Loads a file.
    pub(super) fn load(path: &Path, options: &Options) -> Result<Self> {
        let backend = backend()?;
        // Read and not mapped: a file that is cut short or written over while it is mapped ends the process.
        let mut params = LlamaModelParams::default().with_use_mmap(false);
        if let Some(layers) = options.gpu_layers {
            params = params.with_n_gpu_layers(layers);
        }
        let (model, why) = reasons::of(|| LlamaModel::load_from_file(backend, path, &params));
        let model = model.map_err(|source| {
            let why = if why.is_empty() { source.to_string() } else { why };
            let message = format!("{}: llama.cpp does not load it: {why}", path.display());
            if why.contains(CUT_SHORT) {
                return corrupt(message);
            }
            unsupported(message)
        })?;
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = options.threads.unwrap_or_else(available).max(1);
        let facts = Facts::of(&model);
        let refuse = |what: &str| Err(unsupported(format!("{}: {what}", path.display())));
        if !facts.is_causal {
            return refuse("it makes embeddings, not text");
        }
        let Ok(vocabulary) = usize::try_from(model.n_vocab()) else {
            return refuse("it has no vocabulary");
        };
        let context = model.n_ctx_train() as usize;
        if vocabulary == 0 || context == 0 {
            return Err(corrupt(format!(
                "{}: a model without a vocabulary or a context",
                path.display()
            )));
        }
        Ok(Self {
            threads: u16::try_from(threads).unwrap_or(u16::MAX),
            context,
            vocabulary,
            cell_bytes: facts.cell_bytes,
            prefixes: facts.prefixes,
            model: Arc::new(model),
        })
    }

    /// Tokens that the model was trained to look back on.
    pub(crate) fn context(&self) -> usize {
        self.context
    }

    /// Tokens of its vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Threads a step runs on.
    pub(crate) fn threads(&self) -> usize {
        usize::from(self.threads)
    }

    /// Whether a sequence's beginning can be copied and its end cut off.
    pub(super) fn prefixes(&self) -> bool {
        self.prefixes
    }

    /// Bytes that the keys and values of a token take.
    pub(crate) fn cell_bytes(&self) -> usize {
        self.cell_bytes
    }

    /// A model for so many sequences that hold at most so many tokens together.
    ///
    /// # Errors
    /// If these are more sequences than llama.cpp can tell apart, or there is no memory for the cells.
    pub(crate) fn model(&self, sequences: usize, cells: usize) -> Result<LlamaCpp> {
        if sequences > MOST_SEQUENCES {
            let most = MOST_SEQUENCES - crate::scheduler::sequences(0);
            return Err(Error::new(
                ErrorKind::Machine,
                format!("llama.cpp runs at most {most} streams at once; lower max_streams"),
            ));
        }
        // No more than the sequences can fill, since it is all taken at once. No more than asked for, but a multiple; and no
        // cache is smaller than one.
        let cells = cells.min(self.context.saturating_mul(sequences).next_multiple_of(CELLS));
        let cells = (cells / CELLS * CELLS).clamp(CELLS, u32::MAX as usize / CELLS * CELLS);
        #[expect(clippy::cast_possible_truncation, reason = "both were just bounded")]
        let (cells, sequences) = (cells as u32, sequences as u32);
        let threads = i32::from(self.threads);
        #[expect(clippy::cast_possible_truncation, reason = "a constant")]
        let batch = BATCH as u32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells))
            .with_n_seq_max(sequences)
            // One cache for all: a beginning is shared without copying it, and nobody has a share that others lack.
            .with_kv_unified(true)
            // All positions of layers that look at a window only, so that an end can be cut off.
            .with_swa_full(true)
            .with_n_batch(batch)
            .with_n_ubatch(batch)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        // Making two contexts of one model at once is a data race in llama.cpp.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let backend = backend()?;
        let (bound, why) = reasons::of(|| {
            Bound::try_new(Arc::clone(&self.model), |model| {
                model.new_context(backend, params)
            })
        });
        drop(guard);
        let bound = bound.map_err(|source| {
            let why = if why.is_empty() { source.to_string() } else { why };
            let mebibytes = (cells as usize * self.cell_bytes) >> 20;
            Error::new(
                ErrorKind::Machine,
                format!(
                    "llama.cpp has no room for {cells} tokens of keys and values ({mebibytes} MiB): {why}"
                ),
            )
        })?;
        Ok(LlamaCpp::new(self, bound, sequences as usize, cells))
    }
}

/// llama.cpp itself, begun once and never ended.
fn backend() -> Result<&'static LlamaBackend> {
    static BACKEND: OnceLock<std::result::Result<LlamaBackend, String>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        reasons::log();
        LlamaBackend::init().map_err(|error| error.to_string())
    });
    backend
        .as_ref()
        .map_err(|why| Error::new(ErrorKind::Machine, format!("llama.cpp does not start: {why}")))
}

/// What the metadata say.
struct Facts {
    cell_bytes: usize,
    prefixes: bool,
    is_causal: bool,
}

impl Facts {
    fn of(model: &LlamaModel) -> Self {
        let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
        let text = |key: &str| model.meta_val_str(&format!("{architecture}.{key}")).ok();
        let number = |key: &str| text(key).and_then(|text| text.parse::<usize>().ok());
        let heads = model.n_head().max(1) as usize;
        let width = usize::try_from(model.n_embd()).unwrap_or(0) / heads;
        let key = number("attention.key_length").unwrap_or(width);
        let value = number("attention.value_length").unwrap_or(width);
        // In half precision. Where some layers need less, or keep a state instead, the cache is smaller than allowed.
        let kv_heads = model.n_head_kv().max(1) as usize;
        let cell = model.n_layer().max(1) as usize * kv_heads * (key + value) * 2;
        // A state of all that was read has no beginning to give away; and what lies behind a window may be overwritten.
        let windowed = number("attention.sliding_window").is_some_and(|tokens| tokens > 0);
        Self {
            cell_bytes: cell.max(1),
            prefixes: !(model.is_recurrent() || model.is_hybrid() || windowed),
            is_causal: text("attention.causal").is_none_or(|causal| causal != "false")
                && text("pooling_type").is_none_or(|pooling| pooling == "0"),
        }
    }
}
