//! Numbers in a file's metadata that llama.cpp divides by, or makes arrays of, without looking at them first.

use std::ops::RangeInclusive;

use crate::error::{ErrorKind, Result, corrupt};
use crate::gguf::Gguf;
use crate::nn::Config;

/// Parts of keys that stand behind the architecture's name, and what their numbers may be. Where a file has a list
/// instead, one for each block, llama.cpp looks.
const NUMBERS: &[(&str, RangeInclusive<usize>)] = &[
    ("block_count", 1..=1024),
    ("context_length", 1..=1 << 30),
    ("embedding_length", 1..=1 << 20),
    ("attention.head_count", 0..=4096),
    ("attention.head_count_kv", 0..=4096),
    ("attention.key_length", 1..=1 << 16),
    ("attention.value_length", 1..=1 << 16),
    ("rope.dimension_count", 0..=1 << 16),
    ("expert_count", 0..=4096),
    ("expert_used_count", 0..=4096),
];

/// Finds damage in a file's metadata.
///
/// # Errors
/// If a number is none that a model can have.
pub(super) fn metadata(gguf: &Gguf) -> Result<()> {
    match Config::read(gguf) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
        // One of the engine's own, or another one's that may be sound.
        _ => {}
    }
    let Some(architecture) = gguf.string("general.architecture")? else {
        return Err(corrupt(format!(
            "{} names no architecture",
            gguf.path().display()
        )));
    };
    for (part, range) in NUMBERS {
        let key = format!("{architecture}.{part}");
        if let Ok(Some(_)) = gguf.integer(&key) {
            gguf.required(&key, range.clone())?;
        }
    }
    Ok(())
}
