//! Between text and tokens: vocabulary, chat template, sampling, and the way back to whole characters.

mod sampler;
mod stops;
mod template;
mod thoughts;
mod tokenizer;
mod utf8;

pub(crate) use sampler::{Sampler, best};
pub(crate) use stops::Stops;
pub(crate) use template::{Prompt, Template};
pub(crate) use thoughts::Thoughts;
pub(crate) use tokenizer::Tokenizer;
pub(crate) use utf8::Assembler;
