//! The backend that chooses a backend: model names to those who answer to them.
//!
//! A name is looked up as an alias, as a model, as `endpoint/model`, and last as a model without its `local/`. What an
//! alias leads to is settled when the router is built, so a name that leads nowhere is found before the first request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aurora_chat::ChatRequest;

use crate::begin::unix_seconds;
use crate::{Backend, BoxFuture, Error, Model, PassageStream, Refusal};

/// The name that a great many programs ask for without a thought; it means the default model, unless it is an alias.
const COMMON_NAME: &str = "gpt-3.5-turbo";

/// What a local model's name begins with.
const LOCAL: &str = "local/";

/// Sends each request to the backend its model's name stands for.
pub struct Router {
    targets: Targets,
    aliases: BTreeMap<String, Target>,
    default: Option<Target>,
    created: u64,
}

/// A [`Router`] in the making.
#[derive(Default)]
pub struct RouterBuilder {
    targets: Targets,
    aliases: BTreeMap<String, String>,
    default: Option<String>,
}

#[derive(Default)]
struct Targets {
    models: BTreeMap<String, Arc<dyn Backend>>,
    endpoints: BTreeMap<String, Arc<dyn Backend>>,
}

#[derive(Clone)]
struct Target {
    backend: Arc<dyn Backend>,
    /// The model's name as the backend knows it.
    model: String,
    owner: String,
}

impl Router {
    /// A router that knows no names yet.
    #[must_use]
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    fn resolve(&self, name: &str) -> Option<Target> {
        if name.is_empty() {
            return self.default.clone();
        }
        self.aliases
            .get(name)
            .cloned()
            .or_else(|| self.targets.find(name))
    }

    fn unknown(&self, name: &str) -> Refusal {
        if name.is_empty() {
            let message = "no model is named, and this server has no default model";
            return Refusal::invalid(400, message, Some("model"), Some("model_required"));
        }
        Refusal::unknown_model(name, &self.names())
    }

    fn describe(&self, id: &str, owner: &str) -> Model {
        Model {
            id: id.to_owned(),
            created: self.created,
            owned_by: owner.to_owned(),
        }
    }
}

impl RouterBuilder {
    /// An endpoint: `name/anything` asks it for the model `anything`.
    #[must_use]
    pub fn endpoint(mut self, name: &str, backend: Arc<dyn Backend>) -> Self {
        self.targets.endpoints.insert(name.to_owned(), backend);
        self
    }

    /// A model by its whole name, such as `local/smollm2`. The backend is asked for the part after `local/`; the name
    /// works without it too, as long as it is nothing else.
    #[must_use]
    pub fn model(mut self, name: &str, backend: Arc<dyn Backend>) -> Self {
        self.targets.models.insert(name.to_owned(), backend);
        self
    }

    /// Another name for a model, an `endpoint/model`, or an alias.
    #[must_use]
    pub fn alias(mut self, name: &str, target: &str) -> Self {
        self.aliases.insert(name.to_owned(), target.to_owned());
        self
    }

    /// What a request gets that names no model, or `gpt-3.5-turbo` where that is no alias.
    #[must_use]
    pub fn default_model(mut self, target: &str) -> Self {
        self.default = Some(target.to_owned());
        self
    }

    /// The router.
    ///
    /// # Errors
    /// [`Error::Alias`] if an alias or the default leads to nothing, or in a circle.
    pub fn build(self) -> Result<Router, Error> {
        let mut aliases = BTreeMap::new();
        for (name, target) in &self.aliases {
            aliases.insert(name.clone(), self.follow(name, target)?);
        }
        let default = match &self.default {
            Some(target) => Some(self.follow("the default model", target)?),
            None => None,
        };
        if let Some(default) = &default {
            aliases
                .entry(COMMON_NAME.to_owned())
                .or_insert_with(|| default.clone());
        }
        Ok(Router {
            targets: self.targets,
            aliases,
            default,
            created: unix_seconds(),
        })
    }

    fn follow(&self, name: &str, target: &str) -> Result<Target, Error> {
        let error = |problem| Error::Alias {
            name: name.to_owned(),
            target: target.to_owned(),
            problem,
        };
        let mut at = target;
        // A way through more aliases than there are visits one of them twice.
        for _ in 0..=self.aliases.len() {
            match self.aliases.get(at) {
                Some(next) => at = next,
                None => {
                    return self
                        .targets
                        .find(at)
                        .ok_or_else(|| error("which is no model of this server"));
                }
            }
        }
        Err(error("which leads back to itself"))
    }
}

impl Targets {
    fn find(&self, name: &str) -> Option<Target> {
        self.model(name)
            .or_else(|| self.endpoint(name))
            .or_else(|| self.model(&format!("{LOCAL}{name}")))
    }

    fn model(&self, name: &str) -> Option<Target> {
        let backend = Arc::clone(self.models.get(name)?);
        let (owner, model) = split(name);
        Some(Target {
            backend,
            model: model.to_owned(),
            owner: owner.to_owned(),
        })
    }

    fn endpoint(&self, name: &str) -> Option<Target> {
        let (owner, model) = name.split_once('/').filter(|(_, model)| !model.is_empty())?;
        let backend = Arc::clone(self.endpoints.get(owner)?);
        Some(Target {
            backend,
            model: model.to_owned(),
            owner: owner.to_owned(),
        })
    }
}

/// Who serves a model, and its name there.
fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("aurora", name))
}

impl Backend for Router {
    /// Models first, then what their endpoints list, then aliases.
    fn models(&self) -> Vec<Model> {
        let models = self
            .targets
            .models
            .keys()
            .map(|name| self.describe(name, split(name).0));
        let listed = self.targets.endpoints.iter().flat_map(|(endpoint, backend)| {
            let listed = backend.models().into_iter();
            listed.map(move |model| Model {
                id: format!("{endpoint}/{}", model.id),
                ..model
            })
        });
        let aliases = self
            .aliases
            .iter()
            .map(|(name, target)| self.describe(name, &target.owner));
        models.chain(listed).chain(aliases).collect()
    }

    fn model(&self, id: &str) -> Option<Model> {
        if id.is_empty() {
            return None;
        }
        Some(self.describe(id, &self.resolve(id)?.owner))
    }

    /// The models, then each endpoint as `name/MODEL`: what it can be asked for is more than it lists.
    fn names(&self) -> Vec<String> {
        let models = self.models().into_iter().map(|model| model.id);
        let endpoints = self.targets.endpoints.keys();
        models
            .chain(endpoints.map(|endpoint| format!("{endpoint}/MODEL")))
            .collect()
    }

    fn start(&self, mut request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        let Some(target) = self.resolve(&request.model) else {
            return Box::pin(std::future::ready(Err(self.unknown(&request.model))));
        };
        request.model = target.model;
        target.backend.start(request)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.models().into_iter().map(|model| model.id).collect();
        f.debug_struct("Router")
            .field("models", &names)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RouterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("aliases", &self.aliases)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
