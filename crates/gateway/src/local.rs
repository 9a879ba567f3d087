//! The backend that runs a model in this process: loaded when first asked, then shared.

use std::sync::Arc;

use aurora_chat::ChatRequest;
use aurora_local::Engine;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::{Backend, BoxFuture, Model, Refusal, UpdateStream};

/// Why a model could not be loaded; its text is sent to the client that asked.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// A local model that may not be loaded yet.
pub struct Local {
    load: Arc<dyn Fn() -> Result<Engine, LoadError> + Send + Sync>,
    engine: Arc<Mutex<Option<Engine>>>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

impl Local {
    /// A model that `load` loads. It runs on a thread that may block, never twice at once, and again only after it
    /// failed or the engine it gave has stopped. Requests that come meanwhile wait for it.
    #[must_use]
    pub fn new(load: impl Fn() -> Result<Engine, LoadError> + Send + Sync + 'static) -> Self {
        Self {
            load: Arc::new(load),
            engine: Arc::default(),
        }
    }
}

impl Backend for Local {
    /// None: the file's name is not this backend's to know. [`Router`](crate::Router) lists it under the name it has.
    fn models(&self) -> Vec<Model> {
        Vec::new()
    }

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<UpdateStream, Refusal>> {
        let load = Arc::clone(&self.load);
        let slot = Arc::clone(&self.engine);
        Box::pin(async move {
            let guard = Arc::clone(&slot).lock_owned().await;
            let loaded = guard.clone();
            let engine = match loaded {
                Some(engine) => {
                    drop(guard);
                    engine
                }
                None => fill(guard, load).await?,
            };
            // Tokenising a long prompt takes up to a second, which is too long for a thread that serves sockets.
            let generated = spawn_blocking(move || engine.generate(&request)).await;
            match generated.map_err(|_panic| Refusal::internal("the engine crashed"))? {
                Ok(generation) => Ok(Box::pin(generation) as UpdateStream),
                Err(aurora_local::Refusal::Request(error)) => Err(error.into()),
                Err(aurora_local::Refusal::Busy { retry_after }) => Err(Refusal::busy(retry_after)),
                Err(aurora_local::Refusal::Stopped) => {
                    *slot.lock().await = None;
                    Err(Refusal::internal(
                        "the engine has stopped; the next request starts it again",
                    ))
                }
            }
        })
    }
}

/// Loads the engine. The thread that loads also fills the slot, so the work is not lost when the client that caused it
/// leaves.
async fn fill(
    mut slot: OwnedMutexGuard<Option<Engine>>,
    load: Arc<dyn Fn() -> Result<Engine, LoadError> + Send + Sync>,
) -> Result<Engine, Refusal> {
    let loaded = spawn_blocking(move || {
        let engine = load()?;
        *slot = Some(engine.clone());
        Ok(engine)
    });
    let loaded: Result<Engine, LoadError> = loaded
        .await
        .map_err(|_panic| Refusal::internal("loading the local model crashed"))?;
    loaded.map_err(|error| {
        tracing::error!(%error, "the local model could not be loaded");
        Refusal::internal(format!("the local model could not be loaded: {error}"))
    })
}
