//! What a server serves: something that has models and starts answers.
//!
//! The trait is all the HTTP side knows of endpoints, engines and configuration.

use std::pin::Pin;

use aurora_chat::ChatRequest;
use aurora_client::Passage;
use futures_core::Stream;

use crate::Refusal;

/// A future that owns what it works on.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An answer as it comes: updates, and before them the events they were read from, where the answer came in events of the
/// format in which this server sends them. The updates keep the contract of [`aurora_chat::update`]; dropping the stream
/// stops the work behind it.
pub type PassageStream = Pin<Box<dyn Stream<Item = Passage> + Send>>;

/// Something that answers requests.
pub trait Backend: Send + Sync + 'static {
    /// The models that can be asked for, in the order they are to be listed.
    fn models(&self) -> Vec<Model>;

    /// One model by its name: also such as can be asked for and are not listed.
    fn model(&self, id: &str) -> Option<Model> {
        self.models().into_iter().find(|model| model.id == id)
    }

    /// What an error tells someone who asked for a model that is not there: the names there are, and patterns of names
    /// that cannot be listed, such as `openai/MODEL`.
    fn names(&self) -> Vec<String> {
        self.models().into_iter().map(|model| model.id).collect()
    }

    /// Starts an answer. Dropping the future, or the stream it gives, stops whatever was started.
    ///
    /// The request has been validated; its model name has not been looked up. A [`Refusal`] says that nothing was
    /// started, and becomes the HTTP response as long as none has been committed.
    ///
    /// Called on a thread that serves other connections too, in a runtime of that thread alone: what takes long belongs on
    /// another one (`tokio::task::spawn_blocking`).
    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>>;
}

/// A model, as `GET /v1/models` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name a request asks for.
    pub id: String,
    /// When it was made or found, in seconds since the Unix epoch; 0 where nobody knows.
    pub created: u64,
    /// Who serves it: an endpoint's name, or `local`.
    pub owned_by: String,
}
