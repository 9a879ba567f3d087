//! The backend that runs a model in this process: loaded when first asked, then shared.

use std::sync::Arc;

use aurora_chat::ChatRequest;
use aurora_client::Passage;
use aurora_local::Engine;
use futures_util::StreamExt;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::{Backend, BoxFuture, Model, PassageStream, Refusal};

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

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
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
                Ok(generation) => Ok(Box::pin(generation.map(Passage::Update)) as PassageStream),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// A model that cannot be loaded, how often that was tried, and how often at the same time as another try.
    fn broken() -> (Local, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let (tries, at_once, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (counted, widest) = (Arc::clone(&tries), Arc::clone(&most));
        let local = Local::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            widest.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            at_once.fetch_sub(1, Ordering::SeqCst);
            Err("the file is cut short".into())
        });
        (local, tries, most)
    }

    #[tokio::test]
    async fn a_load_that_fails_says_why_and_is_tried_again() {
        let (local, tries, _) = broken();
        for attempt in 1..=2 {
            let refusal = local
                .start(ChatRequest::default())
                .await
                .err()
                .expect("there is no engine");
            assert_eq!(refusal.status(), 500);
            assert!(
                refusal.body().message.contains("the file is cut short"),
                "{refusal:?}"
            );
            assert_eq!(tries.load(Ordering::SeqCst), attempt);
        }
    }

    #[tokio::test]
    async fn nothing_is_loaded_twice_at_once() {
        let (local, tries, most) = broken();
        let requests = (0..4).map(|_| local.start(ChatRequest::default()));
        for outcome in futures_util::future::join_all(requests).await {
            assert!(outcome.is_err());
        }
        assert_eq!(
            (tries.load(Ordering::SeqCst), most.load(Ordering::SeqCst)),
            (4, 1)
        );
    }

    #[tokio::test]
    async fn a_loader_that_crashes_costs_one_request() {
        let local = Local::new(|| panic!("a bug, on purpose"));
        for _ in 0..2 {
            let refusal = local
                .start(ChatRequest::default())
                .await
                .err()
                .expect("there is no engine");
            assert_eq!(refusal.status(), 500);
        }
    }
}
