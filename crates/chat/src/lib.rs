//! Chat as data: what is asked ([`request`]), what comes back piece by piece ([`Delta`]), how it ended
//! ([`Verdict`]).
//!
//! Nothing here does I/O, knows the time, or keeps a task: bytes and values in, values out. A source of answers (an
//! upstream, the local engine, a replayed recording) is anything that yields [`Update`]s and ends with one [`End`].

pub mod delta;
pub mod dialect;
pub mod ending;
pub mod redact;
pub mod request;
pub mod transcript;
pub mod update;
pub mod verdict;

pub use delta::{Delta, FinishReason, ToolCallDelta, Usage};
pub use ending::{Conclusion, Ending, conclude};
pub use request::{ChatRequest, Content, Message, Part, RequestError, Role};
pub use transcript::{ToolCall, Transcript};
pub use update::{End, Failure, FailureKind, Limit, Notice, Start, Update};
pub use verdict::{Deadline, Fault, Verdict};
