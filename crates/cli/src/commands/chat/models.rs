//! The names of models that can be chosen: those in the configuration and on this machine, and, once somebody wants to
//! choose, those that the endpoints list.

use std::time::Duration;

use futures_util::future;
use tokio::runtime::Handle;

use crate::settings::Settings;
use crate::source;

/// How long a person who is choosing waits for the endpoints, which are asked at the same time.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most endpoints that are asked.
const ASKED: usize = 32;

/// What can be chosen.
pub(super) struct Models {
    settings: Settings,
    runtime: Handle,
    names: Option<Vec<String>>,
}

impl Models {
    /// Asks nobody yet.
    pub(super) fn new(settings: &Settings, runtime: Handle) -> Self {
        Self {
            settings: settings.clone(),
            runtime,
            names: None,
        }
    }

    /// The names that can be chosen, in their order. The first call asks the endpoints, for 2 s at most; one that does
    /// not answer is there as `endpoint/`, since any name may follow.
    pub(super) fn names(&mut self) -> &[String] {
        let names = match self.names.take() {
            Some(names) => names,
            None => self.found(),
        };
        self.names.insert(names)
    }

    fn found(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut names: Vec<String> = settings
            .target_name()
            .into_iter()
            .chain([settings.default_model.value.clone()])
            .chain(source::local_names(settings))
            .chain(settings.aliases.keys().cloned())
            .chain(self.listed())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// What the endpoints list.
    fn listed(&self) -> Vec<String> {
        let Ok(client) = source::client() else {
            return Vec::new();
        };
        let asked = self.settings.endpoints.values().take(ASKED).map(|endpoint| {
            // One whose key cannot be had is no news here: it is told when the model is to answer.
            let upstream = endpoint.to_upstream(&self.settings).ok();
            let client = client.clone();
            async move {
                let name = &endpoint.name;
                let models = match upstream {
                    Some(upstream) => client.models(&upstream, PATIENCE).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                if models.is_empty() {
                    return vec![format!("{name}/")];
                }
                models
                    .into_iter()
                    .map(|model| format!("{name}/{model}"))
                    .collect()
            }
        });
        self.runtime.block_on(future::join_all(asked)).concat()
    }
}
