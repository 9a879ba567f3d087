//! llama.cpp as a [`Model`](crate::model::Model), through the crate `llama-cpp-2`: weights, steps, and the vocabulary of
//! files that the engine's own tokenizer does not know. It has no part in sampling, templates or the order of sequences.

mod cells;
mod check;
mod context;
mod reasons;
mod vocabulary;
mod weights;

use std::path::Path;
use std::sync::Arc;

use crate::backend::{self, Loaded};
use crate::engine::Options;
use crate::error::{ErrorKind, Result};
use crate::gguf::Gguf;
use crate::text;

pub(crate) use vocabulary::Vocabulary;
pub(crate) use weights::Weights;

/// Reads a file.
///
/// # Errors
/// If it is missing or damaged, or nothing that llama.cpp reads and holds a conversation with.
pub(crate) fn read(path: &Path, options: &Options) -> Result<Loaded> {
    // Whatever is wrong with the file has to be found before llama.cpp looks at it, which ends the process where a number
    // makes no sense to it.
    let gguf = match Gguf::open(path) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Gguf::metadata(path)?,
        gguf => gguf?,
    };
    check::metadata(&gguf)?;
    let ours = match text::read(&gguf) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
        ours => ours,
    };
    let weights = Weights::load(path, options)?;
    let (tokenizer, template) = match ours {
        Ok(ours) => ours,
        Err(error) => {
            tracing::info!(%error, "llama.cpp's own vocabulary takes the place of the engine's");
            vocabulary::read(path, &weights)?
        }
    };
    let quantisation = if gguf.content().tensor_infos.is_empty() {
        vocabulary::quantisation(&weights.model)
    } else {
        gguf.quantisation()
    };
    Ok(Loaded {
        tokenizer: Arc::new(tokenizer),
        template,
        quantisation,
        weights: backend::Weights::LlamaCpp(weights),
    })
}
