//! Who answers an item: endpoints and local models, each set up once however many items name it.

use std::collections::HashMap;

use aurora_client::Client;

use super::pilot::{Lane, Pilot};
use crate::problem::{Problem, Result};
use crate::settings::Settings;
use crate::settings::target::{LOCAL, Target};
use crate::source::{self, Source};

/// The most models of which is remembered who answers for them. Beyond it, they are looked up again.
const MAX_MODELS: usize = 1024;

/// All sources of a run.
pub(crate) struct Sources<'a> {
    settings: &'a Settings,
    client: Client,
    /// What answers items that name no model.
    default: Option<Resolved>,
    models: HashMap<String, Resolved>,
    /// By endpoint and, for local models, by model: what all models of it share.
    places: HashMap<String, Place>,
}

/// Who answers for a model.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) lane: Lane,
    pub(crate) source: Source,
    /// How often a failed attempt may be followed by another one.
    pub(crate) retries: u32,
    /// The model, as its source calls it.
    pub(crate) model: String,
    /// The endpoint's name, or `local`.
    pub(crate) endpoint: String,
}

#[derive(Clone, Debug)]
struct Place {
    lane: Lane,
    source: Source,
    retries: u32,
}

/// Why nobody answers.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// The model's name means nothing: the item's own fault.
    Model(String),
    /// Nothing can be asked at all.
    Problem(Problem),
}

impl<'a> Sources<'a> {
    /// The sources that these settings mean. Sets up none yet.
    ///
    /// # Errors
    /// There is no TLS to be had.
    pub(crate) fn new(settings: &'a Settings) -> Result<Self> {
        Ok(Self {
            settings,
            client: source::client()?,
            default: None,
            models: HashMap::new(),
            places: HashMap::new(),
        })
    }

    /// Who answers for this model or, without a name, for the model of this run. A place that is new gets a lane.
    ///
    /// # Errors
    /// The name means nothing, or its key or address is unusable.
    pub(crate) fn resolve<T>(
        &mut self,
        model: &str,
        pilot: &mut Pilot<T>,
    ) -> std::result::Result<Resolved, Unresolved> {
        if model.is_empty() {
            if let Some(default) = &self.default {
                return Ok(default.clone());
            }
            let target = self.settings.target().map_err(Unresolved::Problem)?;
            let resolved = self.place(&target, pilot).map_err(Unresolved::Problem)?;
            self.default = Some(resolved.clone());
            return Ok(resolved);
        }
        if let Some(resolved) = self.models.get(model) {
            return Ok(resolved.clone());
        }
        let target = self
            .settings
            .target_of(model)
            .map_err(|problem| Unresolved::Model(problem.to_string()))?;
        let resolved = self.place(&target, pilot).map_err(Unresolved::Problem)?;
        if self.models.len() >= MAX_MODELS {
            self.models.clear();
        }
        self.models.insert(model.to_owned(), resolved.clone());
        Ok(resolved)
    }

    fn place<T>(&mut self, target: &Target<'_>, pilot: &mut Pilot<T>) -> Result<Resolved> {
        let start = target.start();
        let name = match target {
            Target::Local(model) => format!("{LOCAL}/{model}"),
            Target::Upstream(endpoint, _) => endpoint.name.clone(),
        };
        let place = match self.places.get(&name) {
            Some(place) => place.clone(),
            None => {
                let mut source = Source::through(&self.client, target, self.settings)?;
                let place = Place {
                    lane: pilot.lane(most(&source)),
                    // All that is asked again is asked by the batch, which knows what all items were told.
                    retries: take_retries(&mut source),
                    source,
                };
                self.places.insert(name, place.clone());
                place
            }
        };
        let mut source = place.source;
        if let Source::Upstream(_, _, model) = &mut source {
            model.clone_from(&start.model);
        }
        Ok(Resolved {
            lane: place.lane,
            source,
            retries: place.retries,
            model: start.model,
            endpoint: start.endpoint,
        })
    }
}

/// How many answers of a source may be on their way at once.
fn most(source: &Source) -> usize {
    match source {
        Source::Upstream(..) => usize::MAX,
        // More would wait in its own queue.
        #[cfg(feature = "engine")]
        Source::Local(_) => aurora_local::Options::default().max_streams,
    }
}

fn take_retries(source: &mut Source) -> u32 {
    match source {
        Source::Upstream(_, endpoint, _) => std::mem::take(&mut endpoint.retries),
        #[cfg(feature = "engine")]
        Source::Local(_) => 0,
    }
}
