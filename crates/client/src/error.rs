//! What can be wrong before a call exists. What goes wrong in a call is a [`Failure`](aurora_chat::Failure), in its end.

use aurora_chat::Fault;

/// A setting that cannot be used, or a client that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The base URL of an endpoint. It is not repeated here, since it may hold a key.
    #[error("the base URL cannot be used: {reason}")]
    BaseUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header of an endpoint. Its value is not repeated here.
    #[error("the header {name:?} cannot be sent: HTTP does not allow its {what}")]
    Header {
        /// The header's name.
        name: String,
        /// `name` or `value`.
        what: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {reason}")]
    Http {
        /// What the HTTP library says.
        reason: String,
    },
}

impl Error {
    /// Whose fault it is: the caller's for a setting, ours or the machine's otherwise.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::BaseUrl { .. } | Self::Header { .. } => Fault::Caller,
            Self::Http { .. } => Fault::Server,
        }
    }

    /// Whether the same call might succeed later: never, without a change of settings or machine.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}
