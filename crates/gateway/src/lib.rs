//! The HTTP server behind `aurora serve`: an OpenAI-style chat API that streams Server-Sent Events.
//!
//! A [`Server`] owns sockets, requests and event streams; what it serves is a [`Backend`]: something that has models
//! and starts answers. It keeps them in an `aurora_streamlog::Store`. [`Router`] is the backend that chooses by model name, [`Upstream`] asks another API, `Local`
//! (feature `engine`) runs a model in this process.
//!
//! One request goes through these modules, in this order:
//!
//! ```text
//! server      accepts, counts connections, drains at the end
//! crew        the threads, each with a runtime of its own, of which a connection stays on one
//! connection  one socket: HTTP/1.1 by hyper, deadlines, lingering close
//! service     one request: id, log span, panics become 500
//! guard       Host and Origin, against DNS rebinding and foreign web pages
//! route       method and path
//! intake      the body, within its limits
//! keys        who asks, and what they may
//! caller      what the headers say about streams
//! chat        a chat completion: HTTP error, whole answer, or event stream
//! begin       starts the source, and waits for how it begins
//! source      the contract of a source, kept even where the source breaks it
//! streams     a relay, a task of its own, writes what the source says into the log: `aurora-streamlog`
//! stream      the response body: a reader of the log; frames turns records into events
//! resume      comes back to a stream, asks about it, ends it
//! responses   the same answers as the Responses API has them
//! ```
//!
//! The relay is the only reader of a source, and every client, the first one too, is a cursor on the log. So a slow client
//! slows nobody, one that leaves may come back, and no queue grows for any of them. Nothing here reads configuration files, knows a terminal or decides what a model says.

mod backend;
mod begin;
mod caller;
mod chat;
mod connection;
mod crew;
mod error;
mod exchange;
mod frames;
mod guard;
mod intake;
mod keys;
#[cfg(feature = "engine")]
mod local;
mod options;
mod patience;
mod phase;
mod query;
mod refusal;
mod reply;
mod responses;
mod resume;
mod route;
mod router;
mod sending;
mod server;
mod service;
mod source;
mod stream;
mod streams;
mod upstream;

pub use backend::{Backend, BoxFuture, Model, PassageStream};
pub use error::Error;
pub use keys::Key;
#[cfg(feature = "engine")]
pub use local::{LoadError, Local};
pub use options::Options;
pub use refusal::Refusal;
pub use router::{Router, RouterBuilder};
pub use server::Server;
pub use upstream::Upstream;
