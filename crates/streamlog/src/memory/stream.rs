//! One stream in memory: its writer, its log, and the readers of it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;

use super::{Shared, ready};
use crate::{
    Batch, Error, Log, MAX_RECORD, NewStream, Reader, State, StreamId, Writer,
    blocks::{Blocks, Found},
    catalog,
    lock::lock,
    pack::{MAX_UNFLUSHED, Packer, Unpacker},
    store::last_bytes,
    waiters::{Ticket, Waiters, Woken},
};

/// What a stream costs besides its records: itself and its places in the catalog, which hash tables keep partly empty.
const OVERHEAD: usize = size_of::<Stream>() + 256;

#[derive(Debug)]
pub(super) struct Stream {
    id: StreamId,
    header: Bytes,
    created: SystemTime,
    keep: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    blocks: Blocks,
    state: State,
    /// Why there is nothing to read any more.
    gone: Option<Error>,
    waiters: Waiters,
}

impl Stream {
    pub(super) fn new(new: NewStream, keep: Duration) -> Self {
        Self {
            id: new.id,
            header: new.header,
            created: new.created,
            keep,
            inner: Mutex::new(Inner {
                blocks: Blocks::new(0),
                state: State::Open,
                gone: None,
                waiters: Waiters::default(),
            }),
        }
    }

    /// What it takes before its first record.
    pub(super) fn fixed_bytes(&self) -> u64 {
        (OVERHEAD + self.header.len()) as u64
    }

    /// Lets its content go. Readers and a writer learn why.
    pub(super) fn end(&self, why: Error) {
        let mut woken = Woken::default();
        {
            let mut inner = self.inner();
            inner.blocks.clear();
            inner.gone = Some(why);
            inner.waiters.take(&mut woken);
        }
        woken.wake();
    }

    /// The lock is never held together with the catalog's.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

#[derive(Debug)]
pub(super) struct Handle {
    stream: Arc<Stream>,
}

impl Handle {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream }
    }
}

impl Log for Handle {
    fn id(&self) -> StreamId {
        self.stream.id
    }

    fn header(&self) -> BoxFuture<'_, Result<Bytes, Error>> {
        let gone = self.stream.inner().gone.clone();
        ready(gone.map_or_else(|| Ok(self.stream.header.clone()), Err))
    }

    fn created(&self) -> SystemTime {
        self.stream.created
    }

    fn state(&self) -> State {
        self.stream.inner().state.clone()
    }

    fn next_seq(&self) -> u64 {
        self.stream.inner().blocks.next_seq()
    }

    fn expires(&self) -> Option<SystemTime> {
        match self.stream.inner().state {
            State::Open => None,
            State::Finished { at, .. } => Some(catalog::expiry(at, self.stream.keep)),
        }
    }

    fn read(&self, from: u64) -> Box<dyn Reader> {
        Box::new(MemoryReader {
            stream: self.stream.clone(),
            unpacker: Unpacker::new(from),
            ticket: Ticket::default(),
        })
    }
}

#[derive(Debug)]
pub(super) struct MemoryWriter {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    packer: Packer,
    next_seq: u64,
    /// Packed bytes of the whole stream.
    stream_bytes: u64,
    /// Bytes of the records that say how it ends.
    last_bytes: usize,
    woken: Woken,
    is_finished: bool,
}

impl MemoryWriter {
    pub(super) fn new(shared: Arc<Shared>, stream: Arc<Stream>) -> Self {
        let (next_seq, held) = {
            let inner = stream.inner();
            (inner.blocks.next_seq(), inner.blocks.held())
        };
        Self {
            shared,
            stream,
            packer: Packer::default(),
            next_seq,
            stream_bytes: held as u64,
            last_bytes: 0,
            woken: Woken::default(),
            is_finished: false,
        }
    }

    /// Shows readers what was appended, and the end if it is one.
    fn publish(&mut self, end: Option<State>) -> Result<(), Error> {
        self.shared.check_open()?;
        let grown = {
            let mut inner = self.stream.inner();
            if inner.gone.is_some() {
                return Err(Error::Fenced);
            }
            let before = inner.blocks.held();
            inner.blocks.extend(&self.packer.pending);
            inner.state = end.unwrap_or(State::Open);
            inner.waiters.take(&mut self.woken);
            inner.blocks.held() as i64 - before as i64
        };
        self.packer.pending.clear();
        self.woken.wake();
        // Memory is taken in steps, a few for each block: only then is there something to tell the catalog.
        if grown != 0 {
            self.grow(grown);
        }
        Ok(())
    }

    fn push(&mut self, record: &[u8]) -> u64 {
        self.stream_bytes += self.packer.push(record) as u64;
        self.next_seq += 1;
        self.next_seq - 1
    }

    fn grow(&self, by: i64) {
        self.shared.change(|catalog| catalog.grow(&self.stream.id, by));
    }
}

impl Writer for MemoryWriter {
    fn id(&self) -> StreamId {
        self.stream.id
    }

    fn next_seq(&self) -> u64 {
        self.next_seq
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(Handle::new(self.stream.clone()))
    }

    fn append(&mut self, record: &[u8]) -> Result<u64, Error> {
        let limit = self.shared.options.max_stream_bytes;
        if record.len() > MAX_RECORD {
            return Err(Error::RecordTooLarge {
                len: record.len(),
                limit: MAX_RECORD,
            });
        }
        if self.stream_bytes >= limit {
            return Err(Error::StreamTooLong { limit });
        }
        if self.packer.pending.bytes.len() >= MAX_UNFLUSHED {
            return Err(Error::Unflushed { limit: MAX_UNFLUSHED });
        }
        if self.shared.is_full.load(Ordering::Relaxed) {
            self.shared.catalog().check_growth()?;
        }
        Ok(self.push(record))
    }

    fn append_last(&mut self, record: &[u8]) -> Result<u64, Error> {
        self.last_bytes = last_bytes(self.last_bytes, record)?;
        Ok(self.push(record))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(self.publish(None))
    }

    fn finish(mut self: Box<Self>, footer: &[u8]) -> BoxFuture<'static, Result<(), Error>> {
        if footer.len() > MAX_RECORD {
            return ready(Err(Error::RecordTooLarge {
                len: footer.len(),
                limit: MAX_RECORD,
            }));
        }
        let at = SystemTime::now();
        let end = State::Finished {
            footer: Bytes::copy_from_slice(footer),
            at,
        };
        let result = self.publish(Some(end));
        if result.is_ok() {
            self.is_finished = true;
            self.shared.change(|catalog| {
                catalog.grow(&self.stream.id, footer.len() as i64);
                catalog.finish(&self.stream.id, at);
            });
        }
        ready(result)
    }

    fn discard(mut self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        self.is_finished = true;
        let removed = self.shared.change(|catalog| catalog.discard(&self.stream.id));
        ready(match removed {
            Some(stream) => {
                stream.end(Error::Unknown);
                Ok(())
            }
            None => Err(Error::Fenced),
        })
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.catalog().orphan(&self.stream.id);
        }
    }
}

#[derive(Debug)]
struct MemoryReader {
    stream: Arc<Stream>,
    unpacker: Unpacker,
    ticket: Ticket,
}

impl Reader for MemoryReader {
    fn next_seq(&self) -> u64 {
        self.unpacker.seq()
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>, out: &mut Batch) -> Poll<Result<bool, Error>> {
        self.unpacker.begin(out);
        // What is copied under the lock is packed, and mostly a few bytes; unpacking is done without it.
        while !self.unpacker.fill(out)? {
            let mut inner = self.stream.inner();
            if let Some(why) = &inner.gone {
                return Poll::Ready(Err(why.clone()));
            }
            match inner.blocks.read(&mut self.unpacker)? {
                Found::Some => {}
                Found::Gone => return Poll::Ready(Err(Error::Expired)),
                Found::End if !out.is_empty() => break,
                Found::End if inner.state == State::Open => {
                    inner.waiters.wait(&mut self.ticket, cx.waker());
                    return Poll::Pending;
                }
                Found::End => return Poll::Ready(Ok(false)),
            }
        }
        self.unpacker.end(out);
        Poll::Ready(Ok(true))
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        // What the reader's task waited with is dropped here too, without the lock.
        let mut ticket = mem::take(&mut self.ticket);
        self.stream.inner().waiters.leave(&mut ticket);
    }
}
