//! The Responses API of OpenAI, as a server speaks it.
//!
//! [`Request`] reads `POST /v1/responses` into a [`ChatRequest`](crate::ChatRequest) and the [`Settings`] that are the
//! API's own; [`Writer`] folds the updates of an answer into the API's numbered events and, at any time, its response
//! object; [`input_items`] lists what a response answers; [`rename`] puts an error about a chat request into the words of this API.
//!
//! None of it does I/O, knows the time or makes up ids: those come in. So the updates of a stream log give the same
//! events, byte for byte, however often and wherever they are folded, and `starting_after` is a matter of leaving out
//! what a client has. SSE framing is not done here; the name of each event's frame is that of its `type`.
//!
//! ```
//! use aurora_chat::dialect::responses::{Request, Status, Writer};
//! use aurora_chat::{Delta, End, FinishReason, Update};
//!
//! let request = Request::from_json(br#"{"model":"m","input":"Say hello.","stream":true}"#)?;
//! let updates = [
//!     Update::Delta(Delta::Text("Hel".into())),
//!     Update::Delta(Delta::Text("lo".into())),
//!     Update::End(End::finished(Some(FinishReason::Stop))),
//! ];
//! // A client that lost its connection after event 4, the first piece of text.
//! let mut writer = Writer::new("resp_1", request.chat.model, 1_700_000_000, request.settings).starting_after(4);
//! let mut rest = Vec::new();
//! for update in &updates {
//!     writer.update(update, &mut |event| rest.push((event.sequence_number, event.kind)));
//! }
//! assert_eq!(rest.first(), Some(&(5, "response.output_text.delta")));
//! assert_eq!(rest.last(), Some(&(9, "response.completed")));
//! assert_eq!(writer.status(), Status::Completed);
//! # Ok::<(), aurora_chat::RequestError>(())
//! ```

mod event;
mod input;
mod input_items;
mod item;
mod object;
mod options;
mod output;
mod rename;
mod request;
mod response;
mod settings;
#[cfg(test)]
mod tests;
mod write;

pub use event::Event;
pub use input_items::input_items;
pub use object::{Status, deletion};
pub use rename::{rename, rename_body};
pub use request::Request;
pub use settings::Settings;
pub use write::Writer;
