//! What can go wrong with the history, and whose fault it is.
//!
//! A command that was asked for the history ends with such an error. An answer never does: it is told as a warning, once.

use std::io;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// The result of everything that touches the file.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file's schema is one of a later version, which this one must not touch.
    #[error(
        "{}: was written by a newer aurora (schema {found}, this one knows up to {known}); it is left as it is, use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema's version in the file.
        found: i64,
        /// The last one this program knows.
        known: i64,
    },
    /// The folder or the file cannot be made or read.
    #[error("{}: {}", path.display(), reason(error))]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is a database that another program made, which this one must not touch.
    #[error("{}: is the database of another program; it is left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is to be added to is not there any more.
    #[error("the conversation was removed meanwhile")]
    Removed,
    /// SQLite refused.
    #[error("{}: {}", path.display(), said(error))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it said. No text of a conversation is in it.
        error: rusqlite::Error,
    },
    /// There is no conversation with this id.
    #[error("no conversation has the id \"{0}\"; aurora history list shows those that there are")]
    Unknown(String),
    /// Several conversations have ids that begin like this.
    #[error("several conversations have ids that begin with \"{prefix}\": {}; type more of it", ids.join(", "))]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// Some of them.
        ids: Vec<String>,
    },
    /// There is no conversation at all.
    #[error("no conversation has been kept yet; aurora PROMPT begins one")]
    Empty,
    /// A search for nothing that could be found.
    #[error("no word to search for: letters, digits or characters of Chinese, Japanese or Korean are needed")]
    NoWord,
}

impl Error {
    /// An error of SQLite about this file.
    pub(super) fn of(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Sqlite {
            path: path.clone(),
            error,
        }
    }

    /// Whether the disk does not take what is written: it is full, which SQLite may tell as any failure of the disk.
    pub(crate) fn is_full(&self) -> bool {
        use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
        matches!(self, Self::Sqlite { error, .. }
            if matches!(error.sqlite_error_code(), Some(DiskFull | SystemIoFailure)))
    }

    /// Whether another process has the file to itself for the moment, so that trying again may help.
    pub(super) fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        match self {
            Self::Sqlite { error, .. } => {
                matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
            }
            _ => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown(_) | Error::Ambiguous { .. } | Error::Empty | Error::NoWord => {
                Self::usage(error.to_string())
            }
            Error::Newer { .. }
            | Error::Foreign { .. }
            | Error::Removed
            | Error::File { .. }
            | Error::Sqlite { .. } => Self::config(format!("history: {error}")),
        }
    }
}

/// What SQLite said, without the statement that it said it about, which is ours and no news to anybody.
fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

/// What the system said, in words for a person where its own are about something else.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "is no folder".to_owned(),
        io::ErrorKind::IsADirectory => "is a folder, and no file".to_owned(),
        _ => error.to_string(),
    }
}
