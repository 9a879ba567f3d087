//! One stream on disk: what is known of it in memory, its log, and its writer.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use tokio::sync::oneshot;

use super::{
    Shared,
    frame::Place,
    queue::Job,
    reader::{self, DiskReader},
};
use crate::{
    Error, Log, MAX_RECORD, NewStream, Owner, Reader, State, StreamId, Writer,
    blocks::Blocks,
    catalog,
    lock::lock,
    pack::{MAX_UNFLUSHED, Packer},
    store::last_bytes,
    waiters::{Ticket, Waiters, Woken},
};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) owner: Owner,
    pub(super) created: SystemTime,
    keep: Duration,
    inner: Mutex<Inner>,
}

/// The longest header that stays in memory.
const HEADER_KEPT: usize = 1 << 10;

/// A stream's header.
#[derive(Clone, Debug)]
pub(super) enum Header {
    /// Short, or not stored yet.
    Here(Bytes),
    /// In the frame with which the stream begins.
    At(Place),
}

impl Header {
    /// The header that is stored there.
    pub(super) fn stored(self, at: Place) -> Self {
        match self {
            Self::Here(bytes) if bytes.len() <= HEADER_KEPT => Self::Here(bytes),
            Self::Here(_) | Self::At(_) => Self::At(at),
        }
    }
}

/// What changes. Only the writing thread changes it.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) header: Header,
    /// The last blocks, as far as there was room in memory.
    pub(super) tail: Blocks,
    /// Where all blocks lie.
    pub(super) index: Vec<BlockAt>,
    pub(super) state: State,
    /// Why its writer may append no more, until another adopts it.
    pub(super) stopped: Option<Error>,
    /// Why there is nothing to read any more.
    pub(super) gone: Option<Error>,
    pub(super) waiters: Waiters,
    pub(super) written: Written,
}

impl Inner {
    /// Where the blocks lie from the one with the record `seq` on, no more than `count`.
    pub(super) fn blocks_at(&self, seq: u64, count: usize) -> Vec<Wanted> {
        let after = self.index.partition_point(|block| block.first_seq <= seq);
        let blocks = &self.index[after.saturating_sub(1)..];
        let ends = blocks.iter().skip(1).map(|block| block.first_seq);
        let ends = ends.chain([self.tail.next_seq()]);
        let wanted = blocks.iter().zip(ends).take(count);
        wanted
            .map(|(block, end_seq)| Wanted {
                block: *block,
                end_seq,
            })
            .collect()
    }
}

/// A block to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) block: BlockAt,
    /// The number after its last record. Frames of the block that begin there or later are void.
    pub(super) end_seq: u64,
}

/// Where a block lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockAt {
    /// The number of its first record.
    pub(super) first_seq: u64,
    /// Its last frame, from which a chain leads back to its first.
    pub(super) last: Place,
}

/// What was handed to the disk, shown or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) next_seq: u64,
    /// The last frame with records.
    pub(super) last: Option<Place>,
    /// The segments that the stream lies in, in order.
    pub(super) segments: Vec<u32>,
}

impl Stream {
    pub(super) fn new(new: NewStream, keep: Duration) -> Self {
        let inner = Inner {
            header: Header::Here(new.header),
            tail: Blocks::new(0),
            index: Vec::new(),
            state: State::Open,
            stopped: None,
            gone: None,
            waiters: Waiters::default(),
            written: Written::default(),
        };
        Self::recovered(new.id, new.owner, new.created, keep, inner)
    }

    /// A stream as it was found on the disk.
    pub(super) fn recovered(
        id: StreamId,
        owner: Owner,
        created: SystemTime,
        keep: Duration,
        inner: Inner,
    ) -> Self {
        Self {
            id,
            owner,
            created,
            keep,
            inner: Mutex::new(inner),
        }
    }

    /// The lock is never held together with another.
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Its writer may append no more: what came last could not be stored.
    pub(super) fn stop(&self, why: Error) {
        let mut inner = self.inner();
        inner.written.next_seq = inner.tail.next_seq();
        inner.stopped.get_or_insert(why);
    }

    /// It is finished and no longer kept: nothing of it is read any more, even before [`Self::end`].
    pub(super) fn expire(&self) {
        self.inner().gone.get_or_insert(Error::Expired);
    }

    /// There is nothing to read any more. Gives how many bytes of memory that frees, and where it lay.
    pub(super) fn end(&self, why: Error) -> (usize, Vec<u32>) {
        let mut woken = Woken::default();
        let freed = {
            let mut inner = self.inner();
            let held = inner.tail.held();
            inner.tail.clear();
            inner.index = Vec::new();
            inner.gone = Some(why);
            inner.waiters.take(&mut woken);
            (held, mem::take(&mut inner.written.segments))
        };
        woken.wake();
        freed
    }
}

#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Arc<Stream>,
}

impl Log for Handle {
    fn id(&self) -> StreamId {
        self.stream.id
    }

    fn header(&self) -> BoxFuture<'_, Result<Bytes, Error>> {
        let header = {
            let inner = self.stream.inner();
            match &inner.gone {
                Some(why) => return Box::pin(std::future::ready(Err(why.clone()))),
                None => inner.header.clone(),
            }
        };
        match header {
            Header::Here(bytes) => Box::pin(std::future::ready(Ok(bytes))),
            Header::At(place) => Box::pin(async move {
                let loaded = reader::load_header(self.shared.clone(), self.stream.id, place).await;
                // A stream that went away took its segments with it.
                loaded.map_err(|error| self.stream.inner().gone.clone().unwrap_or(error))
            }),
        }
    }

    fn created(&self) -> SystemTime {
        self.stream.created
    }

    fn state(&self) -> State {
        self.stream.inner().state.clone()
    }

    fn next_seq(&self) -> u64 {
        self.stream.inner().tail.next_seq()
    }

    fn expires(&self) -> Option<SystemTime> {
        match self.stream.inner().state {
            State::Open => None,
            State::Finished { at, .. } => Some(catalog::expiry(at, self.stream.keep)),
        }
    }

    fn read(&self, from: u64) -> Box<dyn Reader> {
        Box::new(DiskReader::new(self.shared.clone(), self.stream.clone(), from))
    }
}

#[derive(Debug)]
pub(super) struct DiskWriter {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    packer: Packer,
    next_seq: u64,
    /// Packed bytes of this writer.
    bytes: u64,
    /// Bytes of the records that say how the stream ends.
    last_bytes: usize,
    /// Where it waits for room.
    ticket: Ticket,
    /// Whether it leaves an orphan.
    is_done: bool,
}

impl DiskWriter {
    pub(super) fn new(shared: Arc<Shared>, stream: Arc<Stream>) -> Self {
        Self {
            shared,
            stream,
            packer: Packer::default(),
            next_seq: 0,
            bytes: 0,
            last_bytes: 0,
            ticket: Ticket::default(),
            is_done: false,
        }
    }

    /// Goes on where the stream stops for its readers.
    pub(super) fn go_on(&mut self) {
        self.next_seq = self.stream.inner().tail.next_seq();
    }

    fn push(&mut self, record: &[u8]) -> u64 {
        self.bytes += self.packer.push(record) as u64;
        self.next_seq += 1;
        self.next_seq - 1
    }

    fn check(&self) -> Result<(), Error> {
        let inner = self.stream.inner();
        match (&inner.gone, &inner.stopped) {
            (Some(_), _) => Err(Error::Fenced),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Ok(()),
        }
    }

    /// Hands over what there is and the end.
    fn hand_over_end(&mut self, footer: &[u8]) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        if footer.len() > MAX_RECORD {
            return Err(Error::RecordTooLarge {
                len: footer.len(),
                limit: MAX_RECORD,
            });
        }
        self.check()?;
        let stream = &self.stream;
        let packed = mem::take(&mut self.packer.pending);
        let records = (!packed.pieces.is_empty()).then(|| Job::Records {
            stream: stream.clone(),
            packed,
        });
        let (done, answer) = oneshot::channel();
        let end = Job::Finish {
            stream: stream.clone(),
            footer: Bytes::copy_from_slice(footer),
            at: SystemTime::now(),
            done,
        };
        // Together, so that no flush of the disk falls between them. A stream ends once, so that what it adds beyond the bound
        // of the queue is bounded too.
        self.shared.queue.push_all(records.into_iter().chain([end]))?;
        Ok(answer)
    }
}

impl Writer for DiskWriter {
    fn id(&self) -> StreamId {
        self.stream.id
    }

    fn next_seq(&self) -> u64 {
        self.next_seq
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(Handle {
            shared: self.shared.clone(),
            stream: self.stream.clone(),
        })
    }

    fn append(&mut self, record: &[u8]) -> Result<u64, Error> {
        let limit = self.shared.options.max_stream_bytes;
        if record.len() > MAX_RECORD {
            return Err(Error::RecordTooLarge {
                len: record.len(),
                limit: MAX_RECORD,
            });
        }
        if self.bytes >= limit {
            return Err(Error::StreamTooLong { limit });
        }
        if self.packer.pending.bytes.len() >= MAX_UNFLUSHED {
            return Err(Error::Unflushed { limit: MAX_UNFLUSHED });
        }
        if self.shared.is_full.load(Ordering::Relaxed) {
            lock(&self.shared.catalog).check_growth()?;
        }
        Ok(self.push(record))
    }

    fn append_last(&mut self, record: &[u8]) -> Result<u64, Error> {
        self.last_bytes = last_bytes(self.last_bytes, record)?;
        Ok(self.push(record))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.check()?;
        if self.packer.pending.pieces.is_empty() {
            return Poll::Ready(self.shared.queue.check_open());
        }
        let (stream, pending) = (&self.stream, &mut self.packer.pending);
        ready!(
            self.shared
                .queue
                .poll_push(cx, &mut self.ticket, || Job::Records {
                    stream: stream.clone(),
                    packed: mem::take(pending),
                })
        )?;
        Poll::Ready(Ok(()))
    }

    fn finish(mut self: Box<Self>, footer: &[u8]) -> BoxFuture<'static, Result<(), Error>> {
        let answer = match self.hand_over_end(footer) {
            Ok(answer) => answer,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        // Should the end not be stored, the thread makes it an orphan.
        self.is_done = true;
        Box::pin(async move { answer.await.unwrap_or(Err(Error::Closed)) })
    }

    fn discard(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        let (done, answer) = oneshot::channel();
        let handed_over = self.check().and_then(|()| {
            let (stream, owner) = (self.stream.clone(), self.stream.owner);
            self.shared.queue.push(Job::Remove { stream, owner, done })
        });
        Box::pin(async move {
            // When the writer is dropped, the stream is gone or an orphan.
            let _writer = self;
            handed_over?;
            answer.await.unwrap_or(Err(Error::Closed))
        })
    }
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        self.shared.queue.leave(&mut self.ticket);
        if !self.is_done {
            lock(&self.shared.catalog).orphan(&self.stream.id);
        }
    }
}
