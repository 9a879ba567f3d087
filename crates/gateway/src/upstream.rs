//! The backend that asks another API: one endpoint, through `aurora-client`.
//!
//! Deadlines, retries, limits and what is done about a lost connection are the endpoint's, and all work is the client's.
//! The gateway adds nothing to a call.

use aurora_chat::ChatRequest;
use aurora_client::{Client, Endpoint, OnDrop, Passage};
use futures_util::StreamExt;

use crate::{Backend, BoxFuture, Model, PassageStream, Refusal};

/// One endpoint. It takes any model name and lists none: what it has, only its own server knows.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    endpoint: Endpoint,
}

impl Upstream {
    /// An endpoint, reached with this client's connections.
    #[must_use]
    pub fn new(client: Client, endpoint: Endpoint) -> Self {
        Self { client, endpoint }
    }
}

impl Backend for Upstream {
    fn models(&self) -> Vec<Model> {
        Vec::new()
    }

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        // The events of two answers are not one stream of events: what may be continued is told in updates, and written
        // as this server writes.
        let answer: PassageStream = match self.endpoint.on_drop {
            OnDrop::Continue => Box::pin(self.client.start(&self.endpoint, request).map(Passage::Update)),
            _ => Box::pin(self.client.start_verbatim(&self.endpoint, request)),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}
