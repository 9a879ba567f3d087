//! What can be wrong with a model file, with fetching one, or with a request.

use std::path::PathBuf;

use aurora_chat::RequestError;

/// Why a model cannot be loaded, fetched or removed. [`Error::kind`] tells programs, `Display` tells people; an error that
/// has a `source()` does not repeat what that says.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such model, file or package.
    NotFound,
    /// The file is damaged, cut short, or no GGUF file at all.
    Corrupt,
    /// The file is sound, but of an architecture, quantisation or vocabulary that this engine does not run.
    Unsupported,
    /// A download failed.
    Download,
    /// The file system refused.
    Io,
    /// This processor or machine cannot run the model.
    Machine,
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with the one that caused it.
    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A file-system error, with what was being done to which file.
    pub(crate) fn io(doing: &str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path: PathBuf = path.into();
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("cannot {doing} {}: {source}", path.display()))
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// What an error of candle's says, without the backtrace that it may carry.
pub(crate) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// Why a request cannot be answered as it is: what is wrong with one of its fields.
pub(crate) fn refuse(field: &str, why: &str) -> RequestError {
    RequestError::new(format!("{field}: {why}"), Some(field.to_owned()), None)
}
