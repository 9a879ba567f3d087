//! What can go wrong with a log.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// A failure of a store, of a writer or of a reader. It holds no content of a stream and no owner.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such stream, or it belongs to somebody else: the two cannot be told apart.
    #[error("there is no such stream")]
    Unknown,
    /// The stream was kept for its time, or as long as there was room, and is gone.
    #[error("the stream is no longer kept")]
    Expired,
    /// A stream of this id exists.
    #[error("a stream of this id exists already")]
    Exists,
    /// Streams that are still open fill the store. Finished ones never stand in the way of new ones.
    #[error("open streams fill the store")]
    Full {
        /// After how long it is worth asking again.
        retry_after: Duration,
    },
    /// Another has taken the stream over, or has removed it: this writer may append nothing more.
    #[error("the stream is no longer this writer's")]
    Fenced,
    /// [`Store::adopt`](crate::Store::adopt) of a stream that has a writer, or is finished.
    #[error("the stream needs no new writer")]
    NotOrphaned,
    /// A record, header or footer over [`MAX_RECORD`](crate::MAX_RECORD).
    #[error("a record of {len} bytes is over the limit of {limit}")]
    RecordTooLarge {
        /// Its length in bytes.
        len: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// The stream takes as much of the store as one stream may. What it holds stays readable, and it can be finished.
    #[error("the stream has reached the limit of {limit} bytes for one stream")]
    StreamTooLong {
        /// The limit in bytes, as stored.
        limit: u64,
    },
    /// Too much was appended without a flush.
    #[error("more than {limit} bytes were appended without a flush")]
    Unflushed {
        /// How much a writer buffers, in bytes.
        limit: usize,
    },
    /// What was stored cannot be read: the medium lost it or somebody changed it. What comes before is intact.
    #[error("the log is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// The operating system refused to read or write.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, as in "cannot …".
        doing: &'static str,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process uses the folder.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version of the program, in a form that this one does not read. Nothing was changed.
    #[error("{} was written in form {found}, which this version does not read", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version byte.
        found: u8,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The operating system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl Error {
    /// What the system said, and what was being done, as in "cannot …".
    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io {
            doing,
            source: Arc::new(source),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }

    /// Whether whoever asked for the stream has asked for one they cannot have: the server is well.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Unknown | Self::Expired)
    }
}
