//! Chat as data: what is asked ([`request`]), what comes back piece by piece ([`Delta`]), how it ended
//! ([`Verdict`]).
//!
//! What is sent to and read from servers has a module per wire format in [`dialect`]; [`Transcript`] folds deltas into a
//! whole answer; [`conclude`] decides how a stream ended; [`redact`] makes what servers say fit to be shown.
//!
//! Nothing here does I/O, knows the time, or keeps a task: bytes and values in, values out. A source of answers (an
//! upstream, the local engine, a replayed recording) is anything that yields [`Update`]s and ends with one [`End`].
//!
//! ```
//! use aurora_chat::dialect::openai::{Flow, Reader};
//! use aurora_chat::{Ending, Transcript, Verdict};
//!
//! let mut reader = Reader::new();
//! let mut deltas = Vec::new();
//! for data in [
//!     r#"{"choices":[{"delta":{"content":"Hel"}}]}"#,
//!     r#"{"choices":[{"delta":{"content":"lo"}}]}"#,
//! ] {
//!     assert_eq!(reader.read("message", data, &mut deltas)?, Flow::Continue);
//! }
//! let mut answer = Transcript::new();
//! for delta in &deltas {
//!     answer.push(delta)?;
//! }
//! assert_eq!(answer.text, "Hello");
//! // The bytes end here, with neither a finish reason nor [DONE]: no complete answer.
//! assert_eq!(reader.end(Ending::Eof).end.verdict, Verdict::Truncated);
//! # Ok::<(), aurora_chat::Failure>(())
//! ```

pub mod delta;
pub mod dialect;
pub mod ending;
pub mod logprobs;
pub mod redact;
pub mod request;
pub mod transcript;
pub mod update;
pub mod verdict;

pub use delta::{Delta, FinishReason, ToolCallDelta, Usage};
pub use ending::{Conclusion, Ending, conclude};
pub use logprobs::{Likely, TokenLogprob};
pub use request::{ChatRequest, Content, Message, Part, RequestError, Role};
pub use transcript::{ToolCall, Transcript};
pub use update::{End, Failure, FailureKind, Limit, Notice, Start, Update};
pub use verdict::{Deadline, Fault, Verdict};
