//! The Messages API of Anthropic, as a server speaks it.
//!
//! [`read_request`] reads `POST /v1/messages` into a [`ChatRequest`](crate::ChatRequest); [`Writer`] folds the updates of
//! an answer into the API's events and into the whole message; [`error_json`] is an error as this API writes it.
//!
//! None of it does I/O, knows the time or makes up ids, and SSE framing is not done here; the name of each event's frame
//! is that of its `type`.

mod block;
mod request;
#[cfg(test)]
mod tests;
mod turns;
mod wire;
mod write;

pub use request::read_request;
pub use wire::{Event, error_json};
pub use write::Writer;
