//! Which endpoint, and which model there, a name means.

use aurora_chat::Start;

use super::{Endpoint, Origin, Settings, Sourced};
use crate::history::Answerer;
use crate::problem::{Problem, Result};

/// The reserved endpoint of the models that run on this machine.
pub(crate) const LOCAL: &str = "local";

/// How many aliases may point to one another.
const MAX_HOPS: usize = 8;

/// What answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A local model, by its name without `local/`.
    Local(String),
    /// A model of an upstream, by the upstream's own name for it.
    Upstream(&'a Endpoint, String),
}

impl Target<'_> {
    /// The start of an answer as it was asked for, before its source has said anything.
    pub(crate) fn start(&self) -> Start {
        let (model, endpoint) = match self {
            Self::Local(name) => (name, LOCAL),
            Self::Upstream(endpoint, model) => (model, endpoint.name.as_str()),
        };
        Start {
            model: model.clone(),
            endpoint: endpoint.to_owned(),
            stream: None,
        }
    }

    /// What `-e` and `-m` would have to say to get the same again.
    pub(crate) fn answerer(&self) -> Answerer {
        let (endpoint, model) = match self {
            Self::Local(name) => (LOCAL, name),
            // One that was given as an address has no name in the configuration.
            Self::Upstream(endpoint, model) => match endpoint.base_url.origin {
                Origin::Flag("--endpoint") | Origin::Variable("AURORA_ENDPOINT") => {
                    (endpoint.base_url.value.as_str(), model)
                }
                _ => (endpoint.name.as_str(), model),
            },
        };
        Answerer {
            endpoint: endpoint.to_owned(),
            model: model.clone(),
        }
    }
}

impl Settings {
    /// What answers in this run.
    ///
    /// # Errors
    /// A name that means nothing: usage if it was typed, configuration if it was set; the names that exist are listed.
    pub(crate) fn target(&self) -> Result<Target<'_>> {
        let Some(endpoint) = &self.endpoint else {
            return self.named(self.model.as_ref().unwrap_or(&self.default_model));
        };
        let model = match &self.model {
            Some(model) => model.value.clone(),
            None => self
                .default_model
                .value
                .strip_prefix(&format!("{}/", endpoint.value))
                .map(str::to_owned)
                .ok_or_else(|| {
                    Problem::usage(format!(
                        "which model of endpoint {}? Name one with -m",
                        endpoint.value
                    ))
                })?,
        };
        self.at(endpoint, model)
    }

    fn at(&self, endpoint: &Sourced<String>, model: String) -> Result<Target<'_>> {
        if endpoint.value == LOCAL {
            return Ok(Target::Local(
                model.strip_prefix("local/").map(str::to_owned).unwrap_or(model),
            ));
        }
        match self.endpoints.get(&endpoint.value) {
            Some(endpoint) => Ok(Target::Upstream(endpoint, model)),
            None => Err(endpoint.mistake("no such endpoint")),
        }
    }

    /// What answers a request that names its model itself: a model of the endpoint of this run, if there is one.
    ///
    /// # Errors
    /// A name that means nothing; the names that exist are listed.
    pub(crate) fn target_of(&self, model: &str) -> Result<Target<'_>> {
        if let Some(endpoint) = &self.endpoint {
            return self.at(endpoint, model.to_owned());
        }
        self.named(&Sourced {
            value: model.to_owned(),
            origin: Origin::Flag("model"),
        })
    }

    /// The full name (`local/NAME`, `endpoint/NAME`) of what answers in this run.
    ///
    /// # Errors
    /// As [`Settings::target`].
    pub(crate) fn target_name(&self) -> Result<String> {
        Ok(match self.target()? {
            Target::Local(name) => format!("{LOCAL}/{name}"),
            Target::Upstream(endpoint, model) => format!("{}/{model}", endpoint.name),
        })
    }

    /// Checks what loading does not: that the default model and every alias lead somewhere.
    ///
    /// # Errors
    /// The first that does not (configuration).
    pub(crate) fn check(&self) -> Result<()> {
        self.named(&self.default_model)?;
        self.aliases
            .values()
            .try_for_each(|target| self.named(target).map(drop))
    }

    fn named(&self, model: &Sourced<String>) -> Result<Target<'_>> {
        let mut name = model.value.as_str();
        for _ in 0..=MAX_HOPS {
            if let Some((endpoint, rest)) = name.split_once('/').filter(|(_, rest)| !rest.is_empty()) {
                if endpoint == LOCAL {
                    return Ok(Target::Local(rest.to_owned()));
                }
                if let Some(endpoint) = self.endpoints.get(endpoint) {
                    return Ok(Target::Upstream(endpoint, rest.to_owned()));
                }
            }
            name = match self.aliases.get(name) {
                Some(target) => &target.value,
                None if name == "gpt-3.5-turbo" => &self.default_model.value,
                None if crate::source::knows_local(name, self) => return Ok(Target::Local(name.to_owned())),
                None if name == model.value => return Err(model.mistake(self.unknown(name))),
                None => {
                    return Err(model.mistake(format!(
                        "alias {} leads to \"{name}\": {}",
                        model.value,
                        self.unknown(name)
                    )));
                }
            };
        }
        Err(model.mistake(format!(
            "alias {} leads in a circle, or through more than {MAX_HOPS} others",
            model.value
        )))
    }

    fn unknown(&self, name: &str) -> String {
        let mut known = vec![self.default_model.value.clone()];
        known.extend(self.aliases.keys().cloned());
        known.extend(self.endpoints.keys().map(|name| format!("{name}/MODEL")));
        known.extend(["local/NAME".to_owned()]);
        known.dedup();
        let slash = if name.contains('/') {
            "no such endpoint is configured"
        } else {
            "no such alias"
        };
        format!("unknown model \"{name}\" ({slash}); known: {}", known.join(", "))
    }
}
