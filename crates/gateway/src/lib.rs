//! The HTTP server behind `aurora serve`: an OpenAI-style chat API that streams Server-Sent Events.
//!
//! A [`Server`] owns sockets, requests and event streams; what it serves is a [`Backend`]: something that has models
//! and starts answers. [`Router`] is the backend that chooses by model name, [`Upstream`] asks another API, `Local`
//! (feature `engine`) runs a model in this process.
//!
//! One request goes through these modules, in this order:
//!
//! ```text
//! server      accepts, counts connections, drains at the end
//! connection  one socket: HTTP/1.1 by hyper, deadlines, lingering close
//! service     one request: id, log span, panics become 500
//! guard       Host and Origin, against DNS rebinding and foreign web pages
//! route       method and path
//! intake      the body, within its limits
//! chat        starts the source and decides: HTTP error, whole answer, or event stream
//! source      the contract of a source, kept even where the source breaks it
//! stream      the response body that pulls the source; framing turns updates into events
//! ```
//!
//! There is no queue between a source and its socket: the response body pulls, so a slow client slows its source and a
//! client that leaves drops it. Nothing here reads configuration files, knows a terminal or decides what a model says.

mod backend;
mod chat;
mod connection;
mod error;
mod exchange;
mod framing;
mod guard;
mod intake;
#[cfg(feature = "engine")]
mod local;
mod options;
mod patience;
mod phase;
mod refusal;
mod reply;
mod route;
mod router;
mod server;
mod service;
mod source;
mod stream;
mod upstream;

pub use backend::{Backend, BoxFuture, Model, UpdateStream};
pub use error::Error;
#[cfg(feature = "engine")]
pub use local::{LoadError, Local};
pub use options::Options;
pub use refusal::Refusal;
pub use router::{Router, RouterBuilder};
pub use server::Server;
pub use upstream::Upstream;
