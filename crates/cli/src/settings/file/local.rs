//! `[local]`: how models on this machine are run.

use std::ops::RangeInclusive;

use aurora_local::Backend;

use super::{At, Value, Walk, units};

/// What `local.threads` may be.
pub(crate) const THREADS: RangeInclusive<u32> = 1..=256;
/// What `local.max_streams` may be: as many as llama.cpp can tell apart beside what it keeps.
pub(crate) const MAX_STREAMS: RangeInclusive<u32> = 1..=192;
/// What `local.max_queue` may be.
pub(crate) const MAX_QUEUE: RangeInclusive<u32> = 0..=10_000;
/// What `local.gpu_layers` may be.
pub(crate) const GPU_LAYERS: RangeInclusive<u32> = 0..=10_000;

/// `[local]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalTable {
    pub(crate) backend: Option<At<Backend>>,
    pub(crate) threads: Option<At<u32>>,
    pub(crate) kv_budget: Option<At<usize>>,
    pub(crate) max_streams: Option<At<u32>>,
    pub(crate) max_queue: Option<At<u32>>,
    pub(crate) gpu_layers: Option<At<u32>>,
}

impl Walk<'_> {
    pub(super) fn local(&mut self, value: &Value<'_>) -> LocalTable {
        let mut table = LocalTable::default();
        for (key, value) in self.entries("local", value) {
            let at = format!("local.{key}");
            match key.as_str() {
                "backend" => table.backend = self.text(&at, value, backend),
                "threads" => table.threads = self.whole(&at, value, THREADS),
                "kv_budget" => table.kv_budget = self.text(&at, value, units::size),
                "max_streams" => table.max_streams = self.whole(&at, value, MAX_STREAMS),
                "max_queue" => table.max_queue = self.whole(&at, value, MAX_QUEUE),
                "gpu_layers" => table.gpu_layers = self.whole(&at, value, GPU_LAYERS),
                _ => self.unknown_at(
                    &at,
                    value,
                    &[
                        "backend",
                        "threads",
                        "kv_budget",
                        "max_streams",
                        "max_queue",
                        "gpu_layers",
                    ],
                ),
            }
        }
        table
    }
}

/// Reads the name of a backend that this build can run.
///
/// # Errors
/// A message that says which there are, or how to get this one.
pub(crate) fn backend(text: &str) -> Result<Backend, String> {
    let backend: Backend = text.trim().parse().map_err(|_| {
        format!("\"{text}\" is none of the backends that run local models: \"candle\" or \"llama-cpp\"")
    })?;
    if backend.is_compiled() {
        return Ok(backend);
    }
    Err(format!(
        "{backend} is not in this build of aurora; put it in with `cargo build --release --features {backend}`, or set \
         \"{}\"",
        Backend::default()
    ))
}
