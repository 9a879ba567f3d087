//! What can go wrong, on either side: small values that say which rule was broken, and nothing of the content.

use core::fmt;

/// Why a stream can not be decoded any further.
///
/// The standard knows no malformed stream, so there is one reason only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A line, together with what is already kept of its event, is larger than the decoder's limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "an event is larger than the limit of {limit} bytes"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why something can not be written as an event stream without changing its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event type contains CR or LF, which would start another field.
    NewlineInEvent,
    /// The id contains CR or LF, which would start another field.
    NewlineInId,
    /// The id contains NUL, and every reader ignores such ids.
    NulInId,
    /// The comment contains CR or LF, which would end it.
    NewlineInComment,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NewlineInEvent => "the event type contains a line end",
            Self::NewlineInId => "the event id contains a line end",
            Self::NulInId => "the event id contains a NUL character",
            Self::NewlineInComment => "the comment contains a line end",
        })
    }
}

impl core::error::Error for EncodeError {}
