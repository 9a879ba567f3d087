//! Between text and tokens: vocabulary, chat template, sampling, and the way back to whole characters.

mod likely;
mod sampler;
mod stops;
mod template;
mod thoughts;
mod tokenizer;
mod utf8;
mod wording;

pub(crate) use likely::Measure;
pub(crate) use sampler::{Sampler, best, check_extra};
pub(crate) use stops::{Stops, overlap};
pub(crate) use template::{Prompt, Template, begun};
pub(crate) use thoughts::Thoughts;
#[cfg(feature = "llama-cpp")]
pub(crate) use tokenizer::Parts;
pub(crate) use tokenizer::Tokenizer;
pub(crate) use utf8::Assembler;
pub(crate) use wording::Wording;

use crate::error::Result;
use crate::gguf::Gguf;

/// The tokenizer and the chat template of a file.
///
/// # Errors
/// If one is missing or damaged, or of a kind that the engine does not know.
pub(crate) fn read(gguf: &Gguf) -> Result<(Tokenizer, Template)> {
    let tokenizer = Tokenizer::read(gguf)?;
    let template = Template::read(gguf, &tokenizer)?;
    Ok((tokenizer, template))
}
