//! The settings of models that run on this machine, resolved.

use aurora_local::{Backend, Options};

use super::file::local::{self as limits, LocalTable};
use super::{Env, Sourced, first, first_of, in_file, units};
use crate::problem::Result;

/// `[local]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) backend: Sourced<Backend>,
    /// `None` is one for each core.
    pub(crate) threads: Option<Sourced<u32>>,
    /// Bytes that keys and values may take; `None` is what the engine thinks right for the model.
    pub(crate) kv_budget: Option<Sourced<usize>>,
    pub(crate) max_streams: Sourced<u32>,
    pub(crate) max_queue: Sourced<u32>,
    /// `None` is all.
    pub(crate) gpu_layers: Option<Sourced<u32>>,
}

impl Local {
    /// # Errors
    /// A variable with an unusable value (configuration).
    pub(super) fn of(env: &Env, table: LocalTable) -> Result<Self> {
        let number = |name, range: &std::ops::RangeInclusive<u32>| {
            env.read(name, |text| units::whole(text, range.clone()))
        };
        Ok(Self {
            backend: first(
                [
                    env.read("AURORA_LOCAL_BACKEND", limits::backend)?,
                    in_file(table.backend),
                ],
                Backend::default(),
            ),
            threads: first_of([
                number("AURORA_LOCAL_THREADS", &limits::THREADS)?,
                in_file(table.threads),
            ]),
            kv_budget: first_of([
                env.read("AURORA_LOCAL_KV_BUDGET", units::size)?,
                in_file(table.kv_budget),
            ]),
            max_streams: first(
                [
                    number("AURORA_LOCAL_MAX_STREAMS", &limits::MAX_STREAMS)?,
                    in_file(table.max_streams),
                ],
                8,
            ),
            max_queue: first(
                [
                    number("AURORA_LOCAL_MAX_QUEUE", &limits::MAX_QUEUE)?,
                    in_file(table.max_queue),
                ],
                64,
            ),
            gpu_layers: first_of([
                number("AURORA_LOCAL_GPU_LAYERS", &limits::GPU_LAYERS)?,
                in_file(table.gpu_layers),
            ]),
        })
    }

    /// As the engine wants them, for a model of this name.
    pub(crate) fn options(&self, name: &str) -> Options {
        let mut options = Options::named(name);
        options.backend = self.backend.value;
        options.threads = self.threads.map(|threads| threads.value as usize);
        options.kv_bytes = self.kv_budget.map(|bytes| bytes.value);
        options.max_streams = self.max_streams.value as usize;
        options.max_queue = self.max_queue.value as usize;
        options.gpu_layers = self.gpu_layers.map(|layers| layers.value);
        options
    }
}
