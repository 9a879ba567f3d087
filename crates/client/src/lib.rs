//! One call to an upstream: connect, send, read, retry, end.
//!
//! A [`Client`] starts calls to [`Endpoint`]s. Each gives an [`Answer`], a stream of [`Update`](aurora_chat::Update)s
//! that ends with exactly one [`End`](aurora_chat::End), whose verdict is true: nothing incomplete is called complete.
//! Text is never repeated: after the first delta nothing is tried again. Where the server keeps the stream, a connection
//! that is lost in mid-answer is picked up after the last event that arrived, and the answer goes on with a
//! [`Notice::Resume`](aurora_chat::Notice::Resume). Deadlines, limits and retries have the defaults of [`Deadlines`],
//! [`Limits`] and [`Endpoint::retries`]; [`Pace`] holds calls to an endpoint's rates.
//!
//! ```
//! use aurora_chat::{ChatRequest, Delta, Message, Role, Update};
//! use aurora_client::{Client, Endpoint, Error};
//!
//! async fn print_answer(base_url: &str) -> Result<(), Error> {
//!     let endpoint = Endpoint::new("example", base_url)?;
//!     let messages = vec![Message::text(Role::User, "Why is the sky blue?")];
//!     let request = ChatRequest { model: "small".into(), messages, ..ChatRequest::default() };
//!     let mut answer = Client::new()?.start(&endpoint, request);
//!     while let Some(update) = answer.next().await {
//!         match update {
//!             Update::Delta(Delta::Text(text)) => print!("{text}"),
//!             Update::End(end) => println!("\n({})", end.verdict.as_str()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! # let upstream = aurora_testkit::Upstream::start(aurora_testkit::Reply::sse(
//! #     aurora_testkit::fixtures::sse_answer(&["Rayleigh ", "scattering."])));
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
//! # runtime.block_on(print_answer(&upstream.url())).expect("valid settings");
//! # assert_eq!(upstream.requests().len(), 1);
//! ```
//!
//! A call can be recorded ([`Client::start_recorded`]) and played again ([`Recording`]); [`Throttle`] merges small deltas;
//! [`Client::start_verbatim`] gives the server's events along with what they mean.
//!
//! Inside, `call` is a state machine without I/O, `reading` reads bodies, `retry`, `resume` and `deadlines` are rules as values,
//! `measure` and `log` tell what a call came to, `mask` hides its key, `pace` holds the limits on rates and `line` the calls that wait for them,
//! `transport` sends requests, by `plain` where there is neither TLS nor a proxy and by the HTTP library elsewhere, and
//! [`Answer`] drives them. A recording is the log of the state machine's
//! inputs, so a replay runs through the same code. Wire formats are `aurora_chat`'s. What
//! is not here: choosing between endpoints, keeping streams, showing anything.

mod answer;
mod call;
mod client;
mod clock;
mod connect;
mod continuation;
mod deadlines;
mod endpoint;
mod error;
mod line;
mod log;
mod mask;
mod measure;
mod models;
mod pace;
mod plain;
mod progress;
mod reading;
mod record;
mod replay;
mod response;
mod resume;
mod retry;
mod throttle;
mod transport;
mod verbatim;

pub use answer::Answer;
pub use client::Client;
pub use continuation::{Joined, Seam, prefixed};
pub use endpoint::{BaseUrl, Deadlines, Dialect, Endpoint, Limits, OnDrop, Secret};
pub use error::Error;
pub use pace::{Pace, estimate_prompt};
pub use progress::Prospect;
pub use replay::{Recording, RecordingError};
pub use retry::{MAX_WAIT, backoff, is_retryable};
pub use throttle::Throttle;
pub use verbatim::{Passage, Verbatim};
