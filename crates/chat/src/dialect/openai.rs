//! The chat completions API of OpenAI, and what passes for it.
//!
//! [`request_body`] writes a request for an upstream; [`Reader`] reads its answer, event by event, as leniently as real
//! servers need; [`Writer`] writes answers as our own server gives them, such that the official clients read them;
//! [`ErrorBody`] is an error in both an HTTP body and an event. None of it does I/O or knows SSE framing: what goes in
//! and out is the data of one event.

mod calls;
mod error;
mod fast;
mod likely;
mod payload;
mod read;
mod repair;
mod request;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use error::{ErrorBody, failure_from_status};
pub use read::{Flow, Reader};
pub use request::request_body;
pub use write::Writer;

/// The data of the event that ends a stream.
pub const DONE: &str = "[DONE]";
