//! The one trait behind which stores stand, and what they hand out: writers, logs and readers.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;

use crate::{Batch, Error, Owner, StreamId};

/// The longest record, header or footer, in bytes: 16 MiB.
///
/// It leaves room above the 8 MiB that one event of an upstream may have.
pub const MAX_RECORD: usize = 16 << 20;

/// How many bytes a writer's [last records](Writer::append_last) may have together: 64 KiB.
pub const MAX_LAST: usize = 64 << 10;

/// What a stream begins with.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// Its name, which nobody else has: see [`StreamId::random`].
    pub id: StreamId,
    /// Who may read it.
    pub owner: Owner,
    /// When it was made.
    pub created: SystemTime,
    /// What its maker wants to know of it later. The store does not look inside. At most [`MAX_RECORD`] bytes.
    pub header: Bytes,
}

/// Keeps streams: each has one writer at a time and any number of readers.
///
/// A record that a reader has seen is one that every later reader will see, at the same place and with the same bytes,
/// until the whole stream expires or is removed. Open streams do not expire. Every call that names a stream on behalf of
/// somebody takes that somebody's [`Owner`], so that no path can forget to check it.
pub trait Store: Send + Sync + fmt::Debug {
    /// Begins a stream. Its writer is there as soon as the store has taken the stream, and what it flushes is stored together
    /// with the beginning, in one go; that the stream is [stored](Begun::stored) may take longer.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] when streams that are still open fill the store, [`Error::Exists`] for an id that is taken,
    /// [`Error::RecordTooLarge`] for the header, [`Error::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Whoever drops it, or what it gave, may leave an orphan that nobody knows of.
    fn begin(&self, new: NewStream) -> BoxFuture<'_, Result<Begun, Error>>;

    /// Begins a stream and waits until it is stored.
    ///
    /// # Errors
    ///
    /// As for [`begin`](Self::begin), and [`Error::Io`] where the store cannot write.
    ///
    /// # Cancel safety
    ///
    /// A stream whose creation was cancelled may exist all the same, as an orphan that nobody knows of.
    fn create(&self, new: NewStream) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let begun = self.begin(new);
        Box::pin(async move {
            let Begun { writer, stored } = begun.await?;
            stored.await?;
            Ok(writer)
        })
    }

    /// Looks a stream up for `owner`.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none of the id or it is not `owner`'s. [`Error::Expired`] if it was `owner`'s and is
    /// gone; the store remembers so for a bounded number of streams, and forgets the oldest first.
    fn open<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<Arc<dyn Log>, Error>>;

    /// The streams that are open in the log but have no writer: theirs was dropped, or its process died.
    fn orphans(&self) -> BoxFuture<'_, Result<Vec<StreamId>, Error>>;

    /// Takes over an orphan, to bring it to an honest end. Its number goes on where readers have seen it stop.
    ///
    /// # Errors
    ///
    /// [`Error::NotOrphaned`] if it has a writer or is finished, [`Error::Unknown`] if there is no such stream.
    fn adopt<'a>(&'a self, id: &'a StreamId) -> BoxFuture<'a, Result<Box<dyn Writer>, Error>>;

    /// Removes a stream for good. It is unknown from now on; its readers end with [`Error::Unknown`], and a writer it may
    /// have with [`Error::Fenced`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    fn remove<'a>(&'a self, id: &'a StreamId, owner: &'a Owner) -> BoxFuture<'a, Result<(), Error>>;

    /// How much the store holds.
    fn usage(&self) -> Usage;

    /// Lets go of what has expired. Does not block; meant to be called every few seconds. A stream counts as expired at its
    /// time, whether this is called or not.
    fn sweep(&self);

    /// Stores what writers have flushed, and takes nothing more: afterwards every call that would write gives
    /// [`Error::Closed`]. Called again, it waits for the same end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if not all of it could be stored, [`Error::Closed`] if the store has failed before.
    ///
    /// # Cancel safety
    ///
    /// It is the call itself that closes: dropping the future only gives up waiting for the end.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}

/// A stream that [has begun](Store::begin).
pub struct Begun {
    /// Its writer.
    pub writer: Box<dyn Writer>,
    /// Resolves when the stream is as safe as the store promises: whoever is given its name before that may find nothing of
    /// it after a restart. [`Error::Io`] if it could not be stored, or [`Error::Closed`]; then there is no such stream, and
    /// its writer gives the same error. Dropping it only gives up waiting.
    pub stored: BoxFuture<'static, Result<(), Error>>,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// The one writer of a stream. Dropped before [`finish`](Self::finish), it leaves an orphan, which holds what was flushed.
pub trait Writer: Send + fmt::Debug {
    /// The stream that it writes.
    fn id(&self) -> StreamId;

    /// The number that the next record will have: how many were appended so far.
    fn next_seq(&self) -> u64;

    /// The stream as its readers see it.
    fn log(&self) -> Arc<dyn Log>;

    /// Appends a record to the writer's buffer, and gives it its number. Nobody sees it before a flush.
    ///
    /// # Errors
    ///
    /// [`Error::RecordTooLarge`], [`Error::StreamTooLong`], [`Error::Unflushed`], or [`Error::Full`] where open streams fill
    /// the store and a quarter more: new ones are refused long before, so that those that have begun come to their end, but
    /// no number of them grows beyond that by more than what is being flushed. The record is not appended then,
    /// and the writer is as before.
    fn append(&mut self, record: &[u8]) -> Result<u64, Error>;

    /// As [`append`](Self::append), for a record that says how the stream ends: there is room for it, [`MAX_LAST`] bytes for
    /// all such records, when the stream is as long as it may be, when the store is full and when nothing was flushed. So a stream that is cut
    /// short can say so.
    ///
    /// # Errors
    ///
    /// [`Error::RecordTooLarge`]. The record is not appended then, and the writer is as before.
    fn append_last(&mut self, record: &[u8]) -> Result<u64, Error>;

    /// Hands what was appended to the store. `Ready` says that the store has taken it, not that it is on a disk; readers
    /// see it once it is as safe as the store promises. `Pending` says that the store is behind, and wakes the task when
    /// it has room.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`] if the stream is no longer this writer's. [`Error::Io`] if an earlier flush could not be stored:
    /// readers do not see its records, and the stream takes no more.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Flushes, and ends the stream with a footer, which the store does not look into. Resolves when readers can see it.
    ///
    /// # Errors
    ///
    /// As for [`poll_flush`](Writer::poll_flush), and [`Error::RecordTooLarge`] for the footer. The stream is an orphan
    /// then.
    ///
    /// # Cancel safety
    ///
    /// The end is handed over by the call itself: dropping the future only gives up waiting for it.
    fn finish(self: Box<Self>, footer: &[u8]) -> BoxFuture<'static, Result<(), Error>>;

    /// Removes the stream for good in place of finishing it, as [`Store::remove`] does. Its readers end with
    /// [`Error::Unknown`].
    ///
    /// # Errors
    ///
    /// As for [`poll_flush`](Writer::poll_flush). The stream is an orphan then.
    ///
    /// # Cancel safety
    ///
    /// As for [`finish`](Writer::finish).
    fn discard(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

impl dyn Writer + '_ {
    /// [`poll_flush`](Writer::poll_flush) as a future. Cancel safe: what the store has not taken stays in the buffer.
    ///
    /// # Errors
    ///
    /// As for [`poll_flush`](Writer::poll_flush).
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

/// How many bytes of last records there are with this one.
pub(crate) fn last_bytes(before: usize, record: &[u8]) -> Result<usize, Error> {
    let len = record.len();
    let all = before.saturating_add(len);
    if all > MAX_LAST {
        let limit = MAX_LAST - before;
        return Err(Error::RecordTooLarge { len, limit });
    }
    Ok(all)
}

/// A stream as its readers see it.
pub trait Log: Send + Sync + fmt::Debug {
    /// Its name.
    fn id(&self) -> StreamId;

    /// What its maker has written down about it. A store need not have it in memory.
    ///
    /// # Errors
    ///
    /// As for [`Reader::poll_batch`].
    fn header(&self) -> BoxFuture<'_, Result<Bytes, Error>>;

    /// When it was made.
    fn created(&self) -> SystemTime;

    /// Whether it is still written. Of a stream that is gone, how it was last.
    fn state(&self) -> State;

    /// How many records readers can see: the number that the next one will have.
    fn next_seq(&self) -> u64;

    /// Until when it is kept at most; `None` as long as it is open. It may go earlier, to make room.
    fn expires(&self) -> Option<SystemTime>;

    /// Reads from the record numbered `from`. Beyond the end of an open stream the reader waits for that record; beyond the
    /// end of a finished one it ends at once.
    fn read(&self, from: u64) -> Box<dyn Reader>;
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// More may come.
    Open,
    /// Nothing more will come.
    Finished {
        /// What its writer left as the last word.
        footer: Bytes,
        /// When.
        at: SystemTime,
    },
}

/// A place in a stream that moves on. Readers do not wait for each other, and no writer waits for a reader.
pub trait Reader: Send + fmt::Debug {
    /// The number of the record that is read next.
    fn next_seq(&self) -> u64;

    /// Fills `out` with the next records, at least one and at most [`Batch::MAX_BYTES`] of them, and gives `true`; gives
    /// `false` after the last record of a finished stream. `Pending` wakes the task when there is more.
    ///
    /// What `out` held before is gone, also if the answer is not `true`. A poll without need is harmless.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] or [`Error::Unknown`] if the stream went away under the reader, [`Error::Damaged`] or
    /// [`Error::Io`] if it cannot be read any further, [`Error::Closed`] if the store has failed and the stream cannot grow
    /// any more. There is never a gap between records that were given out.
    fn poll_batch(&mut self, cx: &mut Context<'_>, out: &mut Batch) -> Poll<Result<bool, Error>>;
}

impl dyn Reader + '_ {
    /// [`poll_batch`](Reader::poll_batch) as a future. Cancel safe: a batch is given out whole or not at all.
    ///
    /// # Errors
    ///
    /// As for [`poll_batch`](Reader::poll_batch).
    pub async fn next_batch(&mut self, out: &mut Batch) -> Result<bool, Error> {
        poll_fn(|cx| self.poll_batch(cx, out)).await
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that all streams take in the store.
    pub bytes: u64,
    /// Bytes of streams that are still open; the rest can be let go to make room.
    pub live_bytes: u64,
    /// The most that all streams together may take, in bytes.
    pub max_bytes: u64,
    /// How many streams are open, orphans included.
    pub live: usize,
    /// How many streams are finished and still kept.
    pub finished: usize,
}
