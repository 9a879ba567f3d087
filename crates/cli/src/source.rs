//! Where answers come from: an upstream or the local engine, one stream of updates either way.

use std::fs::File;

use aurora_chat::ChatRequest;
use aurora_client::{Client, Deadlines, Pace};

use crate::problem::{Problem, Result};
use crate::settings::target::Target;
use crate::settings::{Endpoint, Settings};

mod answering;
mod joining;
#[cfg(feature = "engine")]
pub(crate) mod local;

pub(crate) use answering::Answering;

/// A source of answers, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An API somewhere.
    Upstream(Client, Box<aurora_client::Endpoint>, String),
    /// A model on this machine; fetched first if it is not there.
    #[cfg(feature = "engine")]
    Local(local::Local),
}

impl Source {
    /// The source a target means. Reads its key; opens no connection and no model.
    ///
    /// # Errors
    /// The key or the address is unusable, or the model is local and this build has no engine (configuration).
    pub(crate) fn of(target: &Target<'_>, settings: &Settings) -> Result<Self> {
        Self::through(&client()?, target, settings)
    }

    /// As [`Source::of`], by a client that others use too: they share its connections and what limits calls to an endpoint.
    ///
    /// # Errors
    /// As [`Source::of`].
    pub(crate) fn through(client: &Client, target: &Target<'_>, settings: &Settings) -> Result<Self> {
        match target {
            Target::Upstream(endpoint, model) => {
                let upstream = endpoint.to_upstream(settings)?;
                Ok(Self::Upstream(client.clone(), Box::new(upstream), model.clone()))
            }
            #[cfg(feature = "engine")]
            Target::Local(name) => Ok(Self::Local(local::Local::new(name, settings)?)),
            #[cfg(not(feature = "engine"))]
            Target::Local(name) => Err(Problem::config(format!(
                "local/{name}: this build of aurora has no engine for local models (feature \"engine\"); name an endpoint \
                 with -e, or build it with the default features"
            ))),
        }
    }

    /// Asks for an answer, and writes a recording of the exchange with an upstream. The request's model is the source's
    /// own.
    ///
    /// # Errors
    /// A local model cannot be fetched or read (configuration).
    pub(crate) async fn ask(self, mut request: ChatRequest, record: Option<File>) -> Result<Answering> {
        match self {
            Self::Upstream(client, endpoint, model) => {
                request.model = model;
                Ok(Answering::Call(match record {
                    Some(file) => client.start_recorded(&endpoint, request, Box::new(file)),
                    None => client.start(&endpoint, request),
                }))
            }
            #[cfg(feature = "engine")]
            Self::Local(local) => {
                // What a model takes to be fetched and read is part of what the caller waits for.
                let asked = std::time::Instant::now();
                Ok(Answering::made(asked, local.ask(request).await?))
            }
        }
    }
}

/// Whether a name without `local/` is one of a local model of this build.
#[cfg(feature = "engine")]
pub(crate) fn knows_local(name: &str, settings: &Settings) -> bool {
    local::knows(name, settings)
}

/// Whether a name without `local/` is one of a local model of this build.
#[cfg(not(feature = "engine"))]
pub(crate) fn knows_local(_name: &str, _settings: &Settings) -> bool {
    false
}

/// The full names of the local models that are there.
#[cfg(feature = "engine")]
pub(crate) fn local_names(settings: &Settings) -> Vec<String> {
    let names = local::names(settings).into_iter();
    names
        .map(|name| format!("{}/{name}", crate::settings::target::LOCAL))
        .collect()
}

/// The full names of the local models that are there.
#[cfg(not(feature = "engine"))]
pub(crate) fn local_names(_settings: &Settings) -> Vec<String> {
    Vec::new()
}

/// The client that all upstream calls of this process share.
///
/// # Errors
/// There is no TLS to be had.
pub(crate) fn client() -> Result<Client> {
    Client::new().map_err(|error| Problem::internal(error.to_string()))
}

impl Endpoint {
    /// The endpoint in the client's terms, key included.
    ///
    /// # Errors
    /// The key or the address is unusable (configuration).
    pub(crate) fn to_upstream(&self, settings: &Settings) -> Result<aurora_client::Endpoint> {
        let wrong = |error: aurora_client::Error| self.base_url.mistake(error);
        let mut upstream = aurora_client::Endpoint::new(&self.name, &self.base_url.value).map_err(wrong)?;
        upstream.api_key = settings.key(self)?;
        upstream.retries = self.retries.value;
        upstream.pace = Pace {
            max_concurrent: self.max_concurrent.value,
            requests_per_minute: self.requests_per_minute.value,
            tokens_per_minute: self.tokens_per_minute.value,
        };
        upstream.on_drop = self.on_drop.value;
        upstream.deadlines = Deadlines {
            connect: self.connect_timeout.value,
            headers: self.headers_timeout.value,
            first_event: self.first_event_timeout.value,
            idle: self.idle_timeout.value,
            total: self.total_timeout.value,
        };
        Ok(upstream)
    }
}
